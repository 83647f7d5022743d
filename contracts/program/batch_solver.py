r"""Many first-moment programs solved together, by the interior-point method under `jax.vmap`.

Programs are made equal in shape without changing their answers. Types are filled up from the front with types
that never occur, are held at zero contribution and have nothing to demand (the device that also leaves dear
types out); mixtures with terms of weight zero. Runs advance a few dozen at a time, so that what they work on
stays in the processor's cache; those that need many iterations are collected and go on together, so that nobody
waits for the slowest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.numeric import double_precision
from contracts.program import newton
from contracts.program.compiled import MOST_TYPES, Run, advance, begin, fill_terms, one_at_a_time, padded_terms
from contracts.program.first_moment import Program
from contracts.program.interior_point import CYCLING, SHORTER, Solution

TYPES = (*range(2, 11), 12, 14, 16, 20, 24, 32, 40, 48, MOST_TYPES)
BLOCK = 512  # programs for which there is one compiled call
# Programs that advance together: enough to be worth an operation, few enough for the cache, to which each brings
# a matrix of 4 types squared.
ABREAST, CACHED_ENTRIES = 64, 2**17
NUMBERS = Program._fields.index("real")  # the fields before it are numbers of every program
ROUND = 10  # iterations after which unfinished runs are collected


def padded_types(types: int) -> int:
    """The number of types to which so many are filled up."""
    return next(size for size in TYPES if size >= types)


def solve_programs(
    programs: Sequence[Program], belief: str, *, types: int = 0, terms: int = 0
) -> list[Solution]:
    """Solve programs with at most 64 types together.

    Args:
        programs: the programs, of any numbers of types and terms.
        belief: whose expectations participants have.
        types, terms: the least shape to which all are filled up.

    Returns:
        One solution each, as `interior_point.solve` gives it.
    """
    if not programs:
        return []
    types = padded_types(max(types, *(program.costs.size for program in programs)))
    terms = padded_terms(max(terms, *(program.rates.size for program in programs)))
    whole = _stacked(programs, types, terms)
    with double_precision(), one_at_a_time:
        found = _run(whole, belief, 1.0)
        again = np.flatnonzero(~(found.error <= CYCLING))
        if again.size:
            shorter = _run(_keep(whole, again), belief, SHORTER)
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
    extra = types - own

    def front(values: Any, fill: Any) -> np.ndarray:
        return np.concatenate([np.broadcast_to(fill, (count, extra)), values], axis=1)

    reservation = front(programs.reservation, -1.0)
    if extra:  # u is counted from the first row; the demand of the first real type is e >= 0
        reservation[:, 0], reservation[:, extra] = programs.reservation[:, 0], -1.0
    held = np.zeros((count, 2 * extra))
    return fill_terms(programs, terms)._replace(
        costs=front(programs.costs, programs.costs[:, :1]),
        probabilities=front(programs.probabilities, 0.0),
        reservation=reservation,
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


def _run(whole: Program, belief: str, share: float) -> Solution:
    """Solutions of stacked programs, stacked."""
    count, types = whole.costs.shape
    outcome = Solution(
        gaps=np.zeros((count, 2 * types)),
        multipliers=np.zeros((count, 2 * types - 1)),
        error=np.zeros(count),
        iterations=np.zeros(count, dtype=int),
        loss=np.zeros(count),
    )
    waiting, states = np.arange(count), None
    while waiting.size:
        left = []
        for first in range(0, waiting.size, BLOCK):
            place = np.arange(first, min(first + BLOCK, waiting.size))
            programs = _take(whole, waiting[place])
            runs = _begin(programs, belief) if states is None else _take(states, place)
            advanced = _advance(programs, runs, place.size, share, belief)
            runs = _keep(advanced, np.arange(place.size))
            found = (runs.best_gaps, runs.best_multipliers, runs.best_error, runs.iteration, runs.best_loss)
            for into, values in zip(outcome, found, strict=True):
                into[waiting[place]] = values
            left.append((waiting[place][runs.running], _keep(runs, runs.running)))
        waiting = np.concatenate([place for place, _ in left])
        states = jax.tree.map(lambda *parts: np.concatenate(parts), *(runs for _, runs in left))
    return outcome


def _keep(tree: Any, rows: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], tree)


def _take(tree: Any, rows: np.ndarray) -> Any:
    """The given rows of every leaf, filled up to a whole block by repeating the last."""
    return _keep(tree, np.concatenate([rows, np.full(BLOCK - rows.size, rows[-1])]))


def _abreast(types: int) -> int:
    """How many programs advance together: on a processor with a cache a power of two, else the whole block."""
    if jax.default_backend() != "cpu":
        return BLOCK
    return 2 ** max(int(np.log2(min(ABREAST, CACHED_ENTRIES / (4 * types) ** 2))), 0)


@partial(jax.jit, static_argnames="belief")
def _begin(programs: Program, belief: str) -> Run:
    return jax.vmap(lambda program: begin(program, belief))(programs)


@partial(jax.jit, static_argnames="belief")
def _advance(programs: Program, runs: Run, count: Any, share: float, belief: str) -> Run:
    """Iterate the unfinished among the first `count` runs of a block up to `ROUND` times more; the others only
    fill it up."""
    runs = runs._replace(running=runs.running & (jnp.arange(BLOCK) < count))
    abreast = _abreast(programs.costs.shape[1])

    def round_of(part: tuple[Program, Run]) -> Run:
        programs, runs = part
        affine = jax.vmap(lambda program: newton.maps(program, jnp))(programs)
        step = jax.vmap(lambda program, run, maps: advance(program, run, maps, share, belief))

        def sweep(state: tuple[Any, Run]) -> tuple[Any, Run]:
            return state[0] + 1, step(programs, state[1], affine)

        return jax.lax.while_loop(lambda state: state[1].running.any() & (state[0] < ROUND), sweep, (0, runs))[1]

    parts = jax.tree.map(lambda leaf: jnp.reshape(leaf, (-1, abreast, *leaf.shape[1:])), (programs, runs))
    return jax.tree.map(lambda leaf: jnp.reshape(leaf, (BLOCK, *leaf.shape[2:])), jax.lax.map(round_of, parts))
