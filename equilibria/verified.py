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

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy import optimize

from contracts.checks import array, integer, number
from contracts.errors import Infeasible, InvalidInput
from equilibria.game import brief
from equilibria.rule import Rule
from equilibria.welfare import WelfareOptimum, welfare_optimum
from mechanisms.verification import accept, hoeffding_radius, log_term, simulate_estimates

if TYPE_CHECKING:
    from equilibria.participation import ParticipationGame


@dataclass(frozen=True, kw_only=True, eq=False)
class Guarantee:
    """What the theorem promises for a rule and a game, and what it would need.

    Attributes:
        holds: whether 2 a eps + c q <= c n0, the theorem's condition.
        confidence: probability with which the truthful grand coalition is a Nash equilibrium; zero if the
            condition fails, because then nothing is proved.
        radius: eps, how far estimates may be from the truth.
        slack: s = 2 a eps, in units of utility.
        verification_cost: c q charged to each agent, zero when samples are free.
        budget: c n0, what slack and verification cost may use together.
        ex_ante_gain: bound on the expected gain of any deviation chosen before the samples are drawn,
            (1 - confidence) times the range of payoffs; infinite if the condition fails.
        samples_needed: fewest samples for each agent that meet the condition, None if no number does.
        least_complexity: smallest complexity for which some number of paid samples, with as many trusted
            ones, meets the condition; zero when samples are free.
    """

    holds: bool
    confidence: float
    radius: float
    slack: float
    verification_cost: float
    budget: float
    ex_ante_gain: float
    samples_needed: int | None
    least_complexity: float

    def __str__(self) -> str:
        used = self.slack + self.verification_cost
        if self.holds:
            return (
                f"proved: the truthful grand coalition is a Nash equilibrium with probability at least "
                f"{self.confidence:g} (slack plus verification {used:.4g} <= {self.budget:.4g})"
            )
        if used <= self.budget:
            return (
                "nothing is proved: the slack is below the theorem's 2 a eps. Measure the frequency instead"
            )
        need = (
            "no number of samples would do"
            if self.samples_needed is None
            else f"{self.samples_needed} samples from each agent would do"
        )
        if self.samples_needed is None and self.least_complexity > 0:
            need += f", the complexity would have to be at least {self.least_complexity:.4g}"
        return (
            f"nothing is proved: slack plus verification {used:.4g} exceeds the standalone cost "
            f"{self.budget:.4g}; {need}. Measure the frequency instead"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class VerificationTrial:
    """How often the truthful grand coalition was a Nash equilibrium in repeated verification.

    Attributes:
        runs: independent repetitions.
        equilibria: in how many the grand coalition was a Nash equilibrium.
        interval: exact (Clopper-Pearson) confidence interval of the frequency.
        level: confidence of the interval.
        within_radius: in how many runs all estimates were within the radius.
        least_surpluses: smallest surplus of any agent in each run, at the true types, shape (runs,).
        total_surpluses: total surplus in each run, shape (runs,).
    """

    runs: int
    equilibria: int
    interval: tuple[float, float]
    level: float
    within_radius: int
    least_surpluses: Float[np.ndarray, " runs"]
    total_surpluses: Float[np.ndarray, " runs"]

    @property
    def frequency(self) -> float:
        """Fraction of runs in which the grand coalition was a Nash equilibrium."""
        return self.equilibria / self.runs

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"grand coalition Nash in {self.equilibria} of {self.runs} runs ({self.frequency:.3f}, exact "
            f"{self.level:.0%} interval {low:.3f} to {high:.3f}); "
            f"mean surplus {self.total_surpluses.mean():.4g}"
        )


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
        budget = game.cost * game.standalone_contribution
        radius, charge = self.radius(game), self.charge(game)
        slack = 2.0 * game.loss_weight * radius
        holds = slack + charge <= budget and self.slack_factor == 1.0
        spread = 3.0 * game.loss_weight + game.standalone_loss + charge
        return Guarantee(
            holds=holds,
            confidence=self.confidence if holds else 0.0,
            radius=radius,
            slack=slack,
            verification_cost=charge,
            budget=budget,
            ex_ante_gain=(1.0 - self.confidence) * spread if holds else math.inf,
            samples_needed=self._samples_needed(game),
            least_complexity=self._least_complexity(game) if self.paid else 0.0,
        )

    def _samples_needed(self, game: ParticipationGame) -> int | None:
        """Fewest samples with 2 a eps(q) + c q <= c n0: the left side is convex in q, so bisect left of its
        minimum."""
        most = max(1, math.floor(game.standalone_contribution)) if self.paid else 2**53
        budget = game.cost * game.standalone_contribution

        def excess(log_samples: float) -> float:
            trial = replace(self, samples=max(1, round(math.exp(log_samples))), estimates=None, reports=None)
            return 2.0 * game.loss_weight * trial.radius(game) + trial.charge(game) - budget

        # In log q both terms are convex and their sum has one minimum.
        least: Any = optimize.minimize_scalar(excess, bounds=(0.0, math.log(most)), method="bounded")
        low, high = 0, max(1, round(math.exp(least.x)))
        if excess(math.log(high)) > 0:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if excess(math.log(middle)) <= 0 else (middle, high)
        return high

    def _least_complexity(self, game: ParticipationGame) -> float:
        """alpha at which the best number of paid samples, q*, just uses the budget: 3 c q* = c n0."""
        logarithm = log_term(agents=game.players, probes=self.probes, confidence=self.confidence)
        best = (game.loss_weight * math.sqrt(logarithm) / game.cost) ** (2.0 / 3.0)
        return (3.0 * best) ** (1.0 + game.exponent) * game.cost / (game.loss_weight * game.exponent)

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


def verification_trial(
    game: ParticipationGame, rule: VerifiedRule, *, runs: int = 1000, level: float = 0.95, seed: int = 0
) -> VerificationTrial:
    """Repeat verification with fresh samples and count how often the truthful grand coalition is Nash.

    A run in which a truthful agent is refused counts as a failure: that agent would rather lie or stay out.

    Args:
        game: the participation game, at the true types.
        rule: the verified rule; its estimates are redrawn in every run.
        runs: number of repetitions, up to a million.
        level: confidence of the exact interval of the frequency.
        seed: of all draws.

    Returns:
        The count with its exact confidence interval, and the surpluses of every run.

    Raises:
        InvalidInput: an argument outside its range.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> verification_trial(game, VerifiedRule(samples=36000), runs=20).frequency
    1.0
    """
    from scipy import stats

    confidence = number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    draws = simulate_estimates(
        game.types,
        samples=rule.samples,
        trusted_samples=rule.trusted_samples,
        trusted_loss=rule.trusted_loss,
        runs=integer("runs", runs, low=1, high=1_000_000),
        seed=seed,
    )
    everybody = game.profile("all")
    radius = rule.radius(game)
    within = (np.abs(draws - game.types) <= radius).all(axis=1)
    surpluses = np.stack([replace(rule, estimates=draw).surpluses(game, everybody) for draw in draws])
    refused = ~np.stack([replace(rule, estimates=draw).accepted(game, everybody) for draw in draws])
    nash = (surpluses >= -game.tolerance).all(axis=1) & ~refused.any(axis=1)
    interval = stats.binomtest(int(nash.sum()), runs).proportion_ci(confidence, method="exact")
    return VerificationTrial(
        runs=runs,
        equilibria=int(nash.sum()),
        interval=(float(interval.low), float(interval.high)),
        level=confidence,
        within_radius=int(within.sum()),
        least_surpluses=surpluses.min(axis=1),
        total_surpluses=surpluses.sum(axis=1),
    )
