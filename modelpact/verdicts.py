"""What a certificate comes to on the command line: exit codes, and lines that say why.

Exit codes: 0 every promise holds and no contract is better by more than the gap asked for; 1 a promise is
broken; 3 every promise holds, but optimality is not proved, or measurements speak against the curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelpact.terminal import whisper

if TYPE_CHECKING:
    from contracts.proof.certificate import Certificate

UNPROVED = 3


def verdict(certificate: Certificate, *, promises: bool = False) -> int:
    """The exit code, and why it is not 0 on stderr: violations, one line each, or what is not proved.

    Args:
        certificate: what was found.
        promises: whether it is enough that every promise holds.
    """
    if not certificate.holds:
        whisper(certificate.violations, "modelpact: ")
        return 1
    if certificate.caution:
        whisper([f"every promise holds on the curve, but {certificate.caution}"], "modelpact: ")
        if certificate.optimal:
            return 0 if promises else UNPROVED
    if not certificate.optimal:
        whisper([f"optimality is not proved: {certificate.missing}"], "modelpact: ")
        return 0 if promises else UNPROVED
    return 0


def checked(certificate: Certificate) -> str:
    """What was found, in one line, for commands that verify first."""
    return f"Checked: {certificate.verdict}."
