"""The theorems on insured menus, on two hundred random instances, compared without tolerance."""

import numpy as np
import pytest

from contracts import GeneralizationBound, LinearValuation, Menu, Population, Problem, design_contract
from contracts.contract.profiles import profiles
from contracts.contract.terms import Terms
from equilibria import contract_menu, sign_in_turn

SAFE = {"participation_margin": 0.02, "preference_margin": 0.02}
BATCH = 10


def instance(seed):
    """Two or three types, costs spread up to sixteen times, four to nine participants."""
    draw = np.random.default_rng([15, seed])
    types = int(draw.integers(2, 4))
    costs = draw.uniform(0.02, 0.3) / np.cumprod(np.r_[1.0, draw.uniform(1.2, 4.0, types - 1)])
    shares = draw.uniform(0.15, 1.0, types)
    kind = str(draw.choice(["count", "table"]))
    return Problem(
        population=Population(
            costs=costs, probabilities=shares / shares.sum(), participants=int(draw.integers(4, 10))
        ),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        menu=Menu(assurance=kind, **SAFE),
    )


def check_dominance(contract):
    """In every profile of the others the own option is best, strictly where it is launched, else nothing
    matters.
    """
    terms = Terms.of(contract)
    others = profiles(terms.options, contract.problem.population.participants - 1)
    enough = others.sum(axis=1) >= contract.launch_count - 1
    gains = np.stack(
        [
            terms.gain(out.launched * 1.0, out.worth, out.data)[:, :, k]
            for k, out in (
                (k, terms.outcome(others + (np.arange(terms.options) == k))) for k in range(terms.options)
            )
        ],
        axis=2,
    )
    for i, own in enumerate(terms.own):
        mine = gains[:, i, own]
        assert (gains[~enough, i] == 0.0).all()
        assert (mine[enough] > 0.0).all()
        rest = np.delete(gains[enough, i], own, axis=1)
        assert (mine[enough][:, None] > rest).all()
        # each gets exactly its guarantee, whoever else signs; by number of signatures where there is a table
        if contract.clause.kind == "count":
            assert np.ptp(mine[enough]) < 1e-9 * 100.0


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 200, BATCH))
def test_truth_is_dominant_and_nobody_the_only_other_equilibrium(first):
    for seed in range(first, first + BATCH):
        contract = design_contract(instance(seed), time_limit=0.0)
        assert (contract.contribution > 0.0).all(), seed  # a covered menu that serves all exists
        assert contract.certificate.holds, seed
        check_dominance(contract)
        found = contract_menu(contract).equilibria(tolerance=0.0)
        assert [one.truthful for one in found] == [True, False], (seed, str(found))
        truth, nobody = found
        assert truth.strict
        assert (np.asarray(nobody.choices) == -1).all()
        assert nobody.objective == 0.0
        assert (truth.utilities > nobody.utilities).all()
        if contract.problem.population.participants < 7:
            assert sign_in_turn(contract, ties="leave").all_sign == 1.0, seed
