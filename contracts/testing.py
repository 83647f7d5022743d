"""Hypothesis strategies and assertions, for this suite and for yours.

>>> from hypothesis import given, settings
>>> from contracts import design_contract
>>> @settings(max_examples=5, deadline=None)
... @given(problems(types=(2, 3), families=("power-law",)))
... def test_nobody_loses(problem):
...     assert_individually_rational(design_contract(problem))
>>> test_nobody_loses()

Assertions compare with a tolerance relative to the value of the best possible model, and say who breaks what by
how much.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import optimize

from contracts.contract import Contract
from contracts.contract.design import design_contract
from contracts.contract.verify import verify
from contracts.errors import BackendMissing
from contracts.problem import Problem
from contracts.problem.accuracy import (
    AccuracyCurve,
    Arctan,
    Exponential,
    GeneralizationBound,
    PowerLaw,
    Tabulated,
)
from contracts.problem.outcomes import believed_total
from contracts.problem.population import Population
from contracts.problem.reservation import reservation
from contracts.problem.valuation import (
    ExponentialUtility,
    LinearValuation,
    LogarithmicValuation,
    PowerValuation,
    Valuation,
)

try:
    from hypothesis import strategies as st
except ImportError as missing:
    raise BackendMissing("hypothesis", "contracts.testing") from missing

TOLERANCE = 1e-7


def _log(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats whose logarithm is even between the logarithms of the bounds."""
    return st.floats(np.log(low), np.log(high)).map(lambda x: float(np.exp(x)))


@st.composite
def populations(
    draw: Any,
    *,
    types: tuple[int, int] = (1, 6),
    participants: tuple[int, int] = (2, 1000),
    costs: tuple[float, float] = (0.01, 1.0),
    unlikely: bool = False,
) -> Population:
    """Populations in any order of costs, equal costs included.

    Args:
        draw: given by Hypothesis.
        types: fewest and most types.
        participants: fewest and most participants, drawn by their logarithm.
        costs: smallest and largest cost of a datum, likewise.
        unlikely: whether types of probability zero may occur.

    >>> from hypothesis import find
    >>> find(populations(types=(3, 3)), lambda population: population.participants > 4).types
    3
    """
    size = draw(st.integers(*types))
    shares = draw(st.lists(st.floats(0.0 if unlikely else 0.05, 1.0), min_size=size, max_size=size))
    if sum(shares) == 0.0:
        shares[0] = 1.0
    drawn = draw(st.lists(_log(*costs), min_size=size, max_size=size))
    return Population(
        costs=np.array(drawn),
        probabilities=np.array(shares) / sum(shares),
        participants=round(draw(_log(*participants))),
    )


@st.composite
def curves(draw: Any, *, families: tuple[str, ...] = ()) -> AccuracyCurve:
    """Increasing concave accuracy curves that matter between a few data and some ten thousand.

    Args:
        draw: given by Hypothesis.
        families: names of the families to draw from; by default all that are concave by construction.
    """
    family = draw(st.sampled_from(families or tuple(_CURVES)))
    return draw(_CURVES[family])


@st.composite
def _tabulated(draw: Any) -> Tabulated:
    points = draw(st.integers(2, 6))
    data = np.cumsum(draw(st.lists(_log(5.0, 500.0), min_size=points, max_size=points)))
    slopes = np.cumprod(draw(st.lists(st.floats(0.3, 0.95), min_size=points, max_size=points)))
    rise = np.cumsum(slopes * np.diff(data, prepend=0.0))
    return Tabulated(data=data, accuracy=draw(st.floats(0.5, 1.0)) * rise / rise[-1])


_OPTIMUM = st.floats(0.5, 1.0)
_CURVES: dict[str, st.SearchStrategy[Any]] = {
    "power-law": st.builds(
        lambda optimum, floor, exponent: PowerLaw(
            optimum=optimum, coefficient=optimum * floor**exponent, exponent=exponent
        ),
        _OPTIMUM,
        _log(0.1, 30.0),
        st.floats(0.3, 1.2),
    ),
    "generalization-bound": st.builds(GeneralizationBound, optimum=_OPTIMUM, complexity=_log(0.1, 10.0)),
    "exponential": st.builds(Exponential, optimum=_OPTIMUM, rate=_log(1e-4, 1e-1)),
    "arctan": st.builds(Arctan, optimum=_OPTIMUM, scale=_log(10.0, 3000.0)),
    "tabulated": _tabulated(),
}


def valuations(*, scale: float = 100.0) -> st.SearchStrategy[Valuation]:
    """Valuations of every family, a perfect model being worth `scale`."""
    fixed = st.just(scale)
    return st.one_of(
        st.builds(LinearValuation, scale=fixed),
        st.builds(PowerValuation, scale=fixed, exponent=st.floats(0.3, 1.0)),
        st.builds(ExponentialUtility, scale=fixed, risk_aversion=st.floats(0.1, 4.0)),
        st.builds(LogarithmicValuation, scale=fixed, sensitivity=st.floats(0.1, 20.0)),
    )


@st.composite
def problems(
    draw: Any,
    *,
    types: tuple[int, int] = (1, 6),
    participants: tuple[int, int] = (2, 1000),
    families: tuple[str, ...] = (),
    spread: float = 100.0,
    unlikely: bool = False,
) -> Problem:
    """Problems whose costs matter: from negligible to prohibitive for the curve that was drawn.

    Args:
        draw: given by Hypothesis.
        types, participants, unlikely: as in `populations`.
        families: as in `curves`.
        spread: largest ratio of two costs.
    """
    curve, valuation = draw(curves(families=families)), draw(valuations())
    half = _data_for_half(curve)
    dearest = draw(_log(1e-3, 1.0)) * float(valuation(float(curve.optimum))) / half
    return Problem(
        population=draw(
            populations(
                types=types, participants=participants, costs=(dearest / spread, dearest), unlikely=unlikely
            )
        ),
        accuracy=curve,
        valuation=valuation,
        belief=draw(st.sampled_from(["interim", "ex-ante"])),
        maximise=draw(st.sampled_from(["accuracy", "value"])),
    )


def contracts(**options: Any) -> st.SearchStrategy[Contract]:
    """Best contracts of `problems(**options)`."""
    return problems(**options).map(design_contract)


def _data_for_half(curve: AccuracyCurve) -> float:
    def missing(log_data: float) -> float:
        return float(curve(np.exp(log_data))) - 0.5 * float(curve.optimum)

    return float(np.exp(float(optimize.brentq(missing, -30.0, 60.0))))  # type: ignore[arg-type]


@cache
def example_contract() -> Contract:
    """The best contract for the first five-type scenario of the paper, under the interim belief.

    >>> round(example_contract().objective, 6)
    86.483773
    """
    return design_contract(
        Problem(
            population=Population(costs=[0.2, 0.16, 0.12, 0.08, 0.04], probabilities=[0.2] * 5, participants=10),
            accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
            valuation=LinearValuation(scale=100.0),
        )
    )


def assert_individually_rational(contract: Contract, *, tolerance: float = TOLERANCE) -> None:
    """Assert that every type gains at least what it gets alone.

    Raises:
        AssertionError: naming the type that loses most, and how much.
    """
    gain = contract.utility - reservation(contract.problem).utility
    worst = int(np.argmin(gain))
    if gain[worst] < -tolerance * contract.problem.largest_value:
        raise AssertionError(
            f"participation: {_name(contract, worst)} loses {-gain[worst]:.6g} against staying alone"
        )


def assert_incentive_compatible(contract: Contract, *, tolerance: float = TOLERANCE) -> None:
    """Assert that no type prefers another's option to its own.

    Raises:
        AssertionError: naming who envies whom most, and how much.
    """
    costs = contract.problem.population.costs
    envy = contract.expected_reward - np.outer(costs, contract.contribution) - contract.utility[:, None]
    i, j = np.unravel_index(int(np.argmax(envy)), envy.shape)
    if envy[i, j] > tolerance * contract.problem.largest_value:
        raise AssertionError(
            f"incentives: {_name(contract, int(i))} would gain {envy[i, j]:.6g}"
            f" by the option of {_name(contract, int(j))}"
        )


def assert_feasible(contract: Contract, *, tolerance: float = TOLERANCE) -> None:
    """Assert that no type is promised more than the whole model is worth in expectation, as it believes.

    Raises:
        AssertionError: naming the type promised most too much, and how much.
    """
    problem = contract.problem
    for i in range(problem.population.types):
        whole = believed_total(problem, contract.contribution, i).expectation(problem.value)
        if contract.expected_reward[i] - whole > tolerance * problem.largest_value:
            raise AssertionError(
                f"feasibility: {_name(contract, i)} is promised {contract.expected_reward[i]:.6g}"
                f" but the whole model is worth {whole:.6g} in expectation"
            )


def assert_holds(contract: Contract) -> None:
    """Assert that `verify` finds nothing wrong: every promise holds, and optimality is proved.

    Raises:
        AssertionError: with everything that does not hold, or what is missing of the proof.

    >>> assert_holds(example_contract())
    """
    certificate = verify(contract)
    if not certificate.holds:
        raise AssertionError("; ".join(certificate.violations))
    if not certificate.optimal:
        raise AssertionError(certificate.verdict)


def _name(contract: Contract, i: int) -> str:
    return (contract.problem.population.names or ())[i]
