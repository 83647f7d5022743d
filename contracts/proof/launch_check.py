"""The certificate of a contract with a launch clause: what holds in every profile of signatures, and how good
it is.

Every profile is looked at, its total found by bisection. Nothing of how the menu was found is used.

- Individual rationality: whoever signs its own option has at least what is due in every launch, and what staying
  out gives in every release.
- Incentive compatibility: of insured menus in every launch; of the others on average over those who sign as
  meant.
- Feasibility: nobody is given a model above the one that is trained.
- Optimality, of insured menus: the expected target is concave in the guarantees, its slope at the menu and
  prices
  of the constraints bound every other insured menu's (weak duality); a curve with inflections proves nothing.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import stats

from contracts.problem.clause import Clause
from contracts.problem.problem import Problem
from contracts.problem.standard_form import StandardForm, standard_form
from contracts.proof.certificate import Certificate
from contracts.proof.contingent_bound import contingent_gap
from contracts.proof.evidence import Proof
from contracts.proof.launch_bound import Terms, gap_of
from contracts.proof.launch_profiles import Played, everybody, others, played
from contracts.proof.outside_options import outside_utilities
from contracts.proof.plain_proof import Given, plain_gaps
from contracts.proof.promises import TOLERANCE

STATED = 1e-7  # by which stated numbers may differ from recomputed ones, relative to the largest


class Stated(NamedTuple):
    """What the contract says of itself; arrays by type."""

    contribution: np.ndarray
    expected_reward: np.ndarray
    reservation_utility: np.ndarray
    objective: float
    expected_accuracy: float
    reached: float


class Found(NamedTuple):
    """What was found of a menu's promises, by type and in own units.

    `below`: whether the top option of an insured menu ever delivers less than the least stated for it.
    """

    slack: np.ndarray
    other: np.ndarray
    envied: np.ndarray
    room: np.ndarray
    contribution: np.ndarray
    reward: np.ndarray
    value: float
    accuracy: float
    below: bool


def certify_launch(problem: Problem, clause: Clause, stated: Stated, proof: Proof, gap: float) -> Certificate:
    """Recompute every promise of a contract with a clause, and what its proof says of others.

    Args:
        problem: the problem.
        clause: the clause.
        stated: what the contract says of itself.
        proof: its proof.
        gap: how much better another may be than one that is called optimal, relative to the largest target.
    """
    form = standard_form(problem)
    outside = outside_utilities(form)
    unfit = _unfit(form, clause)
    if unfit:
        return _refused(form, unfit)
    found = _played_out(form, clause, outside)
    tolerance = TOLERANCE * form.worlds[0].plain.largest_value
    violations = [*_broken(form, clause, found, outside, tolerance), *_misstated(form, stated, found, outside)]
    certificate = Certificate(
        holds=not violations,
        optimal=False,
        gap=None,
        as_solved_gap=None,
        scope="",
        missing="a promise is broken" if violations else "",
        participation_slack=found.slack,
        envy=np.maximum(found.other, 0.0),
        envied=np.where(found.other > 0.0, found.envied, np.arange(found.envied.size)),
        feasibility_slack=found.room,
        independent_check="every profile of signatures, its total by bisection",
        violations=tuple(violations),
        tolerance=tolerance,
        about=_about(clause),
        extended={"launched from signatures": float(clause.launch_count)} if clause.kind != "cut" else {},
    )
    return certificate if violations else _judged(form, clause, outside, found, certificate, proof, gap)


def _unfit(form: StandardForm, clause: Clause) -> str:
    """Why a clause is none for this problem; "" if it is."""
    asked = form.problem.menu.assurance
    if clause.kind != (asked or "fixed"):
        return f"clause: it is of the kind {clause.kind!r}, the problem asks for {asked or 'none'!r}"
    if clause.rows != form.rows:
        return f"clause: it has {clause.rows} options, the problem has {form.rows} kinds"
    asks = clause.contribution > 0.0
    if clause.insured and not (
        (asks == asks[0]).all() and asks[0, -2:].all() and (np.diff(asks[0] * 1) >= 0).all()
    ):
        return (
            "clause: an insured menu serves the same kinds at every number of signatures, all from one cost down"
        )
    if len(form.worlds) != 1 or len(form.worlds[0].laws) != 1:
        return "clause: it is for one group in one scenario"
    most = form.worlds[0].laws[0].most
    if clause.launch_count > most:
        return f"clause: launched from {clause.launch_count} signatures: expected at most {most}"
    if not np.isfinite(clause.cap[:, :-1] if clause.insured else 0.0).all():
        return "clause: an option below the top of an insured menu has no cap"
    if clause.insured and np.isfinite(clause.cap[:, -1]).any():
        return "clause: the top option of an insured menu has a cap, which is not what is settled"
    if clause.contingent and (clause.counts[-1] != most or not np.isfinite(clause.cap).all()):
        return f"clause: a contingent menu has a cap in every profile of up to {most} signatures"
    return ""


def _refused(form: StandardForm, why: str) -> Certificate:
    nothing = np.full(form.row.size, np.nan)
    return Certificate(
        holds=False,
        optimal=False,
        gap=None,
        as_solved_gap=None,
        scope="",
        missing="a promise is broken",
        participation_slack=nothing,
        envy=nothing,
        envied=np.arange(form.row.size),
        feasibility_slack=nothing,
        independent_check="none",
        violations=(why,),
        tolerance=0.0,
    )


def _played_out(form: StandardForm, clause: Clause, outside: np.ndarray) -> Found:
    """What comes of the menu, over all profiles of the others of everybody."""
    problem, types = form.problem, form.row.size
    rest, likely = others(form)
    cost = problem.population.costs / form.effective
    due = outside + problem.outside.joining_cost
    each = [played(form, clause, rest + (np.arange(form.rows) == k), k) for k in range(form.rows)]
    slack, other, envied = np.full(types, np.inf), np.full(types, -np.inf), np.arange(types)
    room, contribution, reward = np.full(types, np.inf), np.zeros(types), np.zeros(types)
    for i in range(types):
        own = each[form.row[i]]
        gains = np.array([_gain(one, form.relative[i], cost[i], due[i]) for one in each])
        if not clause.served[form.row[i]]:
            slack[i], room[i] = 0.0, 0.0
            k, most = _best_of_others(clause, gains, each, likely)
            if k >= 0:
                other[i], envied[i] = most, int(np.flatnonzero(form.row == k)[0])
            continue
        mine = gains[form.row[i]]
        slack[i] = mine[own.launched].min(initial=np.inf)
        if not own.launched.any() or (mine < 0.0).any():
            slack[i] = min(slack[i], mine.min())
        more = gains - mine
        better = _by_another(form, clause, more, own.launched, rest, likely)
        better[~clause.served] = better[form.row[i]] = -np.inf
        k = int(np.argmax(better))
        if better[k] > -np.inf:
            other[i], envied[i] = better[k], int(np.flatnonzero(form.row == k)[0])
        room[i] = form.relative[i] * (own.trained - own.worth)[own.launched].min(initial=np.inf)
        contribution[i] = likely @ own.data / form.effective[i]
        reward[i] = likely @ np.where(own.launched, form.relative[i] * own.worth, due[i])
    value, accuracy = everybody(form, clause)
    below = clause.insured and _below(clause, each[-1], rest + (np.arange(form.rows) == form.rows - 1))
    return Found(slack, other, envied, room, contribution, reward, value, accuracy, below)


def _below(clause: Clause, top: Played, counts: np.ndarray) -> bool:
    signers = counts[:, clause.served].sum(axis=1)
    menu = np.maximum(np.searchsorted(clause.counts, signers, side="right") - 1, 0)
    return bool((top.launched & (top.data < clause.contribution[menu, -1] * (1.0 - STATED))).any())


def _best_of_others(
    clause: Clause, gains: np.ndarray, each: list[Played], likely: np.ndarray
) -> tuple[int, float]:
    """Of who is left out: by which option it gains most, and how much; -1 where there is none."""
    best, most = -1, -np.inf
    for k in np.flatnonzero(clause.served):
        there = each[k].launched
        gained = gains[k][there].max(initial=-np.inf) if clause.insured else float(gains[k] @ likely)
        if gained > most:
            best, most = int(k), gained
    return best, float(most)


def _by_another(
    form: StandardForm, clause: Clause, more: np.ndarray, there: np.ndarray, rest: np.ndarray, likely: np.ndarray
) -> np.ndarray:
    """What a type gains by each option, beside its own, in the sense in which its choice is promised,
    (rows,).
    """
    if clause.insured:
        return more[:, there].max(axis=1, initial=-np.inf)
    if not clause.contingent:
        return more @ likely
    share = form.worlds[0].probabilities / form.worlds[0].probabilities.sum()
    each, others = np.full(form.rows, -np.inf), rest.sum(axis=1)
    for number in clause.counts - 1:  # others who sign, each as meant
        here = others == number
        each = np.maximum(each, more[:, here] @ stats.multinomial.pmf(rest[here], number, share))
    return each


def _gain(one: Played, relative: float, cost: float, due: float) -> np.ndarray:
    """What a type gains over staying out, profile by profile: nothing where it is released."""
    return np.where(one.launched, relative * one.worth - cost * one.data - due, 0.0)


def _broken(
    form: StandardForm, clause: Clause, found: Found, outside: np.ndarray, tolerance: float
) -> list[str]:
    problem, names = form.problem, list(form.problem.population.names or ())
    allowed, margin = tolerance * form.relative, problem.menu.participation_margin
    least = 0.0 if clause.kind == "fixed" else margin
    said = [
        f"individual rationality: {names[i]} would gain {found.slack[i]:.9g} over staying out in some"
        f" launch: short"
        f" by {least - found.slack[i]:.3g}"
        for i in np.flatnonzero(~(found.slack >= least - allowed) & clause.served[form.row])
    ]
    wanted = problem.menu.preference_margin
    said += [
        f"incentive compatibility: {names[i]} gains {found.other[i]:.9g} by the option of"
        f" {names[found.envied[i]]}:"
        f" expected at most {0.0 - wanted:.3g}"
        for i in np.flatnonzero(~(found.other <= allowed - wanted * clause.served[form.row]))
    ]
    said += [
        f"feasibility: {names[i]} would be given {-found.room[i]:.3g} more than is trained"
        for i in np.flatnonzero(~(found.room >= -allowed))
    ]
    if ((clause.guarantee < form.due(outside) - tolerance) & clause.served).any():
        said.append("guarantee: less than what is due")
    if clause.insured:
        kept = (clause.cap - form.costs * clause.contribution)[:, :-1]
        close = np.abs(clause.guarantee[:, :-1] - kept) <= tolerance
        if not (close | ~clause.served[:-1]).all():
            said.append("guarantee: not what the caps and contributions of the options leave")
    if found.below:
        said.append("clause: the top option delivers less in some launch than the least stated for it")
    return said


def _misstated(form: StandardForm, stated: Stated, found: Found, outside: np.ndarray) -> list[str]:
    problem, top = form.problem, form.worlds[0].plain.largest_value
    names = list(problem.population.names or ())
    target = found.value if problem.target_is_value else problem.baseline + found.accuracy
    largest = form.relative * top
    said = [
        f"{what}: {names[i]} is stated {given[i]:.9g}, recomputed {true[i]:.9g}"
        for what, given, true, size in (
            ("contribution", stated.contribution, found.contribution, largest / problem.population.costs),
            ("expected reward", stated.expected_reward, found.reward, largest),
            ("reservation utility", stated.reservation_utility, outside, largest),
        )
        for i in np.flatnonzero(~(np.abs(given - true) <= STATED * size))
    ]
    for what, given, true, size in (
        ("objective", stated.objective, found.value, top),
        ("expected accuracy", stated.expected_accuracy, problem.baseline + found.accuracy, 1.0),
        ("what is maximised", stated.reached, target, form.worlds[0].plain.largest_target),
    ):
        if not abs(given - true) <= STATED * size:
            said.append(f"{what}: stated {given:.9g}, recomputed {true:.9g}")
    return said


def _about(clause: Clause) -> tuple[str, ...]:
    if clause.kind == "cut":
        return (
            "signing one's own option is never worse than staying out, whoever else signs",
            "contributions are cut, never raised, until the model pays for them; choices among options are right"
            " on average over those who sign as meant",
        )
    if clause.contingent:
        return (
            f"with fewer than {clause.launch_count} signatures all are released",
            "signing one's own option is never worse than staying out, whoever else signs; choices among options"
            " are right on average over others who sign as meant, however many they are",
            "other menus, in what is proved, may ask for and give anything by the profile of signatures, keep"
            " participation in every profile and choices on average",
        )
    launch = f"with fewer than {clause.launch_count} signatures all are released"
    if clause.kind == "fixed":
        return (launch, "signing one's own option is never worse than staying out, whoever else signs")
    return (
        launch,
        "in every launch everybody gets the same by its own option, and no more by another, whoever else signs; "
        "what varies is borne by the top option's amounts and by the model",
        "other menus, in what is proved, are insured ones that serve the same kinds, with options as large"
        " as honesty"
        " allows, launched from any number of signatures",
    )


def _judged(
    form: StandardForm,
    clause: Clause,
    outside: np.ndarray,
    found: Found,
    certificate: Certificate,
    proof: Proof,
    gap: float,
) -> Certificate:
    """What is proved of other menus: with such a clause, and without any."""
    plain = form.worlds[0].plain
    reached = found.value if plain.target_is_value else found.accuracy
    numbers = dict(certificate.extended)
    unbound = _without_clause(form, outside, proof, reached)
    if unbound is not None and clause.kind not in ("fixed", "contingent"):
        numbers["price of the clause at most"] = unbound
    if clause.kind == "fixed":
        bounded, missing = unbound, "its proof says nothing about all contracts"
    elif clause.insured:
        bounded, missing = gap_of(_terms(form, clause, outside), proof.launch, reached)
    elif clause.contingent:
        bounded, missing = contingent_gap(form, clause, form.due(outside), proof.launch, reached)
    else:
        bounded, missing = None, "nothing is known of other menus that are cut"
    optimal = bounded is not None and bounded <= gap * plain.largest_target
    if bounded is not None and not optimal:
        missing = (
            f"another contract may be better by {bounded:.3g} (asked for: {gap * plain.largest_target:.3g})"
        )
    return dataclasses.replace(
        certificate,
        optimal=optimal,
        gap=bounded,
        as_solved_gap=unbound if bounded is None else bounded,
        scope="contracts without a launch clause" if bounded is None and unbound is not None else "",
        missing="" if optimal else missing,
        extended=numbers,
    )


def _terms(form: StandardForm, clause: Clause, outside: np.ndarray) -> Terms:
    alone = np.full(form.rows, np.inf)
    np.minimum.at(alone, form.row, (outside + form.problem.outside.joining_cost) / form.relative)
    return Terms(form, clause, form.due(outside), alone)


def _without_clause(form: StandardForm, outside: np.ndarray, proof: Proof, reached: float) -> float | None:
    """How much better a contract without a clause, made for those who expect everybody, can be at most.

    Without margins nobody need be due more than staying out gives, so that a bound holds with them, too.
    """
    if form.problem.outside.utility is not None or np.any(form.problem.outside.joining_cost):
        return None
    relative, joining = form.relative, form.problem.outside.joining_cost
    due = np.full(form.rows, -np.inf)
    np.maximum.at(due, form.row, (outside + joining) / relative)
    given = Given(form.worlds[0].plain, due[form.row], np.zeros(form.row.size), reached, True)
    return plain_gaps(given, dataclasses.replace(proof, launch=None)).gap
