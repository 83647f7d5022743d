"""How fast equilibria are found: J up to a million, against enumeration and against tabulating for quantecon.

    python benchmarks/participation_games.py

Times are the processor's, the best of three in one run on one machine; compare the ratios, not the seconds.
Writes results/large_games.csv.
"""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from record import store
from scipy import stats

from equilibria.correlated import correlated_equilibrium
from equilibria.mixed import mixed_gains
from equilibria.normal_form import tabulate
from equilibria.participation import ParticipationGame
from equilibria.pure import _by_enumeration
from equilibria.verification_trial import verification_trial
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule, welfare_optimum

CONSTANTS: dict[str, Any] = {"loss_weight": 1.0, "complexity": 40.0, "exponent": 0.5, "cost": 3.125e-7}


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def uniform(agents: int) -> ParticipationGame:
    return ParticipationGame(types=0.9 * (np.arange(agents) + 0.5) / agents, **CONSTANTS)


def large_games() -> None:
    """Seconds and peak bytes for each agent, stored: both grow in proportion to the agents."""
    rows = []
    for agents in (1_000, 10_000, 100_000, 1_000_000):
        game = uniform(agents)
        found = game.partition()
        answers = {
            "pure equilibria": game.pure_equilibria,
            "cascade": game.unravel,
            "full information": game.with_rule(FullInformationRule()).contributions,
            "verified rule": game.with_rule(VerifiedRule(samples=36_000)).contributions,
            "partition": game.partition,
            "its certificate": lambda game=game, found=found: game.blocking_coalition(found),
        }
        for name, work in answers.items():
            taken = seconds(work)
            tracemalloc.start()
            work()
            peak = tracemalloc.get_traced_memory()[1] / agents
            tracemalloc.stop()
            rows.append({"answer": name, "agents": agents, "seconds": f"{taken:.4f}", "bytes": f"{peak:.0f}"})
            print(f"{name:<18} {agents:>9,} agents {taken:>9.4f} s {peak:>6.0f} bytes for each")
    store("large_games", rows)


def against_enumeration() -> None:
    from quantecon.game_theory import NormalFormGame as Reference
    from quantecon.game_theory import Player, pure_nash_brute

    print("\nAll pure equilibria of the pooled rule: theorem, enumeration, tabulating for quantecon")
    print(f"{'agents':>7} {'theorem':>10} {'enumerate':>10} {'ratio':>8} {'quantecon':>11} {'ratio':>8}")
    for agents in (4, 8, 12, 16):
        game = uniform(agents)

        def through_quantecon(game=game, agents=agents):
            payoffs = tabulate(game).payoffs
            # quantecon wants each player's own action first, then the others' in cyclic order.
            players = [
                Player(np.ascontiguousarray(np.transpose(payoffs[j], [(j + k) % agents for k in range(agents)])))
                for j in range(agents)
            ]
            return pure_nash_brute(Reference(players), tol=game.tolerance)

        theorem = seconds(game.pure_equilibria)
        brute = seconds(lambda game=game: _by_enumeration(game), repeats=1)
        other = seconds(through_quantecon, repeats=1) if agents <= 12 else np.nan
        ours = sorted(tuple(game.profile(e.members).astype(int)) for e in game.pure_equilibria())
        assert agents > 12 or ours == sorted(through_quantecon())
        print(
            f"{agents:>7} {theorem:>10.5f} {brute:>10.4f} {brute / theorem:>7.0f}x "
            f"{other:>11.4f} {other / theorem:>7.0f}x"
        )


def other_answers() -> None:
    worst_first = 0.6 - 0.1 * np.concatenate([[0.0], np.cumsum(1 / np.arange(1, 10))])
    worked = ParticipationGame(types=worst_first[::-1].copy(), **CONSTANTS)
    rule = VerifiedRule(samples=39_441)
    many = uniform(10_000)
    rows = {
        "full information, 10 agents": lambda: welfare_optimum(worked),
        "1000 verifications, 10 agents": lambda: verification_trial(worked, rule, runs=1000),
        "best correlated equilibrium, 2^10 coalitions": lambda: correlated_equilibrium(worked),
        "mixed profile, 10,000 distinct agents": lambda: mixed_gains(many, np.full(10_000, 0.3)),
    }
    print("\nOther answers, seconds")
    for name, work in rows.items():
        print(f"{name:<46} {seconds(work, repeats=2):>8.4f}")


def several_coalitions(agents: int = 1_000_000) -> None:
    spread = (np.arange(agents) + 0.5) / agents
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, agents))])
    families = {
        "uniform": spread,
        "beta(2, 5)": stats.beta.ppf(spread, 2, 5),
        "harmonic": 1.0 - 0.9 * harmonic / harmonic[-1],
        "two types": np.where(spread < 0.9, 0.1, 0.6),
    }
    print(f"\nThe core partition of {agents:,} agents: seconds, coalitions, surplus")
    for name, types in families.items():
        for ratio in (0.15, 0.001):
            samples = 1e4
            cost = ratio / (3 * samples)
            complexity = 2 * cost * samples**1.5
            game = ParticipationGame(types=types, loss_weight=1.0, complexity=complexity, cost=cost)
            taken = seconds(game.partition, repeats=1)
            found = game.partition()
            checked = seconds(lambda game=game, found=found: game.blocking_coalition(found), repeats=1)
            one = game.unravel().total_surpluses[-1]
            print(
                f"{name:<10} {ratio:<6} {taken:>7.2f} s, checked in {checked:>6.2f} s, "
                f"{len(found):>6,} coalitions, "
                f"surplus {found.total_surplus:>10,.1f}, of one coalition {one:>10,.1f}"
            )


if __name__ == "__main__":
    large_games()
    several_coalitions()
    against_enumeration()
    other_answers()
