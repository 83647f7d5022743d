"""Write a problem file with comments, from flags or from answers to a dozen questions."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Any

from contracts import checks
from contracts.errors import InvalidInput
from contracts.records import frozen
from modelpact.terminal import Flag, document, whisper, writable

Ask = Callable[[str], str]


@frozen
class Question:
    """One question, and where its answer goes.

    Attributes:
        flag: the flag that answers it, and the name by which it is complained about.
        table: the table of the problem file.
        key: the key in this table.
        text: the question.
        kind: "number", "numbers", "name" or "names".
        comment: what the file says beside the answer.
        otherwise: the answer of somebody who only presses Enter; None where one must be given, "" where the key
            is then left out.
    """

    flag: str
    table: str
    key: str
    text: str
    kind: str
    comment: str
    otherwise: str | None = ""


QUESTIONS = (
    Question(
        flag="names", table="population", key="names", kind="names", otherwise=None, comment="who may take part",
        text="Who may take part? Names of participants or of kinds of them, separated by commas",
    ),
    Question(
        flag="participants", table="population", key="participants", kind="number-or-named", otherwise="named",
        text="How many will join? A number, or 'named' if everybody just listed takes part, once",
        comment="or a number of participants, each of one of these types",
    ),
    Question(
        flag="costs", table="population", key="costs", kind="numbers", otherwise=None,
        text="What does one datum (a record, an image) cost each of them, effort and consent included?",
        comment="of one datum, in the currency",
    ),
    Question(
        flag="probabilities", table="population", key="probabilities", kind="numbers",
        text="How likely is each type? Shares that sum to 1 (Enter: all alike)",
        comment="how likely a participant is of each type",
    ),
    Question(
        flag="capacities", table="population", key="capacities", kind="numbers",
        text="How many data does each have at most? (Enter: any number)",
        comment="the most data that each has",
    ),
    Question(
        flag="measurements", table="accuracy", key="measurements", kind="name",
        text="A CSV file with measured accuracies (columns data, accuracy)? (Enter: none yet)",
        comment="what a pilot measured: data, accuracy, perhaps standard_error",
    ),
    Question(
        flag="baseline", table="accuracy", key="baseline", kind="number", otherwise="0",
        text="What accuracy has a guess without any data (0.5 for a coin, the share of the largest class)?",
        comment="what a guess reaches; models are worth what they add",
    ),
    Question(
        flag="scale", table="valuation", key="scale", kind="number", otherwise=None,
        text="What would a faultless model be worth to a participant?",
        comment="of a faultless model: accuracy is worth its share of this",
    ),
    Question(
        flag="currency", table="", key="currency", kind="name", text="In which currency? (Enter: none)",
        comment="of costs and values",
    ),
    Question(
        flag="options", table="menu", key="options", kind="number",
        text="How many versions of the model can be kept at most? (Enter: any number)",
        comment="versions of the model that can be kept",
    ),
    Question(
        flag="lot", table="menu", key="lot", kind="number",
        text="Do data come in lots of a certain size? (Enter: no)", comment="data come in boxes of so many",
    ),
)  # fmt: skip
ASSUMED = """# No measurements yet: this curve is assumed. Measure a few small models, put the accuracies into a
# CSV file, and replace the four lines below by: family = "measured" and measurements = "curve.csv"
family = "power-law"                     # accuracy = optimum - coefficient * data^-exponent
optimum = 0.95
coefficient = 2.0
exponent = 0.4"""


def problem_text(answers: dict[str, str]) -> str:
    """The problem file that answers make.

    Args:
        answers: by flag, as typed; left out or "" where there is none.

    Raises:
        InvalidInput: naming the flag, what was typed and what is accepted.

    >>> text = problem_text({"names": "small, large", "costs": "0.2,0.1", "participants": "10", "scale": "100"})
    >>> print(text.splitlines()[3])
    names = ["small", "large"]  # who may take part
    """
    given = {question.flag: _read(question, answers.get(question.flag) or "") for question in QUESTIONS}
    names, named = given["names"], given["participants"] == "named"
    for flag in ("costs", "probabilities", "capacities"):
        if given[flag] is not None and len(given[flag]) != len(names):
            raise InvalidInput(
                f"--{flag} has {len(given[flag])} numbers: expected {len(names)}, one for each name"
            )
    if named and given["probabilities"] is not None:
        raise InvalidInput("--probabilities: expected none where everybody listed takes part")
    if not named and given["probabilities"] is None:
        given["probabilities"] = [1.0 / len(names)] * len(names)
    lines = ["# A problem for modelpact. Look at it with `modelpact check`, then `modelpact design`."]
    lines += _lines("", given)
    for table in ("population", "accuracy", "valuation", "menu"):
        inside = _lines(table, given)
        if table == "accuracy":
            inside[:0] = ['family = "measured"'] if given["measurements"] else ASSUMED.splitlines()
        if table == "valuation":
            inside.insert(0, 'family = "linear"')
        lines += ["", f"[{table}]", *inside] if inside else []
    return "\n".join(lines) + "\n"


def _lines(table: str, given: dict[str, Any]) -> list[str]:
    found = [(q, given[q.flag]) for q in QUESTIONS if q.table == table and given[q.flag] is not None]
    return [f"{q.key} = {_toml(value)}  # {q.comment}" for q, value in found]


def _toml(value: Any) -> str:
    if isinstance(value, str | list) and not (isinstance(value, list) and isinstance(value[0], float)):
        return dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _read(question: Question, typed: str) -> Any:
    """What somebody typed, as its kind; None where nothing was, and nothing is needed."""
    typed = typed.strip() or (question.otherwise or "")
    if not typed:
        if question.otherwise is None:
            raise InvalidInput(f"--{question.flag}: {question.text}")
        return None
    parts = [part.strip() for part in typed.split(",")]
    if question.kind == "name":
        return checks.visible(typed)
    if question.kind == "names":
        return [checks.visible(part) for part in parts]
    if question.kind == "number-or-named" and typed == "named":
        return typed
    numbers = [_number(question.flag, part) for part in parts]
    if question.kind == "numbers":
        return numbers
    if len(numbers) > 1:
        raise InvalidInput(f"--{question.flag} = {typed}: expected one number, with a point for decimals")
    return numbers[0]


def _number(flag: str, typed: str) -> float:
    try:
        return checks.number(f"--{flag}", float(typed))
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"--{flag} = {typed!r:.60}: expected a number, with a point for decimals") from error


def interview(answers: dict[str, str], ask: Ask) -> dict[str, str]:
    """Ask what flags did not answer, again and again until each answer can be read.

    Args:
        answers: by flag, what was answered already.
        ask: prints a question and returns what is typed.
    """
    told = dict(answers)
    for question in QUESTIONS:
        while question.flag not in told:
            if question.flag == "probabilities" and told["participants"] in ("", "named"):
                break
            preset = f" [{question.otherwise}]" if question.otherwise else ""
            typed = ask(f"{question.text}{preset}: ")
            try:
                _read(question, typed)
            except InvalidInput as error:
                whisper([str(error)])
                continue
            told[question.flag] = typed
    return told


def new(
    output: Path,
    /,
    *,
    names: str | None = None,
    participants: str | None = None,
    costs: str | None = None,
    probabilities: str | None = None,
    capacities: str | None = None,
    measurements: str | None = None,
    baseline: str | None = None,
    scale: str | None = None,
    currency: str | None = None,
    options: str | None = None,
    lot: str | None = None,
    json: Flag = False,
) -> int:
    """Write a problem file with comments, to be designed for: from flags, or from answers to a dozen questions.

    Asks for what no flag says where somebody sits at the terminal; elsewhere names what is missing. What it
    writes can be read by `modelpact design`, or nothing is written.

    Parameters
    ----------
    output
        The problem file to write (.toml); it must not exist.
    names
        Who may take part: names of participants, or of kinds of them, separated by commas.
    participants
        How many join, or "named": everybody listed takes part, once.
    costs
        What a datum costs each, separated by commas.
    probabilities
        How likely each type is; all alike without it.
    capacities
        The most data that each has.
    measurements
        A CSV file with measured accuracies, beside the problem file; a curve is assumed without it.
    baseline
        The accuracy of a guess without data.
    scale
        What a faultless model is worth.
    currency
        Of costs and values.
    options
        How many versions of the model can be kept at most.
    lot
        The size of the lots in which data come.
    json
        Print one JSON document instead.
    """
    from contracts.storage import write_atomically
    from modelpact.problem_file import read_problem

    writable(output, (".toml",))
    if output.exists():
        raise InvalidInput(f"{output} exists: expected the name of a new file")
    typed = (
        names, participants, costs, probabilities, capacities, measurements,
        baseline, scale, currency, options, lot,
    )  # fmt: skip
    given = {q.flag: value for q, value in zip(QUESTIONS, typed, strict=True) if value is not None}
    text = problem_text(interview(given, input) if sys.stdin.isatty() else given)
    with tempfile.NamedTemporaryFile("w", dir=output.parent, suffix=".toml", encoding="utf-8") as trial:
        trial.write(text)
        trial.flush()
        try:
            read_problem(trial.name)
        except InvalidInput as error:
            raise InvalidInput(str(error).removeprefix(f"{trial.name}: ")) from error
    write_atomically(output, text)
    if json:
        print(document("new", {"output": str(output), "text": text}), end="")
    else:
        print(f"Wrote {output}; next: modelpact check {output}, then modelpact design {output}")
    return 0
