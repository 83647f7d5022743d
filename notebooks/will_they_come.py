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
# # Will they come?
#
# A contract's promises are made to those who expect everybody else to come. Then signing truthfully is an equilibrium.
# It is never the only one: if nobody signs, whoever signs alone works for nothing. This notebook looks at what happens
# in between, and at **launch clauses**, with which nobody can lose by signing.
#
# Three kinds of participants, whose data cost 0.3, 0.1 or 0.03; ten are invited; a perfect model is worth 100.

# %%
import dataclasses

import numpy as np
from matplotlib import pyplot as plt

from contracts import (
    GeneralizationBound,
    LinearValuation,
    Menu,
    Population,
    Problem,
    contingent_limit,
    design_contract,
    verify,
)
from contracts.contract.agreement import agreement
from equilibria import contract_menu, sign_in_turn

SAFE = {"participation_margin": 0.02, "preference_margin": 0.02}


def problem(participants=10, **menu):
    return Problem(
        population=Population(
            costs=[0.3, 0.1, 0.03],
            probabilities=[0.3, 0.4, 0.3],
            participants=participants,
            names=["dear", "middling", "cheap"],
        ),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        menu=Menu(**menu),
    )


plain = design_contract(problem())
print(plain)

# %% [markdown]
# ## If each other comes with some probability
#
# The curves show what each kind gains over staying out if each of the nine others comes with a probability q. Who is
# just as well off when all come loses as soon as anybody may be missing.

# %%
found = plain.attendance()
attendance = np.linspace(0.0, 1.0, 41)
gains = found.gain(attendance)
for i, name in enumerate(found.names):
    plt.plot(attendance, gains[:, i], label=name)
plt.axhline(0.0, color="0.7", lw=1)
plt.xlabel("probability that each other comes")
plt.ylabel("gain over staying out")
plt.legend()
plt.show()
print(found)

# %% [markdown]
# All equilibria of the menu, by looking at every strategy: truth, some in which kinds take others' options, and nobody.

# %%
print(contract_menu(plain).equilibria())

# %% [markdown]
# ## A launch clause
#
# *"If fewer than K sign, all are released and nothing is delivered."* The menu is made anew so that it covers: with K
# signatures, whoever signs what, everybody gets at least what staying out gives, and nobody would rather have signed
# another option. What varies with who comes is how much the cheapest owe, and they are paid by the model.

# %%
launched = design_contract(problem(assurance="count", **SAFE))
print(agreement(launched))
print(f"\nK = {launched.launch_count}; the price is {plain.objective - launched.objective:.3f} of 100")
print(verify(launched))

# %% [markdown]
# Signing is now weakly dominant. Two equilibria are left, and in the bad one nobody loses by signing:

# %%
print(contract_menu(launched).equilibria())
print(launched.attendance())

# %% [markdown]
# Signing in turn, publicly and for good, removes the bad one, too. Without the clause it does not.

# %%
for name, number in (("without", {}), ("with", {"assurance": "count", **SAFE})):
    outcome = sign_in_turn(design_contract(problem(5, **number)), ties="leave")
    print(f"{name} the clause {outcome.signatures:.3g} of 5 sign in turn")

# %% [markdown]
# ## What it costs, and how many must sign
#
# The price of the clause falls quickly as more are invited; the number of signatures that are needed hardly changes.

# %%
numbers = [4, 6, 8, 10, 15, 20]
prices, counts = [], []
for number in numbers:
    free = design_contract(problem(number))
    safe = design_contract(problem(number, assurance="count"))
    prices.append(free.objective - safe.objective)
    counts.append(safe.launch_count)
left, right = plt.subplots(1, 2, figsize=(9, 3.2))[1]
left.semilogy(numbers, prices, marker="o")
left.set(xlabel="invited", ylabel="price of the clause")
right.plot(numbers, counts, marker="o")
right.set(xlabel="invited", ylabel="signatures needed", ylim=(0, max(counts) + 1))
plt.tight_layout()
plt.show()

# %% [markdown]
# ## If attendance is uncertain: a table
#
# One insured menu for each number of signatures, announced together. Nobody needs to believe anything about who comes.


# %%
def value(contract, q, draws=200):
    """Expected value of the model where each comes with probability q, by drawing."""
    population, total = contract.problem.population, 0.0
    draw = np.random.default_rng(0)
    for come in draw.binomial(population.participants, q, size=draws):
        counts = draw.multinomial(come, population.probabilities)
        total += float(contract.problem.value(contract.settle(counts).total_data)) / draws
    return total


table = design_contract(problem(assurance="table", **SAFE))
print("  q   one count   table")
for q in (1.0, 0.9, 0.7, 0.5):
    print(f"{q:.1f}   {value(launched, q):9.2f}   {value(table, q):5.2f}")

# %% [markdown]
# ## What depends on who signed which option
#
# Amounts need not be fixed beforehand: they may follow from the whole profile of signatures. Participation is kept in
# every profile, truth on average. For few participants the best such contract is found, with proof; beside any other
# contract `contingent_limit` says how much it leaves.

# %%
few = problem(5)
fixed = design_contract(few)
contingent = design_contract(dataclasses.replace(few, menu=Menu(assurance="contingent")))
print(f"fixed amounts {fixed.objective:.3f}, by the profile {contingent.objective:.3f}")
print(verify(contingent))
print(contingent_limit(fixed))
print(contingent_limit(design_contract(problem(20))))
