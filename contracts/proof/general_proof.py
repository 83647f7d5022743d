"""What a proof by cases says of problems of any ingredients.

The cases follow from where the proof splits, starting from the case of all contracts; each has a bound by its
prices (`contracts.proof.leaf_bound`), and what no case exceeds no contract does.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np

from contracts.problem.cases import asked_of, due_for_idling
from contracts.problem.standard_form import StandardForm
from contracts.proof.ambiguity import divergence
from contracts.proof.evidence import Cases, Proof
from contracts.proof.expectations import stated_crowds
from contracts.proof.gaps import CONTINUED, SERVING, Bounded, collected, positive_gap
from contracts.proof.leaf_bound import Bound, InWorld, Leaf, Setting, by_mixture, leaf_bound, lowest_top
from contracts.proof.leaves import in_lots, leaves_of, too_many_options
from contracts.proof.losses import Crowd, expected_losses
from contracts.proof.mixture_check import Exponentials, difference, excess
from contracts.proof.outcome_losses import (
    MOST_LOOKED_AT,
    Everybody,
    curves_of,
    everybody_of,
    losses_over_outcomes,
    received_over_outcomes,
)
from contracts.proof.outside_options import may_stay_out
from contracts.proof.reached import outcomes_of, tangent, unit_of, weight_of
from contracts.proof.region_check import at_curves
from contracts.proof.soundness import ProofRefused, numbers, prices

MIXTURE_ERROR = 1e-5  # of the largest loss: what the gap allows for
NEAR = 1e-9  # relative: how far outside of its ball a member may be


def general_gaps(form: StandardForm, outside: np.ndarray, proof: Proof, reached: float) -> Bounded:
    """What the proofs by cases of a contract say.

    Args:
        form: the standard form.
        outside: what each type gets by staying out, in own units, shape (types,).
        proof: the proof, of which its parts by cases are looked at.
        reached: what the contract reaches of the objective.
    """
    parts = [
        lambda cases=cases, relaxed=relaxed: _gap(at_member(form, proof), outside, cases, reached, relaxed)
        for cases, relaxed in ((proof.cases, False), (proof.global_cases, True))
        if cases is not None
    ]
    return collected(parts)


def at_member(form: StandardForm, proof: Proof) -> StandardForm:
    """The form at the member of a Kullback-Leibler ball, and the curves, where the proof bounds all contracts.

    Raises:
        ProofRefused: it is no member, or they are not in their region.
    """
    form = at_curves(form, proof)
    doubt = form.problem.population.doubt
    if doubt is None or doubt.distance != "kullback-leibler" or proof.member is None:
        return form
    world = form.worlds[0]
    stated = world.plain.population.probabilities
    member = numbers("probabilities of the proof", proof.member, stated.shape)
    inside = (member >= 0.0).all() and abs(float(member.sum()) - 1.0) <= NEAR
    if not inside or not divergence(member, stated) <= doubt.radius * (1.0 + NEAR):
        raise ProofRefused("the probabilities of the proof are no member of the ball")
    population = dataclasses.replace(world.plain.population, probabilities=member)
    moved = dataclasses.replace(
        world,
        probabilities=np.bincount(form.row, weights=member, minlength=form.rows),
        plain=dataclasses.replace(world.plain, population=population),
    )
    return dataclasses.replace(form, worlds=(moved,))


def _gap(
    form: StandardForm, outside: np.ndarray, cases: Cases, reached: float, relaxed: bool
) -> tuple[float, str]:
    """The gap that a proof leaves, and what it is about ("" for all contracts on the true curve)."""
    setting, error = _setting(form, outside, cases, relaxed)
    true = relaxed or cases.mixtures is None
    continued = not true and any(world.plain.accuracy.floor > 0.0 for world in form.worlds)
    return gap_by_cases(setting, cases, reached, continued=continued, error=error)


def gap_by_cases(
    setting: Setting, cases: Cases, reached: float, *, continued: bool, error: float = 0.0
) -> tuple[float, str]:
    """The gap that a proof leaves, and what it is about.

    Args:
        setting: what all cases have in common.
        cases: the proof.
        reached: what the contract reaches.
        continued: whether it is about curves continued below their floors.
        error: the relative error of the mixtures.
    """
    form = setting.form
    stay, scopes = may_stay_out(form.problem), [CONTINUED] * continued
    try:
        bound = bound_by_cases(setting, cases, stay=stay)
    except ProofRefused:
        if not stay:
            raise
        bound = bound_by_cases(setting, cases, stay=False)
        scopes.append(SERVING)
    gap = bound.value - reached + error * bound.sensitivity + bound.rounding
    if scopes and -np.inf < gap < 0.0:  # a contract beyond the scope may be better
        gap = 0.0
    return positive_gap(gap, unit_of(form), bound.rounding), ", ".join(scopes)


def bound_by_cases(setting: Setting, cases: Cases, *, stay: bool) -> Bound:
    """What no contract exceeds: the largest of what no contract of a leaf exceeds.

    Raises:
        ProofRefused: the proof is none.
    """
    leaves = leaves_of(setting.form, cases, stay=stay)
    found = []
    for case, leaf in zip(leaves, _priced(cases, len(leaves)), strict=True):
        bound = leaf_bound(setting, in_lots(setting.form, case), leaf)
        empty = too_many_options(setting.form, case, due_for_idling(setting.form, setting.asked))
        found.append(Bound(-np.inf) if empty else bound)
    # What is not a number stays none.
    return Bound(*(float(np.max(column)) for column in np.array(found, dtype=float).T))


def _priced(cases: Cases, leaves: int) -> list[Leaf]:
    """The points and prices of each leaf.

    Raises:
        ProofRefused: there are not as many as leaves.
    """
    points = len(cases.contribution)
    alone = cases.leaf is None or cases.share is None
    leaf = np.arange(points) if alone else numbers("leaves of points", cases.leaf, (points,))
    share = np.ones(points) if alone else prices("points", cases.share, (points,))
    columns = cases.contribution, cases.utility, cases.level, cases.feasibility, share
    x, u, z, y, counted = (np.asarray(column) for column in columns)
    rising = (np.diff(leaf) >= 0).all() and np.array_equal(np.unique(leaf), np.arange(leaves))
    if not rising or any(len(column) != points for column in columns) or len(cases.linear) != leaves:
        raise ProofRefused("the proof has not as many prices as cases")
    ends = np.searchsorted(leaf, np.arange(leaves + 1))
    return [
        Leaf(x[own], u[own], z[own], y[own], counted[own], linear)
        for own, linear in zip(map(slice, ends[:-1], ends[1:]), cases.linear, strict=True)
    ]


def _setting(form: StandardForm, outside: np.ndarray, cases: Cases, relaxed: bool) -> tuple[Setting, float]:
    """What all leaves have in common, the mixtures checked against the curves; and their relative error."""
    asked, top = asked_of(form, outside), lowest_top(form)
    crowds = crowds_of(form)
    by_type = [
        crowd._replace(probabilities=_of_types(form, crowd, row_crowd))
        for crowd, row_crowd in zip(stated_crowds(form), crowds, strict=True)
    ]
    if cases.mixtures is None:
        everybody = [everybody_of(crowd) for crowd in crowds]
        not_endless(sum(len(outcomes.prior) for outcomes in everybody), cases)
        worlds, error = _by_outcomes(form, crowds, everybody), 0.0
        received = partial(_received, crowds, everybody)
    else:
        most = float((np.maximum(top - asked.due, 0.0) / form.costs).max())
        worlds, error = _by_mixtures(form, crowds, cases, most, relaxed)
        received = None
    joining = np.broadcast_to(np.asarray(form.problem.outside.joining_cost, dtype=float), outside.shape)
    setting = Setting(
        form=form,
        asked=asked,
        top=top,
        costs=form.costs,
        relative=form.relative,
        joining=joining,
        outside=outside,
        worlds=worlds,
        likely=np.any([crowd.probabilities > 0.0 for crowd in by_type], axis=0),
        tangent=lambda utility, reward: tangent(form, outcomes_of(utility, reward, outside, by_type)),
        received=received,
    )
    return setting, error


def _by_mixtures(
    form: StandardForm, crowds: list[Crowd], cases: Cases, most: float, relaxed: bool
) -> tuple[list[InWorld], float]:
    """The worlds by the proof's mixtures, checked against the curves, and their relative error."""
    worlds, error = [], 0.0
    for given, world, crowd in zip(mixtures_in(cases, len(form.worlds)), form.worlds, crowds, strict=True):
        data = most * sum(law.most for law in world.laws)
        error = max(error, (excess if relaxed else difference)(world.plain, given, data))
        losses = by_mixture(
            partial(expected_losses, crowd, given.rates, given.target_weights, given.value_weights)
        )
        weight = weight_of(form) * world.weight
        worlds.append(InWorld(weight, losses, crowd.tops, float(given.target_weights.sum())))
    if relaxed and not error <= MIXTURE_ERROR:
        raise ProofRefused("the proof against the true curve has a mixture that is not below its loss")
    if not error <= MIXTURE_ERROR:
        raise ProofRefused(f"the proof's mixture differs from the curve by {error:.3g} (of the largest loss)")
    return worlds, error


def _by_outcomes(form: StandardForm, crowds: list[Crowd], everybody: list[Everybody]) -> list[InWorld]:
    """The worlds by all outcomes."""
    return [
        InWorld(
            weight_of(form) * world.weight,
            partial(losses_over_outcomes, outcomes, curves_of(crowd), crowd.tops),
            crowd.tops,
            0.0,
        )
        for world, crowd, outcomes in zip(form.worlds, crowds, everybody, strict=True)
    ]


def not_endless(outcomes: int, cases: Cases, most: int = MOST_LOOKED_AT) -> None:
    """A file does not keep whoever reads it for hours.

    Raises:
        ProofRefused: there are too many outcomes at too many points.
    """
    if outcomes * len(cases.contribution) > most:
        raise ProofRefused(f"the proof by cases looks at more than {most} outcomes")


def _received(crowds: list[Crowd], everybody: list[Everybody], high: np.ndarray) -> np.ndarray:
    pairs = zip(everybody, crowds, strict=True)
    return np.min([received_over_outcomes(outcomes, crowd, high) for outcomes, crowd in pairs], axis=0)


def crowds_of(form: StandardForm) -> list[Crowd]:
    """Who takes part in each world, by row."""
    return [Crowd(world.plain, world.probabilities, form.group, world.laws) for world in form.worlds]


def _of_types(form: StandardForm, stated: Crowd, rows: Crowd) -> np.ndarray:
    """Probabilities of types within their rows, as stated, at those of the rows that the program is about."""
    total = np.bincount(form.row, weights=stated.probabilities, minlength=form.rows)
    size = np.bincount(form.row, minlength=form.rows)
    share = np.where(
        total[form.row] > 0.0,
        stated.probabilities / np.where(total > 0, total, 1.0)[form.row],
        1.0 / size[form.row],
    )
    return share * rows.probabilities[form.row]


def mixtures_in(cases: Cases, worlds: int) -> list[Exponentials]:
    """The mixtures of a proof by cases, one for each world, of finite numbers.

    Raises:
        ProofRefused: they are of other shapes, or not finite.
    """
    mixtures = cases.mixtures
    if mixtures is None:
        raise ProofRefused("the proof has no mixtures")
    rates = numbers("rates of the proof", mixtures.rates, np.shape(mixtures.rates))
    shape = (worlds, *rates.shape)
    target = numbers("weights of the proof", mixtures.target_weights, shape)
    value = numbers("weights of the proof", mixtures.value_weights, shape)
    return [
        Exponentials(rates=rates, target_weights=one, value_weights=other)
        for one, other in zip(target, value, strict=True)
    ]
