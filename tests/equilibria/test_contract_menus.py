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
    by_option = (certificate.envy <= certificate.tolerances).all()
    assert certificate.holds == (
        by_option and (-certificate.rationality <= certificate.tolerances.diagonal()).all()
    )
    assert certificate.tolerances.max() <= 1e-9 * max(values.max(), alone.max())
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


@pytest.mark.parametrize("huge", [1.0, 1e12])
def test_no_other_option_decides_what_is_small(huge):
    # Type 0 gains .5 by leaving, type 1 .25 by the option of type 2; nobody wants the huge one of type 3.
    menu = ContractMenu(
        costs=[2.0, 2.0, 1.0, 1.0],
        contributions=[0.5, 0.5, 0.25, huge],
        values=[2.0, 1.0, 0.75, huge],
        reservation_utilities=[1.5, 0.0, 0.0, 0.0],
        available=[[1, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]],
    )
    certificate = menu.certificate()
    assert certificate.gains.tolist() == [0.5, 0.25, 0.0, 0.0]
    assert not certificate.holds
    assert str(certificate) == "not a Bayesian equilibrium: type 0 gains 0.5 by leaving"
    stays = ContractMenu(
        costs=menu.costs,
        contributions=menu.contributions,
        values=menu.values,
        reservation_utilities=np.zeros(4),
        available=menu.available,
    )
    assert str(stays.certificate()) == "not a Bayesian equilibrium: type 1 gains 0.25 by option 2"


def test_a_gain_within_rounding_of_the_values_compared_is_none():
    def certificate(values, alone):
        menu = ContractMenu(
            costs=[1.0, 1.0], contributions=[0.0, 0.0], values=values, reservation_utilities=[alone, 0.0]
        )
        return menu.certificate()

    assert certificate([1e6, 1e6 + 1e-4], 0.0).holds
    assert not certificate([1e6, 1e6 + 1e-2], 0.0).holds
    assert certificate([1e6, 1e6], 1e6 + 1e-4).holds
    assert not certificate([1e6, 1e6], 1e6 + 1e-2).holds


def test_no_other_type_decides_what_is_small_in_a_contract():
    # The gains of a type with scale 100 are looked at to 1e-7, whatever a type of scale 1e8 gets.
    import dataclasses

    from contracts import LinearValuation, Population, design_contract
    from contracts.contract.terms import Terms
    from contracts.testing import example_contract
    from equilibria.signing import OUT, _choices

    contract = design_contract(
        dataclasses.replace(
            example_contract().problem,
            population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=3),
            valuation=LinearValuation(scale=[100.0, 1e8]),
        )
    )
    certificate = contract_menu(contract).certificate()
    assert certificate.holds
    assert np.allclose(certificate.tolerances, np.array([[1e-7], [0.1]]), rtol=1e-3)
    assert contract_menu(contract).equilibria()[0].truthful
    alone = contract.reservation_utility + np.array([certificate.rationality[0] + 1e-3, 0.0])
    better_alone = dataclasses.replace(contract, reservation_utility=alone)
    menu = contract_menu(better_alone)
    assert str(menu.certificate()) == "not a Bayesian equilibrium: type 0 gains 0.001 by leaving"
    assert not any(one.truthful for one in menu.equilibria())
    terms = Terms.of(contract)
    gains = np.full((1, 2, terms.options), -1e-3)  # what the tolerance of the other type would call a tie
    assert _choices(terms, gains, "sign").tolist() == [[OUT, terms.own[1]]]


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
