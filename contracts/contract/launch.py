"""Settling a launch clause: whether a menu is launched, what each option then delivers, and what it receives.

- An insured menu: options below the top deliver fixed amounts, S in all; the n signatories of the top option
  deliver equal amounts M, where M = (V(x) - b) / c for the largest x = S + n M.
- A cut menu: m_k(x) = min(m_k, (min(V(x), cap_k) - due_k) / c_k), for the largest x = sum n_k m_k(x). Between
  the amounts at which options drop out the right side is concave, so that Newton from the right finds it, too.
- A contingent menu: amounts and models are listed, profile by profile.

Source: ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.problem.clause import Clause
from contracts.problem.problem import Problem
from contracts.problem.standard_form import StandardForm, World
from contracts.program.insured_total import insured_total, value_and_slope
from contracts.records import frozen

TURNS = 500
CLOSE = 1e-13  # relative: data that differ by less are the same


@frozen
class Outcome:
    """What becomes of signatures, profile by profile.

    Attributes:
        launched: whether each option is, shape (profiles, options): of a count for all or none, of a cut clause
            options are released one by one.
        data: effective data that each option delivers, 0 where it is released, shape (profiles, options).
        worth: value of the model that it receives, in units of rows, 0 where it is released, the same shape.
        total: effective data trained on, shape (profiles,).
    """

    launched: np.ndarray
    data: np.ndarray
    worth: np.ndarray
    total: np.ndarray


def launched(clause: Clause, form: StandardForm, world: World, counts: np.ndarray) -> Outcome:
    """What becomes of signatures under a clause; `counts` of each row's option, shape (profiles, rows)."""
    if clause.kind == "cut":
        return _cut(clause, form, world.plain, counts)
    if clause.contingent:
        return _contingent(clause, counts)
    counts = counts * clause.served  # nothing is signed by who is left out
    place = clause.menu_at(counts.sum(axis=1))
    data, worth = np.zeros(counts.shape), np.zeros(counts.shape)
    total = np.zeros(counts.shape[0])
    for menu in np.unique(place[place >= 0]):
        here = np.flatnonzero(place == menu)
        terms = clause.contribution[menu], clause.cap[menu], clause.guarantee[menu]
        found = (_insured if clause.insured else _fixed)(terms, form, world.plain, counts[here])
        data[here], worth[here], total[here] = found
    there = (place >= 0)[:, None] & clause.served
    return Outcome(launched=there, data=data, worth=worth, total=total)


def _contingent(clause: Clause, counts: np.ndarray) -> Outcome:
    place = clause.place(counts)
    there = place >= 0
    data = np.where(there[:, None], clause.contribution[place], 0.0)
    return Outcome(
        launched=np.broadcast_to(there[:, None], counts.shape),
        data=data,
        worth=np.where(there[:, None], clause.cap[place], 0.0),
        total=(counts * data).sum(axis=1),
    )


def _fixed(terms: Any, form: StandardForm, plain: Problem, counts: np.ndarray) -> tuple[Any, Any, Any]:  # noqa: ARG001
    contribution, cap, _ = terms
    total = counts @ contribution
    return contribution, np.minimum(plain.value(total)[:, None], cap), total


def _insured(terms: Any, form: StandardForm, plain: Problem, counts: np.ndarray) -> tuple[Any, Any, Any]:
    contribution, cap, guarantee = terms
    fixed, top = counts[:, :-1] @ contribution[:-1], counts[:, -1]
    total = insured_total(plain, fixed, top, float(guarantee[-1]), float(form.costs[-1]))
    value = plain.value(total)
    data = np.broadcast_to(contribution, counts.shape).copy()
    data[:, -1] = (value - guarantee[-1]) / form.costs[-1]
    worth = np.minimum(value[:, None], np.r_[cap[:-1], np.inf])
    return data, worth, total


def _cut(clause: Clause, form: StandardForm, plain: Problem, counts: np.ndarray) -> Outcome:
    most, cap, due = clause.contribution[0], clause.cap[0], clause.guarantee[0]
    total = counts @ most
    going = np.flatnonzero(total > 0.0)
    for _ in range(TURNS):
        if not going.size:
            break
        before = total[going]
        total[going] = _less(clause, form, plain, counts[going], before)
        going = going[before - total[going] > CLOSE * before]
    total[going] = 0.0  # not known to have a root
    worth = np.minimum(plain.value(total)[:, None], cap)
    data = np.clip((worth - due) / form.costs, 0.0, most)
    there = (total > 0.0)[:, None] & (worth >= due) & (most > 0.0)
    return Outcome(
        launched=there, data=np.where(there, data, 0.0), worth=np.where(there, worth, 0.0), total=total
    )


def _less(clause: Clause, form: StandardForm, plain: Problem, counts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A smaller amount, not below the largest root: Newton's where the same options stay, else what x pays."""
    most, cap, due = clause.contribution[0], clause.cap[0], clause.guarantee[0]
    value, slope = value_and_slope(plain, x)
    free = (np.minimum(value[:, None], cap) - due) / form.costs
    paid = np.einsum("nk,nk->n", counts, np.clip(free, 0.0, most))
    bent = (free > 0.0) & (free < most) & (value[:, None] < cap)
    rise = slope * (counts * bent @ (1.0 / form.costs))
    step = (x - paid) / np.where(rise < 1.0, 1.0 - rise, 1.0)
    there = np.maximum(x - np.maximum(step, x - paid), 0.0)
    stay = (np.minimum(plain.value(there)[:, None], cap) > due) == (free > 0.0)
    return np.minimum(np.where((stay | (counts == 0)).all(axis=1) & (there > 0.0), there, paid), x)
