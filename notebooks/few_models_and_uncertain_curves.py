# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Few models, whole lots, a continuum of costs, and a curve that is not quite known
#
# The best menu has an option for every type, any amount of data in each, types with known costs, and a learning
# curve taken for true. None of this need hold: a coordinator may be able to keep only a few versions of the
# model; data may come by the box; costs may be spread continuously; and the curve was measured. Each time
# something is lost. This notebook shows how much, and that it is proved.

# %%
import dataclasses

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from contracts import (
    ContinuousProblem,
    LinearValuation,
    Menu,
    Population,
    PowerLaw,
    Problem,
    UncertainCurve,
    design_continuous,
    design_contract,
    fit_family,
    read_measurements,
    verify,
)

# %% [markdown]
# ## Few versions of the model
#
# Ten types whose costs differ twentyfold. How many options does a good menu need?

# %%
draw = np.random.default_rng(0)
problem = Problem(
    population=Population(
        costs=np.sort(np.exp(draw.uniform(np.log(0.015), np.log(0.3), 10)))[::-1],
        probabilities=draw.dirichlet(np.full(10, 2.0)),
        participants=50,
    ),
    accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6),
    valuation=LinearValuation(scale=100.0),
)
free = design_contract(problem)
menus = {
    options: design_contract(dataclasses.replace(problem, menu=Menu(options=options)))
    for options in (1, 2, 3, 4)
}
for options, menu in menus.items():
    certificate = verify(menu)
    assert certificate.optimal
    print(
        f"{options} options: {menu.objective:.4f}, {free.objective - menu.objective:.4f} less than without a limit,"
        f" proved to {certificate.gap:.1e}"
    )

# %% [markdown]
# Types that share an option are neighbours in cost, so a menu of few options is a staircase:

# %%
figure, axes = plt.subplots()
cost = problem.population.costs
axes.step(cost, free.contribution, where="mid", label="no limit")
for options in (1, 2, 3):
    axes.step(cost, menus[options].contribution, where="mid", label=f"{options} options")
axes.set(xscale="log", xlabel="cost of a datum", ylabel="contribution")
axes.legend()

# %% [markdown]
# Data by the box of 25 cost a little more; both limits may be put at once.

# %%
lots = design_contract(dataclasses.replace(problem, menu=Menu(options=3, lot=25.0)))
print(lots)
certificate = verify(lots)
assert certificate.holds
print(certificate.verdict)

# %% [markdown]
# ## A continuum of costs
#
# Costs are uniform between 0.05 and 0.5. Rounded up cell by cell, the best contract is one for the true
# population: whoever is cheaper than the cell says chooses what it likes best, and contributes no less. Rounded
# down, no contract is better. The truth lies between, and both sides converge.

# %%
for cells in (8, 16, 32):
    contract = design_continuous(
        ContinuousProblem(
            distribution=stats.uniform(0.05, 0.45),
            participants=100,
            accuracy=problem.accuracy,
            valuation=problem.valuation,
            cells=cells,
        )
    )
    print(
        f"{cells} cells: between {contract.reached:.4f} and {contract.bound:.4f},"
        f" best {contract.extrapolated:.4f} ± {contract.error_estimate:.4f}"
    )
print(contract.certificate)

# %% [markdown]
# ## A measured curve
#
# The curve of the tumour clinics was measured at a handful of sizes. Whoever takes the fitted curve for certain
# may promise models that will not be there. A contract that keeps its promises for every curve of the 95 %
# confidence region promises a little less:

# %%
fit = fit_family(read_measurements("../examples/tumour-clinics/curve.csv"))
clinics = Problem(
    population=Population(costs=[150, 70, 30], probabilities=[0.3, 0.4, 0.3], participants=20),
    accuracy=UncertainCurve(fit=fit),
    valuation=LinearValuation(scale=100_000.0),
)
uncertain = design_contract(clinics)
print(uncertain)
certificate = verify(uncertain)
print(certificate)
assert certificate.holds

# %% [markdown]
# No contract that keeps its promises throughout the region can guarantee more than the optimality gap above what
# this one guarantees; and if the fit is right after all, little is lost.

# %%
right = certificate.extended["expected target if the fitted curve is right"]
bold = design_contract(dataclasses.replace(clinics, accuracy=fit.curve))
print(
    f"guaranteed {uncertain.reached:.1f}; if the fit is right {right:.1f}; best without caution {bold.reached:.1f}"
)
