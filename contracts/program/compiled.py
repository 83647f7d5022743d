"""The interior-point method compiled by JAX: one program here, many in `contracts.program.batch_solver`.

Compilation takes a second or two for each number of types; from then on a small program takes tenths of a
millisecond, where NumPy spends most of its time between operations.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from contracts.numeric import double_precision
from contracts.program import interior_point, newton
from contracts.program.first_moment import Program
from contracts.program.interior_point import (
    MAX_ITERATIONS,
    TOLERANCE,
    Point,
    Solution,
    iterate,
    patience,
    settled,
    start,
)

MOST_TYPES = 64  # beyond, NumPy's banded steps are faster
TERMS = 8  # mixtures are filled up to a multiple of it, so that similar ones share what is compiled
# XLA's factorisation of many matrices wants all of its threads: two at a time wait for each other for ever.
one_at_a_time: threading.Lock = threading.Lock()


class Run(NamedTuple):
    """State of a run: what `interior_point.solve` keeps in its loop."""

    point: Point
    best_gaps: Any
    best_multipliers: Any
    best_error: Any
    best_loss: Any
    since: Any
    iteration: Any
    running: Any


def solve(program: Program, belief: str) -> Solution:
    """Solve one program as `interior_point.solve` does; what cannot be compiled, or is too large, by that."""
    if program.curves is not None or program.turnout is not None or program.costs.size > MOST_TYPES:
        return interior_point.solve(program, belief)
    filled = fill_terms(program, padded_terms(program.rates.size))
    with double_precision(), one_at_a_time:
        solution = settled(lambda share: _solved(filled, belief, share))
    return solution._replace(gaps=solution.gaps * program.active)


def _solved(program: Program, belief: str, share: float) -> Solution:
    gaps, multipliers, error, iterations, loss = map(np.asarray, _run(program, share, belief))
    return Solution(gaps, multipliers, float(error), int(iterations), float(loss))


@partial(jax.jit, static_argnames="belief")
def _run(program: Program, share: Any, belief: str) -> Solution:
    affine = newton.maps(program, jnp)
    run = jax.lax.while_loop(
        lambda run: run.running,
        lambda run: advance(program, run, affine, share, belief),
        begin(program, belief),
    )
    return Solution(run.best_gaps, run.best_multipliers, run.best_error, run.iteration, run.best_loss)


def padded_terms(terms: int) -> int:
    """The number of terms to which so many are filled up."""
    return TERMS * -(-terms // TERMS)


def fill_terms(program: Program, terms: int) -> Program:
    """A program, or stacked programs, with terms of weight and rate zero added."""
    own = program.rates.shape[-1]

    def filled(values: np.ndarray) -> np.ndarray:
        wide = np.zeros((*values.shape[:-1], terms))
        wide[..., :own] = values
        return wide

    return program._replace(
        rates=filled(program.rates),
        target_weights=filled(program.target_weights),
        value_weights=filled(program.value_weights),
    )


def begin(program: Program, belief: str) -> Run:
    """A run before its first iteration."""
    point = start(program, belief, jnp)
    none = jnp.zeros((), dtype=int)
    return Run(
        point=point,
        best_gaps=point.gaps,
        best_multipliers=point.slack_multipliers,
        best_error=point.error,
        best_loss=point.loss,
        since=none,
        iteration=none,
        running=jnp.asarray(True),
    )


def advance(program: Program, run: Run, affine: newton.Maps, share: Any, belief: str) -> Run:
    """One iteration, taking a share of the step; what a run found that has ended stays."""
    point = run.point
    following = iterate(program, point, belief, affine, jnp)
    better = run.running & (following.error < run.best_error)
    best_error = jnp.where(better, following.error, run.best_error)
    since = jnp.where(better, 0, run.since + 1)
    stop = (best_error <= TOLERANCE) | (since > patience(best_error, jnp)) | ~jnp.isfinite(following.gaps).all()
    x, slacks, z, y = (_part(share, a, b) for a, b in zip(point[:4], following[:4], strict=True))
    return Run(
        point=Point(x, slacks, z, y, following.error, following.loss),
        best_gaps=jnp.where(better, point.gaps, run.best_gaps),
        best_multipliers=jnp.where(better, point.slack_multipliers, run.best_multipliers),
        best_error=best_error,
        best_loss=jnp.where(better, following.loss, run.best_loss),
        since=since,
        iteration=run.iteration + run.running,
        running=run.running & ~stop & (run.iteration + 1 < MAX_ITERATIONS),
    )


def _part(share: Any, old: Any, new: Any) -> Any:
    return jnp.where(share < 1.0, old + share * (new - old), new)
