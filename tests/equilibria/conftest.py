"""The ten agents with harmonic types on which the reference figures were computed."""

import numpy as np
import pytest

from equilibria.participation import ParticipationGame


@pytest.fixture(scope="session")
def constants():
    return {"loss_weight": 1.0, "complexity": 40.0, "exponent": 0.5, "cost": 3.125e-7}


@pytest.fixture(scope="session")
def worked(constants):
    worst_first = 0.6 - 0.1 * np.concatenate([[0.0], np.cumsum(1 / np.arange(1, 10))])
    return ParticipationGame(types=worst_first[::-1].copy(), **constants)
