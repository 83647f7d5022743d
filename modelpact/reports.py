"""Reports: a contract as one page that anybody can read, check and print.

The page is a single HTML file. It loads nothing and runs no script; a policy in its head makes the browser
refuse both. The same contract gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.contract import Contract
from contracts.contract.verify import verify
from contracts.errors import InvalidInput
from contracts.json_text import write_json
from contracts.problem import Problem
from contracts.proof.certificate import Certificate
from contracts.records import frozen
from modelpact import report_pictures
from modelpact.plain_numbers import amount, percent
from modelpact.report_audit import Audit, read_audit
from modelpact.report_facts import Check, Facts, facts, sensible
from modelpact.terminal import Flag, document, working, writable

if TYPE_CHECKING:
    from jinja2 import Template

SHOWN = 8  # rows of many that are not folded away
TITLE = "Training one model together: what is offered, and why it is fair"
LOOSE = 0.01  # of the best possible model: a bound above it proves little
LARGEST_FILE = 2_000_000  # bytes of a contract file that a page carries along
MUST = {
    "individual rationality": "Nobody does worse than by staying alone",
    "incentive compatibility": "Nobody gains by an option meant for others",
    "feasibility": "No model is promised that will not have been trained",
    "optimality": "No other menu makes the joint model better by more than a stated gap",
    "stated numbers": "What the contract states is what was recomputed",
}


@frozen
class Report:
    """A page about a contract.

    Attributes:
        html: the page.
        certificate: what `verify` found when it was made; the page says so.
        audit: what the page says of the audit, if there is one.
    """

    html: str
    certificate: Certificate
    audit: Audit | None = None

    def save(self, path: Any) -> None:
        """Write the page to a file, atomically."""
        from contracts.storage import write_atomically

        write_atomically(path, self.html)


def report(
    contract: Contract | str | Path,
    *,
    title: str = TITLE,
    data: str = "",
    currency: str = "",
    audit: str | Path | None = None,
) -> Report:
    """Explain a contract to somebody who is not an economist, on one self-contained page.

    The contract is verified first; if it does not hold, the page says so before anything else.

    Args:
        contract: a contract, or the path of a contract file, or of `design.json` of a scheme's run.
        title: the heading of the page.
        data: what a datum is called, in the plural, such as "samples".
        currency: what costs and values are counted in, such as "euros".
        audit: the path of `audit.json` in the folder of a scheme that was carried out under this contract.

    Returns:
        The page and the certificate.

    Raises:
        InvalidInput: no contract, or a file that is none.

    >>> from contracts.testing import example_contract
    >>> page = report(example_contract(), data="samples", currency="euros")
    >>> page.certificate.holds, "Checked: everything holds" in page.html
    (True, True)
    """
    for name, text in (("title", title), ("data", data), ("currency", currency)):
        if not isinstance(text, str):
            raise InvalidInput(f"{name} = {text!r:.60}: expected a text")
    audited = None if audit is None else read_audit(audit)
    stored = None
    if isinstance(contract, str | Path):
        contract, stored = _read(Path(contract))
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract or the path of a contract file")
    certificate = verify(contract)
    if stored is None:
        stored = _stored(contract, certificate)
    found = facts(contract, certificate)
    words = {"title": title, "data": data, "currency": currency}
    defaults = {"title": TITLE, "data": "", "currency": ""}
    given = "".join(f" --{name} {shlex.quote(text)}" for name, text in words.items() if text != defaults[name])
    given += " --audit audit.json" if audited else ""
    html = _template().render(**words, options_given=given, audit=audited, **_context(found, stored))
    return Report(html=html, certificate=certificate, audit=audited)


def _read(path: Path) -> tuple[Contract, bytes]:
    """A contract and its file; a scheme keeps both in the record of its stage "design"."""
    try:
        record = json.loads(path.read_bytes())
        inside = record["result"]["contract"] if record["stage"] == "design" else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        inside = None
    if inside is None:
        return Contract.load(path), path.read_bytes()
    text = write_json(inside)
    return Contract.from_json(text), text.encode()


def _context(found: Facts, stored: bytes | None) -> dict[str, Any]:
    contract, kinds = found.contract, found.kinds
    problem = contract.problem
    counts, proof = _typical_counts(problem), found.checks[3]
    caps = [o.received.cap for o in found.options if o.received and not o.received.everything and o.value > 0]
    return {
        "contract": contract,
        "certificate": found.certificate,
        "population": problem.population,
        "kinds": kinds,
        "options": found.options,
        "checks": [(check, MUST[check.name], _finding(check, found)) for check in found.checks],
        "proof": proof,
        "loose": proof.number is not None and proof.number > LOOSE * problem.largest_target,
        "together": found.together,
        "sensible": sensible(contract),
        "trained": found.trained,
        "expected_data": found.expected_data,
        "best_alone": max(kind.alone_accuracy for kind in kinds),
        "example_cap": max(caps, default=None),
        "information_cost": found.information_cost,
        "tolerance": found.tolerance,
        "largest_value": problem.largest_value,
        "target_is_value": problem.target_is_value,
        "amounts": report_pictures.amounts(kinds),
        "accuracies": report_pictures.accuracies(kinds),
        "advantages": report_pictures.advantages(kinds),
        "curve": report_pictures.curve(found),
        "belief": BELIEFS[problem.belief],
        "law": _law(problem),
        "worth": _worth(problem),
        "counts": ",".join(map(str, counts)) if len(counts) <= 60 else "",
        "counts_of": _present(counts, problem),
        "file": base64.b64encode(stored).decode() if stored and len(stored) <= LARGEST_FILE else "",
        "fingerprint": hashlib.sha256(stored).hexdigest() if stored else "",
    }


def _stored(contract: Contract, certificate: Certificate) -> bytes | None:
    try:
        return contract.to_json(certificate).encode()
    except InvalidInput:  # the learning curve is a user's function, which no file can hold
        return None


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("modelpact"), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["sample"] = _sample
    environment.filters.update(amount=_unbroken(amount), percent=_unbroken(percent))
    environment.globals.update(shown=SHOWN, style=_style())
    return environment.get_template("report.html")


def _sample(rows: Sequence[Any]) -> list[Any]:
    """A few of many rows, the first and the last among them, evenly spaced."""
    return [rows[round(k * (len(rows) - 1) / (SHOWN - 1))] for k in range(SHOWN)]


def _unbroken(words: Callable[[float], str]) -> Callable[[float], str]:
    """Without a place to break the line between number and unit."""
    return lambda value: words(value).replace(" ", "\N{NO-BREAK SPACE}")


def _style() -> Any:
    from importlib.resources import files

    from markupsafe import Markup

    return Markup((files("modelpact") / "templates" / "report.css").read_text(encoding="utf-8"))


BELIEFS = {
    "interim": "Each participant knows its own kind, and expects the others to be drawn by these chances.",
    "ex-ante": "Each kind reckons with all draws of the participants in which it occurs at least once.",
}


def _law(problem: Problem) -> str:
    curve: Any = problem.accuracy
    top = percent(float(curve.optimum))
    shapes = {
        "power-law": lambda: (
            f"it falls short of {top} by {amount(curve.coefficient)} divided by the number of data to the power"
            f" of {amount(curve.exponent)}"
        ),
        "generalization-bound": lambda: (
            f"it follows the general bound of learning theory, up to {top}, for models of complexity"
            f" {amount(curve.complexity)}"
        ),
        "exponential": lambda: (
            f"it approaches {top}, each datum closing {percent(curve.rate)} of what is missing"
        ),
        "arctan": lambda: f"it approaches {top} and is half of that at {amount(curve.scale)} data",
        "tabulated": lambda: f"it runs through {len(curve.data)} given points, up to {top}",
    }
    return shapes.get(curve.family, lambda: f"it follows a curve of its own, up to {top}")()


def _worth(problem: Problem) -> str:
    valuation: Any = problem.valuation
    perfect = f"a perfect model {amount(valuation.scale)}"
    if valuation.linear:
        return f"{perfect}, any other in proportion to its accuracy"
    return f"{perfect}, and each further step in accuracy less than the one before"


def _typical_counts(problem: Problem) -> list[int]:
    """As many participants of each type as expected, rounded so that they are as many as take part."""
    population = problem.population
    expected = population.participants * population.probabilities
    counts = [int(x) for x in expected]
    by_remainder = sorted(range(len(counts)), key=lambda i: counts[i] - expected[i])
    for k in range(population.participants - sum(counts)):
        counts[by_remainder[k % len(counts)]] += 1
    return counts


def _present(counts: list[int], problem: Problem) -> list[tuple[int, dict[str, str]]]:
    named = zip(counts, problem.population.names or (), strict=True)
    return [(count, {"name": name}) for count, name in named if count]


def _finding(check: Check, found: Facts) -> str:
    number = check.number
    if number is None:
        return ""
    tolerance = found.certificate.tolerance
    shown = "0" if abs(number) <= tolerance else amount(abs(number))
    if check.name == "individual rationality":
        return f"the least gain over staying alone is {'−' if number < -tolerance else ''}{shown}"
    if check.name == "incentive compatibility":
        return f"the most that anybody gains by another option is {shown}"
    if check.name == "feasibility":
        return (
            f"the tightest promise falls {shown} short of what can be given"
            if number >= -tolerance
            else f"the boldest promise exceeds what can be given by {shown}"
        )
    unit = "expected value" if found.contract.problem.target_is_value else "expected accuracy"
    return f"at most {amount(number)} of {unit} better"


def report_command(
    contract: Path,
    /,
    *,
    output: Path = Path("report.html"),
    title: str = TITLE,
    data: str = "",
    currency: str = "",
    audit: Path | None = None,
    json: Flag = False,
) -> int:
    """Explain a contract on one page for everybody: what is offered, why it is fair, how to check it.

    The page loads nothing and can be mailed, printed and read on a phone. The contract is verified first: if a
    promise is broken no page is written. Exits with 0 only if every promise holds and was kept; what is not
    proved, or was not kept, the page says.

    Parameters
    ----------
    contract
        A file written by `modelpact design --output`, or `design.json` in the folder of `modelpact run`.
    output
        Where to write the page (HTML).
    title
        Its heading.
    data
        What a datum is called, in the plural: samples.
    currency
        What costs and values are counted in: euros.
    audit
        The file audit.json of a scheme that was carried out under this contract, to be told of, too.
    json
        Print where the page is and the certificate as JSON.
    """
    from modelpact import tables, verdicts

    writable(output, (".html", ".htm"), keep=contract)
    with working("verifying and writing"):
        page = report(contract, title=title, data=data, currency=currency, audit=audit)
    if not page.certificate.holds:
        return verdicts.verdict(page.certificate)
    page.save(output)
    if json:
        print(document("report", {"output": str(output), "certificate": page.certificate}), end="")
    else:
        out = tables.console()
        out.print(verdicts.checked(page.certificate), markup=False)
        out.print(f"Wrote {output}", markup=False)
    kept = page.audit is None or page.audit.promises_met
    return verdicts.verdict(page.certificate, promises=True) or int(not kept)
