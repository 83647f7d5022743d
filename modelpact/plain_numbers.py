"""Numbers as people read them: few digits, words for the very large, percent for what is a share."""

from __future__ import annotations

import math

import numpy as np

WORDS = ((1e12, "trillion"), (1e9, "billion"))
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def amount(value: float) -> str:
    """A number in about four digits, whole from a thousand on.

    Args:
        value: any finite number.

    >>> [amount(x) for x in (0, 26.75004, 93692.7, 1.5e12, 0.000123, 2e-7, -1e20)]
    ['0', '26.75', '93,693', '1.5 trillion', '0.000123', '2 × 10⁻⁷', '−10²⁰']
    """
    value = float(value)
    size, sign = abs(value), "−" if value < 0 else ""
    if size >= 0.999995e15 or 0 < size < 1e-4:
        digits, exponent = f"{size:.2e}".split("e")
        factor = "" if digits == "1.00" else f"{_trimmed(digits)} × "
        return f"{sign}{factor}10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    for unit, word in WORDS:
        if size >= unit:
            return f"{sign}{_trimmed(f'{size / unit:,.2f}')} {word}"
    if size >= 999.5:
        return f"{sign}{size:,.0f}"
    decimals = 3 - math.floor(math.log10(size)) if size > 0 else 0
    return f"{sign if size else ''}{_trimmed(f'{size:.{max(decimals, 0)}f}')}"


def percent(share: float) -> str:
    """A share as a percentage whose digits tell it from nothing and from all.

    Args:
        share: in [0, 1].

    >>> [percent(x) for x in (0, 0.5, 0.93694, 0.97601, 0.999987, 1 - 1e-12, 1e-12, 1)]
    ['0 %', '50 %', '93.69 %', '97.60 %', '99.9987 %', 'over 99.9999 %', 'under 0.0001 %', '100 %']
    """
    share = min(max(float(share), 0.0), 1.0)
    edge = 100.0 * min(share, 1.0 - share)
    if 0.0 < edge < 1e-4:
        return "under 0.0001 %" if share < 0.5 else "over 99.9999 %"
    decimals = min(max(2 - math.floor(math.log10(edge)), 1), 6) if edge > 0.0 else 0
    digits, short = f"{100.0 * share:.{decimals}f}", f"{100.0 * share:.6g}"
    return f"{_trimmed(digits) if float(short) == float(digits) else digits} %"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `most`, spaced by 1, 2 or 5 times ten to a power.

    >>> [round(x, 2) for x in ticks(0.905, 0.98)]
    [0.92, 0.94, 0.96, 0.98]
    """
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20)):
        whole = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        if whole.size <= most:
            return [float(k) * step for k in whole]
    return []


def logarithmic_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Powers of ten from `low` to `high` (> 0), with 2 and 5 times them where powers are few.

    >>> logarithmic_ticks(10, 900), logarithmic_ticks(1, 1e12)
    ([10.0, 30.0, 100.0, 300.0], [1.0, 1000.0, 1000000.0, 1000000000.0, 1000000000000.0])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [k * 10.0**n for n in range(first, last + 1) for k in factors]
        found = [x for x in found if low * (1 - 1e-9) <= x <= high * (1 + 1e-9)]
        if len(found) <= most:
            return found
    every = math.ceil(len(found) / most)
    return found[::every]


def _trimmed(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
