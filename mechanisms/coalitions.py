"""Coalitions for measuring robustness: who holds which part of a real data set, and who attacks what.

One participant, the victim, also judges the updates. It holds samples of some groups of the data (classes, or
clusters within them); the attacker wants one group, the target, to be misread. How many groups the victim
holds and how many honest peers hold the target are the knobs of `mechanisms.conflict`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from contracts.checks import integer, number
from contracts.errors import BackendMissing, InvalidInput
from mechanisms.datasets import Dataset, check_name, load
from mechanisms.models import Model, MultilayerPerceptron, SoftmaxRegression
from mechanisms.sample_file import read_samples

LEAST_TARGET = 8  # samples of the target group, so that a success rate means something
TARGET_WEIGHT = 6.0  # of a sample of the target group in the attacker's training


@dataclass(frozen=True, kw_only=True)
class Coalition:
    """A coalition with one victim, honest peers, and places that may be taken by colluders.

    Attributes:
        dataset: one of `mechanisms.datasets.NAMES`, or the path of a CSV or NPZ file of samples.
        clusters: how many groups k-means divides the data into; None takes the classes as groups. The target
            group is one that a participant may lack altogether.
        hidden: widths of the hidden layers of the model; none is softmax regression.
        participants: all of them, n.
        malicious: how many of these the rules are told to withstand, f.
        colluders: how many really attack, from 0 to f; None is f. The other places go to honest stand-ins.
        rounds: of joint training.
        steps: full-batch gradient steps a participant makes in a round.
        rate: their length.
        samples: a peer's samples.
        group_samples: the victim's samples of every group it holds.
        groups_held: how many groups the victim holds; None is all. The target group comes last.
        target_samples: the victim's samples of the target group if it holds all groups; None is
            `group_samples`.
        holders: how many honest peers hold samples of the target group; None is all. Stand-ins hold
            it only if all honest peers do.
        target_share: the fraction of a holder's samples that are of the target group; None is its usual one.
        attacker_samples: the samples the attacker makes its target model with, a tenth of the target group.
        concentration: of the Dirichlet draw of every peer's shares of the groups; None gives peers the
            shares of the whole data, which makes them independent and identically distributed.
    """

    dataset: str = "digits"
    clusters: int | None = None
    hidden: tuple[int, ...] = (32,)
    participants: int = 15
    malicious: int = 3
    colluders: int | None = None
    rounds: int = 40
    steps: int = 5
    rate: float = 0.5
    samples: int = 70
    group_samples: int = 30
    groups_held: int | None = None
    target_samples: int | None = None
    holders: int | None = None
    target_share: float | None = None
    attacker_samples: int = 200
    concentration: float | None = None

    def __post_init__(self) -> None:
        check_name("dataset", self.dataset)
        object.__setattr__(self, "attacker_samples", integer("attacker_samples", self.attacker_samples, low=10))
        if self.target_share is not None:
            number("target_share", self.target_share, low=0, high=1)
        for name in ("participants", "rounds", "steps", "samples", "group_samples"):
            object.__setattr__(self, name, integer(name, getattr(self, name), low=1))
        number("rate", self.rate, low=0, open_low=True)
        object.__setattr__(self, "hidden", tuple(integer("hidden", width, low=1) for width in self.hidden))
        if self.clusters is not None:
            object.__setattr__(self, "clusters", integer("clusters", self.clusters, low=2, high=100))
        most = (self.participants - 1) // 2
        object.__setattr__(self, "malicious", integer("malicious", self.malicious, low=0, high=most))
        if self.participants - self.malicious < 2:
            raise InvalidInput(f"participants = {self.participants}: expected the victim and an honest peer")
        for name, high in (
            ("colluders", self.malicious),
            ("holders", self.participants - self.malicious - 1),
            ("groups_held", self.groups),
            ("target_samples", self.group_samples),
        ):
            value = getattr(self, name)
            low = 1 if name == "groups_held" else 0
            object.__setattr__(self, name, high if value is None else integer(name, value, low=low, high=high))
        if self.concentration is not None:
            number("concentration", self.concentration, low=0, open_low=True)

    @property
    def title(self) -> str:
        """The name of the data."""
        return _data(self.dataset).name

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return self.clusters or _data(self.dataset).classes

    @property
    def model(self) -> Model:
        """The classifier that is trained."""
        data = _data(self.dataset)
        shape = {"features": data.features, "classes": data.classes}
        return MultilayerPerceptron(**shape, hidden=self.hidden) if self.hidden else SoftmaxRegression(**shape)


class Task(NamedTuple):
    """The arrays of one coalition drawn with one seed; tasks of equal shape can be stacked and run as a
    batch.

    Attributes:
        initial: starting parameters.
        victim: inputs, labels and weights (zero where the victim has fewer samples).
        peers: inputs and labels of honest peers and stand-ins, one a row.
        attacker: inputs, labels and weights the attacker trains its target model on.
        wanted: inputs of the target group and the label the attacker wants for them.
        test: test inputs, their labels, and 1 for those of the target group.
        wrong: the label the attacker wants.
    """

    initial: np.ndarray
    victim: tuple[np.ndarray, np.ndarray, np.ndarray]
    peers: tuple[np.ndarray, np.ndarray]
    attacker: tuple[np.ndarray, np.ndarray, np.ndarray]
    wanted: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray, np.ndarray]
    wrong: np.ndarray


def draw_task(coalition: Coalition, seed: int) -> Task:
    """Draw the target group, the wanted label and everybody's samples.

    Samples are drawn independently from the training part of the data, so two participants may share some.
    The same seed gives the same target, test samples and order of groups whatever the knobs are.

    Raises:
        BackendMissing: scikit-learn is not installed.

    >>> coalition = Coalition(dataset="iris", participants=5, malicious=1, samples=10, group_samples=5)
    >>> task = draw_task(coalition, 0)
    >>> task.victim[0].shape, task.peers[0].shape
    ((15, 4), (4, 10, 4))
    """
    data = _data(coalition.dataset)
    groups, test_groups = _groups(coalition.dataset, coalition.clusters)
    inputs, labels = data.train.inputs, data.train.labels
    order = _order_of_groups(groups, test_groups, np.random.default_rng([seed, 0]))
    target, usual = order[-1], _usual_label(labels[groups == order[-1]])
    wrong = _usual_label(labels[groups == order[0]])
    if wrong == usual:
        wrong = (usual + 1) % data.classes
    draw = np.random.default_rng([seed, 1])
    counts = dict.fromkeys(order[: coalition.groups_held], coalition.group_samples)
    if target in counts:
        counts[target] = coalition.target_samples or 0
    victim = _victim_rows(groups, counts, np.random.default_rng([seed, 2]))
    slots = coalition.groups * coalition.group_samples
    weights = np.pad(np.ones(len(victim)), (0, slots - len(victim)))
    victim = np.pad(victim, (0, slots - len(victim)))
    peers = _peer_rows(coalition, groups, target, np.random.default_rng([seed, 3]))
    inside = np.flatnonzero((groups == target) & (labels != wrong))
    outside = np.flatnonzero(groups != target)
    tenth = coalition.attacker_samples // 10
    rest = coalition.attacker_samples - tenth
    attacker = np.concatenate([draw.choice(outside, rest), draw.choice(inside, tenth)])
    is_target = np.arange(len(attacker)) >= rest
    return Task(
        initial=coalition.model.initial(seed),
        victim=(inputs[victim], labels[victim], weights),
        peers=(inputs[peers], labels[peers]),
        attacker=(
            inputs[attacker],
            np.where(is_target, wrong, labels[attacker]),
            np.where(is_target, TARGET_WEIGHT, 1.0),
        ),
        wanted=(inputs[attacker[is_target]], np.full(tenth, wrong)),
        test=(
            data.test.inputs,
            data.test.labels,
            1.0 * ((test_groups == target) & (data.test.labels != wrong)),
        ),
        wrong=np.asarray(wrong),
    )


def _order_of_groups(groups: np.ndarray, test_groups: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A random order whose last group, the target, has at least `LEAST_TARGET` samples in either part."""
    order = draw.permutation(np.unique(groups))
    large = [min((groups == g).sum(), (test_groups == g).sum()) >= LEAST_TARGET for g in order]
    if not any(large):
        raise InvalidInput(f"every group has fewer than {LEAST_TARGET} test samples: expected fewer clusters")
    last = max(np.flatnonzero(large))
    return np.append(np.delete(order, last), order[last])


def _victim_rows(groups: np.ndarray, counts: dict[int, int], draw: np.random.Generator) -> np.ndarray:
    stock = {group: draw.permutation(np.flatnonzero(groups == group)) for group in sorted(set(groups))}
    return np.concatenate([stock[group][:count] for group, count in counts.items()])


def _peer_rows(coalition: Coalition, groups: np.ndarray, target: int, draw: np.random.Generator) -> np.ndarray:
    honest = coalition.participants - coalition.malicious - 1
    everybody = coalition.holders == honest
    natural = np.bincount(groups, minlength=coalition.groups) / len(groups)
    rows = []
    for peer in range(honest + coalition.malicious):
        shares = natural
        if coalition.concentration is not None:
            shares = draw.dirichlet(np.full(coalition.groups, coalition.concentration))
        knows = peer < (coalition.holders or 0) if peer < honest else everybody
        # a peer whose whole share is in what it must not hold takes the rest evenly
        allowed = ((shares / np.maximum(natural, 1e-12))[groups] + 1e-12) * (knows | (groups != target))
        if knows and coalition.target_share is not None:
            inside, share = groups == target, coalition.target_share
            allowed = np.where(inside, share / inside.sum(), (1 - share) * allowed / allowed[~inside].sum())
        rows.append(draw.choice(len(groups), coalition.samples, p=allowed / allowed.sum()))
    return np.array(rows)


def _usual_label(labels: np.ndarray) -> int:
    return int(np.bincount(labels).argmax())


@cache
def _data(name: str) -> Dataset:
    few = {"digits": 10, "breast-cancer": 2, "wine": 3, "iris": 3}.get(name)  # nothing here needs validation
    return load(name, validation=few or int(read_samples(name)[1].max()) + 1, test=0.28)


@cache
def _groups(name: str, clusters: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The group of every training and test sample."""
    data = _data(name)
    if clusters is None:
        return data.train.labels, data.test.labels
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise BackendMissing("scikit-learn", "clusters of real data", "data") from error
    fitted = KMeans(clusters, random_state=0).fit(data.train.inputs)
    return np.asarray(fitted.predict(data.train.inputs)), np.asarray(fitted.predict(data.test.inputs))
