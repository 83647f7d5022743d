r"""Prices with which no contingent contract is much better: of truth and of participation, both on average.

With prices by row alone the Lagrangian of every profile n asks for its total only:

    max over x of W(x) + A(n) V(x) - r x,    A(n) = sum_j n_j net_j / (N p_j),

where r is what a datum costs at most r N p_j <= asked_j for all j. That is a smooth convex program in the
prices,
linear in its constraints; whatever prices come out of it, they bound.

Source: ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize

from contracts.program.insured import InsuredProgram
from contracts.program.insured_total import target_and_slope, value_and_slope

HALVINGS = 60
TURNS = 300


def limit_prices(program: InsuredProgram) -> tuple[np.ndarray, np.ndarray]:
    """Prices of truth, shape (rows, rows), and of participation, on average over the others, shape (rows,)."""
    rows, unit = program.costs.size, program.unit
    own = program.counts.T @ program.chances  # expected signatures of each option
    pairs = [(i, j) for i in range(rows) for j in range(rows) if abs(i - j) == 1]
    # what is given and asked by each price: of pairs, then of participation, then r
    given, asked = np.zeros((rows, len(pairs) + rows + 1)), np.zeros((rows, len(pairs) + rows + 1))
    constant = np.zeros(len(pairs) + rows + 1)
    for k, (i, j) in enumerate(pairs):
        given[[i, j], k] = 1.0, -1.0
        asked[[i, j], k] = program.costs[i], -program.costs[i]
        constant[k] = program.margin[i]
    for i in range(rows):
        given[i, len(pairs) + i], asked[i, len(pairs) + i] = 1.0, program.costs[i]
        constant[len(pairs) + i] = program.due[i]
    asked[:, -1] = -own * program.costs.mean()
    scale = program.plain.largest_target / unit
    share = program.counts / np.where(own > 0.0, own, np.inf)

    def bound(z: np.ndarray) -> tuple[float, np.ndarray]:
        prices = scale * z
        weight = share @ (given @ prices)
        x = _best(program, np.maximum(weight, 0.0), max(prices[-1], 1e-12) * program.costs.mean())
        value, _ = value_and_slope(program.plain, x)
        target, _ = target_and_slope(program.plain, x)
        price = prices[-1] * program.costs.mean()
        worth = program.chances @ (target + weight * value - price * x) - constant @ prices
        slope = (program.chances * value) @ share @ given - constant
        slope[-1] = -program.costs.mean() * (program.chances @ x)
        return float(worth) / unit, slope * scale / unit

    start = np.r_[np.zeros(len(pairs)), own / own.sum(), 0.5 / own.sum()]
    found: Any = optimize.minimize(
        bound,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, None)] * start.size,
        constraints=[
            {"type": "ineq", "fun": lambda z: given @ z, "jac": lambda _: given},
            {"type": "ineq", "fun": lambda z: asked @ z / program.costs.mean(),
             "jac": lambda _: asked / program.costs.mean()},
        ],
        options={"maxiter": TURNS, "ftol": 1e-12},
    )  # fmt: skip
    prices = scale * np.maximum(found.x, 0.0)
    truth = np.zeros((rows, rows))
    for k, pair in enumerate(pairs):
        truth[pair] = prices[k]
    return truth, prices[len(pairs) : -1]


def _best(program: InsuredProgram, weight: np.ndarray, price: float) -> np.ndarray:
    """Where W + weight V - price x is largest, by halving on its slope."""
    high = np.full(weight.shape, program.launch * program.unit / float(program.costs.min()))
    low = np.full(weight.shape, float(program.plain.accuracy.floor))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        _, rise = value_and_slope(program.plain, middle)
        _, gain = target_and_slope(program.plain, middle)
        rises = gain + weight * rise > price
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return 0.5 * (low + high)
