"""The commands of contract design: design, verify, settle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelpact import tables
from modelpact.terminal import PICTURES, Flag, document, whisper, working, writable

if TYPE_CHECKING:
    from contracts.contract import Contract
    from contracts.proof.certificate import Certificate


def design(
    problem: Path,
    /,
    *,
    output: Path | None = None,
    plot: Path | None = None,
    solver: Literal["interior-point", "conic"] = "interior-point",
    json: Flag = False,
) -> int:
    """Find the best contract for a problem file, with proof.

    Prints the menu, its certificate and what not knowing the types costs. The menu's columns: the cost of a
    datum and the probability of each type; the data it contributes; the accuracy up to which it receives the
    trained model, and the expected value of that; its gain, value less cost, and the gain it would have alone.

    Parameters
    ----------
    problem
        TOML file with the population (costs, probabilities, participants), the accuracy curve (a family, or
        measurements in a CSV file) and the valuation of models.
    output
        Where to write the contract with its problem, proof and certificate (JSON).
    plot
        Where to draw the contract (.png, .pdf or .svg).
    solver
        The default method, or cvxpy's as a second opinion.
    json
        Print the contract file instead of tables.
    """
    from contracts import design_contract, full_information, verify
    from contracts.storage import write_atomically
    from modelpact.problem_file import read_problem

    stated = read_problem(problem)
    writable(output, keep=problem)
    writable(plot, PICTURES)
    whisper(stated.notes, "note: ")
    with working("designing") as now:
        contract = design_contract(stated.problem, solver=solver)
        now("verifying")
        certificate = verify(contract)
    text = contract.to_json(certificate)
    # Everything is ready before anything is written: an error leaves no file behind.
    picture = _picture(contract, plot.suffix) if plot else None
    if output:
        write_atomically(output, text)
    if plot and picture is not None:
        write_atomically(plot, picture)
    if json:
        print(text, end="")
        return verdict(certificate)
    out = tables.console()
    if stated.fit is not None:
        out.print(f"Learning curve: {stated.fit}\n", markup=False)
    _print_contract(contract)
    with working("solving with types known"):
        known = full_information(stated.problem).objective
    out.print(
        f"If types were known: expected value {known:.6g}; not knowing them costs"
        f" {max(known - contract.objective, 0.0):.4g}.\n",
        markup=False,
    )
    out.print(str(certificate), markup=False)
    for path in (output, plot):
        if path:
            out.print(f"Wrote {path}", markup=False)
    return verdict(certificate)


def verify(contract: Path, /, *, json: Flag = False) -> int:
    """Check a contract file without trusting its author.

    Recomputes every constraint, the expected rewards and the bound on the optimum from the problem alone.
    Exits with 0 only if everything holds; else names what breaks, for whom and by how much.

    Parameters
    ----------
    contract
        A file written by `modelpact design --output`.
    json
        Print the certificate as JSON.
    """
    from contracts import Contract
    from contracts import verify as check

    agreed = Contract.load(contract)
    with working("verifying"):
        certificate = check(agreed)
    if json:
        print(document("certificate", certificate), end="")
        return verdict(certificate)
    tables.console().print(str(certificate), markup=False)
    return verdict(certificate)


def settle(
    contract: Path,
    /,
    *,
    counts: str,
    policy: Literal["capped", "proportional", "lottery"] = "capped",
    seed: int | None = None,
    json: Flag = False,
) -> int:
    """Say who receives which model, given who takes part.

    Parameters
    ----------
    contract
        A file written by `modelpact design --output`.
    counts
        How many participants of each type came, in the order of the types: 3,2,2,2,1.
    policy
        The reward policy that was announced: any model up to a cap, a share of the trained model's value, or
        a lottery for the whole model.
    seed
        Draws the lottery.
    json
        Print the settlement as JSON.
    """
    from contracts import Contract

    agreed = Contract.load(contract)
    settled = agreed.settle(_counts(counts), policy, seed=seed)
    if json:
        print(document("settlement", settled), end="")
        return 0
    out = tables.console()
    out.print(tables.settlement(settled, agreed.contribution))
    out.print(
        f"\nThe model is trained on {settled.total_data:,.6g} data: accuracy {settled.trained_accuracy:.6g},"
        f" value {float(agreed.problem.value(settled.total_data)):,.6g}.",
        markup=False,
    )
    return 0


def _print_contract(contract: Contract) -> None:
    out, problem = tables.console(), contract.problem
    out.print(tables.menu(contract))
    out.print(
        f"\n{problem.population.participants} participants, {problem.belief} belief:"
        f" expected value of the trained model {contract.objective:,.9g},"
        f" expected accuracy {contract.expected_accuracy:.6g}.",
        markup=False,
    )
    if contract.reason:
        out.print(contract.reason, markup=False)


def verdict(certificate: Certificate) -> int:
    """Exit code, and the violations on stderr, one line each."""
    if not certificate.holds:
        whisper(certificate.violations, "modelpact: ")
    return 0 if certificate.holds else 1


def _counts(text: str) -> list[int]:
    from contracts.errors import InvalidInput

    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        raise InvalidInput(
            f"counts = {text!r:.60}: expected whole numbers separated by commas, such as 3,2,2,2,1"
        ) from error


def _picture(contract: Contract, suffix: str) -> bytes:
    from contracts.contract.plots import draw_contract, encode

    return encode(draw_contract(contract), suffix)
