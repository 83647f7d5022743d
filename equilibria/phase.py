"""Phase diagrams: how much of the grand coalition survives, over spread of quality and cost of data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from contracts.checks import array, number
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.participation import ParticipationGame


@frozen
class PhaseDiagram:
    """Outcome of the cascade from the grand coalition, for each spread and cost.

    Attributes:
        spreads: factors by which differences in type were multiplied, shape (spreads,).
        costs: costs per sample, shape (costs,).
        surviving: fraction of the agents left at the end, shape (spreads, costs).
        rounds: rounds of departures, shape (spreads, costs).
        surplus: total surplus of those left, shape (spreads, costs).
        agents: number of agents.
    """

    spreads: Float[np.ndarray, " spreads"]
    costs: Float[np.ndarray, " costs"]
    surviving: Float[np.ndarray, "spreads costs"]
    rounds: Int[np.ndarray, "spreads costs"]
    surplus: Float[np.ndarray, "spreads costs"]
    agents: int


def spread_types(types: Any, factor: float) -> np.ndarray:
    """Types with all differences from the worst one multiplied by `factor`: 0 makes all equal, 1 changes
    nothing.

    Raises:
        InvalidInput: a type would leave [0, 1].

    >>> spread_types([0.1, 0.3], 0.5)
    array([0.2, 0.3])
    """
    given = array("types", types, low=0.0, high=1.0)
    scale = number("spread", factor, low=0.0, high=1e100)
    result = given.max() - scale * (given.max() - given)
    if result.min() < -1e-12:
        raise InvalidInput(f"spread = {scale:g}: expected types that stay in [0, 1], found {result.min():.3g}")
    return np.maximum(result, 0.0)


def phase_diagram(game: ParticipationGame, *, spreads: Any, costs: Any) -> PhaseDiagram:
    """Run the cascade for every combination of spread of quality and cost.

    Args:
        game: types of spread one, constants and rule.
        spreads: factors on the differences from the worst type, at least zero.
        costs: costs per sample, above zero.

    Returns:
        The fraction surviving, rounds and surplus for each combination.

    Raises:
        InvalidInput: a factor takes a type out of [0, 1], or a value outside its range.

    >>> game = ParticipationGame(types=[0.3, 0.4, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> phase_diagram(game, spreads=[0.1, 1.0], costs=[3e-7, 3e-6]).surviving.round(2)
    array([[1.  , 1.  ],
           [0.33, 0.33]])
    """
    game.require_alike("a phase diagram over costs")
    factors = array("spreads", spreads, low=0.0)
    prices = array("costs", costs, low=0.0, open_low=True)
    shape = (factors.size, prices.size)
    surviving, rounds, surplus = np.zeros(shape), np.zeros(shape, dtype=np.int64), np.zeros(shape)
    for row, factor in enumerate(factors):
        types = spread_types(game.types, float(factor))
        for column, cost in enumerate(prices):
            cascade = replace(game, types=types, cost=float(cost)).unravel()
            surviving[row, column] = cascade.sizes[-1] / game.players
            rounds[row, column] = len(cascade) - 1
            surplus[row, column] = cascade.total_surpluses[-1]
    return PhaseDiagram(
        spreads=factors,
        costs=prices,
        surviving=surviving,
        rounds=rounds,
        surplus=surplus,
        agents=game.players,
    )
