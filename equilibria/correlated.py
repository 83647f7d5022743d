"""Correlated equilibria: private recommendations to join or stay out that everybody wants to follow.

The best one is a linear program over coalitions, with one obedience constraint for each agent and
recommendation. Agents of equal type can be merged: by symmetry the program over how many of each class take
part has the same value, with prod (J_k + 1) variables instead of 2^J. Unravelling is a statement about pure
equilibria: private recommendations can sustain coalitions that no pure equilibrium does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize

from contracts.checks import array, brief
from contracts.errors import InvalidInput, NotConverged
from contracts.records import frozen
from equilibria.correlated_table import CorrelatedStrategies, correlated_strategies
from equilibria.normal_form import NormalFormGame
from equilibria.participation import ParticipationGame
from equilibria.table import all_coalitions, require_memory

#: Most agents for whom every coalition is asked whether an objective tells equal types apart.
CHECKED = 16


@frozen
class CorrelatedEquilibrium:
    """A distribution over coalitions from which private recommendations are drawn.

    Attributes:
        classes: the class of each agent, shape (agents,); agents of one class are interchangeable.
        counts: members of each class in every coalition of the support, shape (support, classes). The members
            of a class are drawn uniformly.
        probabilities: probability of each, shape (support,).
        value: expectation of the objective.
        bound: proved upper bound on the value of any correlated equilibrium, from the program's dual.
        regret: largest expected gain, over all agents and recommendations, from disobeying, at least zero.
        joining: probability with which each agent is told to join, shape (agents,).
        expected_surplus: expected total surplus of the members.
        method: the linear program solved.
    """

    classes: Int[np.ndarray, " agents"]
    counts: Int[np.ndarray, "support classes"]
    probabilities: Float[np.ndarray, " support"]
    value: float
    bound: float
    regret: float
    joining: Float[np.ndarray, " agents"]
    expected_surplus: float
    method: str

    def __str__(self) -> str:
        rows = sorted(zip(self.probabilities, self.counts.tolist(), strict=True), reverse=True)
        listed = "\n".join(f"  {probability:.4f}  members of each class {row}" for probability, row in rows[:12])
        more = "\n  ..." if len(rows) > 12 else ""
        return (
            f"correlated equilibrium: value {self.value:.6g} (at most {self.bound:.6g} possible), "
            f"regret {self.regret:.2g}\n{listed}{more}"
        )


@overload
def correlated_equilibrium(
    game: ParticipationGame,
    *,
    objective: Callable[[np.ndarray], float] | None = None,
    merge: bool = True,
) -> CorrelatedEquilibrium: ...
@overload
def correlated_equilibrium(
    game: NormalFormGame, *, objective: Callable[[np.ndarray], float] | None = None, merge: bool = True
) -> CorrelatedStrategies: ...
def correlated_equilibrium(
    game: ParticipationGame | NormalFormGame,
    *,
    objective: Callable[[np.ndarray], float] | None = None,
    merge: bool = True,
) -> CorrelatedEquilibrium | CorrelatedStrategies:
    """The correlated equilibrium that maximises an expected objective.

    Args:
        game: the participation game, of at most about 15 agents or a few classes of equal types; or a table, for
            which `correlated_strategies` has more options.
        objective: value of a coalition, given as a boolean mask; the members' total surplus when omitted.
            To minimise, return the negative.
        merge: whether agents of equal type are merged, if the rule treats them alike. An objective of your own
            must
            then not tell agents of one class apart: that is checked for every coalition.

    Returns:
        The equilibrium with its certificate: regret recomputed from the game, and a dual bound on the value.

    Raises:
        InvalidInput: the program needs more memory than is free; the objective is not a finite number, or tells
            agents apart that are merged, or cannot be checked because there are too many coalitions; the game is
            no participation game (tables: `correlated_strategies`).
        NotConverged: the solver failed.

    >>> game = ParticipationGame(types=[0.2, 0.2, 0.3], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> best = correlated_equilibrium(game)
    >>> round(best.value, 4), best.value <= best.bound + 1e-9
    (0.138, True)
    """
    if isinstance(game, NormalFormGame):
        return correlated_strategies(game, objective=objective)
    if not isinstance(game, ParticipationGame):
        raise InvalidInput(f"game = {brief(game)}: expected a participation game or one in normal form")
    if not isinstance(merge, bool):
        raise InvalidInput(f"merge = {brief(merge)}: expected true or false")
    classes, sizes = _classes(game, merge)
    if objective is not None and sizes.max() > 1:
        _require_symmetry(objective, classes, sizes)
    counts, masks = _all_counts(game, classes, sizes)
    worth_in, worth_out = _worth(game, classes, sizes, counts, masks)
    totals = (counts * np.where(counts > 0, worth_in, 0.0)).sum(axis=1)
    values = totals if objective is None else _objective(objective, masks)
    # Expected gain of a member told to join, and of one told to stay out, for each class and coalition.
    inside, outside = counts / sizes * worth_in, (1 - counts / sizes) * worth_out
    disobedience = np.hstack([-inside, outside]).T
    scale = max(float(np.abs(disobedience).max()), np.finfo(float).tiny)
    worth = max(float(np.abs(values).max()), np.finfo(float).tiny)
    result = optimize.linprog(
        -values / worth,
        A_ub=disobedience / scale,
        b_ub=np.zeros(len(disobedience)),
        A_eq=np.ones((1, len(values))),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    if result.x is None:
        raise NotConverged(f"the linear program of correlated equilibria failed: {result.message}", best=None)
    probabilities = np.maximum(result.x, 0.0) / np.maximum(result.x, 0.0).sum()
    multipliers = np.maximum(-result.ineqlin.marginals, 0.0) * worth / scale
    support = probabilities > 1e-12
    joined = probabilities @ (counts / sizes)
    return CorrelatedEquilibrium(
        classes=classes,
        counts=counts[support],
        probabilities=probabilities[support],
        value=float(probabilities @ values),
        bound=float((values - multipliers @ disobedience).max()),
        regret=max(0.0, float((disobedience @ probabilities).max())),
        joining=joined[classes],
        expected_surplus=float(probabilities @ totals),
        method=f"linear program, {len(values)} coalitions, {len(disobedience)} obedience constraints, HiGHS",
    )


def _objective(objective: Callable[[np.ndarray], float], masks: np.ndarray) -> np.ndarray:
    if not callable(objective):
        raise InvalidInput("objective: expected a function of a coalition")
    try:
        values = [objective(mask) for mask in masks]
    except TypeError as error:  # such as differences of truth values
        raise InvalidInput(f"objective fails for a coalition, given as a boolean array: {error}") from error
    return array("objective", values, length=len(masks))


def _require_symmetry(objective: Callable[[np.ndarray], float], classes: np.ndarray, sizes: np.ndarray) -> None:
    """Refuse to merge agents whom an objective tells apart: every coalition is compared with its class
    counts."""
    if classes.size > CHECKED:
        raise InvalidInput(
            f"objective: whether it tells agents of equal type apart cannot be checked for 2^{classes.size} "
            f"coalitions; expected none of your own, at most {CHECKED} agents, or merge=False"
        )
    masks = all_coalitions(classes.size)
    values = _objective(objective, masks)
    radix = np.concatenate([[1], np.cumprod(sizes + 1)[:-1]])
    keys = masks @ radix[classes]
    order = np.argsort(keys, kind="stable")
    same = np.diff(keys[order]) == 0
    close = 1e-12 * float(np.abs(values).max())
    wrong = np.flatnonzero(same & (np.abs(np.diff(values[order])) > close))
    if wrong.size:
        pair = [np.flatnonzero(masks[order[wrong[0] + k]]).tolist() for k in (0, 1)]
        raise InvalidInput(
            f"objective tells coalitions {pair[0]} and {pair[1]} of equal types apart: use merge=False"
        )


def _classes(game: ParticipationGame, merge: bool) -> tuple[np.ndarray, np.ndarray]:
    if merge and game.rule.anonymous and game.alike:
        sizes, classes = np.unique(game.types, return_inverse=True, return_counts=True)[::-1][:2]
        return classes, sizes
    return np.arange(game.players), np.ones(game.players, dtype=np.int64)


def _all_counts(game: ParticipationGame, classes: np.ndarray, sizes: np.ndarray):
    """Every vector of class counts, first class fastest, and for each a coalition that has it."""
    number = int(np.prod(sizes + 1, dtype=object))
    require_memory(number * (game.players + 40 * sizes.size), f"a program over {number} coalitions")
    radix = np.concatenate([[1], np.cumprod(sizes + 1)[:-1]])
    counts = np.arange(number)[:, None] // radix % (sizes + 1)
    rank = np.empty(game.players, dtype=np.int64)
    for label in range(sizes.size):
        rank[classes == label] = np.arange(sizes[label])
    return counts, rank < counts[:, classes]


def _worth(game, classes, sizes, counts, masks):
    """What membership is worth to a member, and to an outsider, of each class at each vector of counts."""
    first = np.array([np.flatnonzero(classes == label)[0] for label in range(sizes.size)])
    surplus = np.stack([game.surpluses(mask)[first] for mask in masks])
    radix = np.concatenate([[1], np.cumprod(sizes + 1)[:-1]])
    after = np.minimum(np.arange(len(counts))[:, None] + radix, len(counts) - 1)
    outside = np.where(counts < sizes, surplus[after, np.arange(sizes.size)], 0.0)
    return np.where(counts > 0, surplus, 0.0), outside
