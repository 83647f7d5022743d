"""The command that carries out a whole scheme: run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelpact import tables
from modelpact.terminal import Flag, document, foretell


def run(
    scheme: Path,
    /,
    *,
    output: Path | None = None,
    draws: int = 1,
    json: Flag = False,
) -> int:
    """Carry out a whole scheme on real data, from the pilot to delivered models, and audit it.

    Measures a learning curve, designs and publishes a menu, lets participants sign and deliver data, checks
    them, trains, settles, delivers models of the promised accuracies, and compares what was promised with
    what came of it. Says first what the data allow and how long it will take. Every stage leaves its file in the
    folder; a run that was stopped, or a scheme that was changed, goes on with the first stage that is not done.
    Exits with 0 only if what was promised holds.

    Parameters
    ----------
    scheme
        TOML file with the data, the population the contract is for, the valuation, and who really comes.
    output
        Folder for the files of the stages; by default the scheme's name with -run, in the current folder.
    draws
        How many times to draw everything: data, pilot and participants. With several, frequencies with
        intervals stand beside what the theory promised.
    json
        Print the audit (and, of several draws, the summary) as JSON instead of tables.
    """
    import json as format_json

    from contracts.checks import integer
    from contracts.storage import write_atomically
    from modelpact.scheme import report
    from modelpact.scheme.draws import run_draws, summarise
    from modelpact.scheme.preflight import Preflight
    from modelpact.scheme.scheme_file import read_scheme

    count = integer("draws", draws, low=1, high=10_000)
    stated = read_scheme(scheme)
    folder = output if output is not None else Path(f"{scheme.stem}-run")

    def announce(found: Preflight) -> None:
        each = "" if count == 1 else f" for each of {count} draws"
        foretell(f"{found}{each}")

    with _progress(count) as on_stage:
        audits = run_draws(stated, folder, draws=count, on_stage=on_stage, on_preflight=announce)
    summary = summarise(stated, audits)
    if count > 1:
        write_atomically(folder / "summary.json", format_json.dumps(summary, indent=1, allow_nan=False) + "\n")
    failures = report.failures(summary)
    if json:
        found = {"folder": str(folder), "audit": audits[0], "summary": summary, "failures": failures}
        print(document("run", found), end="")
        return 1 if failures else 0
    out = tables.console()
    report.show_run(out, folder, audits[0])
    if count > 1:
        report.show_draws(out, summary)
    for failure in failures:
        tables.console(error=True).print(f"modelpact: {failure}", markup=False)
    out.print(f"Every stage's record is in {folder}", markup=False)
    return 1 if failures else 0


class _progress:  # noqa: N801
    """Says on a terminal which stage of which draw is being carried out; silent elsewhere."""

    def __init__(self, draws: int):
        self.draws, self.status = draws, None

    def __enter__(self) -> Callable[[int, Any, bool], None]:
        console = tables.console(error=True)
        if console.is_terminal:
            self.status = console.status("")
            self.status.start()

        def on_stage(draw: int, stage: Any, done: bool) -> None:
            if self.status is not None:
                place = f"draw {draw + 1} of {self.draws}: " if self.draws > 1 else ""
                self.status.update(f"{place}{stage.purpose}")
                if not done and self.draws == 1:
                    console.print(f"{stage.name}: {stage.purpose}", style="dim", markup=False)

        return on_stage

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()
