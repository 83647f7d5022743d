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
# # Two types: what a contract paid in models looks like
#
# Some organisations find data dear, others find them cheap. Nobody can see which is which. A coordinator wants the
# best joint model and has nothing to pay with but models: whoever contributes may receive a model as good as the
# joint one, or a worse one. The coordinator publishes a **menu**: *contribute so much, receive a model worth so
# much*. It must be in everybody's interest to join (individual rationality), and to choose the option meant for
# its own type (incentive compatibility); and no model can be better than the one that is trained (feasibility).
#
# This is the two-type setting of Wang, Wu, Liu and Low, *Paid with Models* (AAAI 2025): a datum costs 0.02 or
# 0.01, a perfect model is worth 100, accuracy follows a learning bound.

# %%
import numpy as np
from matplotlib import pyplot as plt

from contracts import (
    GeneralizationBound,
    LinearValuation,
    Population,
    Problem,
    design_contract,
    full_information,
    reservation,
    verify,
)
from contracts.contract.plots import draw_contract, draw_menu


def two_types(participants=10, dear=0.5, belief="ex-ante"):
    """The paper's problem; `dear` is the probability of the type whose data cost twice as much."""
    return Problem(
        population=Population(
            costs=[0.02, 0.01], probabilities=[dear, 1 - dear], participants=participants, names=["dear", "cheap"]
        ),
        accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
        valuation=LinearValuation(scale=100.0),
        belief=belief,
    )


# %% [markdown]
# ## What each gets alone
#
# Staying out is always possible: collect data alone until another datum costs more than it improves the model.

# %%
alone = reservation(two_types())
for name, utility, data in zip(["dear", "cheap"], alone.utility, alone.contribution):
    print(f"{name:>5}: collects {data:7.2f} data alone and gains {utility:.6f}")

# %% [markdown]
# ## The best menu
#
# It asks *both* types for more than they would collect alone, because the joint model is worth more. The cheap type
# contributes only a little more than the dear one: asking much more of it would make it pretend to be dear. What it
# gains beyond staying alone is its **information rent**.

# %%
contract = design_contract(two_types())
contract

# %%
print("information rents:", contract.information_rent.round(4))
print(verify(contract))

# %% [markdown]
# In the plane of data and value, each type's indifference line runs through its own option. Every other option lies
# on or below it: that is incentive compatibility. The grey curve is what training alone offers.

# %%
draw_menu(contract)

# %% [markdown]
# ## How the menu changes with the group
#
# The paper studies a grid of group sizes and type probabilities. Expectations over who takes part are computed
# without enumerating the outcomes, so a whole grid takes seconds.

# %%
sizes = [2, 4, 6, 10, 16, 26, 40, 64, 100]
shares = np.linspace(0.1, 0.9, 9)
grid = {(n, p): design_contract(two_types(n, p)) for n in sizes for p in shares}
accuracy = np.array([[grid[n, p].expected_accuracy for n in sizes] for p in shares])
cost = np.array([[full_information(two_types(n, p)).objective - grid[n, p].objective for n in sizes] for p in shares])
rent = np.array([[grid[n, p].information_rent[1] for n in sizes] for p in shares])

figure, panels = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
for panel, values, title in zip(
    panels, (accuracy, cost, rent), ("expected accuracy", "cost of not knowing types", "rent of the cheap type")
):
    shown = panel.pcolormesh(range(len(sizes)), shares, values, cmap="viridis", shading="nearest")
    panel.set_xticks(range(len(sizes)), sizes)
    panel.set(title=title, xlabel="participants", ylabel="probability of the dear type")
    figure.colorbar(shown, ax=panel)

# %% [markdown]
# More participants make a better model, but the *loss* from not knowing the types does not vanish with their number:
# the cheap type must be left its rent however large the group is. (Recall that alone it would gain 64.16.)
#
# ## Does the belief matter?
#
# The published code lets a participant expect a draw of *all* participants that contains its type at least once
# ("ex-ante"). Somebody who knows its own type should instead expect the *others* to be drawn ("interim"); only then
# is an option worth the same to every type that might choose it. In small groups the two differ visibly.

# %%
print(" N   ex-ante objective   interim objective   contributions ex-ante   interim")
for n in (2, 4, 10, 40):
    both = [design_contract(two_types(n, 0.5, belief)) for belief in ("ex-ante", "interim")]
    print(
        f"{n:3d}  {both[0].objective:17.6f}   {both[1].objective:17.6f}"
        f"   {both[0].contribution.round(1)!s:>21}   {both[1].contribution.round(1)}"
    )

# %% [markdown]
# ## The contract at a glance

# %%
draw_contract(design_contract(two_types(belief="interim")))
