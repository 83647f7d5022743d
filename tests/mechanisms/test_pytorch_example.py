"""The example of a network trained in PyTorch: three delivered models and an audit in a page."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "pytorch-network" / "deliver_digits.py"


@pytest.mark.slow
def test_a_network_is_trained_delivered_and_audited(tmp_path):
    pytest.importorskip("torch")
    specification = importlib.util.spec_from_file_location("deliver_digits", EXAMPLE)
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    delivery, found = example.main(tmp_path)
    assert [round(model.promised, 2) for model in delivery.models][:2] == [0.8, 0.9]
    for model in delivery.models:
        assert abs(model.achieved - model.promised) < 0.05
        assert Path(model.checkpoint).exists()
    assert delivery.scores[-1] > 0.93
    assert {"fine-tuned", "ray", "stacked"} <= found.by_one.keys()
    assert {"average", "span"} <= found.by_several.keys()
    assert np.all(np.abs(found.delivered - [model.achieved for model in delivery.models]) < 0.08)
    assert len(EXAMPLE.read_text().splitlines()) <= 90  # a page
