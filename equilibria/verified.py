"""The verified rule: check a few samples of everybody's data, and make staying worth while with high
probability.

Each joiner reports a type and is sampled q times. Reports further from the estimate than the radius eps are
refused. The others contribute what is welfare-maximal at the estimated types, individual rationality
tightened by the slack s = 2 a eps (1 - own share), and with verification costs covered for those who give
less than q:

    E(n, est) + c n_j <= a est_j + kappa - s (1 - n_j / N)   and   E(n, est) <= a est_1 + kappa - s - c q.

Theorem (this project's own). If 2 a eps + c q <= c n0, the program is feasible for every estimate, and
whenever all estimates are within eps of the truth, joining and reporting truthfully is weakly dominant; so
the truthful grand coalition is a Nash equilibrium with at least the confidence of the estimates. Two points
carry the proof: a report changes only whether one is accepted, never the contributions; and the slack
vanishes for a sole supplier, whose individual rationality does not depend on anybody's type.

The idea that verification inspired by probabilistic checks restores the grand coalition is from Capitaine et
al., "Unravelling in Collaborative Learning" (arXiv 2407.14332); mechanism, constants and proof are not
theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.checks import array, brief, integer, number
from contracts.errors import Infeasible, InvalidInput
from equilibria.guarantee import Guarantee, guarantee_of
from equilibria.rule import Rule
from equilibria.welfare import WelfareOptimum, welfare_optimum
from mechanisms.verification import accept, hoeffding_radius, log_term, simulate_estimates

if TYPE_CHECKING:
    from equilibria.participation import ParticipationGame


@dataclass(frozen=True, kw_only=True)
class VerifiedRule(Rule):
    """Contributions from estimated types, with slack; refusal of reports that do not fit the samples.

    Attributes:
        samples: q, samples taken from each member, at least one.
        confidence: probability, in (0, 1), that all estimates are within the radius.
        trusted_samples: samples of the target distribution; as many as from each member when omitted.
        probes: number of probe classifiers.
        paid: whether members bear the cost of their samples (which are then also used for training).
        slack_factor: fraction of the theorem's slack that is used, in [0, 1]; below one nothing is proved.
        estimates: the estimated types, shape (agents,). When omitted they are drawn as one probe would give
            them, from `seed`.
        reports: the reported types, shape (agents,); the true ones when omitted.
        trusted_loss: error rate of the probe on the target when estimates are drawn.
        seed: of the drawn estimates.

    Raises:
        InvalidInput: a value is outside its range.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> rule = VerifiedRule(samples=36000, confidence=0.95)
    >>> rule.guarantee(game).holds, game.with_rule(rule).epsilon("all")
    (True, 0.0)
    """

    samples: int
    confidence: float = 0.95
    trusted_samples: int | None = None
    probes: int = 1
    paid: bool = True
    slack_factor: float = 1.0
    estimates: Any = None
    reports: Any = None
    trusted_loss: float = 0.05
    seed: int = 0

    anonymous = False

    def __post_init__(self):
        log_term(agents=1, probes=self.probes, confidence=self.confidence)
        checked: dict[str, Any] = {
            "samples": integer("samples", self.samples, low=1),
            "slack_factor": number("slack_factor", self.slack_factor, low=0.0, high=1.0),
            "trusted_loss": number("trusted_loss", self.trusted_loss, low=0.0, high=1.0),
            "seed": integer("seed", self.seed),
        }
        if not isinstance(self.paid, bool):
            raise InvalidInput(f"paid = {brief(self.paid)}: expected true or false")
        if self.trusted_samples is not None:
            checked["trusted_samples"] = integer("trusted_samples", self.trusted_samples, low=1)
        for name in ("estimates", "reports"):
            if getattr(self, name) is not None:
                checked[name] = array(name, getattr(self, name), low=0.0, high=1.0)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def radius(self, game: ParticipationGame) -> float:
        """How far estimates may be from the truth, with the rule's confidence."""
        return hoeffding_radius(
            samples=self.samples,
            agents=game.players,
            trusted_samples=self.trusted_samples,
            probes=self.probes,
            confidence=self.confidence,
        )

    def charge(self, game: ParticipationGame) -> float:
        """c q, what verification costs each member; zero when samples are free."""
        return game.cost * self.samples if self.paid else 0.0

    def guarantee(self, game: ParticipationGame) -> Guarantee:
        """What is proved about the truthful grand coalition of `game` under this rule.

        Args:
            game: the participation game; its own rule is not used.

        Returns:
            The condition with its figures, and the sample size that would meet it.

        >>> from equilibria.participation import ParticipationGame
        >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> print(VerifiedRule(samples=400).guarantee(game))
        nothing is proved: slack plus verification 0.2189 exceeds the standalone cost 0.05;
        8550 samples from each agent would do. Measure the frequency instead
        """
        return guarantee_of(self, game)

    def estimated(self, game: ParticipationGame) -> np.ndarray:
        """The estimates used: those given, else those drawn from the seed, shape (agents,)."""
        if self.estimates is None:
            return simulate_estimates(
                game.types,
                samples=self.samples,
                trusted_samples=self.trusted_samples,
                trusted_loss=self.trusted_loss,
                seed=self.seed,
            )[0]
        return _fitting("estimates", self.estimates, game)

    def accepted(self, game: ParticipationGame, members: np.ndarray) -> np.ndarray:
        """Which members' reports fit their samples, boolean, shape (agents,)."""
        reports = game.types if self.reports is None else _fitting("reports", self.reports, game)
        return members & accept(reports, self.estimated(game), self.radius(game))

    def optimum(self, game: ParticipationGame, accepted: np.ndarray) -> WelfareOptimum | None:
        """The program's solution for the accepted members, or None if it has none and the coalition
        dissolves.

        When the theorem's condition fails, the slack is the largest that is feasible.
        """
        if not accepted.any():
            return None
        types, reserve = self.estimated(game)[accepted], self.charge(game)
        wanted = self.slack_factor * 2.0 * game.loss_weight * self.radius(game)

        def solve(slack: float) -> WelfareOptimum | None:
            try:
                return welfare_optimum(game, types, slack=slack, reserve=reserve)
            except Infeasible:
                return None

        full = solve(wanted)
        if full is not None:
            return full
        low = max(0.0, game.cost * game.standalone_contribution - reserve)
        best, high = solve(low), wanted
        while best is not None and high - low > 1e-4 * wanted:
            middle = (low + high) / 2.0
            found = solve(middle)
            best, low, high = (best, low, middle) if found is None else (found, middle, high)
        return best

    def contributions(self, game: ParticipationGame, members: np.ndarray) -> np.ndarray:
        """Samples each accepted member gives; nothing at all when the coalition dissolves."""
        result = np.zeros(game.players)
        accepted = self.accepted(game, members)
        optimum = self.optimum(game, accepted)
        if optimum is not None:
            result[accepted] = optimum.contributions
        return result

    def surpluses(self, game: ParticipationGame, members: np.ndarray) -> np.ndarray:
        """Surplus at the true types; the refused, and everybody in a coalition that dissolves, lose the
        charge."""
        accepted = self.accepted(game, members)
        given = self.contributions(game, members)
        lost = np.where(members, -self.charge(game), 0.0)
        if not given.any():
            return lost
        charged = np.maximum(given, self.samples) if self.paid else given
        return np.where(accepted, game.surplus_of(given, charged), lost)


def _fitting(name: str, values: np.ndarray, game: ParticipationGame) -> np.ndarray:
    if values.size != game.players:
        raise InvalidInput(f"{name} has length {values.size}: expected {game.players}, one for each agent")
    return values
