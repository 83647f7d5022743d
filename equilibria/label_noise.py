"""Participation games on real data: agents whose labels are wrong with different, private probabilities.

Agent j draws samples from a common pool and flips each label to another class, uniformly, with probability
rate_j. For a loss that counts errors and a classifier of error R on clean data, the error on agent j's data
exceeds R by rate_j (1 - R K / (K - 1)) with K classes, so rates are the agents' types. Models are
nearest-neighbour classifiers: they interpolate, so wrong labels cost what the bound says; smoother learners
hardly feel symmetric noise. Everything here can be compared with the model's prediction: errors of
coalitions, gains of leaving, the cascade, verification.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from contracts.checks import array, choice, integer, number
from contracts.errors import BackendMissing, InvalidInput
from contracts.records import frozen
from equilibria.participation import ParticipationGame
from mechanisms.verification import probe_losses

#: Dimensions of the embedding, and samples for the pool, for trust and for the test, of each data set.
SPLITS = {"digits": (16, 1000, 297, 500), "breast_cancer": (8, 300, 99, 170)}


@frozen
class MeasuredError:
    """A test error measured by repetition.

    Attributes:
        mean: mean error over the repetitions, in [0, 1].
        standard_error: of the mean.
        repeats: number of repetitions.
    """

    mean: float
    standard_error: float
    repeats: int


@frozen
class MeasuredCascade:
    """The cascade as it happens with trained models: members leave when their measured gain is negative.

    Attributes:
        sizes: members in each round.
        errors: measured test error of each round's model.
        least_gains: smallest measured gain from staying in each round.
        left_after: round after which each agent left; the last round for those who stayed, shape (agents,).
    """

    sizes: Int[np.ndarray, " rounds"]
    errors: Float[np.ndarray, " rounds"]
    least_gains: Float[np.ndarray, " rounds"]
    left_after: Int[np.ndarray, " agents"]


@frozen
class LabelNoise:
    """A classification task shared by agents with different rates of wrong labels; see `label_noise`.

    Attributes:
        rates: probability with which each agent's labels are wrong, shape (agents,).
        classes: number of classes K.
        features: embedded samples of the pool, shape (pool, dimensions).
        labels: their true labels, shape (pool,).
        trusted_features: samples the organiser trusts, shape (trusted, dimensions).
        trusted_labels: their labels, shape (trusted,).
        test_labels: labels of the test samples, shape (test,).
        distances: Euclidean distance of every test sample to every sample of the pool, shape (test, pool).
    """

    rates: Float[np.ndarray, " agents"]
    classes: int
    features: Float[np.ndarray, "pool dimensions"]
    labels: Int[np.ndarray, " pool"]
    trusted_features: Float[np.ndarray, "trusted dimensions"]
    trusted_labels: Int[np.ndarray, " trusted"]
    test_labels: Int[np.ndarray, " test"]
    distances: Float[np.ndarray, "test pool"]

    def flipped(self, labels: np.ndarray, rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Labels after each was replaced by another class with its rate."""
        wrong = rng.random(labels.size) < rates
        return np.where(wrong, (labels + rng.integers(1, self.classes, labels.size)) % self.classes, labels)

    def error(self, contributions: Any, *, repeats: int = 100, seed: int = 0) -> MeasuredError:
        """Test error of the model trained on the agents' samples.

        Args:
            contributions: samples each agent gives, rounded down, at most the pool together, shape (agents,).
            repeats: how often data are drawn anew, at least two.
            seed: of the draws.

        Raises:
            InvalidInput: no samples, or more than the pool holds.
        """
        counts = np.floor(array("contributions", contributions, low=0.0, length=self.rates.size)).astype(int)
        if not 0 < counts.sum() <= self.labels.size:
            raise InvalidInput(
                f"contributions sum to {counts.sum()}: expected 1 to the pool's {self.labels.size} samples"
            )
        rates, seed = np.repeat(self.rates, counts), integer("seed", seed)
        errors = [
            self._one_error(rates, np.random.default_rng([seed, run]))
            for run in range(integer("repeats", repeats, low=2))
        ]
        spread = float(np.std(errors, ddof=1) / np.sqrt(repeats))
        return MeasuredError(mean=float(np.mean(errors)), standard_error=spread, repeats=repeats)

    def _one_error(self, rates: np.ndarray, rng: np.random.Generator) -> float:
        chosen = rng.choice(self.labels.size, size=rates.size, replace=False)
        taught = self.flipped(self.labels[chosen], rates, rng)
        nearest = self.distances[:, chosen].argmin(axis=1)
        return float((taught[nearest] != self.test_labels).mean())

    def learning_curve(self, sizes: Any, *, repeats: int = 100, seed: int = 0) -> np.ndarray:
        """Mean test error of models trained on `sizes` clean samples, shape (sizes,)."""
        counts = array("sizes", sizes, low=1.0, high=float(self.labels.size)).astype(int)
        seed = integer("seed", seed)
        rngs = [np.random.default_rng([seed, run]) for run in range(integer("repeats", repeats, low=1))]
        return np.array([np.mean([self._one_error(np.zeros(n), rng) for rng in rngs]) for n in counts])

    def calibrated_game(self, sizes: Any, errors: Any, *, standalone: float) -> ParticipationGame:
        """A participation game whose bound is fitted to a learning curve, error = alpha N^-gamma.

        The fit is by least squares of logarithms. The loss weight is one: an interpolating learner passes
        wrong labels on as they are.

        Args:
            sizes: sample sizes of the curve, at least two, at least one.
            errors: mean errors there, shape (sizes,).
            standalone: samples an agent would train on alone; fixes the cost of a sample.

        Returns:
            The game, types equal to the rates, under the pooled rule.

        Raises:
            InvalidInput: a curve that does not fall, or falls faster than 1 / N.
        """
        data = array("sizes", sizes, low=1.0)
        measured = array("errors", errors, low=0.0, high=1.0, open_low=True, length=data.size)
        alone = number("standalone", standalone, low=0.0, open_low=True)
        if np.unique(data).size < 2:
            raise InvalidInput("sizes: expected at least two different sample sizes")
        slope, level = np.polyfit(np.log(data), np.log(measured), 1)
        if not -1.0 <= slope < 0.0:
            raise InvalidInput(f"errors fall like N^{slope:.3g}: expected a power between -1 and 0")
        complexity = float(np.exp(level))
        return ParticipationGame(
            types=self.rates,
            loss_weight=1.0,
            complexity=complexity,
            exponent=-float(slope),
            cost=complexity * -float(slope) * alone ** (float(slope) - 1.0),
        )

    def measured_gains(
        self, game: ParticipationGame, coalition: Any = None, *, repeats: int = 100, seed: int = 0
    ) -> np.ndarray:
        """Measured gain of each member from staying: error and cost alone less error and cost together.

        Zero for agents outside, shape (agents,).
        """
        members = game.profile(coalition)
        given = np.floor(game.contributions(members))
        together = self.error(given, repeats=repeats, seed=seed).mean
        gains = np.zeros(game.players)
        amount = np.floor(game.standalone_contribution)
        for agent in np.flatnonzero(members):
            own = np.zeros(game.players)
            own[agent] = amount
            alone = self.error(own, repeats=repeats, seed=seed + 1).mean
            gains[agent] = alone + game.cost * amount - together - game.cost * given[agent]
        return gains

    def cascade(self, game: ParticipationGame, *, repeats: int = 100, seed: int = 0) -> MeasuredCascade:
        """Unravelling as it happens: whoever's measured gain from staying is negative leaves, round after
        round.

        The gain of the last member is zero by definition.
        """
        members = np.ones(game.players, dtype=bool)
        left_after = np.zeros(game.players, dtype=int)
        rows = []
        while True:
            gains = self.measured_gains(game, members, repeats=repeats, seed=seed)
            alone = members.sum() == 1
            least = 0.0 if alone else float(gains[members].min())
            error = self.error(game.contributions(members), repeats=repeats, seed=seed).mean
            rows.append((members.sum(), error, least))
            leaving = members & (gains < 0) & (not alone)
            if not leaving.any() or leaving.sum() == members.sum():
                left_after[members] = len(rows) - 1
                sizes, errors, least_gains = (np.array(column) for column in zip(*rows, strict=True))
                return MeasuredCascade(
                    sizes=sizes.astype(int), errors=errors, least_gains=least_gains, left_after=left_after
                )
            left_after[leaving] = len(rows) - 1
            members &= ~leaving

    def estimates(self, samples: int, *, seed: int = 0) -> np.ndarray:
        """Rates estimated from a few samples of each agent with one probe trained on half of the trusted
        data.

        Args:
            samples: samples taken from each agent, at least one, at most the pool.
            seed: of the samples.

        Returns:
            Estimated rates (error of the probe on the agent's labels less its error on trusted ones, divided
            by what a wrong label adds), in [0, 1], shape (agents,).

        Raises:
            InvalidInput: more samples than the pool holds.
        """
        from sklearn.linear_model import LogisticRegression

        count = integer("samples", samples, low=1, high=self.labels.size)
        half = self.trusted_labels.size // 2
        probe = LogisticRegression(max_iter=2000).fit(self.trusted_features[:half], self.trusted_labels[:half])
        held_out = (self.trusted_features[half:], self.trusted_labels[half:])
        base = float(probe_losses([probe.predict], *held_out).mean())
        rng = np.random.default_rng(integer("seed", seed))
        found = np.empty(self.rates.size)
        for agent, rate in enumerate(self.rates):
            chosen = rng.choice(self.labels.size, size=count, replace=False)
            told = self.flipped(self.labels[chosen], np.full(count, rate), rng)
            found[agent] = probe_losses([probe.predict], self.features[chosen], told).mean() - base
        return np.clip(found / (1.0 - base * self.classes / (self.classes - 1)), 0.0, 1.0)


def label_noise(data: str, rates: Any, *, seed: int = 0) -> LabelNoise:
    """Split a classification data set of scikit-learn among agents with wrong labels.

    Args:
        data: "digits" (10 classes) or "breast_cancer" (2 classes); embedded by standardisation (breast
            cancer) and principal components.
        rates: probability with which each agent's labels are wrong, in [0, 1), shape (agents,).
        seed: of the split.

    Returns:
        The task, with its pool, trusted and test samples.

    Raises:
        InvalidInput: an unknown data set, or a rate outside [0, 1).
        BackendMissing: scikit-learn is not installed.

    >>> task = label_noise("digits", [0.0, 0.5])
    >>> clean, noisy = (task.error(counts, repeats=10).mean for counts in ([100, 0], [0, 100]))
    >>> clean < 0.2 < 0.5 < noisy
    True
    """
    dimensions, pool, trusted, test = SPLITS[choice("data", data, list(SPLITS))]
    wrong = array("rates", rates, low=0.0, high=1.0, open_high=True)
    try:
        from sklearn import datasets, decomposition, metrics, preprocessing
    except ImportError as error:
        raise BackendMissing("scikit-learn", "real data", extra="data") from error
    bunch: Any = getattr(datasets, f"load_{data}")()
    features, labels = bunch.data, bunch.target
    if data == "breast_cancer":
        features = preprocessing.StandardScaler().fit_transform(features)
    embedded = decomposition.PCA(dimensions, svd_solver="full").fit_transform(features)
    order = np.random.default_rng(integer("seed", seed)).permutation(labels.size)
    own, trust, check = (
        order[:pool],
        order[pool : pool + trusted],
        order[pool + trusted : pool + trusted + test],
    )
    return LabelNoise(
        rates=wrong,
        classes=int(labels.max()) + 1,
        features=embedded[own],
        labels=labels[own],
        trusted_features=embedded[trust],
        trusted_labels=labels[trust],
        test_labels=labels[check],
        distances=metrics.pairwise_distances(embedded[check], embedded[own]),
    )
