"""Write a benchmark's table as CSV with what made it: command, revision, machine, library versions, date."""

import csv
import datetime
import io
import os
import platform
import subprocess
import sys
from pathlib import Path

from contracts.storage import write_atomically

RESULTS = Path(__file__).with_name("results")


def revision():
    """The commit the code is of, and whether files other than results differ from it."""
    run = ["git", "-C", str(RESULTS.parent)]
    name = subprocess.run([*run, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    others = [":/", ":(top,exclude)benchmarks/results"]
    changed = subprocess.run(
        [*run, "status", "--porcelain", "--untracked-files=no", "--", *others], capture_output=True, text=True
    )
    return name.stdout.strip() + (" with changes" if changed.stdout.strip() else "")


def made_by():
    """Comment lines that say how a table was made."""
    versions = {name: sys.modules[name].__version__ for name in ("numpy", "scipy", "jax") if name in sys.modules}
    return [
        f"# python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}".rstrip(),
        f"# revision {revision()}, {datetime.date.today()}",
        f"# {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]


def store(name, rows):
    """Write rows, dictionaries with the same keys, to results/NAME.csv; a table may be written as it grows."""
    text = io.StringIO()
    text.write("\n".join(made_by()) + "\n")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(RESULTS / f"{name}.csv", text.getvalue())


def stored(name):
    """The rows that results/NAME.csv has now; none if there is no such file."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))
