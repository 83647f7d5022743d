"""Stored answers of byzfl and Flower, made by `benchmarks/peers/definitions.py`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "peers"
STORED = json.loads(Path(__file__).with_name("peer_references.json").read_text())


@pytest.fixture
def own(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from definitions import own

    yield own
    sys.modules.pop("definitions", None)


def test_both_peers_are_stored():
    assert {one["origin"] for one in STORED["answers"]} == {"byzfl 0.0.11", "flwr 1.41.0"}
    assert len(STORED["answers"]) > 30


@pytest.mark.parametrize(
    "one", STORED["answers"], ids=lambda one: f"{one['origin']}-{one['rule']}-{one['case']}"
)
def test_same_answer_as_the_peer(one, own):
    rows = np.array(STORED["cases"][one["case"]])
    mine = own(one["rule"], rows, int(one["case"].split("-f")[1]))
    np.testing.assert_allclose(mine, one["answer"], atol=1e-8)
