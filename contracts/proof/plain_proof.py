"""What proofs of a plain problem say: by prices for the program as solved or for a relaxation, and by cases.

Each is looked at on its own; what one of them proves stands, whatever is wrong with the others.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.problem.shape import shape_of
from contracts.proof.duality import LossBound, Prices, by_row, crowd_of, distinct_rows, lower_bound
from contracts.proof.evidence import Proof
from contracts.proof.gaps import CONTINUED, SERVING, Bounded, collected, positive_gap
from contracts.proof.losses import Losses, expected_losses
from contracts.proof.mixture_check import below, mixture_error
from contracts.proof.outcome_gradients import losses_by_outcomes
from contracts.proof.soundness import ProofRefused, inside, numbers, prices
from contracts.proof.tree_check import tree_bound
from contracts.proof.witness import Tree, Witness

MIXTURE_ERROR = 1e-6  # relative: mixtures further from the curve stand for another one
LATTICE_ERROR = 1e-9  # relative error of expectations over the law of the outcomes


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
    methods = {"witness": _by_witness, "global_witness": _by_relaxation, "tree": _by_tree}
    parts = [
        partial(method, given, part)
        for name, method in methods.items()
        if (part := getattr(proof, name)) is not None
    ]
    return collected([*parts, *([lambda: (0.0, "")] if _out_of_reach(given) else [])])


def _out_of_reach(given: Given) -> bool:
    """Whether all participants together could not afford the data with which accuracy leaves zero."""
    problem = given.problem
    return problem.most_data <= problem.accuracy.floor and bool((given.due >= 0.0).all())


def _by_witness(given: Given, witness: Witness) -> tuple[float, str]:
    """The gap of the program as solved, and what it is about."""
    witness, problem = checked(given, witness), given.problem
    if witness.rates.size:
        error = mixture_error(problem, witness, _most(given))
        if not error <= MIXTURE_ERROR:
            raise ProofRefused(f"the proof's mixture differs from the curve by {error:.3g} (relative)")
    else:
        error = LATTICE_ERROR
        _check_concave(problem)
    bound, lost = _bound(given, witness)
    # At one member of a ball of probabilities a contract may do better than it does at worst.
    loss = max(lost, problem.largest_target - given.reached)
    gap = loss - bound.bound + error * bound.sensitivity + bound.rounding
    return positive_gap(gap, problem.largest_target, bound.rounding), scope_of(given, witness, solved=True)


def _by_relaxation(given: Given, witness: Witness) -> tuple[float, str]:
    """The gap against the true curve, by a mixture that lies nowhere above its loss."""
    problem = given.problem
    if not np.size(witness.rates):
        if problem.accuracy.floor > 0.0:
            raise ProofRefused("the proof against the true curve has no mixture that lies below its loss")
        return _by_witness(given, witness)
    minorant = below(problem, checked(given, witness), _most(given))
    if minorant is None:
        raise ProofRefused("the proof against the true curve has a mixture that is not below its loss")
    bound, _ = _bound(given, minorant)
    top = problem.largest_target
    gap = top - given.reached - bound.bound + bound.rounding
    return positive_gap(gap, top, bound.rounding), scope_of(given, minorant, solved=False)


def _by_tree(given: Given, tree: Tree) -> tuple[float, str]:
    """The gap against the true curve, by cases."""
    limit = tree_bound(given.problem, tree, given.due)
    top = given.problem.largest_target
    return positive_gap(limit - given.reached, top), "" if given.complete else SERVING


def _bound(given: Given, witness: Witness) -> tuple[LossBound, float]:
    """The bound on all losses, and the loss of the given contract in the same program."""
    crowd, (costs, _, row) = crowd_of(given.problem), distinct_rows(given.problem)
    nothing, data = np.arange(costs.size) < witness.excluded, by_row(given.contribution, row)
    if witness.rates.size:
        mixture = witness.rates, witness.target_weights, witness.value_weights

        def losses(m: np.ndarray, y: np.ndarray | None) -> Losses:
            return expected_losses(crowd, *mixture, m, nothing, y)

    else:
        losses = losses_by_outcomes(crowd, nothing)
    loss = float(losses(data, None).target)
    due, top = by_row(given.due, row), given.problem.largest_value
    return lower_bound(losses, prices_of(witness), costs, due, top, loss), loss


def prices_of(witness: Witness) -> Prices:
    """The prices of a witness, and where they were taken."""
    y, w = witness.feasibility_multipliers, witness.participation_multipliers
    return Prices(y, w, witness.contribution, witness.utility, int(witness.excluded))


def _most(given: Given) -> float:
    """More data than all participants together ever contribute, whatever they are due."""
    problem = given.problem
    each = np.maximum(problem.largest_value - given.due, 0.0) / problem.population.costs
    return problem.population.most_participants * float(each.max())


def _check_concave(problem: Problem) -> None:
    shape = shape_of(problem)
    if shape.convex or shape.decreasing:
        raise ProofRefused("the proof by prices needs a curve that rises and is concave above its floor")


def checked(given: Given, witness: Witness) -> Witness:
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


def scope_of(given: Given, witness: Witness, *, solved: bool) -> str:
    """What prices are about: "" for all contracts on the true curve."""
    parts = []
    if solved and given.problem.accuracy.floor > 0.0:
        parts.append(CONTINUED)
    if witness.excluded:
        kinds = "the dearest cost" if witness.excluded == 1 else f"the {witness.excluded} dearest costs"
        parts.append(f"contracts that ask nothing of {kinds}")
    if not given.complete:
        parts.append(SERVING)
    return ", ".join(parts)
