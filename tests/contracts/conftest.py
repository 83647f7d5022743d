"""The paper's scenarios, by name."""

import pytest

from contracts import GeneralizationBound, LinearValuation, Population, Problem

SCENARIOS = {
    "S1": ([0.2, 0.16, 0.12, 0.08, 0.04], 86.478276016, 86.483772538),
    "S2": ([1, 0.85, 0.7, 0.55, 0.4], 69.053252849, 69.053252849),
    "S3": ([0.5, 0.4, 0.03, 0.02, 0.001], 94.013492427, 94.099207098),
}


def build(costs, participants, *, probabilities=None, belief="interim", accuracy=None, valuation=None, **other):
    if probabilities is None:
        probabilities = [1 / len(costs)] * len(costs)
    return Problem(
        population=Population(costs=costs, probabilities=probabilities, participants=participants),
        accuracy=GeneralizationBound() if accuracy is None else accuracy,
        valuation=LinearValuation(scale=100.0) if valuation is None else valuation,
        belief=belief,
        **other,
    )


@pytest.fixture(name="build")
def build_fixture():
    return build


@pytest.fixture(params=list(SCENARIOS))
def scenario(request):
    return SCENARIOS[request.param]
