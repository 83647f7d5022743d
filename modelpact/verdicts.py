"""What a certificate comes to on the command line: exit codes, and lines that say why.

Exit codes: 0 every promise holds and no contract is better by more than the gap asked for; 1 a promise is
broken; 3 every promise holds, optimality is not proved.
"""

from __future__ import annotations

from typing import Any

from modelpact.terminal import whisper

UNPROVED = 3


def verdict(certificate: Any, *, promises: bool = False) -> int:
    """The exit code, and why it is not 0 on stderr: violations, one line each, or what is not proved.

    Args:
        certificate: what was found.
        promises: whether it is enough that every promise holds.
    """
    if not certificate.holds:
        whisper(certificate.violations, "modelpact: ")
        return 1
    if not optimal(certificate):
        whisper([f"optimality is not proved: {missing(certificate)}"], "modelpact: ")
        return 0 if promises else UNPROVED
    return 0


def checked(certificate: Any) -> str:
    """What was found, in one line, for commands that verify first."""
    return f"Checked: {certificate.verdict if hasattr(certificate, 'verdict') else _verdict(certificate)}."


# What follows can be attributes of every certificate, and these functions go, once all have them.


def optimal(certificate: Any) -> bool:
    """Whether every promise holds and no contract is better by more than the gap asked for."""
    proved = getattr(certificate, "optimal", None)
    return certificate.holds and _solved_gap(certificate) is not None if proved is None else proved


def missing(certificate: Any) -> str:
    """In one line why optimality is not proved."""
    return getattr(certificate, "missing", "") or "the contract carries no proof"


def gaps(certificate: Any) -> tuple[float | None, float | None]:
    """Bounds on what another contract could add: for the program as solved, and on the true curve."""
    if hasattr(certificate, "gap"):
        solved = certificate.as_solved_gap
        return certificate.gap if solved is None else solved, certificate.gap
    return certificate.optimality_gap, certificate.global_gap


def _solved_gap(certificate: Any) -> float | None:
    return gaps(certificate)[0]


def _verdict(certificate: Any) -> str:
    if not certificate.holds:
        return "DOES NOT HOLD"
    if optimal(certificate):
        return "everything holds"
    return f"every promise holds; optimality not proved: {missing(certificate)}"
