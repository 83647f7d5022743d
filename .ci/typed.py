"""How complete the types of the installed packages are: `typed.py PYTHON...`, in each environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

LEAST = 0.95
PYRIGHT = str(Path(sys.executable).parent / "pyright")

for python in map(Path, sys.argv[1:]):
    # pyright asks the first python that it finds
    place = os.environ | {"PATH": f"{python.absolute().parent}:{os.environ['PATH']}"}
    for package in ("contracts", "mechanisms", "equilibria", "modelpact"):
        command = [PYRIGHT, "--verifytypes", package, "--ignoreexternal", "--outputjson"]
        run = subprocess.run(command, env=place, capture_output=True, text=True, check=False)
        found = json.loads(run.stdout)["typeCompleteness"]
        print(
            f"{package}: {found['completenessScore']:.1%} of the interface typed, by {found.get('pyTypedPath')}"
        )
        if not found.get("pyTypedPath") or found["completenessScore"] < LEAST:
            sys.exit(f"{package}: expected py.typed to be found and at least {LEAST:.0%}")
