"""What a report says of those who may not come, and of the words that are signed."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.contract.agreement import agreement
from contracts.contract.attendance import Attendance, attendance
from contracts.errors import InvalidInput
from contracts.records import frozen
from modelpact.report_data import Facts

OFTEN = (0.5, 0.9)  # how likely each other comes, in the table
MOST_KINDS = 60
SURE = 0.995
_MORE = {  # what else of the clause is worth a sentence, by its kind
    "fixed": "",
    "count": " What varies with who signs is how much those owe who find data cheapest; they are paid by the"
    " model.",
    "table": " Another menu holds for each number of signatures; what varies besides is how much those owe"
    " who find"
    " data cheapest.",
    "contingent": " What each owes and receives follows from who signed which option.",
}


@frozen
class Row:
    """One kind: how sure it must be of the others, and what it gains where they come with these probabilities.

    Attributes:
        name: of the kind.
        critical: from which attendance on joining pays for it, in words.
        gains: over staying out, one for each of `OFTEN`.
    """

    name: str
    critical: str
    gains: tuple[float, ...]


def absence(found: Facts) -> dict[str, Any]:
    """What if not everybody comes, and the agreement's sentences, for the template."""
    contract = found.contract
    nothing: dict[str, Any] = {"absence": None, "absence_rows": (), "agreement": (), "clause": contract.clause}
    if not (found.together and found.certificate.holds) or contract.problem.population.types > MOST_KINDS:
        return nothing
    try:
        known = attendance(contract)
        rows = _rows(known, found)
        words = agreement(contract).splitlines() if len(contract.form.worlds) == 1 else ()
    except InvalidInput:  # too many profiles of signatures
        return nothing
    sentences = tuple(line.split(". ", 1)[1] for line in words)
    return nothing | {"absence": _sentence(known), "absence_rows": rows, "agreement": sentences}


def _sentence(known: Attendance) -> str:
    count, clause = known.covering_count, known.terms.clause
    if clause is not None and clause.kind == "cut":
        return (
            "Nobody who signs its own option can lose, whoever else signs: contributions are cut until it"
            " pays. The"
            " fewer sign, the less data each owes, until the model is worth more to it than its data cost."
        )
    if clause is not None and count is not None:
        most = known.terms.world.laws[0].most
        return (
            f"The contract starts once {f'{count} of the {most}' if count < most else f'all {most}'} who may"
            f" sign have"
            " signed, whoever they are. With fewer it does not: all are released, nobody delivers data,"
            " nobody gets a model,"
            " and everybody is where it would be without a contract. Once it starts, everybody who signed"
            " its own"
            " option gets at least what it is promised, however many others sign. So nobody can lose by"
            " signing its"
            f" own option.{_MORE[clause.kind]}"
        )
    if count is None:
        return (
            "Whoever signs may lose if too few others come, or other kinds than expected: no number of"
            " signatures makes"
            " this menu safe. A menu with a launch clause would be."
        )
    return (
        f"With {count} or more signatures, whoever they are, nobody who signed its own option loses."
        f" Released with"
        f" fewer, this menu would be safe to sign: such a launch clause costs nothing."
    )


def _rows(known: Attendance, found: Facts) -> tuple[Row, ...]:
    gains = known.gain(np.array(OFTEN))
    noise = found.tolerance * found.contract.form.relative
    cleared = np.where(np.abs(gains) <= noise, 0.0, gains)
    return tuple(
        Row(name=name, critical=_words(float(known.critical[i])), gains=tuple(cleared[:, i].tolist()))
        for i, name in enumerate(known.names)
        if known.terms.own[i] >= 0
    )


def _words(critical: float) -> str:
    if np.isnan(critical):
        return "never sure"
    if critical == 0.0:
        return "always"
    if critical > SURE:
        return "only if all others are sure to come"
    return f"if each other comes in {100.0 * critical:.0f} of 100 cases or more"
