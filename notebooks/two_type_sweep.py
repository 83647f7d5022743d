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
# # Two types, fifteen hundred contracts
#
# What does a contract look like as more participants join, and as the dearer type becomes more common? Wang, Wu,
# Liu and Low (*Paid with Models*, AAAI 2025) answer with one figure in four panels: 50 numbers of participants,
# 30 probabilities, with and without knowledge of the types. It took their program about twelve minutes. Here it is
# computed live, every contract proved optimal.
#
# A datum costs the *dear* type 0.02 and the *cheap* type 0.01; a perfect model is worth 100; accuracy follows
# the papers' learning bound; beliefs are the paper's (`"ex-ante"`).

# %%
import time

import numpy as np
from matplotlib import pyplot as plt

from contracts import GeneralizationBound, LinearValuation, Population, Problem, design_contract
from modelpact.axes import Axis
from modelpact.sweeps import sweep
from modelpact.sweep_plots import plot_sweep

problem = Problem(
    population=Population(
        costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10, names=["dear", "cheap"]
    ),
    accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
    valuation=LinearValuation(scale=100.0),
    belief="ex-ante",
)
axes = {
    "participants": Axis.linear("population.participants", 2, 100, 50),
    "dear_share": Axis.linear("population.probabilities[0]", 0.02, 0.98, 30),
}
began = time.perf_counter()
data = sweep(problem, axes)
print(f"{data['objective'].size} problems in {time.perf_counter() - began:.1f} s, with certificates and benchmarks")
data

# %% [markdown]
# Every number is certified: the duality gap bounds how much any other contract could gain.

# %%
assert bool((data["certified"] == 1).all())
print(f"largest optimality gap: {float(data['gap'].max()):.1e} (of a value of 100)")

# %% [markdown]
# ## The four panels
#
# Contribution and reward of each type, what not knowing the types costs the coordinator, and what each type gains
# from being the only one who knows (its rent).

# %%
plot_sweep(data)

# %% [markdown]
# Along a row of the maps: when the dear type is rare, the coordinator lets its option be (it is asked for little
# and receives a worse model), so that the cheap type is not tempted by it. As the dear type becomes common, the
# options meet: **separating turns into pooling**. Where exactly, for each number of participants:

# %%
spread = data["contribution"].sel(type="cheap") - data["contribution"].sel(type="dear")
pooled = spread < 1e-6 * data["contribution"].max("type")
share = data["dear_share"].values
first = [share[row.values.argmax()] if row.values.any() else np.nan for row in pooled]
plt.figure(figsize=(5, 3))
plt.plot(data["participants"], first, ".")
plt.xlabel("participants")
plt.ylabel("share of the dear type\nfrom which contracts pool")
plt.ylim(0, 1)
plt.show()

# %% [markdown]
# ## How does it scale?
#
# The published program enumerates every possible number of participants of each type: its time grows with the
# number of participants, and doubles with every type. The expectations here are sums over the terms of a mixture
# of exponentials: their cost does not depend on the number of participants at all, and grows linearly in types.


# %%
def evenly(types, participants):
    return Problem(
        population=Population(
            costs=np.linspace(0.2, 0.04, types), probabilities=np.full(types, 1 / types), participants=participants
        ),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
    )


def seconds(stated):
    best = np.inf
    for _ in range(2):
        began = time.perf_counter()
        design_contract(stated)
        best = min(best, time.perf_counter() - began)
    return best


participants = [10, 100, 1000, 10_000, 100_000, 1_000_000]
types = [2, 4, 8, 16]
by_participants = [seconds(evenly(5, n)) for n in participants]
by_types = [seconds(evenly(k, 1000)) for k in types]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.loglog(participants, by_participants, marker="o")
left.set(xlabel="participants (5 types)", ylabel="seconds, one contract", ylim=(1e-3, 10))
right.loglog(types, by_types, marker="o")
right.set(xlabel="types (1000 participants)", ylim=(1e-3, 10))
plt.show()

# %% [markdown]
# A contract for a million participants takes as long as one for ten. Most of it is the search over contracts that
# leave types out and the bound against the true curve; solving one program takes milliseconds.
