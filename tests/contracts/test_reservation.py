import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from contracts import (
    Arctan,
    Exponential,
    GeneralizationBound,
    LinearValuation,
    Population,
    PowerLaw,
    Problem,
    reservation,
)
from contracts.problem.reservation import outside_option
from contracts.problem.standard_form import standard_form
from contracts.proof.outside_options import reservation_by_zooming

CURVES = [PowerLaw(optimum=0.9, coefficient=1.8, exponent=0.5), Exponential(rate=0.01), Arctan(scale=50.0)]


def test_published_reservation_utilities(build):
    alone = reservation(build([0.2, 0.16, 0.12, 0.08, 0.04], 10))
    np.testing.assert_allclose(alone.utility, [6.770097, 13.151614, 20.745081, 30.344257, 44.160521], atol=6e-7)
    alone = reservation(build([0.5, 0.4, 0.03, 0.02, 0.001], 10))
    np.testing.assert_allclose(alone.utility[:4], [0, 0, 49.062874, 55.255892], atol=6e-7)
    # The published code prints 82.894197 for the last type; the maximum is higher by 5e-5.
    assert alone.utility[4] == pytest.approx(82.894247, abs=2e-6)


@given(st.lists(st.floats(1e-4, 10), min_size=1, max_size=6), st.integers(0, 3))
@settings(max_examples=40)
def test_no_amount_of_data_does_better(costs, which):
    curve = [GeneralizationBound(), *CURVES][which]
    problem = Problem(
        population=Population(costs=costs, probabilities=[1 / len(costs)] * len(costs), participants=5),
        accuracy=curve,
        valuation=LinearValuation(scale=100.0),
    )
    alone = reservation(problem)
    for i, cost in enumerate(costs):
        grid = np.geomspace(1e-3, 100 / cost, 2000)
        profit = problem.value(grid) - cost * grid
        assert alone.utility[i] >= profit.max() - 1e-12
        top = grid[np.argmax(profit)]
        local = minimize_scalar(
            lambda x, c=cost: c * x - float(problem.value(x)),
            bounds=(0.9 * top, 1.1 * top),
            options={"xatol": 1e-10 * top},
        )
        assert alone.utility[i] == pytest.approx(max(-local.fun, 0.0), rel=1e-12, abs=1e-11)
        at = alone.contribution[i]
        assert alone.utility[i] == pytest.approx(float(problem.value(at)) - cost * at, abs=1e-12)
    np.testing.assert_allclose(reservation_by_zooming(problem), alone.utility, atol=1e-10)


def test_cheaper_types_collect_more_and_keep_more(build):
    alone = reservation(build(np.geomspace(1, 0.001, 40), 5))
    assert (np.diff(alone.utility) >= 0).all()
    assert (np.diff(alone.contribution) >= 0).all()


def test_what_pays_only_with_nearly_all_of_ones_data_is_found():
    """The curve leaves zero at 443 data; who has 472 trains on all of them."""
    problem = Problem(
        population=Population(
            costs=[5.17574275e-05, 1.73220483e-04],
            probabilities=[0.5, 0.5],
            participants=3,
            capacities=[1318.24314392, 472.43532842],
        ),
        accuracy=GeneralizationBound(optimum=0.6099737268693333, complexity=6.2456438915207935),
        valuation=LinearValuation(scale=100.0),
    )
    assert outside_option(standard_form(problem)).utility == pytest.approx([23.517660, 1.614952], abs=1e-6)
