"""The commands of contract design: design, verify, settle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from modelpact import tables

if TYPE_CHECKING:
    from contracts.contract import Contract
    from contracts.verify import Certificate


def design(
    problem: Path,
    /,
    *,
    output: Path | None = None,
    plot: Path | None = None,
    solver: Literal["interior-point", "conic"] = "interior-point",
    json: Annotated[bool, Parameter(negative="")] = False,
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
    writable(plot, (".png", ".pdf", ".svg"))
    whispers = tables.console(error=True)
    for note in stated.notes:
        whispers.print(f"note: {note}", markup=False)
    contract = design_contract(stated.problem, solver=solver)
    certificate = verify(contract)
    text = contract.to_json(certificate)
    # Everything is ready before anything is written: an error leaves no file behind.
    picture = _picture(contract, plot.suffix) if plot else None
    if output:
        write_atomically(output, text)
    if plot and picture is not None:
        write_atomically(plot, picture)
    if json:
        print(text)
        return 0 if certificate.holds else 1
    out = tables.console()
    if stated.fit is not None:
        out.print(f"Learning curve: {stated.fit}\n", markup=False)
    _print_contract(contract)
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


def verify(contract: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
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

    certificate = check(Contract.load(contract))
    if json:
        print(_certificate_json(certificate))
        return 0 if certificate.holds else 1
    tables.console().print(str(certificate), markup=False)
    return verdict(certificate)


def settle(
    contract: Path,
    /,
    *,
    counts: str,
    policy: Literal["capped", "proportional", "lottery"] = "capped",
    seed: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
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
        import msgspec

        columns = ("counts", "total_data", "trained_accuracy", "accuracy", "value", "utility", "names")
        chosen = {name: getattr(settled, name) for name in columns}
        print(msgspec.json.encode(chosen, enc_hook=lambda array: array.tolist()).decode())
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
        whispers = tables.console(error=True)
        for violation in certificate.violations:
            whispers.print(f"modelpact: {violation}", markup=False)
    return 0 if certificate.holds else 1


def _certificate_json(certificate: Certificate) -> str:
    import dataclasses

    import msgspec

    fields = {f.name: getattr(certificate, f.name) for f in dataclasses.fields(certificate)}
    return msgspec.json.encode(fields, enc_hook=lambda array: array.tolist()).decode()


def _counts(text: str) -> list[int]:
    from contracts.errors import InvalidInput

    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        raise InvalidInput(
            f"counts = {text!r:.60}: expected whole numbers separated by commas, such as 3,2,2,2,1"
        ) from error


def writable(path: Path | None, suffixes: tuple[str, ...] = (), keep: Path | None = None) -> None:
    """Refuse a target that could not be written, before any work is done."""
    from contracts.errors import InvalidInput

    if path is None:
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise InvalidInput(f"cannot write {path}: expected a name that ends in {' or '.join(suffixes)}")
    same = keep is not None and keep.exists() and path.exists() and path.samefile(keep)
    if same or path.is_dir() or not path.parent.is_dir():
        what = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        what = "it is the problem itself" if same else what
        raise InvalidInput(f"cannot write {path}: {what}")


def _picture(contract: Contract, suffix: str) -> bytes:
    from contracts.plots import draw_contract, encode

    return encode(draw_contract(contract), suffix)
