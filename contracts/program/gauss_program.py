"""The first-moment program's expectations and dense derivatives by Gauss rules, for curves of any shape.

Results take the form that mixtures of exponentials give (`Moments`, `Factors`), with the identity in place of
the tilted probabilities, so that the interior-point method need not know the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from contracts.problem.outcomes import rare
from contracts.problem.participants import Turnout
from contracts.program.gauss import LossCurve, Rule, Rules, compress, mean, rules

if TYPE_CHECKING:
    from contracts.program.first_moment import Program


class Expectation(NamedTuple):
    """An expected loss with its gradient and Hessian by m."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


class GaussMoments(NamedTuple):
    """Expectations at a point, with what their derivatives need.

    The objective is E L itself: unlike a mixture of exponentials', a convex loss's logarithm need not be convex.
    """

    target_loss: float
    value_loss: np.ndarray
    contribution: np.ndarray
    rules: Rules
    belief: str

    @property
    def objective_slope(self) -> float:
        """dE L / d objective."""
        return 1.0


def moments(program: Program, contribution: np.ndarray, belief: str) -> GaussMoments:
    """E L and E_i L at a contribution vector."""
    p = program.probabilities
    found = rules(contribution, p, _participants(program))
    everybody, fewer = found.draws[0], found.draws[1]
    assert everybody is not None
    assert fewer is not None
    target = float(mean(program.curves.target, everybody)) - program.target_offset
    if belief == "interim":
        value = mean(program.curves.value, fewer, contribution)
    else:
        full = float(mean(program.curves.value, everybody))
        value = np.array([_present(program, contribution, i, full) for i in range(p.size)])
    return GaussMoments(target, value - program.value_offset, contribution, found, belief)


def _participants(program: Program) -> int | Turnout:
    return int(program.participants) if program.turnout is None else program.turnout


def _present(program: Program, contribution: np.ndarray, i: int, full: float) -> float:
    n, p = _participants(program), program.probabilities
    if rare(float(p[i]), n):
        fewer = rules(contribution, p, n).draws[1]
        assert fewer is not None
        return float(mean(program.curves.value, fewer, contribution[i]))
    absent, without, number = _without(p, i, n)
    if without is None:
        return full
    rest = rules(contribution, without, number).draws[0]
    assert rest is not None
    return (full - absent * float(mean(program.curves.value, rest))) / (1.0 - absent)


def _without(p: np.ndarray, i: int, n: int | Turnout) -> tuple[float, np.ndarray | None, int | Turnout]:
    """The probability that type i does not occur, and then the other types' probabilities (None if negligible)
    and the number of participants."""
    rest = p.copy()
    rest[i] = 0.0
    total = float(rest.sum())
    absent = float(n.generating(total)) if isinstance(n, Turnout) else total**n
    if not absent > 1e-17:
        return 0.0, None, n
    number = n.thinned(total) if isinstance(n, Turnout) else n
    return absent, (rest / total if total > 0.0 else p), number


def derivatives(program: Program, here: GaussMoments, multipliers: np.ndarray) -> dict[str, Any]:
    """The fields of `Factors` for a dense gradient, Jacobian and Hessian."""
    target = _everybody(program.curves.target, here.contribution, program.probabilities, here.rules)
    of_types = _interim if here.belief == "interim" else _ex_ante
    jacobian, hessian = of_types(program, here, multipliers)
    types = program.costs.size
    # Factors subtract gradient gradient' and P' cross + cross' P with P the identity.
    curvature = target.hessian + np.outer(target.gradient, target.gradient) + hessian
    return {
        "tilted": np.eye(types),
        "target_gradient": -target.gradient,
        "own": np.zeros(types),
        "columns": -jacobian.T,
        "hessian_diagonal": np.zeros(types),
        "hessian_middle": np.zeros(types),
        "cross": -0.5 * curvature,
    }


def _everybody(loss: LossCurve, m: np.ndarray, p: np.ndarray, found: Rules) -> Expectation:
    """E L(S_N) with derivatives; N is as many as the rules were made for."""
    all_, one, two, _ = found.draws
    assert all_ is not None
    assert one is not None
    n = found.participants
    gradient = n * p * mean(loss, one, m, 1)
    hessian = np.diag(n * p * mean(loss, one, m, 2))
    if two is not None:
        pair = mean(loss, two, np.add.outer(m, m), 2)
        hessian = hessian + found.pairs * np.outer(p, p) * pair
    return Expectation(float(mean(loss, all_)), gradient, hessian)


def _interim(program: Program, here: GaussMoments, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Jacobian of E L(m_i + S_{N-1}) and the Hessian of its sum with weights y."""
    loss, m, p, others = (
        program.curves.value,
        here.contribution,
        program.probabilities,
        here.rules.others,
    )
    _, one, two, three = here.rules.draws
    assert one is not None
    own_slope, own_bend = mean(loss, one, m, 1), mean(loss, one, m, 2)
    jacobian, hessian = np.diag(own_slope), np.diag(y * own_bend)
    if two is not None:
        pairs = np.add.outer(m, m)
        slope, bend = mean(loss, two, pairs, 1), mean(loss, two, pairs, 2)
        jacobian = jacobian + others * slope * p
        crossed = others * np.outer(y, p) * bend
        hessian = hessian + crossed + crossed.T + np.diag(others * p * (y @ bend))
    if three is not None and y.sum() > 0.0:
        mixed = _shifted(three, m, y)
        pairs = here.rules.other_pairs
        hessian = hessian + pairs * np.outer(p, p) * mean(loss, mixed, np.add.outer(m, m), 2)
    return jacobian, hessian


def _shifted(rule: Rule, m: np.ndarray, y: np.ndarray) -> Rule:
    """The rule of m_i + S with i drawn in proportion to y (not normalised)."""
    return compress(np.add.outer(m, rule.points).ravel(), np.outer(y, rule.weights).ravel())


def _ex_ante(program: Program, here: GaussMoments, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same given that the type occurs: all outcomes less those in which it does not."""
    loss, m, p, n = program.curves.value, here.contribution, program.probabilities, _participants(program)
    everybody = _everybody(loss, m, p, here.rules)
    jacobian, hessian = np.zeros((p.size, p.size)), np.zeros((p.size, p.size))
    for i in range(p.size):
        if rare(float(p[i]), n):  # the limit of ever rarer types is the interim belief
            alone = np.eye(p.size)[i]
            row, bend = _interim(program, here, alone)
            jacobian[i], hessian = row[i], hessian + y[i] * bend
            continue
        absent, without, number = _without(p, i, n)
        gradient, bend = everybody.gradient, everybody.hessian
        if without is not None:
            rest = _everybody(loss, m, without, rules(m, without, number))
            gradient = (gradient - absent * rest.gradient) / (1.0 - absent)
            bend = (bend - absent * rest.hessian) / (1.0 - absent)
        jacobian[i], hessian = gradient, hessian + y[i] * bend
    return jacobian, hessian
