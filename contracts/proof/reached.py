"""What a menu reaches of the objective, recomputed; and S, the part besides the coordinator's, linearised."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from contracts.numeric import double_precision
from contracts.problem.objective import Objective, Outcome, Rawlsian
from contracts.problem.standard_form import StandardForm
from contracts.proof.expectations import Expected, mean_of
from contracts.proof.losses import Crowd
from contracts.proof.soundness import ProofRefused


class Tangent(NamedTuple):
    """S at a point, and its slopes by each type's utility (own units) and reward (units of rows)."""

    value: Any
    by_utility: Any
    by_reward: Any


def unit_of(form: StandardForm) -> float:
    """The size of the objective, relative to which optimality is stated."""
    plain = max((world.plain for world in form.worlds), key=lambda one: one.largest_target)
    objective = form.problem.objective
    return plain.largest_target if objective is None else float(objective.unit(plain))


def weight_of(form: StandardForm) -> float:
    """The weight of the coordinator's expected target."""
    return 1.0 if form.problem.objective is None else float(form.problem.objective.weight())


def levelled(form: StandardForm) -> bool:
    """Whether S is the level of whoever is worst off, which is maximised as a variable of its own."""
    return isinstance(form.problem.objective, Rawlsian)


def outcomes_of(
    utility: np.ndarray, reward: np.ndarray, outside: np.ndarray, crowds: list[Crowd]
) -> list[Outcome]:
    """What an objective sees in each world.

    Args:
        utility: of each type, in own units, the joining cost taken off, shape (types,).
        reward: in units of rows, shape (types,).
        outside: what each gets by staying out, in own units, shape (types,).
        crowds: who takes part in each world, by type.
    """
    found = []
    for crowd in crowds:
        means = np.array([float(law.mean) for law in crowd.laws])
        shares = crowd.probabilities * (means / means.sum())[crowd.group]
        found.append(Outcome(utility, reward, outside, shares, float(means.sum())))
    return found


def reached_by(form: StandardForm, worlds: list[Expected], outcomes: list[Outcome]) -> float:
    """The maximised objective: weight times the expected target, plus S, on average over worlds."""
    target = mean_of(form.worlds, [world.target for world in worlds])
    objective = form.problem.objective
    if objective is None:
        return target
    with np.errstate(divide="ignore", invalid="ignore"):
        each = [float(objective.formula(outcome, np)) for outcome in outcomes]
    return weight_of(form) * target + mean_of(form.worlds, each)


def tangent(form: StandardForm, outcomes: list[Outcome]) -> Tangent:
    """S, on average over worlds, linearised by differentiating its formula.

    Raises:
        ProofRefused: at that point S, or a slope, is no finite number.
    """
    objective, total = form.problem.objective, [0.0, 0.0, 0.0]
    assert objective is not None
    with double_precision():
        for world, outcome in zip(form.worlds, outcomes, strict=True):
            seen = [jnp.asarray(part, dtype=float) for part in outcome[:4]]
            value, slopes = _linearised(objective)(*seen, outcome.participants)
            parts = (value, *slopes)
            total = [before + world.weight * np.asarray(part) for before, part in zip(total, parts, strict=True)]
    found = Tangent(float(total[0]), np.asarray(total[1]), np.asarray(total[2]))
    if not np.isfinite(found.value) or not all(np.isfinite(slope).all() for slope in found[1:]):
        raise ProofRefused("the objective is not finite at a point of the proof")
    return found


@lru_cache(maxsize=64)
def _linearised(objective: Objective) -> Any:
    def formula(utility: Any, reward: Any, alone: Any, probabilities: Any, participants: Any) -> Any:
        return objective.formula(Outcome(utility, reward, alone, probabilities, participants), jnp)

    return jax.jit(jax.value_and_grad(formula, argnums=(0, 1)))
