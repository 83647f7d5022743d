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
# # Validating a contract
#
# A contract binds several organisations for years. None of them should have to trust the coordinator's solver. This
# notebook shows everything that can be checked, by whom, and how.

# %%
import json

import numpy as np

from contracts import (
    Contract,
    GeneralizationBound,
    LinearValuation,
    Population,
    Problem,
    design_contract,
    verify,
)
from contracts.testing import assert_feasible, assert_incentive_compatible, assert_individually_rational

problem = Problem(
    population=Population(
        costs=[0.5, 0.4, 0.03, 0.02, 0.001],
        probabilities=[0.2] * 5,
        participants=10,
        names=["ann", "bob", "cem", "dia", "eve"],
    ),
    accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
    valuation=LinearValuation(scale=100.0),
)
contract = design_contract(problem)
contract

# %% [markdown]
# ## The certificate
# `verify` recomputes everything from the problem and the menu; it shares no code with the solvers.

# %%
certificate = verify(contract)
print(certificate)

# %% [markdown]
# **Individual rationality**: what each gains over staying alone. Zero means the contract takes all it can.

# %%
dict(zip(problem.population.names, certificate.participation_slack.round(6)))

# %% [markdown]
# **Incentive compatibility**: the envy matrix. Entry (i, j) is what type i would gain by choosing the option of type
# j; all must be at most zero. *All* pairs are checked, although the solver only imposes neighbouring ones.

# %%
with np.printoptions(precision=3, suppress=True):
    print(certificate.envy)

# %% [markdown]
# **Feasibility**: the value of the joint model, as each type expects it, less what it is promised. And for the
# rewards that are handed out in the end: never more than what was trained, whoever turns up.

# %%
print(certificate.feasibility_slack)
rng = np.random.default_rng(0)
capped = contract.rewards("capped")
for counts in rng.multinomial(10, problem.population.probabilities, size=2000):
    total = float(counts @ contract.contribution)
    assert np.all(capped.value(total) <= problem.value(total) * (1 + 1e-12))

# %% [markdown]
# **Optimality**: `gap` is a proved bound on what *any* other contract could add. The smaller number behind it is about the
# program as solved, with the curve continued concavely below the data at which it leaves zero, and says so. Both come
# from weak duality: prices for the promises turn the problem into one that is convex in the menu, and its linearisation
# bounds everything.
#
# ## Simulation
# Distrust expectations? Draw the participants yourself. Under the interim belief a participant knows itself and
# draws the nine others.

# %%
draws = 20_000
for i, name in enumerate(problem.population.names):
    others = rng.multinomial(9, problem.population.probabilities, size=draws) @ contract.contribution
    rewards = np.minimum(problem.value(others + contract.contribution[i]), capped.levels[i])
    error = rewards.std() / np.sqrt(draws)
    print(f"{name}: promised {contract.expected_reward[i]:9.5f}, simulated {rewards.mean():9.5f} ± {error:.5f}")
    assert abs(rewards.mean() - contract.expected_reward[i]) <= 5 * error + 1e-9

# %% [markdown]
# ## A forged contract
# The file holds the problem, the menu, the proof and the certificate. Whoever receives it verifies it again. Suppose
# somebody asks *eve* for a little more than was agreed, and leaves the certificate as it was:

# %%
document = json.loads(contract.to_json())
print("stored certificate holds:", document["certificate"]["holds"])
document["contribution"][4] += 100.0
forged = verify(Contract.from_json(json.dumps(document)))
print("verified again:", forged.holds)
for violation in forged.violations:
    print(" -", violation)

# %% [markdown]
# The command line does the same, `modelpact verify contract.json`, with exit code 1 if a promise is broken, and 3
# if only optimality is not proved.
#
# ## In your own test suite
# `contracts.testing` publishes assertions, and Hypothesis strategies that draw whole problems.

# %%
for check in (assert_individually_rational, assert_incentive_compatible, assert_feasible):
    check(contract)

# %%
from hypothesis import given, settings

from contracts.testing import problems


@settings(max_examples=10, deadline=None, database=None)
@given(problems(types=(2, 4), participants=(4, 40), families=("power-law",)))
def test_my_pipeline_never_harms_anybody(drawn):
    assert_individually_rational(design_contract(drawn))


test_my_pipeline_never_harms_anybody()
