"""Strategies and assertions for property-based tests of games, rules and coalitions; needs hypothesis.

>>> from hypothesis import given
>>> @given(game=participation_games(max_agents=4))
... def test_grand_coalition_is_stable_under_full_information(game):
...     assert_nash(game.with_rule(FullInformationRule()), "all")
>>> test_grand_coalition_is_stable_under_full_information()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from contracts.checks import integer
from equilibria.contribution import ContributionGame, StandardFederatedRule
from equilibria.game import Game
from equilibria.normal_form import NormalFormGame
from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule, EqualShareRule, FixedShareRule, PooledRule
from equilibria.rule import Rule
from equilibria.table import all_coalitions
from equilibria.unravelling import Unravelling
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule


def types(*, min_agents: int = 2, max_agents: int = 8, highest: float = 0.6) -> st.SearchStrategy[np.ndarray]:
    """Types in [0, highest], shape (agents,), in any order: scattered, on a coarse grid with ties, or all
    equal."""
    scattered = st.floats(0.0, highest, allow_subnormal=False)
    coarse = st.integers(0, 6).map(lambda step: highest * step / 6)
    return st.one_of(
        *(st.lists(entry, min_size=min_agents, max_size=max_agents) for entry in (scattered, coarse)),
        st.builds(lambda entry, agents: [entry] * agents, scattered, st.integers(min_agents, max_agents)),
    ).map(np.array)


@st.composite
def participation_games(
    draw: Callable[..., Any],
    *,
    min_agents: int = 2,
    max_agents: int = 8,
    highest: float = 0.6,
    rule: st.SearchStrategy[Rule] | None = None,
    knife_edge: bool = True,
) -> ParticipationGame:
    """Participation games over the whole range of behaviour, from certain unravelling to certain stability.

    Args:
        draw: supplied by Hypothesis.
        min_agents: fewest agents.
        max_agents: most agents.
        highest: largest type.
        rule: strategy for the rule; the pooled rule when omitted.
        knife_edge: whether to include types at which every coalition of the worst agents is exactly
            indifferent.
    """
    weight = draw(st.floats(0.1, 4.0))
    exponent = draw(st.floats(0.05, 1.0))
    samples = 10 ** draw(st.floats(0.0, 6.0))
    ratio = draw(
        st.floats(0.01, 1.0)
    )  # standalone loss over loss weight: what sharing can save, in units of type
    cost = ratio * weight * exponent / ((1.0 + exponent) * samples)
    complexity = cost * samples ** (1.0 + exponent) / (weight * exponent)
    constants: dict[str, Any] = {
        "loss_weight": weight,
        "complexity": complexity,
        "exponent": exponent,
        "cost": cost,
        "rule": draw(st.just(PooledRule()) if rule is None else rule),
    }
    drawn = draw(types(min_agents=min_agents, max_agents=max_agents, highest=highest))
    if knife_edge and draw(st.integers(0, 3)) == 0:
        drawn = _indifferent(ParticipationGame(types=drawn, **constants), highest)
    return ParticipationGame(types=drawn, **constants)


def _indifferent(game: ParticipationGame, highest: float) -> np.ndarray:
    """Types with T_m = f(m) for as many of the worst agents as fit into [0, highest]."""
    size = np.arange(1.0, game.players + 1)
    steps = np.diff(PooledRule().worth(game, size)) / size[:-1]
    return np.maximum(highest - np.concatenate([[0.0], np.cumsum(steps)]), 0.0)


def equal_share_rules() -> st.SearchStrategy[EqualShareRule]:
    """Pooled, fixed-share and club rules."""
    return st.sampled_from([PooledRule(), FixedShareRule(), ClubRule()])


def rules() -> st.SearchStrategy[Rule]:
    """Rules of every kind that is defined for any game."""
    verified = st.builds(
        VerifiedRule,
        samples=st.integers(1, 10_000),
        paid=st.booleans(),
        seed=st.integers(0, 100),
        trusted_loss=st.just(0.05),
    )
    return st.one_of(equal_share_rules(), st.just(FullInformationRule()), verified)


def coalitions(game: ParticipationGame) -> st.SearchStrategy[np.ndarray]:
    """Any coalition of `game`, empty and grand included, as a mask."""
    return st.lists(st.booleans(), min_size=game.players, max_size=game.players).map(np.array)


@st.composite
def contribution_games(draw: Callable[..., Any], *, max_players: int = 4) -> ContributionGame:
    """Standard federated contribution games with a power-law accuracy."""
    scale, exponent = draw(st.floats(0.5, 20.0)), draw(st.floats(0.3, 1.0))
    costs = draw(st.lists(st.floats(1e-3, 0.5), min_size=2, max_size=max_players))

    def accuracy(data: Any) -> Any:
        return 1.0 - (1.0 + data / scale) ** -exponent

    return ContributionGame(costs=np.array(costs), rule=StandardFederatedRule(accuracy), limits=1000.0)


@st.composite
def normal_form_games(draw: Callable[..., Any], *, max_players: int = 3, max_actions: int = 4) -> NormalFormGame:
    """Small games with whole payoffs, so that ties are common."""
    players = draw(st.integers(2, max_players))
    actions = draw(st.tuples(*[st.integers(1, max_actions)] * players))
    count = players * int(np.prod(actions))
    payoffs = draw(st.lists(st.integers(-5, 5), min_size=count, max_size=count))
    return NormalFormGame(payoffs=np.array(payoffs, dtype=float).reshape(players, *actions))


def assert_nash(game: Game, profile: Any, *, tolerance: float | None = None) -> None:
    """Fail unless no unilateral deviation from `profile` gains more than the tolerance."""
    certificate = game.certificate(profile, tolerance=tolerance)
    assert certificate.holds, str(certificate)


def assert_individually_rational(game: ParticipationGame, coalition: Any) -> None:
    """Fail unless every member of `coalition` is at least as well off as alone."""
    members = game.profile(coalition)
    surpluses = game.surpluses(members)
    worst = int(np.argmin(np.where(members, surpluses, np.inf)))
    assert not members.any() or surpluses[worst] >= -1e2 * game.tolerance, (
        f"agent {worst} is worse off in the coalition than alone by {-surpluses[worst]:.3g}"
    )


def assert_unravelling(game: ParticipationGame, cascade: Unravelling) -> None:
    """Fail unless every number of the cascade is right: in every round those, and only those, leave who would
    rather train alone, for what staying is worth to them; and at the end nobody would."""
    rounds, close = len(cascade), 1e2 * game.tolerance
    left, losers = cascade.left_after, np.zeros(0)
    assert left.shape == (game.players,), f"left_after has shape {left.shape}"
    assert ((left >= -1) & (left < rounds)).all(), f"left_after names rounds that are none: {left}"
    assert np.array_equal(cascade.final, (left == rounds - 1)), "who stays is not who is left"
    for number, step in enumerate(cascade):
        surpluses = game.surpluses(step.members)
        losers = np.flatnonzero(surpluses < -game.tolerance)
        assert step.members.size == cascade.sizes[number], f"round {number}: {cascade.sizes[number]} members"
        assert np.array_equal(losers, step.leavers), f"round {number}: {losers} lose, {step.leavers} leave"
        assert np.allclose(step.gains, surpluses[step.leavers], rtol=1e-9, atol=game.tolerance)
        assert np.isclose(step.total_surplus, surpluses.sum(), rtol=1e-6, atol=close)
        least = surpluses[step.members].min(initial=np.inf)
        assert step.least_gain == least or np.isclose(step.least_gain, least, rtol=1e-6, atol=close), f"{number}"
        error = game.learning_error(step.members)
        assert step.learning_error == error or np.isclose(step.learning_error, error, rtol=1e-9), f"{number}"
    assert not losers.size, f"{losers} still lose"
    assert not cascade.gains_on_leaving[(left == -1) | (left == rounds - 1)].any(), (
        "gains of those who never left"
    )
    assert cascade.epsilon == game.epsilon(cascade.final), f"epsilon {cascade.epsilon}"


def assert_rule(rule: Rule, game: ParticipationGame, *, seed: int = 0, coalitions: int = 64) -> None:
    """Fail unless a rule's answers are possible and agree with each other: for your own rules.

    Contributions are those of members, finite and at least zero, the same when asked again; nobody outside has a
    surplus, and no member more than the model is worth less what their data cost, or than training alone; what
    membership is worth is the surplus of those who are in, and of the others once they join; agents of equal
    type are treated alike if the rule says so.

    Args:
        rule: the rule.
        game: agents to try it on; their own rule is not used.
        seed: of the coalitions tried.
        coalitions: how many are tried; all, if there are no more than that.
    """
    name, played = type(rule).__name__, game.with_rule(rule)
    close = 1e2 * game.tolerance
    for members in _some_coalitions(game, coalitions, integer("seed", seed)):
        given, surpluses, gains = played.contributions(members), played.surpluses(members), played.gains(members)
        where = f"{name} at {np.flatnonzero(members).tolist()}"
        assert np.array_equal(given, played.contributions(members)), (
            f"{where}: other contributions when asked again"
        )
        assert not surpluses[~members].any(), f"{where}: outsiders have surpluses"
        most = np.maximum(game.surplus_of(given, given), 0.0) if given.any() else np.zeros(game.players)
        above = np.flatnonzero(members & (surpluses > most + close))
        assert not above.size, (
            f"{where}: agent {above[0]} gets {surpluses[above[0]]:g}, at most {most[above[0]]:g} is there"
        )
        wrong = np.flatnonzero(members & (np.abs(gains - surpluses) > close))
        assert not wrong.size, (
            f"{where}: agent {wrong[0]} gains {gains[wrong[0]]:g}, surplus {surpluses[wrong[0]]:g}"
        )
        for agent in np.flatnonzero(~members):
            joined = members.copy()
            joined[agent] = True
            worth = played.surpluses(joined)[agent]
            assert abs(gains[agent] - worth) <= close, (
                f"{where}: agent {agent} gains {gains[agent]:g}, joining {worth:g}"
            )
        if rule.anonymous and game.alike:
            for group in np.unique(game.types):
                for side in (members, ~members):
                    alike = gains[side & (game.types == group)]
                    assert np.ptp(alike) <= close if alike.size else True, (
                        f"{where}: type {group:g} treated unequally"
                    )


def _some_coalitions(game: ParticipationGame, count: int, seed: int) -> np.ndarray:
    if 2**game.players <= count:
        return all_coalitions(game.players)
    drawn = np.random.default_rng(seed).random((count - 2, game.players))
    chance = np.random.default_rng(seed + 1).random((count - 2, 1))
    everybody = np.ones(game.players, dtype=bool)
    return np.concatenate([[everybody, ~everybody], drawn < chance])
