"""Reward policies: means kept, never above the trained model, capping least variable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    LogarithmicValuation,
    Population,
    Problem,
    design_contract,
    rewards,
)
from contracts.contract.full_information import full_information
from contracts.contract.rewards import POLICIES
from contracts.problem.outcomes import compositions
from contracts.testing import example_contract


@given(
    costs=st.lists(st.floats(0.01, 0.3), min_size=2, max_size=4),
    participants=st.integers(2, 8),
    belief=st.sampled_from(["interim", "ex-ante"]),
)
@settings(max_examples=25)
def test_laws_of_reward_policies(costs, participants, belief):
    problem = Problem(
        population=Population(
            costs=costs, probabilities=[1 / len(costs)] * len(costs), participants=participants
        ),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        belief=belief,
    )
    contract = design_contract(problem)
    found = {policy: rewards(contract, policy) for policy in POLICIES}
    counts = compositions(participants, len(costs))
    for policy, reward in found.items():
        np.testing.assert_allclose(reward.mean, contract.expected_reward, atol=1e-7, err_msg=policy)
        trained = problem.value(counts @ contract.contribution)
        assert (reward.value_of(trained, seed=0) <= trained * (1.0 + 1e-15)).all()
    capped = found["capped"].standard_deviation
    for reward in found.values():
        assert (capped <= reward.standard_deviation + 1e-6).all()
        # Convex order: every stop-loss transform of the capped reward is the least.
        for strike in (20.0, 60.0, 80.0):
            least, other = (
                np.array([p @ np.maximum(v - strike, 0) for v, p in zip(r.values, r.probabilities, strict=True)])
                for r in (found["capped"], reward)
            )
            assert (least <= other + 1e-6).all()


def test_published_spread_of_the_third_scenario(build):
    contract = design_contract(build([0.5, 0.4, 0.03, 0.02, 0.001], 10))
    capped, proportional = (contract.rewards(policy).standard_deviation for policy in ("capped", "proportional"))
    assert proportional[0] == pytest.approx(1.34, abs=0.6)
    assert capped[0] == pytest.approx(0.0, abs=1e-6)
    assert (capped <= proportional + 1e-9).all()


def test_quantiles_and_caps(build):
    contract = design_contract(build([0.2, 0.04], 10))
    reward = contract.rewards()
    assert (reward.quantile(0.0) <= reward.quantile(0.5)).all()
    assert (reward.quantile(1.0) <= 100).all()
    assert (reward.accuracy_cap <= 1).all()
    with pytest.raises(InvalidInput, match=r"level = 1\.5"):
        reward.quantile(1.5)
    with pytest.raises(InvalidInput, match="policy = 'generous'"):
        contract.rewards("generous")


def test_settlement_gives_what_was_promised(build):
    contract = design_contract(build([0.2, 0.16, 0.12, 0.08, 0.04], 10))
    settlement = contract.settle([3, 2, 2, 2, 1])
    assert settlement.total_data == pytest.approx(contract.contribution @ [3, 2, 2, 2, 1])
    assert (settlement.accuracy <= settlement.trained_accuracy).all()
    np.testing.assert_allclose(settlement.value, 100 * settlement.accuracy)
    assert "type 1" in str(settlement)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([3, 2, 2, 2], "counts has length 4: expected 5"),
        ([3, 2, 2, 2, 2], "counts sum to 11: expected the 10 participants"),
        ([-1, 3, 3, 3, 2], r"counts\[0\] = -1"),
        ([2.5, 2.5, 2, 2, 1], r"counts\[0\] = 2.5: expected a whole number"),
        ([np.nan, 2, 2, 2, 1], r"counts\[0\] = nan"),
    ],
)
def test_bad_counts_are_named(build, counts, message):
    contract = design_contract(build([0.2, 0.16, 0.12, 0.08, 0.04], 10))
    with pytest.raises(InvalidInput, match=message):
        contract.settle(counts)


@pytest.mark.parametrize("seed", [-1, 0.5, "one"])
def test_seeds_are_whole_numbers_from_zero(seed):
    agreed = example_contract()
    lottery = agreed.rewards("lottery")
    calls = {
        "settle": lambda: agreed.settle([2, 2, 2, 2, 2], "lottery", seed=seed),
        "rewards": lambda: lottery.value(100.0, seed=seed),
        "known costs": lambda: full_information(agreed.problem, seed=seed),
    }
    for name, call in calls.items():
        with pytest.raises(InvalidInput, match="seed = ") as caught:
            call()
        assert "\n" not in str(caught.value), name


def test_risk_averse_participants_prefer_caps(build):
    valuation = LogarithmicValuation(scale=100.0, sensitivity=5.0)
    contract = design_contract(build([0.1, 0.02], 6, valuation=valuation))
    capped, lottery = contract.rewards("capped"), contract.rewards("lottery")

    def utility(reward):
        return [p @ np.sqrt(v) for v, p in zip(reward.values, reward.probabilities, strict=True)]

    assert (np.array(utility(capped)) >= np.array(utility(lottery)) - 1e-9).all()
