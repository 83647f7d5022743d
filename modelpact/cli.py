"""The command line: what a command is called, and what becomes of errors.

Commands are functions elsewhere, imported when called, so that `--help` answers at once. A command returns
its exit code: 0 if everything holds, 1 if something does not. Bad input ends with code 2 and one line on
stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from contracts.errors import BackendMissing, InvalidInput, ModelpactError

app = App(
    name="modelpact",
    help="""Contracts for collaborative machine learning in which models are the pay.

    A coordinator states who might take part and what data cost them; **design** finds the best menu of
    (data to contribute, model received) and proves it, **verify** checks such a menu without trusting its
    author, **settle** says who receives which model once the participants are known;
    **report** explains it all to whoever is to sign. **play** asks whether
    participants whose data differ in quality will come, and stay; **conflict** what robust aggregation costs.
    **run** carries a whole scheme out on real data, from a pilot to delivered models, and audits it.
    """,
    help_format="markdown",
    help_epilogue="""Exit codes: 0 everything holds, 1 something does not, 2 bad input (nothing is written).

    Start with: modelpact design examples/tumour-clinics/problem.toml --output contract.json""",
    version=lambda: _version(),
    suppress_keyboard_interrupt=False,
)
app.command("modelpact.commands:design", help="Find the best contract for a problem file, with proof.")
app.command("modelpact.commands:verify", help="Check a contract file; say what breaks, for whom, by how much.")
app.command("modelpact.commands:settle", help="Say who receives which model, given who takes part.")
app.command("modelpact.reports:report_command", name="report", help="Explain a contract on one page.")
app.command(
    "modelpact.sweep_file:sweep_command", name="sweep", help="Design contracts for a whole range of problems."
)
app.command("modelpact.run:run", help="Carry out a whole scheme on real data, and audit it.")
app.command("modelpact.play:play", help="Play a participation game: who leaves, and which coalitions hold.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: the words after `modelpact`; by default those of the process.

    >>> main(["settle", "nowhere.json", "--counts", "1,1"])
    2
    """
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


def _version() -> str:
    from importlib.metadata import version

    return version("modelpact")
