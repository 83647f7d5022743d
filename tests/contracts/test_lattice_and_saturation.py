"""Where mass sits at the end of the lattice, and where data abound so that the loss vanishes."""

import numpy as np
import pytest

from contracts import Exponential, LinearValuation, Population, Problem, design_contract, verify
from contracts.problem.outcomes import total_data


def test_the_lattice_keeps_the_mass_at_the_largest_outcome():
    # three levels, so that the law is not computed exactly; a third of the mass lies at the very end
    contribution, p, draws = [8000.0, 79719.0, 79719.5, 79720.0], [0.004, 0.433, 0.4, 0.163], 264
    law = total_data(contribution, p, draws)
    assert law.step > 0
    assert law.data @ law.probabilities == pytest.approx(draws * np.dot(p, contribution), rel=1e-10)


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.2])
@pytest.mark.parametrize("participants", [2, 7, 50])
def test_exponential_curves_are_solved_however_small_the_loss(rate, participants):
    problem = Problem(
        population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=participants),
        accuracy=Exponential(optimum=1.0, rate=rate),
        valuation=LinearValuation(scale=100.0),
    )
    certificate = verify(design_contract(problem))
    assert certificate.holds
