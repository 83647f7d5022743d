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
# ---

# %% [markdown]
# # Tastes, aims, behaviour, quality
#
# The base model has participants who differ in the cost of their data only, a coordinator who wants the most accurate
# model, and choices without error. Four steps away from it, on one example: five kinds of clinic, ten of which join.

# %%
import dataclasses

from contracts import (
    DistributionCost,
    LinearValuation,
    Menu,
    NashBargaining,
    Population,
    PowerLaw,
    Problem,
    Rawlsian,
    Welfare,
    choose,
    design_contract,
    design_for_choice,
    undetected_share,
    verify,
)

population = Population(
    costs=[0.5, 0.35, 0.2, 0.1, 0.05],
    probabilities=[0.1, 0.2, 0.3, 0.2, 0.2],
    participants=10,
    names=["rural", "private", "city", "university", "screening"],
)
curve = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)
problem = Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
base = design_contract(problem)
base

# %% [markdown]
# ## Tastes
# To the rural practice a good model is worth three times as much as to the others. It acts like somebody whose data
# are cheaper, and is asked for more. Gains are in everybody's own units.

# %%
keen = dataclasses.replace(problem, valuation=LinearValuation(scale=[300.0, 100.0, 100.0, 100.0, 100.0]))
contract = design_contract(keen)
assert verify(contract).optimal
for name, before, after, gain in zip(
    population.names, base.contribution, contract.contribution, contract.information_rent
):
    print(f"{name:<12}{before:9.2f} -> {after:9.2f} data, gains {gain:7.3f} over staying alone")

# %% [markdown]
# ## Aims
# Every aim keeps all promises; each is proved best for itself, with the gap the certificate states. The coordinator's
# contract takes all it can: the worst off gain nothing. How much accuracy does kindness cost?

# %%
aims = {
    "accuracy": None,
    "welfare": Welfare(),
    "half each": Welfare(coordinator=1.0),
    "worst off": Rawlsian(),
    "Nash": NashBargaining(),
    "models cost": DistributionCost(rate=0.02),
}
print(f"{'aim':<14}{'accuracy':>10}{'mean utility':>14}{'least gain':>12}{'proved to':>12}")
for name, objective in aims.items():
    found = design_contract(dataclasses.replace(problem, objective=objective))
    certificate = verify(found)
    assert certificate.optimal
    mean = float(population.probabilities @ found.utility)
    print(
        f"{name:<14}{found.expected_accuracy:10.4f}{mean:14.3f}{found.information_rent.min():12.3f}"
        f"{certificate.gap:12.1e}"
    )

# %% [markdown]
# ## Behaviour
# Under the best contract participants are exactly indifferent, so a whisper of error sends many to another option,
# or home. A margin costs little accuracy and makes choices right: who shares an option with whom is chosen by branch
# and bound, and the leaves of its tree are the proof.

# %%
margins = Menu(participation_margin=1.0, preference_margin=1.0)
strict = design_contract(dataclasses.replace(problem, menu=margins))
certificate = verify(strict)
assert certificate.optimal
print(strict)
print(certificate.verdict)
for name, menu in (("best", base), ("with margins", strict)):
    for scale in (0.01, 0.3, 3.0):
        choice = choose(menu, scale=scale)
        print(
            f"{name:<14}scale {scale:<5} right at least {choice.right.min():.3f}, staying out at most"
            f" {choice.staying_out.max():.3f}, accuracy {choice.expected_accuracy:.4f} (promised"
            f" {menu.expected_accuracy:.4f}), promises {'broken' if choice.violations else 'kept'}"
        )

# %% [markdown]
# How much margin makes everybody choose right four times out of five, at an error scale of 0.3?

# %%
sure, choice = design_for_choice(problem, share=0.8, scale=0.3)
assert choice.right.min() >= 0.8
margin = sure.problem.menu.preference_margin
print(f"a margin of {margin:.3f} costs {base.objective - sure.objective:.4f} in expected value")
print(choice)

# %% [markdown]
# ## Quality
# Data differ in quality, which is estimated from samples. `mechanisms` says how far the estimate may be off and with
# which confidence; from that follows what share of the data may be missing undetected, and what still holds.

# %%
from mechanisms.radius import hoeffding_radius

quality = [0.9, 0.8, 1.0, 0.9, 1.0]
for samples in (2_000, 20_000, 200_000, None):
    if samples is None:
        share = 0.0
    else:
        radius = hoeffding_radius(samples=samples, agents=10, confidence=0.99)
        share = undetected_share(quality, radius)
    verified = design_contract(
        dataclasses.replace(
            problem, population=dataclasses.replace(population, qualities=quality, shading=share)
        )
    )
    assert verify(verified).optimal
    print(
        f"{samples or 'all'!s:>7} samples: {share:6.1%} may be missing; guaranteed value {verified.objective:.3f},"
        f" raw data asked for {verified.contribution.round(1)}"
    )

# %% [markdown]
# At settlement what was delivered is known as far as it can be, and rewards are those of the model that was trained:

# %%
print(verified.settle([1, 2, 3, 2, 2]))
