"""Real data and its division among participants, reproducible by seed.

The data are those that ship inside scikit-learn, so nothing is downloaded, or the user's own, from a file
(`mechanisms.sample_file`). `load` gives one data set cut into training, validation and test samples; `split`
divides the training samples among participants the way federated-learning papers do: evenly, by a power law of
sizes, by nested class sets, or by a Dirichlet draw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import BackendMissing, InvalidInput
from mechanisms.sample_file import is_file, read_samples
from mechanisms.seeds import LARGEST_SEED

NAMES = ("digits", "breast-cancer", "wine", "iris")
KINDS = ("uniform", "power-law", "class-imbalance", "dirichlet")

# Shape of SciPy's powerlaw whose quantiles give the sizes of the POW split in Xu et al. (2021), their code.
POWER_LAW_SHAPE = 1.65911


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Labelled samples.

    Attributes:
        inputs: one row per sample; more axes, such as those of images, for models that take them.
        labels: the class of each sample, from 0.

    >>> Samples(inputs=np.zeros((2, 3)), labels=np.array([0, 1]))
    2 samples of 3 features
    """

    inputs: Float[np.ndarray, " samples ..."]
    labels: Int[np.ndarray, " samples"]

    def __post_init__(self) -> None:
        if np.ndim(self.inputs) < 2 or np.shape(self.labels) != (len(self.inputs),):
            raise InvalidInput(
                f"samples: inputs of shape {np.shape(self.inputs)} with labels of shape "
                f"{np.shape(self.labels)}: expected (samples, features) and (samples,)"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.inputs.shape[1:]))
        return f"{len(self)} samples of {shape} features"

    def take(self, indices: ArrayLike) -> Samples:
        """Return the samples at `indices`, in that order.

        >>> Samples(inputs=np.zeros((2, 3)), labels=np.array([0, 1])).take([1]).labels
        array([1])
        """
        chosen = np.asarray(indices, dtype=int)
        return Samples(inputs=self.inputs[chosen], labels=self.labels[chosen])


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A classification problem cut into three disjoint parts.

    Attributes:
        name: one of `NAMES`, or the file's name without its ending.
        classes: the number of classes; labels run from 0 to `classes - 1`.
        train: what is divided among participants.
        validation: held by the coordinator only; used to calibrate and to stop early.
        test: touched only to report.
    """

    name: str
    classes: int
    train: Samples
    validation: Samples
    test: Samples

    @property
    def features(self) -> int:
        """The number of input features."""
        return self.train.inputs.shape[1]

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test"
        return f"{self.name}: {self.classes} classes, {self.features} features, {sizes} samples"


def check_name(argument: str, name: object) -> None:
    """Refuse what names neither data that ship with scikit-learn nor a file of samples."""
    if not is_file(name) and name not in NAMES:
        accepted = ", ".join(map(repr, NAMES))
        raise InvalidInput(
            f"{argument} = {name!r}: expected one of {accepted}, or the path of a .csv or .npz file"
        )


def load(name: str, *, validation: float = 0.2, test: float = 0.25, seed: int = 0) -> Dataset:
    """Load real data and cut it, class by class in proportion, into training, validation and test samples.

    Pixels of the digits are divided by 16; the features of the other data sets are standardised with the mean
    and deviation of the training samples alone, so nothing of the test samples leaks.

    Args:
        name: "digits" (1797 x 64, 10 classes), "breast-cancer" (569 x 30, 2), "wine" (178 x 13, 3) or
            "iris" (150 x 4, 3), or the path of a CSV or NPZ file of samples.
        validation: below 1 the fraction of all samples kept for validation, from 1 upwards their number.
        test: the same for the test samples.
        seed: decides which samples go where.

    Raises:
        InvalidInput: an unknown name, a file that is none of samples, or a part left with fewer samples than
            there are classes.
        BackendMissing: scikit-learn is not installed.

    >>> load("digits", validation=400, test=497)
    digits: 10 classes, 64 features, 900 training, 400 validation, 497 test samples
    """
    check_name("name", name)
    seed = checks.integer("seed", seed, high=LARGEST_SEED)
    inputs, labels = read_samples(name) if is_file(name) else _read(name)
    classes = int(labels.max()) + 1
    sizes = {
        part: _count(part, value, len(labels), classes)
        for part, value in (("validation", validation), ("test", test))
    }
    held_out = sizes["validation"] + sizes["test"]
    if len(labels) - held_out < classes:
        raise InvalidInput(
            f"validation + test = {held_out} samples of {len(labels)}: expected at least {classes} "
            "to be left for training"
        )
    rest, test_rows = _stratified(np.arange(len(labels)), labels, sizes["test"], seed)
    train_rows, validation_rows = _stratified(rest, labels, sizes["validation"], seed)
    if name == "digits":
        inputs = inputs / 16.0
    else:
        reference = inputs[train_rows]
        inputs = (inputs - reference.mean(axis=0)) / np.maximum(reference.std(axis=0), 1e-12)
    whole = Samples(inputs=inputs, labels=labels)
    return Dataset(
        name=Path(name).stem if is_file(name) else name,
        classes=classes,
        train=whole.take(train_rows),
        validation=whole.take(validation_rows),
        test=whole.take(test_rows),
    )


def split(
    dataset: Dataset,
    *,
    participants: int,
    kind: str = "uniform",
    samples: int | None = None,
    concentration: float = 0.5,
    label_noise: ArrayLike = 0.0,
    seed: int = 0,
) -> tuple[Samples, ...]:
    """Divide the training samples among participants; no sample is given to two of them, none is left empty.

    Kinds:

    - "uniform": equal sizes (within one), drawn at random.
    - "power-law": sizes proportional to equally spaced points between the 1 % and 99 % quantiles of a
      power law of shape 1.65911 (Xu et al. 2021, their POW), the first participant holding least.
    - "class-imbalance": equal sizes; participant i holds the first c_i classes in equal parts, where c runs
      evenly from 1 to all classes (their CLA). The published code draws with replacement, so that
      participants share samples; here the parts are disjoint.
    - "dirichlet": every class is divided in proportions drawn from a symmetric Dirichlet distribution
      (Hsu, Qi, Brown 2019). A participant left with nothing takes one sample from the largest.

    Args:
        dataset: what to divide.
        participants: how many, from 1 to the number of training samples.
        kind: one of `KINDS`.
        samples: mean number of samples per participant; None uses all training samples (for
            "class-imbalance" the most that equal disjoint parts allow).
        concentration: of the Dirichlet draw, > 0; small values give nearly disjoint classes.
        label_noise: the fraction of each participant's labels, in [0, 1], replaced by a different class
            drawn uniformly; a number for all or one per participant. Exactly `round(fraction * size)` change.
        seed: decides every draw.

    Raises:
        InvalidInput: an argument out of range, or more samples asked than there are.

    >>> parts = split(load("digits"), participants=4, kind="power-law", samples=50)
    >>> [len(part) for part in parts]
    [7, 35, 65, 93]
    """
    checks.choice("kind", kind, KINDS)
    train = dataset.train
    count = checks.integer("participants", participants, low=1, high=len(train))
    seed = checks.integer("seed", seed, high=LARGEST_SEED)
    concentration = checks.number("concentration", concentration, low=0, open_low=True)
    noise = checks.array("label_noise", np.atleast_1d(checks.numbers("label_noise", label_noise)), low=0, high=1)
    if len(noise) not in (1, count):
        raise InvalidInput(f"label_noise has length {len(noise)}: expected 1 or {count}")
    mean_size = None
    if samples is not None:
        mean_size = checks.integer("samples", samples, low=1, high=len(train) // count)
    draw, flip = (np.random.default_rng([seed, stream]) for stream in range(2))
    if kind == "class-imbalance":
        rows = _nested_classes(train.labels, dataset.classes, count, mean_size, draw)
    else:
        total = len(train) if mean_size is None else mean_size * count
        pool = draw.permutation(len(train))[:total]
        divide = {"uniform": _equal, "power-law": _power_law, "dirichlet": _dirichlet(concentration)}[kind]
        rows = divide(pool, train.labels, count, draw)
    levels = np.broadcast_to(noise, count)
    return tuple(
        _with_noise(train.take(part), level, dataset.classes, flip)
        for part, level in zip(rows, levels, strict=True)
    )


def _read(name: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise BackendMissing("scikit-learn", "loading real data", "data") from error
    reader = getattr(datasets, f"load_{name.replace('-', '_')}")
    inputs, labels = reader(return_X_y=True)
    return np.asarray(inputs, dtype=np.float64), np.asarray(labels, dtype=np.int64)


def _count(name: str, value: float, total: int, least: int) -> int:
    value = checks.number(name, value, low=0, open_low=True)
    count = round(value * total) if value < 1 else checks.integer(name, value, low=1)
    if not least <= count < total:
        raise InvalidInput(f"{name} = {value:g} gives {count} of {total} samples: expected at least {least}")
    return count


def _stratified(rows: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split

    kept, taken = train_test_split(rows, test_size=count, stratify=labels[rows], random_state=seed)
    return np.asarray(kept), np.asarray(taken)


def _equal(pool: np.ndarray, _labels: np.ndarray, count: int, _draw: np.random.Generator) -> list[np.ndarray]:
    return np.array_split(pool, count)


def _power_law(
    pool: np.ndarray, _labels: np.ndarray, count: int, _draw: np.random.Generator
) -> list[np.ndarray]:
    low, high = np.array([0.01, 0.99]) ** (1 / POWER_LAW_SHAPE)
    weights = np.linspace(low, high, count)
    # one sample each first, the others in proportion, cut at the rounded cumulative sizes
    cuts = np.rint(np.cumsum(weights) / weights.sum() * (len(pool) - count)).astype(int) + np.arange(
        1, count + 1
    )
    return np.split(pool, cuts[:-1])


def _dirichlet(concentration: float) -> Callable[..., list[np.ndarray]]:
    def divide(pool, labels, count, draw):
        parts: list[list[int]] = [[] for _ in range(count)]
        for label in np.unique(labels[pool]):
            members = pool[labels[pool] == label]
            shares = draw.dirichlet(np.full(count, concentration))
            cuts = np.rint(np.cumsum(shares) * len(members)).astype(int)
            for part, chunk in zip(parts, np.split(members, cuts[:-1]), strict=True):
                part.extend(chunk)
        for part in parts:
            if not part:
                part.append(max(parts, key=len).pop())
        return [np.array(part) for part in parts]

    return divide


def _nested_classes(
    labels: np.ndarray, classes: int, count: int, size: int | None, draw: np.random.Generator
) -> list[np.ndarray]:
    held = np.linspace(1, classes, count).astype(int).tolist() if count > 1 else [classes]
    stock = [draw.permutation(np.flatnonzero(labels == label)) for label in range(classes)]
    largest = _largest_nested_size(held, [len(rows) for rows in stock])
    if size is None:
        size = largest
    if size > largest or size < 1:
        raise InvalidInput(
            f"samples = {size}: expected a whole number from 1 to {largest}, the most that disjoint "
            f"class-imbalanced parts for {count} participants allow"
        )
    used = np.zeros(classes, dtype=int)
    parts = []
    for kinds in held:
        need = _nested_need(size, kinds, classes)
        parts.append(np.concatenate([stock[c][used[c] : used[c] + need[c]] for c in range(classes)]))
        used += need
    return parts


def _nested_need(size: int, kinds: int, classes: int) -> np.ndarray:
    """How many samples of each class a participant holding the first `kinds` classes takes."""
    need = np.zeros(classes, dtype=int)
    need[:kinds] = size // kinds
    # the remainder comes from its last classes, which fewer participants want
    need[kinds - size % kinds : kinds] += 1
    return need


def _largest_nested_size(held: list[int], stock: list[int]) -> int:
    size = 0
    while (sum(_nested_need(size + 1, kinds, len(stock)) for kinds in held) <= np.asarray(stock)).all():
        size += 1
    return size


def _with_noise(part: Samples, level: float, classes: int, draw: np.random.Generator) -> Samples:
    flipped = draw.permutation(len(part))[: round(level * len(part))]
    labels = part.labels.copy()
    labels[flipped] = (labels[flipped] + draw.integers(1, classes, size=len(flipped))) % classes
    return Samples(inputs=part.inputs, labels=labels)
