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

import numpy as np

from contracts.contract import Contract
from contracts.contract.verify import verify
from contracts.errors import InvalidInput
from contracts.json_text import write_json
from contracts.problem import Problem
from contracts.problem.scenario import Scenario
from contracts.problem.standard_form import scenario_population
from contracts.proof.certificate import Certificate
from contracts.proof.reached import unit_of
from contracts.records import frozen
from modelpact import report_pictures, report_words
from modelpact.plain_numbers import amount, percent
from modelpact.report_attendance import absence
from modelpact.report_audit import Audit, read_audit
from modelpact.report_data import Check, Facts
from modelpact.report_facts import facts, sensible
from modelpact.terminal import Flag, document, working, writable

if TYPE_CHECKING:
    from jinja2 import Template

SHOWN = 8  # rows of many that are not folded away
TITLE = "Training one model together: what is offered, and why it is fair"
LARGEST_FILE = 2_000_000  # bytes of a contract file that a page carries along
MUST = {
    "individual rationality": "Nobody does worse than by staying alone",
    "incentive compatibility": "Nobody gains by an option meant for others",
    "feasibility": "No model is promised that will not have been trained",
    "limits": "The menu is as was asked for, and nobody owes more data than it has",
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

    The contract is verified first; if it does not hold, the page says so before anything else, and what is not
    proved is not claimed.

    Args:
        contract: a contract, or the path of a contract file, or of `design.json` of a scheme's run.
        title: the heading of the page.
        data: what a datum is called, in the plural, such as "samples".
        currency: what costs and values are counted in, such as "euros"; by default as the problem says.
        audit: the path of `audit.json` in the folder of a scheme that was carried out under this very contract.

    Returns:
        The page and the certificate.

    Raises:
        InvalidInput: no contract, a file that is none, or the audit of another contract.

    >>> from contracts.testing import example_contract
    >>> page = report(example_contract(), data="samples", currency="euros")
    >>> page.certificate.holds, "Checked: everything holds" in page.html
    (True, True)
    """
    for name, text in (("title", title), ("data", data), ("currency", currency)):
        if not isinstance(text, str):
            raise InvalidInput(f"{name} = {text!r:.60}: expected a text")
    stored = None
    if isinstance(contract, str | Path):
        contract, stored = _read(Path(contract))
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract or the path of a contract file")
    audited = None if audit is None else read_audit(audit, contract)
    certificate = verify(contract)
    if stored is None:
        stored = _stored(contract, certificate)
    found = facts(contract, certificate)
    words = {"title": title, "data": data, "currency": currency}
    defaults = {"title": TITLE, "data": "", "currency": ""}
    given = "".join(f" --{name} {shlex.quote(text)}" for name, text in words.items() if text != defaults[name])
    given += " --audit audit.json" if audited else ""
    words["currency"] = currency or contract.problem.currency
    context = _context(found, stored, words["currency"])
    html = _template().render(**words, options_given=given, audit=audited, **context)
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


def _context(found: Facts, stored: bytes | None, currency: str) -> dict[str, Any]:
    contract, kinds, problem = found.contract, found.kinds, found.contract.problem
    caps = [kind.received for kind in kinds if kind.received and kind.value > 0]
    capped = [got.cap for each in caps for got in each if not got.everything]
    alone = [kind.alone_accuracy for kind in kinds if kind.alone_data and kind.alone_accuracy is not None]
    return {
        "contract": contract,
        "certificate": found.certificate,
        "kinds": kinds,
        "outsiders": [kind for kind in kinds if kind.stays],
        "options": found.options,
        "checks": [(check, _must(check, problem), _finding(check, found)) for check in found.checks],
        "together": found.together,
        "sensible": sensible(contract),
        "joint": found.joint,
        "expected_data": found.expected_data,
        "best_alone": max(alone, default=0.0),
        "example_cap": max(capped, default=None),
        "information_cost": found.information_cost,
        "tolerance": found.tolerance,
        "all_gain": all(kind.advantage > found.tolerance for kind in kinds),
        "amounts": report_pictures.amounts(kinds),
        "accuracies": report_pictures.accuracies(kinds),
        "advantages": report_pictures.advantages(kinds),
        "curves": report_pictures.curves(found),
        "file": base64.b64encode(stored).decode() if stored and len(stored) <= LARGEST_FILE else "",
        "fingerprint": hashlib.sha256(stored).hexdigest() if stored else "",
        **_optimum(found, currency),
        **_words(found, currency),
        **_settled(problem),
        **absence(found),
    }


def _optimum(found: Facts, currency: str) -> dict[str, Any]:
    """What is said of all other menus."""
    problem, gap = found.contract.problem, found.certificate.gap
    aim = report_words.aim(problem)
    if gap is None or (not found.certificate.optimal and gap > unit_of(found.contract.form)):
        size = ""  # a bound beyond the best possible model says nothing
    elif aim:
        size = amount(gap)
    elif problem.target_is_value:
        share = percent(gap / max(world.plain.largest_value for world in found.contract.form.worlds))
        of = "value" if found.certain else "expected value"
        size = f"{report_words.money(gap, currency)} of {of}, which is {share} of the best possible model's"
    else:
        size = f"{amount(gap)} of {'' if found.certain else 'expected '}accuracy"
    return {
        "proof": next(check for check in found.checks if check.name == "optimality"),
        "better": "is better in what is maximised" if aim else "makes the joint model better",
        "gap": size,
        "aim": aim,
    }


def _words(found: Facts, currency: str) -> dict[str, Any]:
    """The words that depend on what kind of problem it is."""
    problem, named = found.contract.problem, found.contract.problem.population.named
    doubt, alone = problem.population.doubt, problem.outside.utility is None
    names = report_words.scenarios(problem)
    everywhere = ", in every scenario" if len(names) > 1 else ""
    everywhere += ", at all chances within the doubt stated" if doubt is not None else ""
    return {
        "population": problem.population,
        "who": report_words.who(problem.population),
        "named": named,
        "certain": found.certain,
        "sure": found.contract.clause is not None
        and all(got.worse < 5e-7 for kind in found.kinds for got in kind.received),
        "expected": "" if found.certain else "expected ",
        "least": "least " if doubt is not None else "",
        "on_average": "" if found.certain else " on average",
        "kind_word": "participant" if named else "kind",
        "kind_words": "participants" if named else "kinds",
        "trains_alone": alone,
        "alone": "alone" if alone else "outside",
        "staying": "staying alone" if alone else "staying out",
        "nothing": f"nothing beyond {percent(problem.baseline)}" if problem.baseline else "no model",
        "joining": bool(np.any(problem.outside.joining_cost)),
        "margin": problem.menu.participation_margin,
        "scales_differ": bool(np.ptp(problem.scales) > 0.0),
        "at_worst": doubt is not None and doubt.distance == "total-variation",
        "scenario_names": names,
        "contract_models": [f"accuracy, {name}" if name else "accuracy" for name in names],
        "everywhere": everywhere,
        "conditions": report_words.conditions(problem, currency),
        "taking_part": report_words.taking_part(problem),
        "law": report_words.laws(problem),
        "worth": report_words.worth(problem),
    }


def _settled(problem: Problem) -> dict[str, Any]:
    """An example of who may take part, for settling."""
    counts = typical_counts(problem)
    return {
        "counts": ",".join(map(str, counts)) if len(counts) <= 60 else "",
        "counts_of": _present(counts, problem),
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


def typical_counts(problem: Problem) -> list[int]:
    """As many participants of each type as expected, rounded so that they are as many as may take part.

    In the first scenario, where there are several; of each group the number nearest to its mean, but somebody.
    """
    chosen = problem.scenarios[0] if problem.scenarios else Scenario(weight=1.0)
    population = scenario_population(problem.population, chosen)
    found = np.zeros(population.types, dtype=int)
    for group, law in enumerate(population.laws):
        members = np.flatnonzero(population.group_of == group)
        numbers = law.support[0]
        number = int(numbers[np.argmin(np.abs(numbers - max(float(law.mean), 1.0)))])
        expected = number * population.probabilities[members]
        counts = expected.astype(int)
        order = np.argsort(counts - expected, kind="stable")
        counts[order[: number - counts.sum()]] += 1
        found[members] = counts
    return found.tolist()


def _present(counts: list[int], problem: Problem) -> list[tuple[int, dict[str, str]]]:
    named = zip(counts, problem.population.names or (), strict=True)
    return [(count, {"name": name}) for count, name in named if count]


def _must(check: Check, problem: Problem) -> str:
    if check.name == "individual rationality" and problem.outside.utility is not None:
        return "Nobody who takes part does worse than by staying out"
    if check.name == "optimality" and problem.objective is not None:
        return "No other menu is better in what is maximised by more than a stated gap"
    return MUST[check.name]


def _finding(check: Check, found: Facts) -> str:
    number = check.number
    if check.name == "optimality":
        return _found_of_optimality(found)
    if number is None:
        return ""
    tolerance = found.certificate.tolerance
    shown = "0" if abs(number) <= tolerance else amount(abs(number))
    if check.name == "individual rationality":
        outside = "staying alone" if found.contract.problem.outside.utility is None else "staying out"
        return f"the least gain over {outside} is {'−' if number < -tolerance else ''}{shown}"
    if check.name == "incentive compatibility":
        return f"the most that anybody gains by another option is {shown}"
    return (
        f"the tightest promise falls {shown} short of what can be given"
        if number >= -tolerance
        else f"the boldest promise exceeds what can be given by {shown}"
    )


def _found_of_optimality(found: Facts) -> str:
    certificate, problem = found.certificate, found.contract.problem
    if certificate.gap is None:
        known = certificate.as_solved_gap
        about = f"; known is {amount(known)}, for {certificate.scope}" if known is not None else ""
        return f"{certificate.missing or 'nothing is known of other menus'}{about}"
    if not certificate.optimal and certificate.gap > unit_of(found.contract.form):
        return "how much better another may be is open"
    if problem.objective is not None:
        return f"at most {amount(certificate.gap)} better in what is maximised"
    unit = "value" if problem.target_is_value else "accuracy"
    return f"at most {amount(certificate.gap)} of {'' if found.certain else 'expected '}{unit} better"


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
