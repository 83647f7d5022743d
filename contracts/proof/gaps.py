"""How much better than a contract others may be, as the parts of its proof say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from contracts.proof.soundness import ProofRefused

REFUTED = 1e-7  # of the unit of the objective: by more no contract beats a bound on all contracts
CONTINUED = "the curve continued below its floor"
SERVING = "contracts that serve everybody"

Part = Callable[
    [], tuple[float, str]
]  # the gap that a part of a proof leaves, and its scope ("" for all contracts)


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


def collected(parts: Iterable[Part], complaints: Iterable[str] = ()) -> Bounded:
    """What the parts of a proof say: what one of them proves stands, whatever is wrong with the others.

    Args:
        parts: in the order in which what they are about is named.
        complaints: made already.
    """
    found, refused = [], list(complaints)
    for part in parts:
        try:
            found.append(part())
        except ProofRefused as refusal:
            refused.append(str(refusal))
    gap = min((gap for gap, scope in found if not scope), default=None)
    first, scope = found[0] if found else (None, "")
    return Bounded(gap, first, scope, tuple(refused))


def both(first: Bounded, second: Bounded) -> Bounded:
    """What two proofs say together; what is named first comes first."""
    gap = min((one.gap for one in (first, second) if one.gap is not None), default=None)
    named = second if first.solved is None else first
    return Bounded(gap, named.solved, named.scope, first.complaints + second.complaints)


def positive_gap(gap: float, top: float, rounding: float = 0.0) -> float:
    """A gap, which nothing but rounding makes negative.

    Raises:
        ProofRefused: it is no number, infinite, or so negative that the contract itself refutes the bound.
    """
    if not gap < np.inf or not np.isfinite(rounding):
        raise ProofRefused("the proof bounds nothing (its numbers are too large)")
    if gap < -(REFUTED * top + rounding):
        raise ProofRefused(f"the proof is refuted: the contract beats its bound by {-gap:.3g}")
    return max(float(gap), 0.0)
