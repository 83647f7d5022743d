"""The command line: what a command is called, and what becomes of errors.

Commands are functions elsewhere, imported when called, so that `--help` answers at once. A command returns
its exit code: 0 if everything holds, 1 if something does not, 3 if only optimality is not proved. Bad input ends
with code 2 and one line on stderr.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from contracts.errors import BackendMissing, InvalidInput, ModelpactError
from modelpact.installed import installed_version

#: Where each command is, and what it does.
COMMANDS = {
    "new": ("new:new", "Write a problem file, from flags or answers to a dozen questions."),
    "check": ("check:check_command", "Say what a problem file says, and what looks wrong in it."),
    "fit": ("fit:fit", "Say what measurements tell of a learning curve, and what one more would."),
    "design": ("commands:design", "Find the best contract for a problem file, with proof."),
    "verify": ("commands:verify", "Check a contract file; say what breaks, for whom, by how much."),
    "settle": ("commands:settle", "Say who receives which model, given who takes part."),
    "report": ("reports:report_command", "Explain a contract on one page, for whoever is to sign."),
    "compare": ("compare:compare_command", "Set two contracts side by side: what changes for whom."),
    "sensitivity": ("sensitivity_command:sensitivity_command", "Say on which numbers the best contract hangs."),
    "sweep": ("sweep_file:sweep_command", "Design contracts for a whole range of problems."),
    "play": ("play:play", "Play a participation game: who leaves, and which coalitions hold."),
    "conflict": ("conflict:conflict", "Measure what robust aggregation costs in learning."),
    "run": ("run:run", "Carry out a whole scheme on real data, and audit it."),
    "catalogue": ("catalogue:catalogue", "List the problems of the papers, print one, check its numbers."),
}
EXIT_CODES = (
    "Exit codes: 0 everything holds, 1 something does not, 2 bad input (nothing is written),"
    " 3 every promise holds, but optimality is not proved."
)
SESSION = """A first session; every command explains itself with --help:

```
# a published problem, to be edited; the best menu with its proof
modelpact catalogue S1 --output problem.toml
modelpact design problem.toml --output contract.json
# checked by whoever is to sign it; then: who receives which model
modelpact verify contract.json
modelpact settle contract.json --counts 2,2,2,2,2
# data of different quality: who would leave, and why
modelpact catalogue harmonic-quality --output game.toml
modelpact play game.toml
```

Add --json to any command for one JSON document on stdout; notes and errors go to stderr, a line each."""

app = App(
    name="modelpact",
    help="""Contracts for collaborative machine learning in which models are the pay.

    A coordinator states who might take part and what data cost them; **design** finds the best menu of
    (data to contribute, model received) and proves it; **fit** says what is known of the learning curve;
    **verify** checks such a menu without trusting its author, **settle** says who receives which model once the
    participants are known; **report** explains it all to whoever is to sign; **sweep** does it for thousands of
    problems. **play** asks whether participants whose data differ in quality will come, and stay; **conflict**
    what robust aggregation costs. **run** carries a whole scheme out on real data, from a pilot to delivered
    models, and audits it. **catalogue** has the papers' problems, with their numbers.
    """,
    help_format="markdown",
    help_epilogue=f"{SESSION}\n\n{EXIT_CODES}",
    version=installed_version,
    suppress_keyboard_interrupt=False,
)
for _name, (_place, _help) in COMMANDS.items():
    app.command(f"modelpact.{_place}", name=_name, help=_help, help_epilogue=EXIT_CODES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: the words after `modelpact`; by default those of the process.

    >>> main(["settle", "nowhere.json", "--counts", "1,1"])
    2
    """
    _print_anything()
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except (InvalidInput, BackendMissing, CycloptsError) as error:
        return _complain(error, 2)
    except ModelpactError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try to write again
        # the reader of a pipe, such as `head`, has seen enough
        return 0 if isinstance(error, BrokenPipeError) else _complain(f"cannot print: {error.strerror}", 1)
    return code if isinstance(code, int) else 0


def _complain(error: object, code: int) -> int:
    print("modelpact:", " ".join(str(error).split()), file=sys.stderr)
    return code


def _print_anything() -> None:
    """Where the terminal's encoding lacks a character, print its code; where a stream is closed, nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as after >&-
            setattr(sys, name, io.StringIO())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
