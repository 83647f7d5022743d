"""The shape of a problem's curve on the range of data that matters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.accuracy import Shape, inspect
from contracts.problem.combinations import check_combination
from contracts.records import Keyed


def shape_of(problem: Problem) -> Shape:
    """Where the problem's curve decreases or is not concave, up to the most data that can be contributed."""
    most = problem.most_data
    if 1e-240 < most < 1e240:
        wide = _wide(Keyed((problem.family[0], np.ceil(np.log10(most))), problem))
        if wide is not None:
            return wide
    return inspect(problem.accuracy, high=most)


@lru_cache(maxsize=512)
def _wide(keyed: Keyed) -> Shape | None:
    """The shape up to the next power of ten, if it is as the theory asks: then it is on every range inside."""
    try:
        shape = inspect(keyed.value.accuracy, high=10.0 ** keyed.key[-1])
    except InvalidInput:
        return None
    return shape if shape.increasing and shape.concave else None


def concave_from(problem: Problem) -> float:
    """The amount of data from which on accuracy is concave: the floor, unless the curve has inflections."""
    convex = shape_of(problem).convex
    return convex[-1][1] if convex else float(problem.accuracy.floor)


def check_concave(problem: Problem) -> None:
    """`check_shape` for designs that need a curve without inflections above its floor."""
    check_shape(problem)
    if hopeless(problem):
        return
    for low, high in shape_of(problem).convex:
        raise InvalidInput(
            f"accuracy is not concave between {low:g} and {high:g} data: expected a concave curve above its"
            f" floor ({problem.accuracy.floor:g} data); fit a family, or tabulate its concave part"
        )


def hopeless(problem: Problem) -> bool:
    """Whether all participants together could not afford the data with which accuracy leaves zero."""
    return problem.most_data <= problem.accuracy.floor


def check_shape(problem: Problem) -> None:
    """Refuse numbers too extreme for floats, curves that decrease, and value that bends upwards."""
    check_bend(problem)
    most = problem.most_data
    if not 1e-250 < most < 1e250 or not np.isfinite(most):
        raise InvalidInput(
            f"participants * largest value / smallest cost = {most:g} data: expected between 1e-250 and 1e250;"
            " choose other units"
        )
    if hopeless(problem):
        return
    for low, high in shape_of(problem).decreasing:
        raise InvalidInput(f"accuracy decreases between {low:g} and {high:g} data: expected an increasing curve")


def check_bend(problem: Problem) -> None:
    """Refuse a plain problem whose value is nothing up to an accuracy above what everybody has.

    Others are looked at when they are stated.
    """
    if getattr(problem.valuation, "without_data", 0.0) > 0.0:
        check_combination(problem)


def early(problem: Problem, low: float) -> float:
    """An amount of data, `low` or less, with which not everything is gained yet."""
    while problem.value_loss(np.array(low)) < 0.1 * problem.largest_value and low > 1e-290:
        low *= 1e-3
    return low
