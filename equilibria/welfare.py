"""The full-information benchmark: the most welfare a coalition can have when everybody must prefer to stay.

Types are known, contributions may differ. At the optimum a few of the best agents give all the data, each as
much as leaves it no worse off than alone, and everybody else rides free. The program is solved in
`equilibria.welfare_program`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from contracts.checks import array, number
from contracts.errors import Infeasible, InvalidInput
from contracts.records import frozen
from equilibria.environment import Environment
from equilibria.rule import Rule
from equilibria.welfare_differing import DifferingAgents, best_contributions
from equilibria.welfare_program import fill, loss_alone, search, sorted_program


@frozen
class WelfareOptimum:
    """Welfare-maximal contributions under individual rationality.

    Attributes:
        contributions: samples of each agent, shape (agents,).
        total: their sum N.
        learning_error: the bound E at the optimum, from the types the program was given.
        welfare: -(J E + c N), the sum of utilities.
        slack: the slack s of the constraints.
        least_surplus: smallest (A_j - s (1 - n_j/N)) - E - c n_j over the agents, recomputed from the
            contributions; at least zero up to rounding.
        totals_examined: how many values of N were evaluated.
    """

    contributions: Float[np.ndarray, " agents"]
    total: float
    learning_error: float
    welfare: float
    slack: float
    least_surplus: float
    totals_examined: int


def welfare_optimum(
    game: Environment,
    types: np.ndarray | None = None,
    *,
    members: np.ndarray | None = None,
    slack: float = 0.0,
    reserve: float = 0.0,
) -> WelfareOptimum:
    """Welfare-maximal contributions when everybody must be as well off as alone, less nothing but the slack.

    Args:
        game: supplies the constants, and the types unless they are given.
        types: types of the agents taking part, in any order, shape (agents,).
        members: which of the agents they are, boolean, shape (agents of the game,); everybody when omitted.
            Matters
            where costs or capacities differ: then totals are searched over linear programs.
        slack: s >= 0, strengthens E + c n_j <= A_j by s (1 - n_j / N), in units of utility.
        reserve: further strengthens the constraint of the best agent who gives nothing, in units of utility.

    Returns:
        The optimum; agents of equal type give equal amounts.

    Raises:
        InvalidInput: a type outside [0, 1], or a negative slack or reserve.
        Infeasible: no contributions satisfy the constraints with this slack and reserve (never with zero
            slack).

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.1], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> welfare_optimum(game).contributions.round()
    array([126992., 126992.])
    """
    if not game.alike:
        if slack or reserve:
            game.require_alike("a welfare optimum with slack")
        return _of_differing(game, types, members)
    given = game.types if types is None else array("types", types, low=0.0, high=1.0)
    largest = 1e3 * game.loss_weight + 1e3 * game.standalone_loss  # far beyond anything feasible
    slack, reserve = (min(number(n, v, low=0.0), largest) for n, v in (("slack", slack), ("reserve", reserve)))
    order = np.argsort(given, kind="stable")
    program = sorted_program(game, given[order], slack, reserve)
    total, least, examined = search(program)
    alone = loss_alone(program)
    if alone is not None and alone <= least:
        total, sorted_contributions = program.standalone, np.zeros(given.size)
        group = program.types == program.types[0]
        sorted_contributions[group] = total / group.sum()
    elif np.isfinite(least):
        error = float(program.lowest_error(np.array([total]))[0])
        sorted_contributions = fill(program, total, error)
    else:
        raise Infeasible(
            f"no contributions leave everybody the slack {slack:.4g} and reserve {reserve:.4g}: "
            f"lower their sum to the standalone cost {game.cost * game.standalone_contribution:.4g} or less"
        )
    contributions = np.empty(given.size)
    contributions[order] = sorted_contributions
    shares = contributions / total
    realised = game.loss_weight * (float(shares @ given) + game.complexity * total**-game.exponent)
    allowed = game.loss_weight * given + game.standalone_loss - slack * (1 - shares)
    return WelfareOptimum(
        contributions=contributions,
        total=total,
        learning_error=realised,
        welfare=-(given.size * realised + game.cost * total),
        slack=slack,
        least_surplus=float((allowed - realised - game.cost * contributions).min()),
        totals_examined=examined,
    )


def _of_differing(game: Environment, types: np.ndarray | None, members: np.ndarray | None) -> WelfareOptimum:
    inside = np.ones(game.players, dtype=bool) if members is None else members
    given = game.types[inside] if types is None else array("types", types, low=0.0, high=1.0)
    if given.size != inside.sum():
        raise InvalidInput(f"types has length {given.size}: expected {inside.sum()}, one for each member")

    def of_each(values: object) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), game.types.shape)[inside]

    agents = DifferingAgents(
        types=given,
        costs=of_each(game.unit_costs),
        limits=of_each(game.limits),
        caps=game.loss_weight * given + of_each(game.standalone_losses),
        alone=of_each(game.standalone_contributions),
        loss_weight=game.loss_weight,
        complexity=game.complexity,
        exponent=game.exponent,
    )
    contributions, examined = best_contributions(agents)
    error = agents.error(contributions)
    return WelfareOptimum(
        contributions=contributions,
        total=float(contributions.sum()),
        learning_error=error,
        welfare=-agents.loss(contributions),
        slack=0.0,
        least_surplus=float((agents.caps - error - agents.costs * contributions).min()),
        totals_examined=examined,
    )


@dataclass(frozen=True)
class FullInformationRule(Rule):
    """Welfare-maximal contributions under individual rationality, types known: the benchmark of every other
    rule.

    Joining is weakly dominant under it, so the grand coalition is a Nash equilibrium, and the efficient one;
    but individual rationality binds, so many smaller coalitions are weak equilibria too.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> full = game.with_rule(FullInformationRule())
    >>> full.contributions().round()
    array([223732.,  50287.,      0.])
    """

    def contributions(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """The welfare optimum of the members; a small group of the best gives everything, the others ride
        free."""
        result = np.zeros(game.players)
        if members.any():
            result[members] = welfare_optimum(game, game.types[members], members=members).contributions
        return result
