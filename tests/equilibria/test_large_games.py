"""A million agents: exact answers against theory, memory in proportion to the number of agents."""

import time
import tracemalloc

import numpy as np
import pytest

from equilibria.mixed import mixed_gains
from equilibria.participation import ParticipationGame
from equilibria.phase import phase_diagram
from equilibria.pooled import FixedShareRule
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule

MANY = 1_000_000


@pytest.fixture(scope="module")
def uniform(constants):
    return ParticipationGame(types=(np.arange(MANY) + 0.5) / MANY, **constants)


def test_the_cascade_halves_its_distance_to_the_threshold_each_round(uniform):
    cascade = uniform.unravel()
    # In the large-market limit those stay whose type exceeds 1 - 2 kappa / a = 0.7.
    assert len(cascade) - 1 == 20
    assert np.isclose(cascade.sizes[-1] / MANY, 0.3, atol=0.005)
    survivors = uniform.types[cascade.final]
    margin = 0.15 * (1 - cascade.sizes[-1] ** (-1 / 3))
    assert survivors.min() >= survivors.mean() - margin
    assert uniform.pure_equilibria().sizes.tolist() == [0, cascade.sizes[-1]]
    assert len(str(cascade).splitlines()) < 40


@pytest.mark.parametrize(("factor", "sizes"), [(1.01, [0, 1]), (0.99, [0, 1, MANY])])
def test_harmonic_types_around_the_critical_spread(factor, sizes):
    ratio = 0.06
    critical = ratio * (1 - MANY ** (-1 / 3)) / (1 - 1 / MANY)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, MANY))])
    samples = 1e4
    cost = ratio / (3 * samples)
    game = ParticipationGame(
        types=1.0 - factor * critical * harmonic,
        loss_weight=1.0,
        complexity=2 * cost * samples**1.5,
        cost=cost,
    )
    assert game.pure_equilibria().sizes.tolist() == sizes


def test_full_information(uniform):
    game = uniform.with_rule(FullInformationRule())
    given_samples = game.contributions()
    giving = np.flatnonzero(given_samples)
    assert giving[0] == 0
    assert np.ptp(np.diff(giving)) == 0  # a prefix of the best
    surplus = game.surpluses()
    assert surplus.min() >= -1e-9
    assert np.allclose(surplus[giving[:-1]], 0.0, atol=1e-9)


@pytest.mark.slow
def test_every_answer_takes_about_a_second_for_a_million(uniform):
    verified = ParticipationGame(
        types=0.9 * uniform.types, loss_weight=1.0, complexity=40.0, cost=3.125e-7,
        rule=VerifiedRule(samples=36_000),
    )  # fmt: skip
    answers = {
        "pure": uniform.pure_equilibria,
        "cascade": uniform.unravel,
        "full": uniform.with_rule(FullInformationRule()).contributions,
        "verified": verified.surpluses,
        "partition": uniform.partition,
    }
    taken = {}
    for name, answer in answers.items():
        start = time.process_time()
        found = answer()
        taken[name] = time.process_time() - start
        if name == "verified":  # the slack covers what estimates are off, so that nobody but the marginal loses
            assert found.min() >= -verified.cost * 36_000
            assert (found > 0).mean() > 0.99
    assert max(taken.values()) < 20, taken  # about a second each on an idle processor


def test_memory_is_proportional_to_the_agents(constants):
    def peak(agents):
        game = ParticipationGame(types=np.linspace(0, 1, agents), **constants)
        tracemalloc.start()
        game.pure_equilibria()
        game.unravel()
        game.with_rule(FullInformationRule()).contributions()
        game.with_rule(FixedShareRule()).unravel()
        game.with_rule(VerifiedRule(samples=100, trusted_loss=0.0)).surpluses()
        game.blocking_coalition(game.partition())
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used / agents

    assert peak(200_000) < 1.5 * peak(50_000) < 600  # bytes for each agent


def test_mixing_in_a_large_market_approaches_certainty(constants):
    # With half of many equal agents in, joining is worth kappa (1 - (J/2)^(-1/3)) up to fluctuations of order
    # 1/J.
    agents = 20_000
    game = ParticipationGame(types=np.full(agents, 0.4), **constants)
    worth = mixed_gains(game, np.full(agents, 0.5))
    assert np.allclose(worth, 0.15 * (1 - (agents / 2) ** (-1 / 3)), rtol=1e-4)


def test_phase_diagram_has_both_phases(constants):
    game = ParticipationGame(types=np.linspace(0.1, 0.6, 30), **constants)
    diagram = phase_diagram(game, spreads=[0.0, 0.3, 1.0], costs=[1e-8, 3e-7, 1e-5])
    assert (diagram.surviving[0] == 1.0).all()
    assert (np.diff(diagram.surviving, axis=0) <= 0).all()
    assert diagram.surviving[2, 0] < 0.2
    assert (diagram.rounds[0] == 0).all()
