"""What a report says of the audit of a scheme that was carried out under a contract (`modelpact run`)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec

from contracts.contract import Contract
from contracts.errors import InvalidInput
from contracts.records import frozen
from modelpact.fingerprint import fingerprint
from modelpact.scheme.report import notes
from modelpact.scheme.stages import FORMAT, digest_of


@frozen
class Outcome:
    """What a replay of a participant gave."""

    utility: float


@frozen
class Came:
    """One who came: what it was promised and what it got; only what was accepted has promises."""

    name: str
    accepted: bool
    refused_because: str
    accuracy: float
    utility: float
    promised_accuracy: float | None = None
    error: float | None = None
    promised_utility: float | None = None
    met: bool | None = None
    alone: Outcome | None = None

    def __post_init__(self) -> None:
        promises = (self.promised_accuracy, self.error, self.promised_utility, self.met)
        if self.accepted and None in promises:
            raise ValueError(f"{self.name} was accepted: expected what it was promised")


@frozen
class Found:
    """The part of an audit that a report shows; `contract` is the fingerprint of what was carried out."""

    participants: list[Came]
    promises_met: bool
    assumptions: dict[str, Any]
    contract: str | None = None
    nothing_offered: str = ""
    edited: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    attacks: dict[str, Any] = dataclasses.field(default_factory=dict)


@frozen
class AuditFile:
    """The record of the stage "audit"."""

    format: str
    stage: str
    result: Found


@frozen
class Audit:
    """An audit as a report shows it.

    Attributes:
        accepted, refused: those who came.
        promises_met: whether everybody accepted received the promised accuracy, within its stated error.
        trained_accuracy: of the joint model, on samples that nothing else had seen.
        notes: where what happened was not what the theory assumes.
    """

    accepted: tuple[Came, ...]
    refused: tuple[Came, ...]
    promises_met: bool
    trained_accuracy: float
    notes: tuple[str, ...]


def read_audit(path: Any, contract: Contract) -> Audit:
    """Read `audit.json` from the folder of a scheme's run.

    Args:
        path: of the file.
        contract: the contract that was carried out.

    Raises:
        InvalidInput: the file is missing, truncated, no audit, or the audit of another contract; the message
            names it and what is wrong.
    """
    try:
        content = Path(path).read_bytes()
        file = msgspec.json.decode(content, type=AuditFile)
        if file.format != FORMAT or file.stage != "audit":
            raise ValueError(
                f"stage = {file.stage!r} of {file.format!r}: expected the audit of {FORMAT!r};"
                " run the scheme again (modelpact run)"
            )
        found = file.result
        told = {"assumptions": found.assumptions, "attacks": found.attacks}
        if found.nothing_offered:
            raise InvalidInput(
                "nothing was offered in this run: expected one in which the contract was carried out"
            )
        _check_contract(found.contract, contract)
        return Audit(
            accepted=tuple(row for row in found.participants if row.accepted),
            refused=tuple(row for row in found.participants if not row.accepted),
            promises_met=found.promises_met,
            trained_accuracy=float(found.assumptions["trained_accuracy"]),
            notes=tuple(notes({**told, "edited": {**found.edited, **_edited(content)}})),
        )
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{path}: not the audit of a scheme: {error}") from error


def _edited(content: bytes) -> dict[str, tuple[str, str]]:
    """The audit itself, where it is not what the run wrote."""
    record = json.loads(content)
    written, found = str(record.get("digest", "")), digest_of({"arrays": None, **record})
    return {} if written == found else {"audit": (written or "no digest", found)}


def _check_contract(stated: str | None, contract: Contract) -> None:
    own = fingerprint(contract)
    if stated is None:
        raise InvalidInput(
            "the audit names no contract: expected one that does; run the scheme again (modelpact run)"
        )
    if stated != own:
        raise InvalidInput(
            f"the audit of another contract (fingerprint {stated[:12]}...): expected that of this one"
            f" ({own[:12]}...)"
        )
