"""What holds of every registered rule's answer whatever f of the n rows are, in a form that can be checked.

A rule with an (f, kappa) bound (`mechanisms.aggregation.bounds`) stays near the honest rows' mean. For the
others no such bound exists: honest rows that are all equal, and rows that still move the answer, are in the
tests. What holds of them is weaker:

* rules that clip to a median length end no farther from the origin than the longest honest row, and centred
  clipping, whose radius is half the median distance to the centre, grows no distance to it more than by a half
  in every step, so that it ends within (3/2)^steps - 1 times the largest honest distance;
* rules around one's own update end within their tolerance of it, and FLTrust no farther from the origin;
* what averages the rows it accepts lies between all the rows', the hostile ones' included: how far these may be
  is then the rule's one limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from contracts.checks import choice
from contracts.errors import InvalidInput
from mechanisms.aggregation.bounds import robustness_bound
from mechanisms.aggregation.registry import find

STATEMENTS = {
    "mean": "|answer - honest mean|^2 <= kappa times the honest rows' mean squared distance to their mean",
    "length": "|answer| <= the longest honest row",
    "center": "|answer - center| <= ((3/2)^steps - 1) times the largest honest distance to it",
    "own": "|answer - own update| <= tolerance |own update|",
    "own length": "|answer| <= |own update|",
    "rows": "no parameter outside zero and the finite rows, hostile ones included",
}
_REGIONS = {
    "norm-clipping": "length",
    "signguard": "length",
    "centered-clipping": "center",
    "acceptance-radius": "own",
    "clipping-radius": "own",
    "fltrust": "own length",
}


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What holds of a rule's answer.

    Attributes:
        rule: its name, as `aggregate` takes it.
        region: where the answer lies, one of `STATEMENTS`.
        kappa: the multiple, if the region is "mean"; else None.
    """

    rule: str
    region: str
    kappa: float | None = None

    def __post_init__(self):
        choice("region", self.region, tuple(STATEMENTS))

    def __str__(self) -> str:
        words = STATEMENTS[self.region]
        return (
            f"{self.rule}: {words}" if self.kappa is None else f"{self.rule}: {words}, kappa = {self.kappa:.4g}"
        )

    def broken_by(
        self,
        answer: Any,
        *,
        honest: Any,
        updates: Any,
        own: Any = None,
        center: Any = None,
        tolerance: float | None = None,
        steps: int = 3,
    ) -> bool:
        """Whether an answer is not what is guaranteed, by more than 64 roundings of the largest honest entry.

        Args:
            answer: what the rule returned, length d.
            honest: the honest rows, (n - f, d).
            updates: all rows, (n, d).
            own: one's own update, for rules around it.
            center: where centred clipping began; None is the origin.
            tolerance: of the rules around one's own update.
            steps: of centred clipping.

        Raises:
            InvalidInput: what the region is stated in is missing.

        >>> rows = [[0.0], [1.0], [1.0], [1e9]]
        >>> guarantee("mean", rows=4, malicious=1).broken_by([2.5e8], honest=rows[:3], updates=rows)
        False
        >>> guarantee("median", rows=4, malicious=1).broken_by([2.5e8], honest=rows[:3], updates=rows)
        True
        """
        result = np.asarray(answer, np.longdouble)
        if not np.isfinite(result).all():
            return True
        good = np.asarray(honest, np.longdouble)
        rounding = _rounding(np.asarray(updates).dtype, good)
        if self.region == "rows":
            return _beyond_rows(result, np.asarray(updates), own, center)
        if self.region == "mean":
            middle = good.mean(axis=0)
            spread = np.sqrt(((good - middle) ** 2).sum() / len(good))
            return bool(_length(result - middle) > np.sqrt(np.longdouble(self.kappa)) * spread + rounding)
        if self.region == "length":
            return bool(_length(result) > max(map(_length, good)) + rounding)
        if self.region == "center":
            start = np.zeros_like(result) if center is None else np.asarray(center, np.longdouble)
            most = (1.5**steps - 1) * max(_length(row - start) for row in good)
            return bool(_length(result - start) > most + rounding)
        if own is None or (self.region == "own" and tolerance is None):
            raise InvalidInput(f"rule {self.rule!r} is judged by one's own update: expected own and tolerance")
        mine = np.asarray(own, np.longdouble)
        if self.region == "own":
            return bool(_length(result - mine) > tolerance * _length(mine) + rounding)
        return bool(_length(result) > _length(mine) + rounding)


def guarantee(rule: str, *, rows: int, malicious: int, size: int | None = None) -> Guarantee:
    """What holds of a registered rule's answer whatever f of the n rows are, its options left out.

    Args:
        rule: a name as `aggregate` takes it. Of a rule registered by its user nothing is known but what its
            composition with mixing, clipping or buckets keeps: an average of rows.
        rows: how many updates there are, n.
        malicious: how many the rule withstands, f < n / 2.
        size: rows a bucket, for "bucketing+".

    Raises:
        InvalidInput: an unknown rule, n or f out of range.

    >>> print(guarantee("trimmed-mean", rows=10, malicious=2).kappa)
    2.6666666666666665
    >>> print(guarantee("norm-clipping", rows=10, malicious=2))
    norm-clipping: |answer| <= the longest honest row
    """
    parts = find(rule)
    kappa = robustness_bound(rule, rows=rows, malicious=malicious, size=size)
    if kappa is not None:
        return Guarantee(rule=rule, region="mean", kappa=kappa)
    region = _REGIONS.get(parts[-1].name, "rows")
    clips = all(part.name in ("adaptive-clipping", "static-clipping") for part in parts[:-1])
    kept = region in ("own", "own length") or (region == "length" and clips)
    return Guarantee(rule=rule, region=region if len(parts) == 1 or kept else "rows")


def _length(row: Any) -> Any:
    return np.sqrt((row * row).sum())


def _rounding(dtype: np.dtype[Any], good: Any) -> Any:
    eps = np.finfo(dtype).eps if dtype.kind == "f" else np.finfo(float).eps
    return 64 * float(eps) * np.abs(good).max() * np.sqrt(np.longdouble(good.shape[1]))


def _beyond_rows(result: Any, updates: Any, own: Any, center: Any) -> bool:
    finite = updates[np.isfinite(updates).all(axis=1)].astype(np.longdouble)
    others = [np.asarray(one, np.longdouble)[None] for one in (own, center) if one is not None]
    known = np.concatenate([finite, np.zeros((1, len(result)), np.longdouble), *others])
    low, high = known.min(axis=0), known.max(axis=0)
    slack = _rounding(updates.dtype, known) / np.sqrt(np.longdouble(len(result)))
    return bool(((result < low - slack) | (result > high + slack)).any())
