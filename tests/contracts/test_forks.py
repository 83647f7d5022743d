"""Processes forked after JAX has started: one line instead of waiting for ever."""

import os
import subprocess
import sys

import pytest

from contracts import ModelpactError, design_contracts, numeric
from contracts.testing import example_contract

FORKS = """
import multiprocessing
from contracts import ModelpactError, design_contract, design_contracts
from contracts.testing import example_contract

problem = example_contract().problem

def child(queue):
    try:
        queue.put(design_contract(problem, solver="compiled").objective)
    except ModelpactError as error:
        queue.put(str(error))

if __name__ == "__main__":
    design_contracts([problem] * 2)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(queue.get(timeout=120))
    process.join()
"""


def test_another_process_than_the_one_that_started_is_told(monkeypatch):
    problems = [example_contract().problem] * 2
    monkeypatch.setattr(numeric, "_started", {os.getpid() + 1})
    with pytest.raises(ModelpactError, match="forked after JAX had started"):
        design_contracts(problems)


@pytest.mark.slow
def test_a_forked_child_answers(tmp_path):
    script = tmp_path / "forks.py"
    script.write_text(FORKS, encoding="utf-8")
    run = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True, timeout=300)
    assert "forked after JAX had started" in run.stdout, run.stderr
