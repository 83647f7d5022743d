"""The values up to which types receive the trained model: the levels of the capped policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contracts import checks
from contracts.problem.laws import believed, gathered
from contracts.problem.outcomes import Law

if TYPE_CHECKING:
    from contracts.contract import Contract

ATOMS = 2**14  # of laws on lattices, which are approximate anyhow
WHOLE = 1e-12  # relative rounding of an expectation: who is promised the whole model has no cap


def caps(contract: Contract, *, scenario: int = 0) -> np.ndarray:
    """The levels of the capped policy alone, shape (types,): faster where outcomes are many."""
    form = contract.form
    world = form.worlds[checks.integer("scenario", scenario, high=len(form.worlds) - 1)]
    laws = [
        law if law.step == 0.0 else gathered(law, ATOMS) for law in believed(form, world, contract.delivered)
    ]
    worth = [world.plain.value(law.data) for law in laws]
    rows = zip(form.row, form.relative, contract.expected_reward, strict=True)
    return np.array([cap_of(scale * worth[row], laws[row], float(promised)) for row, scale, promised in rows])


def cap_of(trained: np.ndarray, law: Law, promised: float) -> float:
    """The cap with E min(trained, cap) = promised: piecewise linear in the cap, solved exactly."""
    p = law.probabilities
    below = np.concatenate([[0.0], np.cumsum(trained * p)])
    above = np.concatenate([np.cumsum(p[::-1])[::-1], [0.0]])
    reached = below[1:] + trained * above[1:]
    if promised >= reached[-1] * (1.0 - WHOLE):
        return float("inf")
    cell = int(np.searchsorted(reached, promised))
    return float((promised - below[cell]) / above[cell])
