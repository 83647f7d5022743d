"""The cases of a proof, read from its splits: together they hold every contract, whatever the proof says."""

from __future__ import annotations

import dataclasses

import numpy as np

from contracts.problem.cases import (
    APART,
    BLOCKED,
    REACHABLE,
    SERVED,
    SHARED,
    STAYS,
    Case,
    known_options,
    whole,
)
from contracts.problem.standard_form import StandardForm
from contracts.proof.evidence import BOUNDS, IDLE, LEAF, LINK, PAIR, REACH, SERVICE, Cases
from contracts.proof.soundness import ProofRefused, numbers

NEAR = 1e-9  # of a lot, or of a bound: amounts that differ by less are one


def leaves_of(form: StandardForm, cases: Cases, *, stay: bool) -> list[Case]:
    """The leaves in their order.

    Args:
        form: the standard form.
        cases: the proof.
        stay: whether the proof is about contracts that may leave rows outside of the deal too.

    Raises:
        ProofRefused: the splits form no tree, or split at what there is not.
    """
    kind = np.asarray(cases.kind)
    if kind.ndim != 1 or not np.isin(kind, (LEAF, BOUNDS, LINK, REACH, SERVICE, PAIR, IDLE)).all():
        raise ProofRefused("the proof has splits of no known kind")
    threshold = numbers("thresholds of the proof", cases.threshold, kind.shape)
    index = numbers("splits of the proof", cases.index, kind.shape).astype(int)
    places = np.where((kind == LINK) | (kind == REACH), form.rows - 1, form.rows)
    places = np.where(kind == PAIR, form.rows**2, places)
    if ((kind != LEAF) & ((index < 0) | (index >= places))).any():
        raise ProofRefused("the proof splits at a row that does not exist")
    first, second = np.divmod(index[kind == PAIR], form.rows)
    if (first >= second).any() or (form.group[first] == form.group[second]).any():
        raise ProofRefused("the proof splits at a pair of rows that are not of two groups")
    waiting, found = [whole(form, stay=stay)], []
    for split in range(kind.size):
        if not waiting:
            raise ProofRefused("the cases of the proof form no tree")
        case = waiting.pop()
        if kind[split] == LEAF:
            found.append(case)
            continue
        first, second = _branches(case, int(kind[split]), int(index[split]), float(threshold[split]))
        waiting += [second, first]
    if waiting:
        raise ProofRefused("the cases of the proof form no tree")
    return found


def _branches(case: Case, kind: int, index: int, threshold: float) -> tuple[Case, Case]:
    if kind == BOUNDS:
        high, low = case.high.copy(), case.low.copy()
        high[index], low[index] = min(high[index], threshold), max(low[index], threshold)
        return dataclasses.replace(case, high=high), dataclasses.replace(case, low=low)
    if kind == PAIR:
        pair = divmod(index, case.low.size)
        shared, apart = (*case.shared, pair), (*case.apart, pair)
        return dataclasses.replace(case, shared=shared), dataclasses.replace(case, apart=apart)
    if kind == IDLE:
        idle, high = (*case.idle, index), _with(case.high, index, 0.0)
        return dataclasses.replace(case, idle=idle, high=high), dataclasses.replace(
            case, active=(*case.active, index)
        )
    name, values = {
        LINK: ("link", (SHARED, APART)),
        REACH: ("reach", (REACHABLE, BLOCKED)),
        SERVICE: ("service", (SERVED, STAYS)),
    }[kind]
    first, second = (_with(getattr(case, name), index, value) for value in values)
    return dataclasses.replace(case, **{name: first}), dataclasses.replace(case, **{name: second})


def _with(values: np.ndarray, index: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[index] = value
    return changed


def in_lots(form: StandardForm, case: Case) -> Case:
    """A case whose bounds are moved inwards to whole lots, where contributions are."""
    lot = form.lot
    if lot is None:
        return case
    low = np.ceil(case.low / lot - NEAR) * lot
    with np.errstate(invalid="ignore"):
        high = np.where(np.isfinite(case.high), np.floor(case.high / lot + NEAR) * lot, case.high)
    return dataclasses.replace(case, low=low, high=high)


def too_many_options(form: StandardForm, case: Case, due: np.ndarray) -> bool:
    """Whether a case is known to have more options than are allowed."""
    most = form.problem.menu.options
    return most is not None and known_options(form, case, due) > most
