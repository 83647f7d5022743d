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
# # Where training is dear
#
# A model trained on too few data is worth nothing, so the accuracy curve is flat at zero before it rises. Where
# few participants with costly data meet such a curve, the design problem is not concave: leaving types out can be
# better than asking little of everybody, and a local method may stop at a bad answer, or at none. Here is what it
# takes to know that nothing better exists.

# %%
import numpy as np

from contracts import (
    GeneralizationBound,
    LinearValuation,
    MonotoneTabulated,
    Population,
    Problem,
    design_contract,
    verify,
)


def problem(costs, participants, accuracy=None, belief="interim"):
    types = len(costs)
    return Problem(
        population=Population(costs=costs, probabilities=np.full(types, 1 / types), participants=participants),
        accuracy=accuracy or GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        belief=belief,
    )


# %% [markdown]
# ## A contract that a local search misses
#
# Two equally likely types, six participants. No contract in which both types give the same is worth signing, and
# a method that starts there ends at zero. Asking nothing of the dear type is worth 60.29:

# %%
contract = design_contract(problem([2.0, 0.4], 6))
print(contract)
assert abs(contract.objective - 60.28597) < 1e-4

# %% [markdown]
# The certificate's `gap` bounds how much better any contract could be, the flat part of the curve included.

# %%
certificate = verify(contract)
print(certificate)
assert certificate.holds
assert certificate.gap < 0.01

# %% [markdown]
# ## Leaving out a prefix of the types is not always enough
#
# Without branch and bound (`time_limit=0`) only contracts are tried that leave out the dearest types and solve a
# convex program for the rest. With it, all contracts are searched, case by case:

# %%
dear = problem([2.0, 1.5, 1.0, 0.6, 0.3], 6)
quick = design_contract(dear, time_limit=0.0)
searched = design_contract(dear, time_limit=120.0)
print(f"prefixes only: {quick.objective:.4f}, and another may be better by {verify(quick).gap:.3g}")
print(f"all contracts: {searched.objective:.4f}, and another may be better by {verify(searched).gap:.3g}")
assert searched.objective > quick.objective + 0.1

# %% [markdown]
# ## Nothing pays, and that is proved

# %%
nothing = design_contract(problem([1.0, 0.85, 0.7, 0.55, 0.4], 4))
print(nothing.reason)
assert nothing.objective == 0.0
assert verify(nothing).gap < 0.1

# %% [markdown]
# ## A measured curve with an inflection
#
# Real curves are not always concave: between 150 and 220 data this one suddenly learns.

# %%
measured = MonotoneTabulated(data=[40, 90, 150, 220, 400, 900], accuracy=[0.02, 0.25, 0.3, 0.62, 0.8, 0.85])
sudden = design_contract(problem([0.9, 0.4], 4, accuracy=measured))
print(sudden)
print(verify(sudden))
assert verify(sudden).holds
