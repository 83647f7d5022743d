# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3

# %% [markdown]
# # Which costs explain what was delivered?
#
# A designed menu depends smoothly on the costs it was designed for, and `designed_contribution` gives its derivative (implicit
# differentiation of the optimality conditions). That turns the question around: from amounts delivered under optimal menus, the
# costs can be estimated by least squares, with standard errors.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import least_squares

from contracts import (
    GeneralizationBound,
    LinearValuation,
    Population,
    Problem,
    designed_contribution,
    designed_objective,
)

PROBABILITIES = np.array([0.5, 0.3, 0.2])
NUMBERS = (10, 20, 40)


def contributions(costs, participants):
    population = Population(costs=costs, probabilities=PROBABILITIES, participants=participants)
    problem = Problem(
        population=population, accuracy=GeneralizationBound(optimum=0.9), valuation=LinearValuation(scale=100.0)
    )
    return designed_contribution(problem)


def expected(log_costs):
    """Log contributions of all types in all rounds: costs are positive, and errors relative."""
    return jnp.concatenate([jnp.log(contributions(jnp.exp(log_costs), number)) for number in NUMBERS])


# %% [markdown]
# ## What was seen
#
# Three rounds with different numbers of participants, each under the best menu for true costs that we do not know, each amount
# delivered up to an error of 3 %.

# %%
true_costs = np.array([0.3, 0.05, 0.005])
noise = 0.03
with jax.enable_x64(True):
    seen = np.asarray(expected(jnp.log(true_costs)))
seen = seen + noise * np.random.default_rng(7).standard_normal(seen.size)
for number, amounts in zip(NUMBERS, np.exp(seen).reshape(len(NUMBERS), -1), strict=True):
    print(f"{number:3d} participants delivered {amounts.round(1)} each")

# %% [markdown]
# ## What it tells about costs
#
# Gauss–Newton with exact derivatives, from a start at which every cost is wrong by half.

# %%
with jax.enable_x64(True):
    fit = least_squares(
        lambda x: np.asarray(expected(jnp.asarray(x))) - seen,
        np.log(true_costs * np.array([1.5, 0.7, 1.4])),
        jac=lambda x: np.asarray(jax.jacobian(expected)(jnp.asarray(x))),
        xtol=1e-12,
    )
error = noise * np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
for k, (estimate, spread) in enumerate(zip(np.exp(fit.x), error, strict=True)):
    print(f"type {k + 1}: {estimate:.5f} +- {100 * spread:.1f} % (true {true_costs[k]:.5f})")
assert np.all(np.abs(fit.x - np.log(true_costs)) < 4.0 * error)

# %% [markdown]
# ## Whose cost moves whose contribution
#
# Rows are contributions, columns costs: by how many per cent one moves when the other rises by one per cent. A type's contribution
# falls with its own cost and with the next cheaper one's, whose rent it limits; what is dearer does not matter to it here. Where
# types share an option, the columns of the cheaper ones are zero and their costs can't be told: derivatives say so before anything
# is collected.

# %%
with jax.enable_x64(True):
    moves = np.asarray(jax.jacobian(expected)(jnp.asarray(fit.x))).reshape(len(NUMBERS), 3, 3)[0]
figure, axes = plt.subplots(figsize=(4, 3))
image = axes.imshow(moves, cmap="coolwarm", vmin=-1.2, vmax=1.2)
names = [f"type {k + 1}" for k in range(3)]
axes.set_xticks(range(3), names)
axes.set_yticks(range(3), names)
axes.set(xlabel="cost", ylabel="contribution")
figure.colorbar(image, label="% by %")
figure

# %% [markdown]
# The objective's derivative needs no more than the prices (envelope theorem): by it a designer sees which cost matters.

# %%
with jax.enable_x64(True):

    def objective(costs):
        population = Population(costs=costs, probabilities=PROBABILITIES, participants=10)
        curve = GeneralizationBound(optimum=0.9)
        return designed_objective(
            Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
        )

    slope = np.asarray(jax.grad(objective)(jnp.exp(fit.x)))
print("accuracy (in %) lost for each per cent of a type's costs:", (-slope * np.exp(fit.x) / 100).round(4))
