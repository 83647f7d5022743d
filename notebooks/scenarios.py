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
# # Three scenarios with five types, and the published numbers
#
# *Paid with Models* (Wang, Wu, Liu, Low, AAAI 2025) reports three scenarios of five equally likely types, ten
# participants, accuracy by a learning bound, a perfect model worth 100. They are kept as problem files in
# `examples/paper`. Here they are solved again, and the published objectives stand beside ours.

# %%
import dataclasses
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from contracts import design_contract
from contracts import full_information, verify
from contracts.contract.plots import draw_contract, draw_rewards
from modelpact.problem_file import read_problem

examples = Path("../examples/paper")
published = {"s1": 86.478273019, "s2": 69.052095129, "s3": 94.013381335}
problems = {name: read_problem(examples / f"{name}.toml").problem for name in published}
contracts = {name: design_contract(problem) for name, problem in problems.items()}
interim = {name: design_contract(dataclasses.replace(p, belief="interim")) for name, p in problems.items()}

# %%
print("scenario     published       ours (ex-ante)  proved gap     improvement   interim belief")
for name, paper in published.items():
    ours, gap = contracts[name].objective, verify(contracts[name]).gap
    print(f"{name:<8} {paper:14.9f} {ours:18.9f}  {gap:9.1e}  {ours - paper:+13.3e} {interim[name].objective:16.9f}")
    assert ours > paper

# %% [markdown]
# The published solver stops short by up to a thousandth; the optimum is known because every contract carries a proof:
# by weak duality no menu whatever can exceed `objective + gap`.
#
# ## Scenario 1: evenly spread costs
# The four dearer types are **pooled**: they are offered one and the same option. Separating them would cost more
# rent than their additional data are worth. Here many menus are as good as the best to within a millionth: compare
# objectives and certificates of two solvers, not their contributions.

# %%
contracts["s1"]

# %%
draw_contract(contracts["s1"])

# %% [markdown]
# ## Scenario 2: all costs are high
# Alone nobody trains anything (all reservation utilities are zero); together everybody contributes the same 69 data,
# and only the dearest type is kept at its reservation utility.

# %%
contracts["s2"]

# %% [markdown]
# ## Scenario 3: two dear types, three cheap ones
# The costs span a factor of 500. Three classes appear, and the cheapest type, which alone would already reach 0.9,
# contributes more than ten times what the next one does, and gains nothing over staying alone.

# %%
contracts["s3"]

# %%
draw_contract(contracts["s3"])

# %% [markdown]
# ## From expected values to models
# The first-moment solution fixes only the *expected* value of each type's reward. Three policies deliver it: every
# model up to a **cap**, a fixed **proportion** of the value of the joint model, or a **lottery** for the whole model.
# The capped one varies least of all possible policies, so that every risk-averse participant prefers it, and it is
# easy to say: *you receive any checkpoint up to accuracy ρ*.

# %%
draw_rewards(contracts["s3"])

# %%
for policy in ("capped", "proportional", "lottery"):
    rewards = contracts["s3"].rewards(policy)
    assert np.allclose(rewards.mean, contracts["s3"].expected_reward)
    print(f"{policy:>12}: standard deviations {rewards.standard_deviation.round(3)}")
print("accuracy caps:", contracts["s3"].rewards("capped").accuracy_cap.round(4))

# %% [markdown]
# ## What hidden types cost
# If costs were observed, everybody could be asked for exactly what leaves it at its reservation utility. The
# difference in the value of the trained model is the price of private information.

# %%
names = list(published)
known = [full_information(problems[name]).objective for name in names]
hidden = [contracts[name].objective for name in names]
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.bar(np.arange(3) - 0.2, known, 0.38, color="#9AA0A6", label="types known")
axes.bar(np.arange(3) + 0.2, hidden, 0.38, color="#0072B2", label="types hidden")
axes.set_xticks(range(3), [name.upper() for name in names])
axes.set(ylabel="expected value of the trained model", ylim=(0, 110))
axes.legend(frameon=False, ncols=2, loc="upper center")
for name, a, b in zip(names, known, hidden):
    print(f"{name}: known {a:.4f}, hidden {b:.4f}, information cost {a - b:.4f}")
