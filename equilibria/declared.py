"""Declared types: the full-information rule run on whatever agents say, and the game of what to say.

Truth is not an equilibrium: a supplier gains by declaring worse data than a competitor and riding free. When
all others over-report, though, the truth is safe: a truthful member is at least as well off as alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from contracts.checks import array, brief
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.environment import Environment
from equilibria.game import BestResponses, Game
from equilibria.participation import ParticipationGame
from equilibria.rule import Rule
from equilibria.welfare import welfare_optimum

#: Reports tried inside every interval between two breakpoints, and intervals refined.
POINTS, REFINED = 9, 4


@dataclass(frozen=True, kw_only=True)
class DeclaredTypesRule(Rule):
    """Welfare-maximal contributions at the declared types; payoffs at the true ones.

    Attributes:
        reports: declared types in [0, 1], shape (agents,); the true ones when omitted.

    Raises:
        InvalidInput: a report outside [0, 1] or, once a game is known, the wrong number of them.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> game.with_rule(DeclaredTypesRule(reports=[0.6, 0.12, 0.6])).contributions().round()
    array([     0., 160000.,      0.])
    """

    reports: Any = None
    anonymous = False

    def __post_init__(self) -> None:
        if self.reports is not None:
            object.__setattr__(self, "reports", array("reports", self.reports, low=0.0, high=1.0))

    def contributions(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """The welfare optimum of the members at their reports."""
        reports = game.types if self.reports is None else self.reports
        if reports.size != game.players:
            raise InvalidInput(f"reports has length {reports.size}: expected {game.players}, one for each agent")
        result = np.zeros(game.players)
        if members.any():
            result[members] = welfare_optimum(game, reports[members], members=members).contributions
        return result


@frozen
class ReportingGame(Game):
    """Everybody declares a type or stays out; contributions follow the declarations.

    A profile holds each agent's report, NaN for staying out. With windows, only reports inside them are
    accepted: the report-driven variant of verification, which is not truthful and is therefore offered with
    the epsilon of its certificate only.

    Attributes:
        game: the participation game with the true types; its own rule is not used.
        low: smallest report each agent may make, in [0, 1], shape (agents,); zero when omitted.
        high: largest report each agent may make; one when omitted.

    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> reporting = ReportingGame(game=game)
    >>> action, gain = reporting.best_response(0, game.types)
    >>> bool(action > 0.12), round(gain, 4)
    (True, 0.042)
    """

    game: ParticipationGame
    low: Any = None
    high: Any = None

    def __post_init__(self) -> None:
        ends = {"low": (self.low, 0.0), "high": (self.high, 1.0)}
        for name, (value, default) in ends.items():
            given = np.full(self.game.players, default) if value is None else value
            checked = array(name, given, low=0.0, high=1.0, length=self.game.players)
            object.__setattr__(self, name, checked)
        if (self.low > self.high).any():
            agent = int(np.flatnonzero(self.low > self.high)[0])
            raise InvalidInput(f"low[{agent}] = {self.low[agent]:g}: expected at most high[{agent}]")

    @property
    def players(self) -> int:
        """Number of agents."""
        return self.game.players

    @property
    def tolerance(self) -> float:
        """The largest of the tolerances."""
        return float(self.tolerances.max())

    @property
    def tolerances(self) -> np.ndarray:
        """A millionth of each agent's standalone loss: reports are optimised, not enumerated."""
        return 1e-6 * np.broadcast_to(self.game.standalone_losses, (self.players,))

    def profile(self, value: Any) -> np.ndarray:
        """Reports as an array, NaN for staying out.

        Raises:
            InvalidInput: the wrong number of reports, or one outside its window.
        """
        try:
            reports = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"reports = {brief(value)}: expected one number for each agent") from error
        if reports.shape != (self.players,):
            raise InvalidInput(f"reports has shape {reports.shape}: expected ({self.players},)")
        inside = np.isnan(reports) | ((reports >= self.low) & (reports <= self.high))
        if not inside.all():
            agent = int(np.flatnonzero(~inside)[0])
            window = f"[{self.low[agent]:g}, {self.high[agent]:g}]"
            raise InvalidInput(
                f"reports[{agent}] = {reports[agent]:g}: expected nan (out) or a number in {window}"
            )
        return reports.copy()

    def utilities(self, profile: Any) -> np.ndarray:
        """Utility of every agent at their true type."""
        reports = self.profile(profile)
        rule = DeclaredTypesRule(reports=np.where(np.isnan(reports), 0.0, reports))
        return self.game.with_rule(rule).utilities(~np.isnan(reports))

    def best_responses(self, profile: Any) -> BestResponses:
        """Every agent's best report or absence; no upper bound is known, so the bounds are infinite."""
        reports = self.profile(profile)
        answers = [self.best_response(player, reports) for player in range(self.players)]
        return BestResponses(
            actions=np.array([action for action, _ in answers]),
            gains=np.array([gain for _, gain in answers]),
            gain_bounds=np.full(self.players, np.inf),
            method="reports at every rank, then Brent refinement within the best ranks",
        )

    def best_response(self, player: int, profile: Any) -> tuple[float, float]:
        """The best report found: utility jumps only where the report passes another's, so each gap is
        searched."""
        reports = self.profile(profile)

        def utility(report: float) -> float:
            changed = reports.copy()
            changed[player] = report
            return float(self.utilities(changed)[player])

        low, high = float(self.low[player]), float(self.high[player])
        others = np.delete(reports, player)
        inner = others[(others > low) & (others < high)]
        breaks = np.unique(np.concatenate([[low, high], inner]))
        fractions = (np.arange(POINTS) + 0.5) / POINTS
        inside = (breaks[:-1, None] + np.diff(breaks)[:, None] * fractions).ravel()
        candidates = np.concatenate([[np.nan, reports[player]], breaks, inside])
        values = np.array([utility(report) for report in candidates])
        present = values[1]
        best, value = candidates[np.argmax(values)], values.max()
        reach = np.repeat(np.diff(breaks), POINTS) / POINTS
        found = values[-inside.size :] if inside.size else values[:0]
        for index in np.argsort(-found)[:REFINED]:
            bounds = (inside[index] - reach[index], inside[index] + reach[index])
            bounds = (max(low, bounds[0]), min(high, bounds[1]))
            refined: Any = optimize.minimize_scalar(
                lambda report: -utility(report), bounds=bounds, method="bounded"
            )
            if -refined.fun > value:
                best, value = refined.x, -refined.fun
        return (float(best), float(value - present)) if value > present else (float(reports[player]), 0.0)
