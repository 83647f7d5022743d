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

from typing import Any

import numpy as np

from contracts.checks import array, brief, integer, number
from contracts.errors import Infeasible, InvalidInput
from contracts.records import frozen
from equilibria.environment import Environment
from equilibria.guarantee import Guarantee, Sampling, guarantee_of
from equilibria.rule import Rule
from equilibria.welfare import WelfareOptimum, welfare_optimum
from mechanisms.model_class import ModelClass, ProbeClass
from mechanisms.radius import log_term
from mechanisms.verification import TypeEstimates, accept, simulate_estimates


@frozen
class VerifiedRule(Rule):
    """Contributions from estimated types, with slack; refusal of reports that do not fit the samples.

    What the estimates are is part of them: pass what `mechanisms.estimate_types` returns, and samples,
    confidence, trusted samples and the class of models are taken from it. Bare numbers need their sample size in
    `samples`.

    Attributes:
        samples: q, samples taken from each member, at least one; only without `TypeEstimates`.
        confidence: probability, in (0, 1), that all estimates are within the radius; .95 when omitted.
        trusted_samples: samples of the target distribution; as many as from each member when omitted.
        probes: number of probe classifiers; one when omitted.
        paid: whether members bear the cost of their samples (which are then also used for training).
        slack_factor: fraction of the theorem's slack that is used, in [0, 1]; below one nothing is proved.
        estimates: the estimated types, `mechanisms.TypeEstimates` or numbers, shape (agents,). When omitted they
            are drawn as one probe would give them, from `seed`.
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

    samples: int | None = None
    confidence: float | None = None
    trusted_samples: int | None = None
    probes: int | None = None
    paid: bool = True
    slack_factor: float = 1.0
    estimates: Any = None
    reports: Any = None
    trusted_loss: float = 0.05
    seed: int = 0

    anonymous = False

    def __post_init__(self) -> None:
        if isinstance(self.estimates, TypeEstimates):
            own = ("samples", "confidence", "trusted_samples", "probes")
            told = [name for name in own if getattr(self, name) is not None]
            if told:
                raise InvalidInput(f"{told[0]}: the estimates say it themselves, expected it to be left out")
        elif self.samples is None:
            raise InvalidInput("samples: expected how many samples of each agent the estimates are made from")
        confidence = 0.95 if self.confidence is None else self.confidence
        probes = 1 if self.probes is None else self.probes
        log_term(agents=1, probes=probes, confidence=confidence)
        checked: dict[str, Any] = {
            "slack_factor": number("slack_factor", self.slack_factor, low=0.0, high=1.0),
            "trusted_loss": number("trusted_loss", self.trusted_loss, low=0.0, high=1.0),
            "seed": integer("seed", self.seed),
        }
        if not isinstance(self.paid, bool):
            raise InvalidInput(f"paid = {brief(self.paid)}: expected true or false")
        for name in ("samples", "trusted_samples"):
            if getattr(self, name) is not None:
                checked[name] = integer(name, getattr(self, name), low=1)
        for name in ("estimates", "reports"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, TypeEstimates):
                checked[name] = array(name, value, low=0.0, high=1.0)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def sampling(self, game: Environment) -> Sampling:
        """How quality is estimated: what the estimates say of themselves, or what this rule was told.

        Raises:
            InvalidInput: estimates of another number of agents.
        """
        found = self.estimates
        if isinstance(found, TypeEstimates):
            _fitting("estimates", found.estimates, game)
            return Sampling(
                samples=int(found.samples.max()),
                fewest=int(found.samples.min()),
                trusted_samples=found.trusted_samples,
                model_class=found.model_class,
                confidence=found.confidence,
                false_alarm=found.false_alarm,
                refused=found.refused,
                paid=self.paid,
                slack_factor=self.slack_factor,
            )
        samples = integer("samples", self.samples, low=1)
        for name in ("estimates", "reports"):
            if getattr(self, name) is not None:
                _fitting(name, getattr(self, name), game)
        return Sampling(
            samples=samples,
            fewest=samples,
            trusted_samples=self.trusted_samples,
            model_class=ProbeClass(probes=1 if self.probes is None else self.probes),
            confidence=0.95 if self.confidence is None else self.confidence,
            false_alarm=0.0,
            refused=np.zeros(game.players, dtype=bool),
            paid=self.paid,
            slack_factor=self.slack_factor,
        )

    def radius(self, game: Environment) -> float:
        """How far estimates may be from the truth, with the confidence of the estimates."""
        return self.sampling(game).radius()

    def charge(self, game: Environment) -> float:
        """c q, the most that verification costs any member; zero when samples are free."""
        return self.sampling(game).charge(game)

    def charged(self, game: Environment) -> np.ndarray:
        """Samples of verification that each member pays for, shape (agents,)."""
        found = self.estimates
        samples = found.samples if isinstance(found, TypeEstimates) else np.full(game.players, self.samples)
        return samples * float(self.paid)

    def guarantee(self, game: Environment, model_class: ModelClass | str | None = None) -> Guarantee:
        """What is proved about the truthful grand coalition of `game` under this rule, and for which models.

        It is about the true types, whatever they are. Nothing is proved for a game whose types lie further from
        the estimates given than these may be wrong; where types are not known, give the game the estimates.

        Args:
            game: the participation game; its own rule is not used.
            model_class: the models that will be trained, if they are others than those over which quality was
                estimated; then nothing is proved for them.

        Returns:
            The condition with its figures, and the sample size that would meet it.

        >>> from equilibria.participation import ParticipationGame
        >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> print(VerifiedRule(samples=400).guarantee(game))
        nothing is proved: slack plus verification 0.2189 exceeds the standalone cost 0.05;
        8550 samples from each agent would do. Measure the frequency instead
        """
        return guarantee_of(self.sampling(game), game, model_class, self._contradiction(game))

    def _contradiction(self, game: Environment) -> str:
        """Whose type in the game the estimates given exclude, in words; empty where nobody's."""
        if self.estimates is None:
            return ""
        sampling, estimated = self.sampling(game), self.estimated(game)
        apart = np.where(sampling.refused, 0.0, np.abs(game.types - estimated))
        worst = int(np.argmax(apart))
        if apart[worst] <= sampling.radius() + 1e-12:
            return ""
        return (
            f"agent {worst} is of type {game.types[worst]:.4g} in this game and estimated at"
            f" {estimated[worst]:.4g}, further away than estimates may be wrong ({sampling.radius():.4g}); where"
            " types are not known, give the game the estimates"
        )

    def estimated(self, game: Environment) -> np.ndarray:
        """The estimates used: those given, else those drawn from the seed, shape (agents,)."""
        if isinstance(self.estimates, TypeEstimates):
            return _fitting("estimates", self.estimates.estimates, game)
        if self.estimates is None:
            return simulate_estimates(
                game.types,
                samples=integer("samples", self.samples, low=1),
                trusted_samples=self.trusted_samples,
                trusted_loss=self.trusted_loss,
                seed=self.seed,
            )[0]
        return _fitting("estimates", self.estimates, game)

    def accepted(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Which members' reports fit their samples, boolean, shape (agents,); none of those refused."""
        reports = game.types if self.reports is None else _fitting("reports", self.reports, game)
        sampling = self.sampling(game)
        return members & ~sampling.refused & accept(reports, self.estimated(game), sampling.radius())

    def optimum(self, game: Environment, accepted: np.ndarray) -> WelfareOptimum | None:
        """The program's solution for the accepted members, or None if it has none and the coalition
        dissolves.

        When the theorem's condition fails, the slack is the largest that is feasible.
        """
        if not accepted.any():
            return None
        game.require_alike("the verified rule")
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

    def contributions(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Samples each accepted member gives; nothing at all when the coalition dissolves."""
        result = np.zeros(game.players)
        accepted = self.accepted(game, members)
        optimum = self.optimum(game, accepted)
        if optimum is not None:
            result[accepted] = optimum.contributions
        return result

    def surpluses(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Surplus at the true types; the refused, and everybody in a coalition that dissolves, lose the
        charge."""
        accepted = self.accepted(game, members)
        given = self.contributions(game, members)
        charged = self.charged(game)
        lost = np.where(members, -game.unit_costs * charged, 0.0)
        if not given.any():
            return lost
        return np.where(accepted, game.surplus_of(given, np.maximum(given, charged)), lost)


def _fitting(name: str, values: np.ndarray, game: Environment) -> np.ndarray:
    if values.size != game.players:
        raise InvalidInput(f"{name} has length {values.size}: expected {game.players}, one for each agent")
    return values
