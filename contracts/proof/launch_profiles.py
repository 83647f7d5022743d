"""Profiles of signatures and what comes of them, for the check of launch clauses: totals by bisection."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy import stats

from contracts.problem.clause import Clause
from contracts.problem.participants import Turnout
from contracts.problem.standard_form import StandardForm

HALVINGS = 80
LEVELS = 2000  # of data at which a cut menu's largest root is looked for


class Played(NamedTuple):
    """What an option gives, profile by profile, each of shape (profiles,)."""

    launched: np.ndarray
    data: np.ndarray
    worth: np.ndarray
    trained: np.ndarray
    total: np.ndarray


def others(form: StandardForm) -> tuple[np.ndarray, np.ndarray]:
    """All counts of options that others of a participant may sign, any number of them, with probabilities.

    Those are of everybody signing as meant: zero for profiles in which somebody who would come does not sign.
    """
    law = form.worlds[0].laws[0].others()
    counts, likely = listed(form, law)
    signers = np.unique(counts.sum(axis=1))
    fewer = [_compositions(n, form.rows) for n in range(law.most) if n not in signers]
    return np.concatenate([counts, *fewer]), np.r_[likely, np.zeros(sum(map(len, fewer)))]


def everybody(form: StandardForm, clause: Clause) -> tuple[float, float]:
    """Expected value and accuracy of the trained model, all signing as meant."""
    counts, likely = listed(form, form.worlds[0].laws[0])
    total = played(form, clause, counts, 0).total
    plain = form.worlds[0].plain
    return float(likely @ plain.value(total)), float(likely @ plain.accuracy(total))


def listed(form: StandardForm, law: Turnout) -> tuple[np.ndarray, np.ndarray]:
    """All counts of options among so many, all signing as meant, and their probabilities."""
    counts, likely = [], []
    share = form.worlds[0].probabilities / form.worlds[0].probabilities.sum()
    for number, chance in zip(*law.support, strict=True):
        some = _compositions(int(number), form.rows)
        counts.append(some)
        likely.append(chance * stats.multinomial.pmf(some, int(number), share))
    return np.concatenate(counts), np.concatenate(likely)


def _compositions(number: int, parts: int) -> np.ndarray:
    """All ways to write a number as an ordered sum of so many, by the places of bars among stars."""
    places = list(itertools.combinations(range(number + parts - 1), parts - 1))
    bars = np.array(places, dtype=int).reshape(len(places), parts - 1)
    edges = np.c_[np.full(len(bars), -1), bars, np.full(len(bars), number + parts - 1)]
    return np.diff(edges, axis=1) - 1


def played(form: StandardForm, clause: Clause, counts: np.ndarray, option: int) -> Played:
    """What signatures come to for those who signed one option.

    Args:
        form: the standard form.
        clause: the clause.
        counts: of all signatures by option, shape (profiles, rows).
        option: whose outcome is asked for.
    """
    if clause.contingent:
        return _contingent(form, clause, counts, option)
    counts = counts * (clause.contribution[-1] > 0.0)  # who is left out signs nothing
    plain, signers = form.worlds[0].plain, counts.sum(axis=1)
    if clause.kind == "cut":
        return _cut(form, clause, counts, option)
    # A menu holds from its number of signatures on, up to the next menu's.
    later = np.r_[clause.counts[1:], np.iinfo(int).max]
    found = [np.zeros(len(counts)) for _ in range(4)]
    launched = np.zeros(len(counts), dtype=bool)
    for menu in range(clause.counts.size):
        here = (signers >= clause.counts[menu]) & (signers < later[menu])
        launched |= here
        amounts, cap, level = clause.contribution[menu], clause.cap[menu], clause.guarantee[menu]
        if clause.insured:
            total = _insured_total(form, amounts, float(level[-1]), counts[here])
            value = plain.value(total)
            last = option == form.rows - 1
            data = (value - level[-1]) / form.costs[-1] if last else np.full(total.size, amounts[option])
            worth = value if last else np.full(total.size, cap[option])  # promised, come what may
        else:
            total = counts[here] @ amounts
            value = plain.value(total)
            data, worth = np.full(total.size, amounts[option]), np.minimum(value, cap[option])
        for column, values in zip(found, (data, worth, value, total), strict=True):
            column[here] = values
    return Played(launched, *found)


def _contingent(form: StandardForm, clause: Clause, counts: np.ndarray, option: int) -> Played:
    """By the profile itself, of those that are listed."""
    where = {tuple(profile): k for k, profile in enumerate(clause.profiles.tolist())}
    place = np.array([where.get(tuple(row), -1) for row in counts.astype(int).tolist()], dtype=int)
    launched = place >= 0
    amounts = np.where(launched[:, None], clause.contribution[place], 0.0)
    total = (counts * amounts).sum(axis=1)
    worth = np.where(launched, clause.cap[place, option], 0.0)
    return Played(launched, amounts[:, option], worth, form.worlds[0].plain.value(total), total)


def _insured_total(form: StandardForm, amounts: np.ndarray, guarantee: float, counts: np.ndarray) -> np.ndarray:
    """The largest x with x = S + n (V(x) - b) / c: beyond the right end the model can't pay for so much.

    x less the right side is convex and negative (or zero) where the launch is covered, so that one root lies to
    the right of there; where it is nowhere negative no model pays, and nothing is delivered.
    """
    plain, cost = form.worlds[0].plain, float(form.costs[-1])
    fixed, top = counts[:, :-1] @ amounts[:-1], counts[:, -1]
    high = fixed + top * max(plain.largest_value - guarantee, 0.0) / cost
    low = counts.sum(axis=1) * np.r_[amounts[:-1][amounts[:-1] > 0.0], amounts[-1]].min()
    covered = fixed + top * (plain.value(low) - guarantee) / cost - low >= -1e-9 * np.maximum(low, 1.0)
    low, high = np.minimum(low, high), high.astype(float)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        pays = fixed + top * (plain.value(middle) - guarantee) / cost >= middle
        low, high = np.where(pays, middle, low), np.where(pays, high, middle)
    return np.where(covered, np.where(top > 0, 0.5 * (low + high), fixed), 0.0)


def _cut(form: StandardForm, clause: Clause, counts: np.ndarray, option: int) -> Played:
    plain = form.worlds[0].plain
    most, cap, due = clause.contribution[0], clause.cap[0], clause.guarantee[0]

    def asked(x: np.ndarray, k: int) -> np.ndarray:
        return np.clip((np.minimum(plain.value(x), cap[k]) - due[k]) / form.costs[k], 0.0, most[k])

    def delivered(x: np.ndarray) -> np.ndarray:
        return sum((counts[:, k] * asked(x, k) for k in range(form.rows)), start=np.zeros(len(counts)))

    top = counts @ most
    # The largest x that all deliver: the highest level at which they deliver as much, then by halving.
    low, high = np.zeros(len(counts)), top.copy()
    open_ = delivered(top) < top
    low = np.where(open_, low, top)
    shares = np.linspace(1.0, 0.0, LEVELS)[1:]
    for share in shares:
        if not open_.any():
            break
        x = top * share
        reached = open_ & (delivered(x) >= x)
        low, open_ = np.where(reached, x, low), open_ & ~reached
        high = np.where(open_, x, high)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        pays = (delivered(middle) >= middle) & (low < high)
        low, high = np.where(pays, middle, low), np.where(pays, high, middle)
    total = low
    worth = np.minimum(plain.value(total), cap[option])
    launched = (total > 0.0) & (worth >= due[option]) & (most[option] > 0.0)
    data = np.where(launched, asked(total, option), 0.0)
    return Played(launched, data, np.where(launched, worth, 0.0), plain.value(total), total)
