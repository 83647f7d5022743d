"""What a proof must be made of before anything is concluded from it."""

from __future__ import annotations

from typing import Any

import numpy as np

# What sums of floats are allowed, relative to the sum of their absolute terms: exponentials of up to 700 lose
# three digits of sixteen, and nothing is summed over more than some thousand terms.
ROUNDING = 1e-12
OUTSIDE = 1e-6  # how far outside of its range, relative to the range, a point may lie and be taken for inside


class ProofRefused(Exception):
    """A proof that is none; the message says why."""


def prices(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Prices are finite and nowhere negative; anything else proves nothing."""
    found = numbers(name, values, shape)
    if (found < 0.0).any():
        raise ProofRefused(f"a price is negative ({name})")
    return found


def numbers(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Finite numbers of a shape."""
    found = np.asarray(values, dtype=float)
    if found.shape != shape:
        raise ProofRefused(f"{name} has shape {found.shape}, not {shape}")
    if not np.isfinite(found).all():
        raise ProofRefused(f"{name} holds what is no finite number")
    return found


def inside(name: str, values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A point moved into its range, from which it may differ by rounding only."""
    allowed = OUTSIDE * np.maximum(np.abs(high), np.abs(low))
    if (values < low - allowed).any() or (values > high + allowed).any():
        raise ProofRefused(f"{name} of the proof lies outside of what any contract has")
    return np.clip(values, low, np.maximum(high, low))
