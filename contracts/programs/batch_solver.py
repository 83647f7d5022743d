r"""Many first-moment programs solved together, by the interior-point method under `jax.vmap`.

Programs are made equal in shape without changing their answers. Types are filled up from the front with types
that never occur, are held at zero contribution and have nothing to demand (the device that also leaves dear
types out); mixtures with terms of weight zero. Lanes run in blocks of a few fixed sizes; a lane that has not
finished with its block goes on in a block of stragglers, so that nobody waits for the slowest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from contracts.programs.first_moment import Program
from contracts.programs.interior_point import (
    CYCLING,
    MAX_ITERATIONS,
    PATIENCE,
    SHORTER,
    TOLERANCE,
    Point,
    Solution,
    iterate,
    start,
)

MOST_TYPES = 64
TYPES = (*range(2, 11), 12, 14, 16, 20, 24, 32, 40, 48, MOST_TYPES)
TERMS = 64
# A small block for a few programs, a large one for many. Memory limits the large ones (4 types squared a lane).
SMALL, LARGE, LARGEST_ENTRIES = 8, 512, 2**22
NUMBERS = Program._fields.index("real")  # the fields before it are numbers of every program
ROUND = 14  # iterations after which unfinished lanes are collected


class Lanes(NamedTuple):
    """State of a block of runs; the fields of `interior_point.solve`'s loop with a lane in front."""

    point: Point
    best: Point
    best_error: Any
    best_loss: Any
    since: Any
    iteration: Any
    running: Any


def padded_types(types: int) -> int:
    """The number of types to which so many are filled up."""
    return next(size for size in TYPES if size >= types)


def padded_terms(terms: int) -> int:
    """The number of terms to which so many are filled up."""
    return TERMS * -(-terms // TERMS)


def solve_programs(
    programs: Sequence[Program], belief: str, *, types: int = 0, terms: int = 0, many: bool = False
) -> list[Solution]:
    """Solve programs with at most 64 types together.

    Args:
        programs: the programs, of any numbers of types and terms.
        belief: whose expectations participants have.
        types, terms: the least shape to which all are filled up.
        many: use large blocks even for a few programs, where they are compiled for others anyway.

    Returns:
        One solution each, as `interior_point.solve` gives it.
    """
    if not programs:
        return []
    types = padded_types(max(types, *(program.costs.size for program in programs)))
    terms = padded_terms(max(terms, *(program.rates.size for program in programs)))
    whole = _stacked(programs, types, terms)
    many = many or len(programs) > SMALL
    with jax.enable_x64(True):
        found = _run(whole, belief, many, 1.0)
        again = np.flatnonzero(~(found.error <= CYCLING))
        if again.size:
            shorter = _run(_keep(whole, again), belief, many, SHORTER)
            better = shorter.error < found.error[again]
            for into, values in zip(found, shorter, strict=True):
                into[again[better]] = values[better]
    scalars = (found.error.tolist(), found.iterations.tolist(), found.loss.tolist())
    each = zip(programs, found.gaps, found.multipliers, *scalars, strict=True)
    return [_unpad(*solved) for solved in each]


def _stacked(programs: Sequence[Program], types: int, terms: int) -> Program:
    """All programs in one, filled up; those of one shape are filled up together."""
    shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, program in enumerate(programs):
        shapes[(program.costs.size, program.rates.size)].append(place)
    parts = []
    for places in shapes.values():
        leaves = zip(*(programs[place][:NUMBERS] for place in places), strict=True)
        parts.append(_pad(Program(*map(np.stack, leaves)), types, terms))
    order = np.argsort(np.concatenate(list(shapes.values())))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[order], *parts)


def _pad(programs: Program, types: int, terms: int) -> Program:
    """Stacked programs of one shape, filled up."""
    count, own = programs.costs.shape
    extra, blank = types - own, terms - programs.rates.shape[1]

    def front(values: Any, fill: Any) -> np.ndarray:
        return np.concatenate([np.broadcast_to(fill, (count, extra)), values], axis=1)

    def behind(values: Any, fill: Any) -> np.ndarray:
        return np.concatenate([values, np.broadcast_to(fill, (count, blank))], axis=1)

    reservation = front(programs.reservation, -1.0)
    if extra:  # u is counted from the first row; the demand of the first real type is e >= 0
        reservation[:, 0], reservation[:, extra] = programs.reservation[:, 0], -1.0
    held = np.zeros((count, 2 * extra))
    return programs._replace(
        costs=front(programs.costs, programs.costs[:, :1]),
        probabilities=front(programs.probabilities, 0.0),
        reservation=reservation,
        rates=behind(programs.rates, programs.rates[:, :1]),
        target_weights=behind(programs.target_weights, 0.0),
        value_weights=behind(programs.value_weights, 0.0),
        value_offset=front(programs.value_offset, 1.0),  # a gain: nothing that is asked of them is too much
        active=np.concatenate([held, programs.active], axis=1),
        real=front(np.ones((count, own)), 0.0),
    )


def _unpad(
    program: Program, gaps: np.ndarray, multipliers: np.ndarray, error: float, iterations: int, loss: float
) -> Solution:
    types, rows = program.costs.size, gaps.size // 2
    prices = np.concatenate([multipliers[rows - types : rows], multipliers[multipliers.size - types + 1 :]])
    return Solution(gaps[-2 * types :] * program.active, prices, error, iterations, loss)


def _run(whole: Program, belief: str, many: bool, share: float) -> Solution:
    """Solutions of stacked programs, stacked."""
    count, types = whole.costs.shape
    outcome = Solution(
        gaps=np.zeros((count, 2 * types)),
        multipliers=np.zeros((count, 2 * types - 1)),
        error=np.zeros(count),
        iterations=np.zeros(count, dtype=int),
        loss=np.zeros(count),
    )
    size = int(min(LARGE, max(SMALL, LARGEST_ENTRIES // (4 * types) ** 2))) if many else SMALL

    def finish(block: np.ndarray, lanes: Lanes) -> np.ndarray:
        best = lanes.best
        found = (best.gaps, best.slack_multipliers, lanes.best_error, lanes.iteration, lanes.best_loss)
        for into, values in zip(outcome, found, strict=True):
            into[block] = np.asarray(values)[: block.size]
        return np.asarray(lanes.running)[: block.size]

    waiting, states = np.arange(count), None
    while waiting.size:
        left = []
        for first in range(0, waiting.size, size):
            place = np.arange(first, min(first + size, waiting.size))
            programs = _take(whole, waiting[place], size)
            lanes = _begin(programs, belief) if states is None else _take(states, place, size)
            lanes = _advance(programs, lanes, share, belief)
            running = finish(waiting[place], lanes)
            left.append((waiting[place][running], _keep(lanes, np.flatnonzero(running))))
        waiting = np.concatenate([lanes for lanes, _ in left])
        states = jax.tree.map(lambda *parts: np.concatenate(parts), *(state for _, state in left))
    return outcome


def _keep(tree: Any, lanes: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[lanes], tree)


def _take(tree: Any, lanes: np.ndarray, size: int) -> Any:
    """The given lanes of every leaf, filled up to a whole block by repeating the first."""
    return _keep(tree, np.concatenate([lanes, np.full(size - lanes.size, lanes[0])]))


@partial(jax.jit, static_argnames="belief")
def _begin(programs: Program, belief: str) -> Lanes:
    def one(program: Program) -> Lanes:
        point = start(program, belief, jnp)
        zero = jnp.zeros((), dtype=int)
        return Lanes(point, point, jnp.asarray(jnp.inf), point.loss, zero, zero, jnp.asarray(True))

    return jax.vmap(one)(programs)


def _part(share: Any, old: Any, new: Any) -> Any:
    return jnp.where(share < 1.0, old + share * (new - old), new)


@partial(jax.jit, static_argnames="belief")
def _advance(programs: Program, lanes: Lanes, share: float, belief: str) -> Lanes:
    """Iterate every unfinished lane up to `ROUND` times more, taking a share of every step."""

    def step(program: Program, state: Lanes) -> Lanes:
        point, best, best_error, best_loss, since, iteration, _ = state
        following = iterate(program, point, belief, jnp)
        better = following.error < best_error
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), point, best)
        best_error = jnp.where(better, following.error, best_error)
        best_loss = jnp.where(better, following.loss, best_loss)
        since = jnp.where(better, 0, since + 1)
        stop = (best_error <= TOLERANCE) | (since > PATIENCE) | ~jnp.isfinite(following.gaps).all()
        running = ~stop & (iteration + 1 < MAX_ITERATIONS)
        x, slacks, z, y = (_part(share, a, b) for a, b in zip(point[:4], following[:4], strict=True))
        following = Point(x, slacks, z, y, following.error, following.loss)
        return Lanes(following, best, best_error, best_loss, since, iteration + 1, running)

    def sweep(carry: tuple[Any, Lanes]) -> tuple[Any, Lanes]:
        count, state = carry
        after = jax.vmap(step)(programs, state)

        def choose(new: Any, old: Any) -> Any:
            return jnp.where(jnp.reshape(state.running, (-1,) + (1,) * (new.ndim - 1)), new, old)

        return count + 1, jax.tree.map(choose, after, state)

    def unfinished(carry: tuple[Any, Lanes]) -> Any:
        return carry[1].running.any() & (carry[0] < ROUND)

    return jax.lax.while_loop(unfinished, sweep, (0, lanes))[1]
