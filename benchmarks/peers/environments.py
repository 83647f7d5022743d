"""Where the peers are installed: interpreters of environments of their own, named by environment variables.

byzfl pins an old NumPy and Flower pins much else, so neither is ever a dependency. To compare with them:

    python -m venv byz && byz/bin/pip install torch byzfl
    python -m venv flo && flo/bin/pip install flwr
    BYZFL_PYTHON=byz/bin/python FLOWER_PYTHON=flo/bin/python python benchmarks/aggregation.py
"""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("peer_rules.py")
PEERS = {"byzfl": "BYZFL_PYTHON", "Flower": "FLOWER_PYTHON"}


def commands(*arguments, only=None):
    """The command that runs the peers' script in every environment there is, by the peer's name."""
    for peer, variable in PEERS.items():
        if only not in (None, peer):
            continue
        interpreter = os.environ.get(variable)
        if interpreter:
            yield peer, [interpreter, str(SCRIPT), *map(str, arguments)]
        else:
            print(f"{peer} skipped: set {variable} to the interpreter of an environment that has it")


def start_peers(*arguments):
    """Start the peers' script in every environment there is; it ends when its input does."""
    for _, command in commands(*arguments):
        pipe = subprocess.PIPE
        yield subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def run_peers(*arguments, only=None):
    """Run the peers' script in every environment there is; yields the peer's name and what was printed."""
    for peer, command in commands(*arguments, only=only):
        finished = subprocess.run(command, capture_output=True, text=True)
        if finished.returncode:
            print(f"{peer} skipped: {finished.stderr.strip().splitlines()[-1]}")
            continue
        yield peer, finished.stdout
