r"""How many take part, where that is uncertain: the law of the number N of participants.

Everybody who takes part is drawn independently from the types, so all expectations follow from the generating
function G(z) = E z^N: with phi(s) = sum_j p_j exp(-s m_j),

    E exp(-s n·m) = G(phi(s)).

Somebody who takes part believes that the number of others follows the size-biased law less one, with generating
function G'(z)/G'(1): being there oneself is likelier where many are. For a Poisson number that is the same
Poisson number again, for a binomial one it has one trial less.

What an outcome means: where nobody comes there is no model, and the coordinator has accuracy zero; who comes
alone gets at most what its own contribution trains.

Source: ours; size-biasing is Bayes' rule.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from contracts import checks
from contracts.errors import InvalidInput
from contracts.records import assembled, frozen

LARGEST = 10**12
MOST_ATOMS = 100_000
NEGLIGIBLE = 1e-17  # probability of the counts left out on either side


class LogPower(NamedTuple):
    """log G(exp l) with its first two derivatives by l: moments of N tilted by exp(l N)."""

    value: np.ndarray
    slope: np.ndarray
    bend: np.ndarray


class Turnout:
    """A law of the number of participants, of mean E N; whole numbers stand for themselves."""

    mean: Any

    @property
    @abstractmethod
    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts, increasing, and their probabilities; counts of negligible probability (1e-17) left out."""

    @property
    def least(self) -> int:
        """The smallest count that matters."""
        return int(self.support[0][0])

    @property
    def most(self) -> int:
        """The largest count that matters."""
        return int(self.support[0][-1])

    @property
    def variance(self) -> float:
        """Var N."""
        counts, mass = self.support
        return float(mass @ (counts - self.mean) ** 2)

    @abstractmethod
    def log_power(self, logs: np.ndarray) -> LogPower:
        """log E exp(l N) with derivatives, for each l <= 0."""

    @abstractmethod
    def lost(self, logs: Any, less: Any) -> np.ndarray:
        """E [exp(l N) (1 - exp(a N))] for l, a <= 0, precise however small a is."""

    @abstractmethod
    def others(self) -> Turnout:
        """How many others somebody who takes part expects: size-biased, less one."""

    @abstractmethod
    def thinned(self, kept: float) -> Turnout:
        """The number given that all who came were of types that have the probability `kept` together."""

    @abstractmethod
    def generating(self, z: Any) -> Any:
        """G(z) = E z^N for |z| <= 1, complex too."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The law as plain data, as files hold it."""


@frozen
class Poisson(Turnout):
    """Many who may come, each unlikely and on its own: a Poisson number of participants.

    Args:
        mean: E N, in (0, 1e7].

    >>> Poisson(mean=20.0)
    Poisson(mean=20.0)
    >>> Poisson(mean=20.0).others().mean
    20.0
    """

    mean: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", checks.number("mean", self.mean, low=0.0, high=1e7, open_low=True))

    def __str__(self) -> str:
        return f"Poisson (mean {self.mean:g})"

    @cached_property
    def support(self) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        """Counts and probabilities."""
        return _atoms(self.mean, self.mean, LARGEST, "poisson", self.mean)

    def log_power(self, logs: np.ndarray) -> LogPower:
        """log E exp(l N) = mean (e^l - 1)."""
        tilted = self.mean * np.exp(logs)
        return LogPower(self.mean * np.expm1(logs), tilted, tilted)

    def lost(self, logs: Any, less: Any) -> np.ndarray:
        """See `Turnout.lost`."""
        change = self.mean * np.exp(logs) * np.expm1(less)
        return -np.exp(self.mean * np.expm1(logs)) * np.expm1(change)

    def others(self) -> Poisson:
        """The same law."""
        return self

    def thinned(self, kept: float) -> Poisson:
        """Fewer, in proportion."""
        return Poisson(mean=max(self.mean * kept, 1e-300))

    def generating(self, z: Any) -> Any:
        """exp(mean (z - 1))."""
        return np.exp(self.mean * (np.asarray(z) - 1.0))

    def parameters(self) -> dict[str, Any]:
        """As files hold it."""
        return {"family": "poisson", "mean": self.mean}


@frozen
class Binomial(Turnout):
    """So many are invited, and each comes with some probability on its own.

    Args:
        trials: how many may come, a whole number >= 1 (>= 2 where there are no groups).
        probability: with which each of them comes, in (0, 1]; with 1 all come, as with `participants = trials`.

    >>> Binomial(trials=40, probability=0.5).mean
    20.0
    """

    trials: int
    probability: float

    def __post_init__(self) -> None:
        trials = checks.integer("trials", self.trials, low=1, high=LARGEST)
        object.__setattr__(self, "trials", trials)
        chance = checks.number("probability", self.probability, low=0.0, high=1.0, open_low=True)
        object.__setattr__(self, "probability", chance)
        if trials * chance * (1.0 - chance) > 1e7:
            raise InvalidInput(
                f"trials * probability * (1 - probability) = {trials * chance * (1 - chance):g}: expected a"
                " variance of at most 1e+07"
            )

    def __str__(self) -> str:
        return f"binomial ({self.trials} trials, probability {self.probability:g})"

    @property
    def mean(self) -> float:
        """E N."""
        return self.trials * self.probability

    @cached_property
    def support(self) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        """Counts and probabilities."""
        variance = self.mean * (1.0 - self.probability)
        return _atoms(self.mean, variance, self.trials, "binom", self.trials, self.probability)

    def log_power(self, logs: np.ndarray) -> LogPower:
        """log E exp(l N) = trials log(1 - q + q e^l)."""
        share = self._tilted(logs)
        change = self.probability * np.expm1(logs)
        with np.errstate(divide="ignore", invalid="ignore"):
            near = np.log1p(np.maximum(change, -0.5))
            far = np.logaddexp(np.log1p(-self.probability), np.log(self.probability) + logs)
        value = self.trials * np.where(change > -0.5, near, far)
        return LogPower(value, self.trials * share, self.trials * share * (1.0 - share))

    def lost(self, logs: Any, less: Any) -> np.ndarray:
        """See `Turnout.lost`."""
        value = self.log_power(np.asarray(logs)).value
        change = np.maximum(self._tilted(logs) * np.expm1(less), -1.0 + 1e-16)
        return -np.exp(value) * np.expm1(self.trials * np.log1p(change))

    def _tilted(self, logs: Any) -> np.ndarray:
        """Each one's probability of coming under the law tilted by exp(l N)."""
        if self.probability == 1.0:
            return np.ones(np.shape(logs))
        return special.expit(np.asarray(logs) + special.logit(self.probability))

    def others(self) -> Turnout:
        """One trial less."""
        if self.trials == 1:
            return FixedTurnout(count=0)
        if self.trials == 2:
            one = self.probability
            return FiniteTurnout.checked(np.array([0, 1]), np.array([1.0 - one, one]))
        return Binomial(trials=self.trials - 1, probability=self.probability)

    def thinned(self, kept: float) -> Turnout:
        """The same trials, each less likely to come."""
        kept = max(kept, 1e-300)
        chance = self.probability * kept / (1.0 - self.probability + self.probability * kept)
        return Binomial(trials=self.trials, probability=max(chance, 1e-300))

    def generating(self, z: Any) -> Any:
        """(1 - q + q z)^trials."""
        return (1.0 - self.probability + self.probability * np.asarray(z)) ** self.trials

    def parameters(self) -> dict[str, Any]:
        """As files hold it."""
        return {"family": "binomial", "trials": self.trials, "probability": self.probability}


@frozen
class FiniteTurnout(Turnout):
    """Finitely many possible numbers of participants.

    Args:
        counts: whole numbers >= 0, different, at most 100,000 of them.
        probabilities: of each, in [0, 1], summing to 1.

    Raises:
        InvalidInput: as the message says; also where nobody ever comes.

    >>> FiniteTurnout(counts=[10, 30], probabilities=[0.5, 0.5]).others().mean
    24.0
    """

    counts: Any
    probabilities: Any

    def __post_init__(self) -> None:
        counts = checks.array("counts", self.counts, low=0.0, high=LARGEST)
        for i in np.flatnonzero(counts != np.floor(counts)):
            raise InvalidInput(f"counts[{i}] = {counts[i]:g}: expected a whole number")
        mass = checks.probabilities("probabilities", self.probabilities, length=counts.size)
        order = np.argsort(counts, kind="stable")
        for i in np.flatnonzero(np.diff(counts[order]) == 0):
            raise InvalidInput(f"counts[{order[i + 1]}] = {counts[order[i]]:g} occurs twice")
        if counts.size > MOST_ATOMS:
            raise InvalidInput(f"counts has length {counts.size}: expected at most {MOST_ATOMS}")
        if not mass[counts >= 1].sum() > 0.0:
            raise InvalidInput("counts: nobody ever comes: expected some probability of a count >= 1")
        counts, mass = counts[order].astype(np.int64), mass[order]
        object.__setattr__(self, "counts", counts[mass > 0.0])
        object.__setattr__(self, "probabilities", mass[mass > 0.0])

    @classmethod
    def checked(cls, counts: np.ndarray, mass: np.ndarray) -> FiniteTurnout:
        """A law whose counts are known to be sound; two need not meet."""
        kept = mass > 0.0
        return assembled(cls, [("counts", counts[kept].astype(np.int64)), ("probabilities", mass[kept])])

    def __str__(self) -> str:
        return f"{self.least} to {self.most} (mean {self.mean:g})"

    @property
    def mean(self) -> float:
        """E N."""
        return float(self.counts @ self.probabilities)

    @property
    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts and probabilities."""
        return self.counts, self.probabilities

    def log_power(self, logs: np.ndarray) -> LogPower:
        """By the sum, relative to its largest term."""
        logs = np.maximum(logs, -1e200)  # nothing is left of exp(l): 0 times infinity is 0 where nobody comes
        exponent = np.multiply.outer(logs, self.counts) + np.log(self.probabilities)
        top = exponent.max(axis=-1)
        share = np.exp(exponent - top[..., None])
        total = share.sum(axis=-1)
        share = share / total[..., None]
        mean = share @ self.counts
        bend = (share * (self.counts - mean[..., None]) ** 2).sum(axis=-1)
        return LogPower(top + np.log(total), mean, bend)

    def lost(self, logs: Any, less: Any) -> np.ndarray:
        """See `Turnout.lost`."""
        logs, less = np.broadcast_arrays(logs, less)
        total = np.zeros(logs.shape)
        for count, mass in zip(self.counts, self.probabilities, strict=True):
            total = total - mass * np.exp(count * logs) * np.expm1(count * less)
        return total

    def others(self) -> FiniteTurnout:
        """Size-biased, less one."""
        mass = self.counts * self.probabilities
        if not mass.any():  # nobody ever comes, nor anybody else
            return self
        return FiniteTurnout.checked(self.counts[mass > 0] - 1, mass[mass > 0] / mass.sum())

    def thinned(self, kept: float) -> FiniteTurnout:
        """Tilted towards few."""
        with np.errstate(divide="ignore"):
            logs = np.where(self.counts > 0, self.counts * np.log(kept), 0.0) + np.log(self.probabilities)
        mass = np.exp(logs - logs.max()) if np.isfinite(logs.max()) else (self.counts == self.counts[0]) * 1.0
        return FiniteTurnout.checked(self.counts, mass / mass.sum())

    def generating(self, z: Any) -> Any:
        """By the sum."""
        z = np.asarray(z)
        power, total, before = np.ones_like(z), np.zeros_like(z), 0
        for count, mass in zip(self.counts, self.probabilities, strict=True):
            power, before = power * z ** int(count - before), count
            total = total + mass * power
        return total

    def parameters(self) -> dict[str, Any]:
        """As files hold it."""
        return {
            "family": "finite",
            "counts": self.counts.tolist(),
            "probabilities": self.probabilities.tolist(),
        }


def _atoms(mean: float, variance: float, top: int, law: str, *of: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts around the mean whose probabilities matter (quantiles near 1 are out of a float's reach)."""
    reach = 10.0 * np.sqrt(variance) + 40.0
    counts = np.arange(max(int(mean - reach), 0), min(int(mean + reach) + 1, top) + 1)
    mass = getattr(import_module("scipy.stats"), law).pmf(counts, *of)  # half a second to import
    kept = mass > NEGLIGIBLE * 0.1
    return counts[kept], mass[kept] / mass[kept].sum()


@frozen
class FixedTurnout(Turnout):
    """A number known in advance, for code that serves both cases."""

    count: int

    @property
    def mean(self) -> float:
        """The number."""
        return float(self.count)

    @property
    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """The number alone."""
        return np.array([self.count]), np.ones(1)

    def log_power(self, logs: np.ndarray) -> LogPower:
        """l N."""
        return LogPower(self.count * logs, np.full(np.shape(logs), self.mean), np.zeros(np.shape(logs)))

    def lost(self, logs: Any, less: Any) -> np.ndarray:
        """See `Turnout.lost`."""
        return -np.exp(self.count * np.asarray(logs)) * np.expm1(self.count * np.asarray(less))

    def others(self) -> FixedTurnout:
        """One less."""
        return FixedTurnout(count=max(self.count - 1, 0))

    def thinned(self, kept: float) -> FixedTurnout:  # noqa: ARG002 - known is known
        """The same."""
        return self

    def generating(self, z: Any) -> Any:
        """z^N."""
        return np.asarray(z) ** self.count

    def parameters(self) -> dict[str, Any]:
        """Never written: files hold the number itself."""
        return {"family": "finite", "counts": [self.count], "probabilities": [1.0]}


FAMILIES: dict[str, type[Turnout]] = {"poisson": Poisson, "binomial": Binomial, "finite": FiniteTurnout}


def as_turnout(participants: int | Turnout) -> Turnout:
    """The law of a number of participants, certain or not."""
    return participants if isinstance(participants, Turnout) else FixedTurnout(count=int(participants))
