"""Truthful choice from a contract menu, against its definition and the textbook screening contract."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from equilibria.menu import ContractMenu, contract_menu

NUMBERS = st.floats(0.01, 10.0)


def arrays(count):
    return st.lists(NUMBERS, min_size=count, max_size=count).map(np.array)


@given(data=st.data(), count=st.integers(1, 6))
def test_the_certificate_is_the_definition(data, count):
    costs, asked, values, alone = (data.draw(arrays(count)) for _ in range(4))
    menu = ContractMenu(costs=costs, contributions=asked, values=values, reservation_utilities=alone)
    certificate = menu.certificate()
    for i in range(count):
        own = values[i] - costs[i] * asked[i]
        options = [values[k] - costs[i] * asked[k] for k in range(count)]
        best = max([*options, alone[i]])
        assert np.isclose(certificate.gains[i], best - own, atol=1e-12)
        chosen = alone[i] if certificate.choices[i] < 0 else options[certificate.choices[i]]
        assert np.isclose(chosen, best)
    assert certificate.holds == (certificate.gains.max() <= certificate.tolerance)
    assert str(certificate)


@given(data=st.data(), count=st.integers(2, 6))
def test_the_screening_contract_is_truthful_and_leaves_the_costliest_nothing(data, count):
    # Contributions fall with cost; values make every type indifferent to the next costlier type's option.
    costs = np.sort(data.draw(arrays(count)))
    asked = np.sort(data.draw(arrays(count)))[::-1]
    values = np.empty(count)
    values[-1] = costs[-1] * asked[-1]
    for i in range(count - 2, -1, -1):
        values[i] = values[i + 1] + costs[i] * (asked[i] - asked[i + 1])
    menu = ContractMenu(
        costs=costs,
        contributions=asked,
        values=values,
        reservation_utilities=np.zeros(count),
        probabilities=np.full(count, 1 / count),
    )
    certificate = menu.certificate(tolerance=1e-9)
    assert certificate.holds
    assert abs(certificate.rationality[-1]) < 1e-9
    assert certificate.expected_gain < 1e-9
    broken = ContractMenu(
        costs=costs,
        contributions=asked,
        values=values - 0.01 * np.eye(count)[0],
        reservation_utilities=np.zeros(count),
    )
    if costs[0] < costs[1] or count > 1:
        assert broken.certificate().epsilon > 0


def test_values_may_differ_by_the_type_that_looks_at_them():
    values = np.array([[1.0, 5.0], [0.0, 1.0]])
    menu = ContractMenu(
        costs=[1.0, 1.0], contributions=[0.0, 0.0], values=values, reservation_utilities=[0.0, 0.0]
    )
    assert menu.certificate().choices.tolist() == [1, 1]
    assert menu.certificate().gains.tolist() == [4.0, 0.0]


@pytest.mark.parametrize(
    "change",
    [
        {"costs": []},
        {"costs": [0.0, 1.0]},
        {"contributions": [1.0]},
        {"contributions": [-1.0, 0.0]},
        {"values": [[1.0, 2.0]]},
        {"values": [np.nan, 1.0]},
        {"values": np.zeros((2, 3))},
        {"reservation_utilities": [0.0]},
        {"probabilities": [0.5, 0.6]},
    ],
)
def test_bad_input(change):
    good = {
        "costs": [1.0, 2.0],
        "contributions": [1.0, 0.5],
        "values": [2.0, 1.0],
        "reservation_utilities": [0.0, 0.0],
    }
    with pytest.raises(InvalidInput):
        ContractMenu(**{**good, **change})


def test_a_designed_contract_is_a_bayesian_equilibrium_and_its_certificates_agree():
    design = pytest.importorskip("contracts.contract.design")
    import contracts

    problem = contracts.Problem(
        population=contracts.Population(costs=[0.2, 0.1, 0.04], probabilities=[0.3, 0.3, 0.4], participants=10),
        accuracy=contracts.GeneralizationBound(),
        valuation=contracts.LinearValuation(scale=100.0),
    )
    contract = design.design_contract(problem)
    proved = contracts.verify(contract)
    certificate = contract_menu(contract).certificate(tolerance=proved.tolerance)
    assert proved.holds
    assert certificate.holds
    assert np.allclose(certificate.envy.max(axis=1), proved.envy, atol=proved.tolerance)
    most = certificate.envy[np.arange(3), proved.envied]
    assert np.allclose(most, proved.envy, atol=proved.tolerance)
    assert np.allclose(certificate.rationality, proved.participation_slack, atol=proved.tolerance)
    assert np.allclose(certificate.utilities, contract.utility)
