"""For which models an estimate of quality is proved: classes of models, and how far estimates over them may be
off.

The quality of data is their discrepancy from the target over a class of models: the most by which the error of a
model of the class on these data differs from its error on the target. Estimates over a class say nothing about a
richer one: two probes that know no cats tell nothing of data without cats.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from contracts.checks import integer
from mechanisms.radius import growth_radius, hoeffding_radius


@dataclass(frozen=True, kw_only=True)
class ProbeClass:
    """Finitely many probe classifiers, and whoever chooses among them at random.

    Attributes:
        probes: number of probe classifiers, fixed before the samples are seen, at least one.
        labels: number K of labels whose frequencies are compared as well, at most 1000; zero for none. Then
            every classifier that is wrong exactly on the samples of some labels counts as a probe, 2^(K-1) - 1
            of them up to complements: the largest discrepancy over these is the total variation between the
            frequencies. All labels there may be, known before the samples are seen.

    Raises:
        InvalidInput: a number outside its range.

    >>> print(ProbeClass(probes=1, labels=10))
    the one probe classifier and those that err on whole labels, of 10
    """

    probes: int = 1
    labels: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "probes", integer("probes", self.probes, low=1))
        object.__setattr__(self, "labels", integer("labels", self.labels, high=1000))

    @property
    def size(self) -> int:
        """Number of models whose estimates must be right at once."""
        return self.probes + (2 ** (self.labels - 1) - 1 if self.labels else 0)

    def radius(self, *, samples: int, agents: int, trusted_samples: int | None, confidence: float) -> float:
        """Hoeffding's radius, with a union over agents and models; see `hoeffding_radius`."""
        return hoeffding_radius(
            samples=samples,
            agents=agents,
            trusted_samples=trusted_samples,
            probes=self.size,
            confidence=confidence,
        )

    def __str__(self) -> str:
        named = "the one probe classifier" if self.probes == 1 else f"the {self.probes} probe classifiers"
        return f"{named} and those that err on whole labels, of {self.labels}" if self.labels else named


class _InfiniteClass(ABC):
    """Infinitely many models, of which only finitely many differ on any samples."""

    @abstractmethod
    def log_growth(self, samples: int) -> float:
        """Logarithm of the number of ways in which models of the class can err on so many samples, at most."""

    def radius(self, *, samples: int, agents: int, trusted_samples: int | None, confidence: float) -> float:
        """The VC inequality with this class's growth; see `growth_radius`."""
        return growth_radius(
            samples=samples,
            agents=agents,
            log_growth=self.log_growth,
            trusted_samples=trusted_samples,
            confidence=confidence,
        )


@dataclass(frozen=True, kw_only=True)
class StumpClass(_InfiniteClass):
    """All decision stumps: one label where a feature is at most a threshold, another where it is above.

    Attributes:
        features: number D of features, at least one.
        labels: number K of labels that a stump may tell, at least two.

    Raises:
        InvalidInput: a number outside its range.

    >>> print(StumpClass(features=8, labels=2))
    all decision stumps on 8 features, 2 labels
    """

    features: int
    labels: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", integer("features", self.features, low=1))
        object.__setattr__(self, "labels", integer("labels", self.labels, low=2))

    def log_growth(self, samples: int) -> float:
        """log(K + D (n - 1) K (K - 1)): one label everywhere, or two on the sides of one of n - 1 cuts."""
        cuts = self.features * (samples - 1) * (self.labels - 1)
        return math.log(self.labels) + math.log1p(cuts)

    def __str__(self) -> str:
        return f"all decision stumps on {self.features} features, {self.labels} labels"


@dataclass(frozen=True, kw_only=True)
class VCClass(_InfiniteClass):
    """Models whose errors have a finite VC dimension; the user finds the largest difference over all of them.

    Attributes:
        dimension: VC dimension, at least one.
        name: what the models are.

    Raises:
        InvalidInput: the dimension is not a whole number above zero.

    >>> round(VCClass(dimension=10).radius(samples=39441, agents=10, trusted_samples=None, confidence=0.95), 3)
    0.062
    """

    dimension: int
    name: str = "all models of a class"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimension", integer("dimension", self.dimension, low=1))

    def log_growth(self, samples: int) -> float:
        """Sauer's bound d log(e n / d); n log 2 below the dimension."""
        every = samples * math.log(2.0)
        if samples <= self.dimension:
            return every
        return min(every, self.dimension * math.log(math.e * samples / self.dimension))

    def __str__(self) -> str:
        return f"{self.name} of VC dimension {self.dimension}"


ModelClass = ProbeClass | StumpClass | VCClass
