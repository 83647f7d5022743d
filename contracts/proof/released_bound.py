"""What bounds of launch clauses share: who signs must pay for the data, and no contract beats a bound."""

from __future__ import annotations

import numpy as np
from scipy import stats

from contracts.problem.clause import signatures
from contracts.problem.standard_form import StandardForm
from contracts.proof.gaps import positive_gap
from contracts.proof.soundness import ProofRefused

FALLS = 200


def released_bound(form: StandardForm, served: np.ndarray, due: np.ndarray, number: int) -> float:
    """The expected target at most, if in every profile everybody keeps what it is due.

    With n signatures values n V(x) exceed the cost of all data, x times the least cost of who signed at least,
    by
    what all are due. From above x falls to the largest for which they do.

    Args:
        form: the standard form.
        served: which rows sign, shape (rows,).
        due: what each row is due at least, shape (rows,).
        number: how many sign.
    """
    if number == 0:
        return 0.0
    plain, share = form.worlds[0].plain, form.worlds[0].probabilities[served]
    counts = signatures(number, share.size)
    likely = stats.multinomial.pmf(counts, number, share / share.sum())
    least = np.where(counts > 0, form.costs[served], np.inf).min(axis=1)
    owed = counts @ due[served]
    x = np.maximum(number * plain.largest_value - owed, 0.0) / least
    for _ in range(FALLS):
        x = np.minimum(np.maximum(number * np.asarray(plain.value(x)) - owed, 0.0) / least, x)
    return float(likely @ (plain.value(x) if plain.target_is_value else plain.accuracy(x)))


def left_open(gap: float, form: StandardForm) -> tuple[float | None, str]:
    """A gap; None with the reason where it is no number, or where the contract itself refutes the bound."""
    try:
        return positive_gap(gap, form.worlds[0].plain.largest_target), ""
    except ProofRefused as refused:
        return None, str(refused)
