"""The commands of contract design: design, verify, settle."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelpact import tables
from modelpact.table_files import TABLES, menu_columns, settlement_columns, table_bytes, write_table
from modelpact.terminal import PICTURES, Flag, document, whisper, working, writable
from modelpact.verdicts import checked, verdict

if TYPE_CHECKING:
    from contracts.contract import Contract


def design(
    problem: Path,
    /,
    *,
    output: Path | None = None,
    plot: Path | None = None,
    table: Path | None = None,
    solver: Literal["interior-point", "conic"] = "interior-point",
    global_gap: float = 1e-3,
    time_limit: float = 10.0,
    json: Flag = False,
) -> int:
    """Find the best contract for a problem file, with proof.

    Prints the menu, its certificate and what not knowing the types costs. The menu's columns: the cost of a
    datum and the probability of each type; the data it contributes; the accuracy up to which it receives the
    trained model, and the expected value of that; its net value, value less cost, what it has by staying
    out, and by how much the first is better.

    Parameters
    ----------
    problem
        TOML file with the population (costs, probabilities, participants; groups, qualities, capacities, doubt),
        the accuracy curve (a family, or measurements in a CSV file) and the valuation of models; optionally the
        outside option, limits of the menu, the objective and scenarios.
    output
        Where to write the contract with its problem, proof and certificate (JSON).
    plot
        Where to draw the contract (.png, .pdf or .svg).
    table
        Where to write the menu for spreadsheets (.csv or .xlsx), numbers in full.
    solver
        The default method, or cvxpy's as a second opinion.
    global_gap
        How much better another contract may be for all that is proved, as a share of the largest target.
    time_limit
        Seconds that the search for such a proof may take.
    json
        Print the contract file instead of tables.
    """
    from contracts import MeasuredCurve, design_contract
    from contracts.contract.full_information import full_information, is_benchmark
    from contracts.storage import write_atomically
    from modelpact.problem_file import read_problem

    stated = read_problem(problem)
    writable(output, keep=problem)
    writable(plot, PICTURES)
    writable(table, TABLES, keep=problem)
    whisper((*stated.seen, *stated.notes), "note: ")
    with working("designing") as now:
        contract = design_contract(stated.problem, solver=solver, global_gap=global_gap, time_limit=time_limit)
        now("verifying")
        certificate = contract.certificate
    text = contract.to_json(certificate)
    # Everything is ready before anything is written: an error leaves no file behind.
    picture = _picture(contract, plot.suffix) if plot else None
    sheet = table_bytes(table.suffix, menu_columns(contract), sheet="menu") if table else None
    if table and sheet is not None:
        write_atomically(table, sheet)
    if output:
        write_atomically(output, text)
    if plot and picture is not None:
        write_atomically(plot, picture)
    if json:
        print(text, end="")
        return verdict(certificate)
    out = tables.console()
    curve = stated.problem.accuracy
    if isinstance(curve, MeasuredCurve):
        out.print(f"Learning curve: {curve.fitted or curve.posterior}\n", markup=False)
    _print_contract(contract)
    if is_benchmark(stated.problem):
        with working("solving with types known"):
            known = full_information(stated.problem).objective
        out.print(
            f"If types were known: expected value {known:,.6g}; not knowing them costs"
            f" {max(known - contract.objective, 0.0):,.4g}{_unit(contract)}.\n",
            markup=False,
        )
    out.print(str(certificate), markup=False)
    _print_attendance(contract)
    for path in (output, plot, table):
        if path:
            out.print(f"Wrote {path}", markup=False)
    return verdict(certificate)


def verify(contract: Path, /, *, promises: Flag = False, rigorous: Flag = False, json: Flag = False) -> int:
    """Check a contract file without trusting its author.

    Recomputes every constraint, the expected rewards and the bound on the optimum from the problem alone.
    Exits with 0 if every promise holds and optimality is proved; with 1 if a promise is broken, naming what
    breaks, for whom and by how much; with 3 if every promise holds and optimality is not proved.

    Parameters
    ----------
    contract
        A file written by `modelpact design --output`.
    promises
        It is enough that every promise holds.
    rigorous
        Compute with intervals, so that what holds is a theorem about the numbers in the file.
    json
        Print the certificate as JSON.
    """
    from contracts import Contract
    from contracts import verify as check

    agreed = Contract.load(contract)
    with working("verifying"):
        certificate = check(agreed, rigorous=True) if rigorous else agreed.certificate
    if json:
        print(document("certificate", {**vars(certificate), "attendance": _attendance(agreed)}), end="")
    else:
        tables.console().print(str(certificate), markup=False)
        if certificate.holds:
            _print_attendance(agreed)
    return verdict(certificate, promises=promises)


def settle(
    contract: Path,
    /,
    *,
    counts: str,
    policy: Literal["capped", "proportional", "lottery"] = "capped",
    scenario: int = 0,
    seed: int | None = None,
    table: Path | None = None,
    json: Flag = False,
) -> int:
    """Say who receives which model, given who takes part.

    The contract is verified first, and nothing is settled if a promise is broken.

    Parameters
    ----------
    contract
        A file written by `modelpact design --output`.
    counts
        How many participants of each type came, in the order of the types: 3,2,2,2,1; or by name, those left out
        being none: Aachen=1,rural=3. Of a contract with a launch clause, how many signed which option.
    policy
        The reward policy that was announced: any model up to a cap, a share of the trained model's value, or
        a lottery for the whole model.
    scenario
        Which scenario turned out true, from 0.
    seed
        Draws the lottery.
    table
        Where to write the settlement for spreadsheets (.csv or .xlsx), numbers in full.
    json
        Print the settlement as JSON.
    """
    from contracts import Contract

    writable(table, TABLES, keep=contract)
    agreed = Contract.load(contract)
    come = _counts(counts, agreed.problem.population.names or ())
    with working("verifying"):
        certificate = agreed.certificate
    if not certificate.holds:
        return verdict(certificate)
    settled = agreed.settle(come, policy, seed=seed, scenario=scenario)
    if table:
        write_table(table, settlement_columns(settled), sheet="settlement")
    if json:
        verdict(certificate)  # what is not proved is said, and settled nevertheless
        print(document("settlement", settled), end="")
        return 0
    out = tables.console()
    out.print(checked(certificate), markup=False)
    out.print(tables.settlement(settled, agreed.problem.currency))
    if table:
        out.print(f"Wrote {table}", markup=False)
    if not settled.launched:
        out.print("\nReleased: too few signed; nothing is delivered, and no model is given.", markup=False)
        return 0
    out.print(
        f"\nThe model is trained on {settled.total_data:,.6g} data: accuracy {settled.trained_accuracy:.6g}"
        f"{_worth(agreed, settled.total_data)}.",
        markup=False,
    )
    return 0


def _print_attendance(contract: Contract) -> None:
    """What if not everybody comes, in a line, where that is asked of a contract that does something."""
    from contracts.errors import InvalidInput

    if not contract.contribution.any():
        return
    try:
        with working("looking at who may not come"):
            found = str(contract.attendance())
    except InvalidInput:  # too many profiles of signatures
        return
    tables.console().print(found, markup=False)


def _attendance(contract: Contract) -> dict[str, Any] | None:
    """What if not everybody comes, as data; None where that is not asked or has too many profiles."""
    from contracts.errors import InvalidInput

    if not contract.certificate.holds or not contract.contribution.any():
        return None
    try:
        found = contract.attendance()
    except InvalidInput:
        return None
    return {"covering_count": found.covering_count, "critical": found.critical, "text": str(found)}


def _print_contract(contract: Contract) -> None:
    out, problem = tables.console(), contract.problem
    out.print(tables.menu(contract))
    if contract.clause is not None and contract.clause.contingent:
        out.print(
            "Contributions and values are means over who signs, accuracies the highest in any profile.",
            markup=False,
        )
    certain = "" if problem.population.named else "expected "
    out.print(
        f"\n{problem.population.size} participants, {problem.belief} belief:"
        f" {certain}value of the trained model {contract.objective:,.9g}{_unit(contract)},"
        f" {certain}accuracy {contract.expected_accuracy:.6g}.",
        markup=False,
    )
    if problem.objective is not None:
        out.print(f"Maximised: {problem.objective.family}, {contract.reached:,.9g}.", markup=False)
    if contract.reason:
        out.print(contract.reason, markup=False)


def _unit(contract: Contract) -> str:
    return f" {contract.problem.currency}" if contract.problem.currency else ""


def _worth(contract: Contract, data: float) -> str:
    """What the trained model is worth, where that is the same for everybody."""
    if not contract.problem.plain:
        return ""
    return f", value {float(contract.problem.value(data)):,.6g}{_unit(contract)}"


def _counts(text: str, names: Sequence[str]) -> list[int] | dict[str, int]:
    """Participants of each type, by position or by name."""
    from contracts.errors import InvalidInput

    found: dict[str, int] = {}
    try:
        if "=" not in text:
            return [int(word) for word in text.split(",")]
        for pair in text.split(","):
            name, _, number = pair.rpartition("=")
            if name.strip() in found:
                raise InvalidInput(f"counts: {name.strip()!r} is given twice: expected one number for each type")
            found[name.strip()] = int(number)
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(
            f"counts = {text!r:.60}: expected whole numbers separated by commas, such as 3,2,2,2,1"
            " or Aachen=1,rural=3"
        ) from error
    for name in found:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise InvalidInput(f"counts: no type is called {name!r:.60}: {hint}expected {', '.join(names):.200}")
    return found


def _picture(contract: Contract, suffix: str) -> bytes:
    from contracts.contract.plots import draw_contract, encode

    return encode(draw_contract(contract), suffix)
