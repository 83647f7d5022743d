"""Hypothesis strategies of what published problems are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize

from contracts.errors import BackendMissing
from contracts.problem import Problem
from contracts.problem.accuracy import (
    AccuracyCurve,
    Arctan,
    Exponential,
    GeneralizationBound,
    Hill,
    PowerLaw,
    Tabulated,
    Weibull,
)
from contracts.problem.population import Population
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


def by_logarithm(low: float, high: float) -> st.SearchStrategy[float]:
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
    drawn = draw(st.lists(by_logarithm(*costs), min_size=size, max_size=size))
    return Population(
        costs=np.array(drawn),
        probabilities=np.array(shares) / sum(shares),
        participants=round(draw(by_logarithm(*participants))),
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
    data = np.cumsum(draw(st.lists(by_logarithm(5.0, 500.0), min_size=points, max_size=points)))
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
        by_logarithm(0.1, 30.0),
        st.floats(0.3, 1.2),
    ),
    "generalization-bound": st.builds(GeneralizationBound, optimum=_OPTIMUM, complexity=by_logarithm(0.1, 10.0)),
    "exponential": st.builds(Exponential, optimum=_OPTIMUM, rate=by_logarithm(1e-4, 1e-1)),
    "arctan": st.builds(Arctan, optimum=_OPTIMUM, scale=by_logarithm(10.0, 3000.0)),
    "weibull": st.builds(
        Weibull, optimum=_OPTIMUM, scale=by_logarithm(10.0, 3000.0), exponent=st.floats(0.3, 1.0)
    ),
    "hill": st.builds(Hill, optimum=_OPTIMUM, scale=by_logarithm(10.0, 3000.0), exponent=st.floats(0.3, 1.0)),
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
def plain_problems(
    draw: Any,
    *,
    types: tuple[int, int] = (1, 6),
    participants: tuple[int, int] = (2, 1000),
    families: tuple[str, ...] = (),
    spread: float = 100.0,
    unlikely: bool = False,
) -> Problem:
    """Published problems whose costs matter: from negligible to prohibitive for the curve that was drawn.

    Args:
        draw: given by Hypothesis.
        types, participants, unlikely: as in `populations`.
        families: as in `curves`.
        spread: largest ratio of two costs.
    """
    curve, valuation = draw(curves(families=families)), draw(valuations())
    half = data_for_half(curve)
    dearest = draw(by_logarithm(1e-3, 1.0)) * float(valuation(float(curve.optimum))) / half
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


def data_for_half(curve: AccuracyCurve) -> float:
    """The data with which a curve reaches half of its optimum."""

    def missing(log_data: float) -> float:
        return float(curve(np.exp(log_data))) - 0.5 * float(curve.optimum)

    return float(np.exp(float(optimize.brentq(missing, -30.0, 60.0))))  # type: ignore[arg-type]
