"""The words of an agreement: what a signatory owes and receives, generated from the contract.

Whatever follows from the signatures is said as a rule, with the numbers by which anybody can compute it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.contract.terms import Terms
from contracts.errors import InvalidInput
from contracts.problem.clause import Clause

if TYPE_CHECKING:
    from contracts.contract.contract import Contract


def agreement(contract: Contract) -> str:
    """A contract as numbered sentences, for those who sign it.

    Args:
        contract: a contract of one scenario.

    Raises:
        InvalidInput: the contract is for several scenarios, or asks nobody for anything.

    >>> from contracts import launch_from
    >>> from contracts.testing import example_contract
    >>> print(agreement(launch_from(example_contract())).splitlines()[-3])
    7. If fewer than 6 sign, all are released and nothing is delivered. There is no second call.
    """
    if len(contract.form.worlds) > 1:
        raise InvalidInput("contract: expected one scenario; with several, what is owed is said for each")
    terms = Terms.of(contract)
    if not terms.options:
        raise InvalidInput("contract: it asks nothing and gives nothing")
    sentences = [
        "Each signatory names one option; signatures are tied to identities, one for each.",
        *_options(contract, terms),
        *_clause(contract),
        "The joint model is trained on all data delivered. A signatory whose option has a limit receives a"
        " model up"
        " to that accuracy, the others the whole model; nobody receives a better one than is trained.",
        "Amounts follow from the published curve alone, not from the accuracy that is measured afterwards.",
    ]
    return "\n".join(f"{k}. {sentence}" for k, sentence in enumerate(sentences, start=1))


def _options(contract: Contract, terms: Terms) -> list[str]:
    clause, names = contract.clause, contract.problem.population.names or ()
    first = [int(np.flatnonzero(terms.own == k)[0]) for k in range(terms.options) if (terms.own == k).any()]
    if clause is not None and clause.contingent:
        return [_by_profile(contract, clause, i, names[i]) for i in first]
    if clause is not None and clause.kind == "table":
        menus = [_listed(contract, clause, menu, first) for menu in range(clause.counts.size)]
        return [f"{numbers}:{menu}" for numbers, menu in _runs(clause, menus)]
    return [_option(contract, clause, 0, i, names[i]) for i in first]


def _listed(contract: Contract, clause: Clause, menu: int, first: list[int]) -> str:
    names = contract.problem.population.names or ()
    each = [_option(contract, clause, menu, i, names[i]).removesuffix(".") for i in first]
    return " " + "; ".join(each) + "."


def _option(contract: Contract, clause: Clause | None, menu: int, i: int, name: str) -> str:
    form, row = contract.form, int(contract.form.row[i])
    if clause is None:
        amount, cap = float(contract.contribution[i]), float(contract.rewards("capped").levels[i])
    else:
        amount = float(clause.contribution[menu, row] / form.effective[i])
        cap = float(clause.cap[menu, row] * form.relative[i])
    plain = form.worlds[0].plain
    whole = not cap < plain.largest_value * form.relative[i] * (1.0 - 1e-12)
    received = "the whole model"
    if not whole:
        accuracy = contract.problem.baseline + float(plain.valuation.inverse(cap / form.relative[i]))
        received = f"the model up to an accuracy of {accuracy:.6g}"
    if clause is not None and clause.insured and row == form.rows - 1:
        return f"Option “{name}”: deliver an equal share, as said below, and receive {received}."
    most = "at most " if clause is not None and clause.kind == "cut" else ""
    return f"Option “{name}”: deliver {most}{amount:,.6g} data and receive {received}."


def _by_profile(contract: Contract, clause: Clause, i: int, name: str) -> str:
    """An option whose amounts follow from all signatures: within which bounds they are if everybody signs."""
    form, row = contract.form, int(contract.form.row[i])
    here = (clause.profiles[:, row] > 0) & (clause.profiles.sum(axis=1) == clause.counts[-1])
    amounts = clause.contribution[here, row] / form.effective[i]
    values = clause.cap[here, row]
    accuracy = contract.problem.baseline + form.worlds[0].plain.valuation.inverse(values)
    return (
        f"Option “{name}”: deliver the data, and receive the model up to the accuracy, that the table of"
        f" profiles"
        f" says for the signatures of all; with {clause.counts[-1]} signatures {amounts.min():,.6g} to"
        f" {amounts.max():,.6g} data, and an accuracy of {accuracy.min():.6g} to {accuracy.max():.6g}."
    )


def _clause(contract: Contract) -> list[str]:
    clause = contract.clause
    if clause is None:
        return ["Amounts are owed whoever else signs."]
    if clause.kind == "cut":
        return [
            "Contributions are cut, never raised, until the model pays for them: each delivers no more than"
            " makes the"
            f" model that it receives worth its data by what it is due: {_dues(contract)}.",
            "An option whose model would be worth less than that is released. If nothing is left, all are.",
        ]
    found = [
        f"If fewer than {clause.launch_count} sign, all are released and nothing is delivered. There is no"
        f" second"
        " call."
    ]
    if clause.contingent:
        return [
            *found,
            f"The table of profiles is part of this agreement: {len(clause.profiles)} profiles of"
            f" signatures, in the"
            f" contract's file. In each of them every option is worth what it is due at least:"
            f" {_dues(contract)}.",
        ]
    if clause.insured:
        last = int(np.flatnonzero(contract.form.row == contract.form.rows - 1)[0])
        top = (contract.problem.population.names or ())[last]
        cost = float(contract.form.costs[-1])
        guarantees = _by_menu(clause, clause.guarantee[:, -1])
        found.append(
            f"Signatories of option “{top}” deliver equal amounts M. M and all data x follow from the"
            f" published curve:"
            f" M = (V(x) - b) / {cost:.6g}, with V the value of a model by the published curve and b ="
            f" {guarantees}; x is what the other options deliver, plus M for each of these signatories; of"
            f" several"
            " solutions the largest holds. Fixed amounts are delivered first, M last."
        )
    return found


def _by_menu(clause: Clause, values: Any) -> str:
    runs = _runs(clause, [f"{value:.6g}" for value in values])
    return runs[0][1] if len(runs) == 1 else ", ".join(f"{value} {numbers.lower()}" for numbers, value in runs)


def _runs(clause: Clause, texts: list[str]) -> list[tuple[str, str]]:
    """Numbers of signatures, in words, with what is the same for them."""
    found: list[tuple[int, int, str]] = []
    for number, text in zip(clause.counts.tolist(), texts, strict=True):
        if found and found[-1][2] == text:
            found[-1] = (found[-1][0], number, text)
        else:
            found.append((number, number, text))
    return [(f"With {a} signatures" if a == b else f"With {a} to {b} signatures", text) for a, b, text in found]


def _dues(contract: Contract) -> str:
    names, rows = contract.problem.population.names or (), contract.form.row
    assert contract.clause is not None
    due = contract.clause.guarantee[0][rows] * contract.form.relative
    return ", ".join(f"{due[i]:.6g} for option “{names[i]}”" for i in range(rows.size))
