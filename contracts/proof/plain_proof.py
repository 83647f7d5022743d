"""What proofs of a plain problem say: by prices for the program as solved or for a relaxation, and by cases.

Each is looked at on its own; what one of them proves stands, whatever is wrong with the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.problem.shape import shape_of
from contracts.proof.duality import LossBound, by_row, distinct_rows, lower_bound
from contracts.proof.evidence import Proof
from contracts.proof.mixture_check import below, mixture_error
from contracts.proof.soundness import ProofRefused, inside, numbers, prices
from contracts.proof.tree_check import tree_bound
from contracts.proof.witness import Tree, Witness

MIXTURE_ERROR = 1e-6  # relative: mixtures further from the curve stand for another one
LATTICE_ERROR = 1e-9  # relative error of expectations over the law of the outcomes
REFUTED = 1e-7  # of the unit of the objective: by more no contract beats a bound on all contracts
CONTINUED = "the curve continued below its floor"
SERVING = "contracts that serve everybody"


class Bounded(NamedTuple):
    """What proofs say about how much better other contracts are.

    Attributes:
        gap: for all contracts on the true curve, or None.
        solved: for those of `scope`, or None.
        scope: which these are.
        complaints: why proofs were refused.
    """

    gap: float | None
    solved: float | None
    scope: str
    complaints: tuple[str, ...]


class Given(NamedTuple):
    """The contract that is to be proved.

    Attributes:
        problem: the plain problem.
        due: what each type is due at least, shape (types,).
        contribution: shape (types,).
        reached: its target on the true curve.
        complete: whether all contracts serve everybody (else proofs of plain problems leave some out).
    """

    problem: Problem
    due: np.ndarray
    contribution: np.ndarray
    reached: float
    complete: bool


def plain_gaps(given: Given, proof: Proof) -> Bounded:
    """What the proofs of a contract for a plain problem say."""
    gaps: list[float] = []
    solved: list[tuple[float, str]] = []
    complaints: list[str] = []
    methods: dict[str, Callable[..., tuple[float, str]]]
    methods = {"witness": _by_witness, "global_witness": _by_relaxation, "tree": _by_tree}
    for name, method in methods.items():
        part = getattr(proof, name)
        if part is None:
            continue
        try:
            gap, scope = method(given, part)
        except ProofRefused as refusal:
            complaints.append(str(refusal))
            continue
        gaps += [gap] * (not scope)
        solved.append((gap, scope))
    if _out_of_reach(given):
        gaps.append(0.0)
    gap = min(gaps, default=None)
    first, scope = solved[0] if solved else (gap, "")
    return Bounded(gap, first, scope, tuple(complaints))


def _out_of_reach(given: Given) -> bool:
    """Whether all participants together could not afford the data with which accuracy leaves zero."""
    problem = given.problem
    return problem.most_data <= problem.accuracy.floor and bool((given.due >= 0.0).all())


def positive_gap(gap: float, top: float, rounding: float) -> float:
    """A gap, which nothing but rounding makes negative.

    Raises:
        ProofRefused: it is no number, infinite, or so negative that the contract itself refutes the bound.
    """
    if not gap < np.inf or not np.isfinite(rounding):
        raise ProofRefused("the proof bounds nothing (its numbers are too large)")
    if gap < -(REFUTED * top + rounding):
        raise ProofRefused(f"the proof is refuted: the contract beats its bound by {-gap:.3g}")
    return max(gap, 0.0)


def _by_witness(given: Given, witness: Witness) -> tuple[float, str]:
    """The gap of the program as solved, and what it is about."""
    witness, problem = _checked(given, witness), given.problem
    if witness.rates.size:
        error = mixture_error(problem, witness, _most(given))
        if not error <= MIXTURE_ERROR:
            raise ProofRefused(f"the proof's mixture differs from the curve by {error:.3g} (relative)")
    else:
        error = LATTICE_ERROR
        _check_concave(problem)
    bound = _bound(given, witness)
    # At one member of a ball of probabilities a contract may do better than it does at worst.
    loss = max(bound.loss, problem.largest_target - given.reached)
    gap = loss - bound.bound + error * bound.sensitivity + bound.rounding
    return positive_gap(gap, problem.largest_target, bound.rounding), _scope(given, witness, solved=True)


def _by_relaxation(given: Given, witness: Witness) -> tuple[float, str]:
    """The gap against the true curve, by a mixture that lies nowhere above its loss."""
    problem = given.problem
    if not np.size(witness.rates):
        if problem.accuracy.floor > 0.0:
            raise ProofRefused("the proof against the true curve has no mixture that lies below its loss")
        return _by_witness(given, witness)
    minorant = below(problem, _checked(given, witness), _most(given))
    if minorant is None:
        raise ProofRefused("the proof against the true curve has a mixture that is not below its loss")
    bound = _bound(given, minorant)
    top = problem.largest_target
    gap = top - given.reached - bound.bound + bound.rounding
    return positive_gap(gap, top, bound.rounding), _scope(given, minorant, solved=False)


def _by_tree(given: Given, tree: Tree) -> tuple[float, str]:
    """The gap against the true curve, by cases."""
    limit = tree_bound(given.problem, tree, given.due)
    top = given.problem.largest_target
    return positive_gap(limit - given.reached, top, 0.0), "" if given.complete else SERVING


def _bound(given: Given, witness: Witness) -> LossBound:
    return lower_bound(given.problem, witness, given.due, given.contribution)


def _most(given: Given) -> float:
    """More data than all participants together ever contribute, whatever they are due."""
    problem = given.problem
    each = np.maximum(problem.largest_value - given.due, 0.0) / problem.population.costs
    return problem.population.most_participants * float(each.max())


def _check_concave(problem: Problem) -> None:
    shape = shape_of(problem)
    if shape.convex or shape.decreasing:
        raise ProofRefused("the proof by prices needs a curve that rises and is concave above its floor")


def _checked(given: Given, witness: Witness) -> Witness:
    """A witness of sound numbers, its point moved to where contracts are."""
    problem = given.problem
    costs, _, row = distinct_rows(problem)
    rows, top, f = costs.size, problem.largest_value, by_row(given.due, row)
    excluded = witness.excluded
    if isinstance(excluded, bool) or not isinstance(excluded, int | np.integer) or not 0 <= excluded <= rows:
        raise ProofRefused(f"the proof leaves out {excluded!r:.20} costs")
    if given.contribution[row < excluded].any():
        raise ProofRefused("the proof leaves out types that contribute")
    point = numbers("contributions of the proof", witness.contribution, (rows,))
    utility = numbers("utilities of the proof", witness.utility, (rows,))
    terms = np.shape(witness.rates)
    return dataclasses.replace(
        witness,
        rates=numbers("rates of the proof", witness.rates, terms),
        target_weights=numbers("weights of the proof", witness.target_weights, terms),
        value_weights=numbers("weights of the proof", witness.value_weights, terms),
        contribution=inside("a contribution", point, np.zeros(rows), np.maximum(top - f, 0.0) / costs),
        utility=inside("a utility", utility, f, np.full(rows, top)),
        feasibility_multipliers=prices("feasibility", witness.feasibility_multipliers, (rows,)),
        participation_multipliers=prices("participation", witness.participation_multipliers, (rows,)),
    )


def _scope(given: Given, witness: Witness, *, solved: bool) -> str:
    parts = []
    if solved and given.problem.accuracy.floor > 0.0:
        parts.append(CONTINUED)
    if witness.excluded:
        kinds = "the dearest cost" if witness.excluded == 1 else f"the {witness.excluded} dearest costs"
        parts.append(f"contracts that ask nothing of {kinds}")
    if not given.complete:
        parts.append(SERVING)
    return ", ".join(parts)
