"""What learning curves look like before any is measured: constants learned from real ones, with their source."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

FILE = Path(__file__).with_name("curve_prior.toml")
EXPONENTS, PLACES, SIZES = 11, 10, 6  # nodes of beta, of c, of the discrepancy's size
LATELY = 4.0  # factor of data before the last size over which a rise is measured


@cache
def constants() -> dict[str, Any]:
    """The tables of `curve_prior.toml`."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def name() -> str:
    """Of the constants, so that files say by which of them they were written."""
    return constants()["name"]


def exponents() -> tuple[np.ndarray, np.ndarray]:
    """Nodes of beta and the logarithms of their weights, each of shape (exponents,)."""
    table = constants()["shape"]
    beta = np.geomspace(table["slowest"], table["fastest"], EXPONENTS)
    return beta, _normal(np.log(beta), table)


def shapes(data: np.ndarray, first: float, last: float) -> np.ndarray:
    """S(x), 1 at the first size measured and falling to 0, for every shape of the grid, shape (shapes, data).

    Args:
        data: where it is asked for, > 0, shape (data,).
        first, last: the smallest and the largest size measured.
    """
    table = constants()["shape"]
    beta, _ = exponents()
    # Far below the pilot a power law exceeds all accuracies: no more of it is needed.
    power = np.exp(np.minimum(-beta[:, None] * (np.log(data) - np.log(first)), 50.0))
    place = np.geomspace(table["earliest"] * first, table["latest"] * last, PLACES)
    bend = (data / place[:, None]) ** beta[:, None, None] - (first / place[:, None]) ** beta[:, None, None]
    return np.vstack([power, np.exp(-bend).reshape(-1, data.size)])


def shape_weights() -> np.ndarray:
    """The logarithms of the shapes' weights, shape (shapes,)."""
    table = constants()["shape"]
    _, weight = exponents()
    power = np.log(table["power_law"]) + weight
    weibull = np.log1p(-table["power_law"]) + weight[:, None] - np.log(PLACES) + np.zeros(PLACES)
    return np.r_[power, weibull.ravel()]


def discrepancies(accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of the discrepancy, and the logarithms of their weights, each of shape (sizes,).

    Args:
        accuracy: as measured, in order of data; curves near 1 have less room to be off.
    """
    table = constants()["discrepancy"]
    node = np.geomspace(table["smallest"], table["largest"], SIZES)
    room = max(1.0 - float(np.mean(accuracy[-3:])), 1e-3)
    return node * room ** table["shrinkage"], _normal(np.log(node), table)


def correlation(one: np.ndarray, other: np.ndarray, last: float) -> np.ndarray:
    """Of the discrepancy at sizes of data, its size taken out, shape (one, other); it grows beyond the last."""
    table = constants()["discrepancy"]
    u, v = np.log(one), np.log(other)
    distance = np.sqrt(3.0) * np.abs(u[:, None] - v) / table["length"]
    growth = [np.sqrt(1.0 + table["growth"] * np.maximum(at - np.log(last), 0.0)) for at in (u, v)]
    return (1.0 + distance) * np.exp(-distance) * np.outer(*growth)


def asymptote_mass(edges: np.ndarray, baseline: float) -> np.ndarray:
    """Prior probability of an asymptote between neighbouring edges (last axis), exact at the singular ends."""
    table = constants()["asymptote"]
    share = np.clip((edges - baseline) / (1.0 - baseline), 0.0, 1.0)
    if table["a"] == 1.0:
        below = -np.diff((1.0 - share) ** table["b"], axis=-1)
    else:
        below = np.diff(special.betainc(table["a"], table["b"], share), axis=-1)
    return np.maximum(below, 0.0)


def _normal(at: np.ndarray, table: dict[str, Any]) -> np.ndarray:
    """Logarithms of weights on equally spaced nodes by a normal density."""
    found = -0.5 * ((at - table["centre"]) / table["spread"]) ** 2
    return found - special.logsumexp(found)


def surprises(data: np.ndarray, measured: np.ndarray, accuracy: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Gains of curves of some ranks beyond the last size, as shares of the room left, shape (ranks, data).

    Args:
        data: where it is asked for, shape (data,).
        measured, accuracy: the measurements; what rose fast in the end gains more.
        rank: in (0, 1), shape (ranks,).
    """
    table = constants()["surprise"]
    known, last = np.log(table["factors"]), float(measured[-1])
    rows = np.array([[np.interp(rank, table["ranks"], row) for row in one] for one in table["gains"]])
    gains = np.tensordot(_between(table, rise(measured, accuracy)), rows, axes=1)
    at = np.clip(np.log(data / last), 0.0, known[-1])
    cell = np.clip(np.searchsorted(known, at, side="right") - 1, 0, known.size - 2)
    share = (at - known[cell]) / (known[cell + 1] - known[cell])
    return (gains[cell] * (1.0 - share[:, None]) + gains[cell + 1] * share[:, None]).T


def rise(data: np.ndarray, accuracy: np.ndarray) -> float:
    """How fast the room left shrinks in the end: slope in ln x over the last factor of four, per room left."""
    u = np.log(data)
    some = u >= u[-1] - np.log(LATELY)
    some[-2:] = True
    u, y = u[some] - u[some].mean(), accuracy[some]
    return float(u @ y / max(float(u @ u), 1e-300)) / max(1.0 - float(accuracy[-1]), 1e-3)


def _between(table: dict[str, Any], at: float) -> np.ndarray:
    """Weights of the classes of curves: a rise lies between two."""
    centre, place = (np.arcsinh(np.asarray(one) / table["rise_scale"]) for one in (table["rises"], at))
    return np.array([np.interp(place, centre, one) for one in np.eye(centre.size)])


def surprise() -> float:
    """The probability that a curve does what no shape foretells."""
    return constants()["surprise"]["probability"]
