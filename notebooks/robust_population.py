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
# # When you do not know who will come
#
# A contract promises rewards that depend on who takes part: how many, and of which types. A coordinator rarely knows
# either for sure. This notebook designs contracts
#
# - for an **uncertain number** of participants, exactly, and
# - for **uncertain probabilities** of the types, so that every promise holds for all probabilities near the stated ones.

# %%
# %matplotlib inline
import dataclasses

import matplotlib.pyplot as plt
import numpy as np

from contracts import (
    Binomial,
    Doubt,
    GeneralizationBound,
    LinearValuation,
    Poisson,
    Population,
    Problem,
    Scenario,
    design_contract,
    verify,
)
from contracts.proof.evidence import Proof


def clinics(participants, probabilities=(0.2, 0.3, 0.25, 0.15, 0.1), doubt=None):
    return Problem(
        population=Population(
            costs=[0.5, 0.4, 0.03, 0.02, 0.001],
            probabilities=probabilities,
            participants=participants,
            names=["rural", "county", "city", "university", "registry"],
            doubt=doubt,
        ),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
    )


# %% [markdown]
# ## How many will come?
#
# Ten clinics for sure; twenty invited, each of whom comes with probability one half; or ten on average out of very many
# (a Poisson number). Expectations stay exact: with $\varphi(s)=\sum_j p_j e^{-s m_j}$, the power $\varphi^N$ becomes the
# generating function $G(\varphi)$. Where nobody comes there is no model; who comes alone trains alone.

# %%
laws = {"ten": 10, "binomial": Binomial(trials=20, probability=0.5), "Poisson": Poisson(mean=10)}
by_number = {name: design_contract(clinics(law)) for name, law in laws.items()}
for name, contract in by_number.items():
    proof = verify(contract)
    print(f"{name:>9}: expected value {contract.objective:.4f}, proved to {proof.gap:.0e}, {proof.optimal}")

# %% [markdown]
# What does it cost to pretend that the mean is the number? Take the menu made for ten and let a Poisson number come. A
# participant does not fear the same as the coordinator: *being there* is evidence that many are, so it expects ten
# others, not nine, and promises made for ten even leave room. But the coordinator, who has no such evidence, counts on
# less than the menu for ten seems to give:

# %%
ten = by_number["ten"]
poisson = clinics(Poisson(mean=10))
same_menu = dataclasses.replace(ten, problem=poisson, proof=Proof())
found = verify(same_menu)
print("room left in the promises:", found.feasibility_slack.round(3))
print([text for text in found.violations if text.startswith("objective")])

# %% [markdown]
# ## Which types will come?
#
# The probabilities of the types come from a survey, or from last year. If there are fewer registries than thought, some
# promises of the best contract cannot be kept. A robust contract keeps its promises for **all** probabilities within a
# distance, here a total variation of 0.05, and is the best of those in its worst case.

# %%
robust = design_contract(clinics(100, doubt=Doubt(radius=0.05)))
print(robust)
print()
print(verify(robust))

# %% [markdown]
# The worst case takes from the cheapest types and gives to the dearest, for every menu and every promise at once: the
# robust problem is one ordinary problem, and the certificate compares all vertices of the ball.
#
# How much to insure? The **price of robustness** is what is lost if the stated probabilities are right after all.

# %%
RIGHT = "expected target if the stated probabilities are right"
nominal = design_contract(clinics(100))


def if_right(contract):
    return verify(contract).extended.get(RIGHT, contract.objective)


def breach(doubt):
    """The largest promise that the menu for the stated probabilities breaks under doubt about them."""
    found = verify(dataclasses.replace(nominal, problem=clinics(100, doubt=doubt), proof=Proof()))
    return max(-found.feasibility_slack.min(), 0.0)


radii = np.linspace(0.0, 0.3, 13)
contracts = [design_contract(clinics(100, doubt=Doubt(radius=r))) for r in radii]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
left.plot(radii, [if_right(c) for c in contracts], label="if the stated probabilities are right")
left.plot(radii, [c.objective for c in contracts], label="worst case, guaranteed")
left.axhline(nominal.objective, color="grey", lw=0.8, ls=":", label="nominal contract, if right")
left.set(xlabel="radius (total variation)", ylabel="expected value of the trained model")
left.legend()
right.plot(radii, [breach(Doubt(radius=r)) for r in radii], color="firebrick")
right.set(xlabel="radius (total variation)", ylabel="largest promise the nominal contract breaks")
figure.tight_layout()

# %% [markdown]
# A small radius is cheap: insuring against 0.05 costs 0.024 units of value if the probabilities were right after all,
# while the nominal contract may owe a registry half a unit more than it can give.
#
# ## What a survey of a given size supports
#
# After $n$ observations of who came, the Kullback-Leibler divergence between truth and frequencies is about
# $(I-1)/(2n)$ on average. No single member of such a ball is worst for every menu; the contract is made against a bound
# on the worst case, so all promises hold, and the certificate says how much better any robust contract could be.

# %%
for observations in (40, 400, 4000):
    ball = Doubt(radius=2 / observations, distance="kullback-leibler")
    insured = design_contract(clinics(100, doubt=ball))
    proof = verify(insured)
    assert proof.holds
    print(
        f"{observations:>5} observations: guaranteed {insured.objective:.4f}, no contract guarantees"
        f" {'?' if proof.gap is None else f'{proof.gap:.4f}'} more;"
        f" price {nominal.objective - if_right(insured):.4f}"
    )

# %% [markdown]
# ## One of a few populations
#
# Sometimes uncertainty has a face: either the association of rural clinics joins, or the registries do, and nobody knows
# which. One's own type is then evidence about who else comes, so a promise that holds only on average would be worth
# something else to everybody. Scenarios ask for one menu whose promises hold in **every** scenario, best on
# average over them.

# %%
rural, registries = (0.5, 0.3, 0.1, 0.05, 0.05), (0.05, 0.1, 0.25, 0.3, 0.3)
scenarios = [Scenario(weight=0.4, probabilities=rural), Scenario(weight=0.6, probabilities=registries)]
unsure = design_contract(dataclasses.replace(clinics(10), scenarios=scenarios))
print(unsure)
print()
print(verify(unsure))

# %% [markdown]
# What would it be worth to know the scenario before the menu is published?

# %%
known = [design_contract(clinics(10, probabilities)).objective for probabilities in (rural, registries)]
print(f"{0.4 * known[0] + 0.6 * known[1] - unsure.objective:.4f}")
