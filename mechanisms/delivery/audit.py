"""What recipients can recover: the attacks on delivered models, run and judged.

A delivery is *fine-tuning-proof* if no recipient, with own samples of 1, 5, 10 or 50 % of the joint data, gets
more than max(what it was promised, what training alone on the same samples gives); *coalition-proof* if all
recipients together, with the same samples, get no more than the best of them does alone. Both allow a tolerance,
count the error of the test samples against the delivery, and treat what was not tried as not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.datasets import Samples
from mechanisms.delivery.checkpoints import CheckpointDelivery
from mechanisms.delivery.collusion import by_several
from mechanisms.delivery.deliver import Delivery
from mechanisms.delivery.families import NESTED
from mechanisms.delivery.recovery import Attacker, Predict
from mechanisms.delivery.verdicts import HOLDS, Excess, Verdict, chosen, exceed, judge
from mechanisms.protocols import Classifier, Trainable, check_inputs
from mechanisms.seeds import LARGEST_SEED

SHARES = (0.01, 0.05, 0.1, 0.5)
MOMENTS = (0, 10, 30, 100, 300)
MOST_COLLUDING = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Audit:
    """Test accuracies of every attack, and what they allow to say.

    Attributes:
        method: of the delivery.
        shares: own data as shares of the joint data; the first is 0, no own data.
        own_sizes: the same in samples.
        promises: of the recipients that were attacked, one of each model that was delivered, worst first.
        delivered: their accuracy as delivered.
        alone: training on own samples only, one a share.
        by_one: what each recipient recovers, by attack; NaN where it does not apply.
        by_several: what all recipients recover together, by attack.
        full: the full model; NaN where it is not known.
        fine_tuning: whether one recipient gets more than it should.
        coalition: whether a coalition gets more than its best member.
    """

    method: str
    shares: tuple[float, ...]
    own_sizes: tuple[int, ...]
    promises: Float[np.ndarray, " recipients"]
    delivered: Float[np.ndarray, " recipients"]
    alone: Float[np.ndarray, " shares"]
    by_one: Mapping[str, Float[np.ndarray, "recipients shares"]]
    by_several: Mapping[str, Float[np.ndarray, " shares"]]
    full: float
    fine_tuning: Verdict
    coalition: Verdict

    @property
    def fine_tuning_proof(self) -> bool:
        """Whether it is shown that no recipient gets more than its promise and its own data give."""
        return self.fine_tuning.holds

    @property
    def coalition_proof(self) -> bool:
        """Whether it is shown that a coalition gets no more than its best member."""
        return self.coalition.holds

    @property
    def recovered(self) -> Float[np.ndarray, "recipients shares"]:
        """The most each recipient recovers by any attack, by share of own data."""
        return np.nanmax(np.stack(list(self.by_one.values())), axis=0)

    def __repr__(self) -> str:
        return f"{self.method}\n  fine-tuning-proof {self.fine_tuning}\n  coalition-proof {self.coalition}"


def audit(
    delivery: Delivery | CheckpointDelivery,
    *,
    test: Samples,
    own: Samples | None = None,
    model: Classifier | None = None,
    joint: int | None = None,
    shares: Sequence[float] = SHARES,
    moments: Sequence[int] = MOMENTS,
    rates: Sequence[float] | None = None,
    tolerance: float = 0.05,
    level: float = 0.95,
    seed: int = 0,
) -> Audit:
    """Attack a delivery by all means known here, and judge it.

    Attacks of one recipient: its model as it is; training further on own samples (0 to 300 steps), and points
    halfway there and beyond; the ray from the initial model through its own, where own samples like it best and
    up to five times as far, trained further; a majority over changed inputs; and a classifier that learns from
    its answers. Attacks of all together: average, median, union, most changed value, extrapolation, searches on
    the line from worst to best and in the span of all models, each trained further; and a majority of answers.

    They are what we know; another may do better. Outside are samples without labels, or from elsewhere; models
    of several rounds; whoever knows the seed; and several deliveries of one training with different seeds, whose
    masks and noise are independent draws: never deliver again with another seed.

    Args:
        delivery: what recipients hold.
        test: fresh samples, on which accuracies are judged.
        own: samples from which recipients' own are taken; None takes them from the joint training samples,
            as those are what recipients delivered.
        model: of a delivery of checkpoints; None is the delivery's own.
        joint: how many samples the joint model was trained on; None is the size of the pooled samples.
        shares: own data as shares of the joint data, in (0, 1].
        moments: numbers of training steps from which attackers choose, rising, from 0.
        rates: lengths of these steps; None is the joint training's, and a fifth of it.
        tolerance: by how much accuracy may exceed what is allowed.
        level: confidence of the verdicts, in (0, 1), over the test samples; other own samples may give more.
        seed: of own samples and of changed inputs.

    Raises:
        InvalidInput: samples of other features or none, no own samples to take, or a number out of range.

    >>> from mechanisms.datasets import load
    >>> from mechanisms.delivery import deliver, train_full
    >>> from mechanisms.models import SoftmaxRegression
    >>> digits = load("digits")
    >>> full = train_full(SoftmaxRegression(features=64, classes=10), digits.train)
    >>> given = deliver(full, 0.7, held_out=digits.validation, method="interpolated", allow_unsafe=True)
    >>> audit(given, test=digits.test, shares=[0.1]).fine_tuning.word
    'leaks'
    """
    held = _Held.of(delivery, model)
    pool, size = _own(delivery, own, joint)
    for name, part in (("own", pool), ("test", test)):
        if len(part) == 0:
            raise InvalidInput(f"{name} has no samples: expected at least one")
        check_inputs(name, held.model, part.inputs)
    tried = [0.0, *checks.array("shares", list(shares), low=0, high=1, open_low=True).tolist()]
    counts = [0, *(max(1, round(share * size)) for share in tried[1:])]
    steps = tuple(checks.integer(f"moments[{i}]", moment) for i, moment in enumerate(moments))
    if not steps or list(steps) != sorted(set(steps)):
        raise InvalidInput(f"moments = {checks.brief(list(moments))}: expected rising numbers of steps")
    lengths = [held.rate, held.rate / 5] if rates is None else rates
    attacker = Attacker(
        model=held.model,
        initial=held.initial,
        moments=steps,
        rates=tuple(checks.array("rates", list(lengths), low=0, open_low=True).tolist()),
        test=test,
        slots=min(max(counts), len(pool)),
        seed=checks.integer("seed", seed, high=LARGEST_SEED),
    )
    tolerance = checks.number("tolerance", tolerance, low=0)
    level = checks.number("level", level, low=0.5, high=1, open_high=True)
    order = np.random.default_rng(attacker.seed).permutation(len(pool))
    found = _Found.of(attacker, held, [pool.take(order[:n]) for n in counts])
    missing = [f"{n} own samples" for n in counts if n > len(pool)]
    names = tuple("no own data" if not s else f"{s:.0%} own data" for s in tried)
    options = {"tolerance": tolerance, "level": level}
    return Audit(
        method=held.method,
        shares=tuple(tried),
        own_sizes=tuple(min(n, len(pool)) for n in counts),
        promises=np.array([held.promises[k] for k in held.attacked()]),
        delivered=np.array([one[0]["as delivered"].mean() for one in found.by_one]),
        alone=np.array([each.mean() for each in found.alone]),
        by_one=_by_attack(found.by_one),
        by_several={name: row[0] for name, row in _by_attack([found.by_several]).items()},
        full=held.full_accuracy(test),
        fine_tuning=judge(
            found.excess_of_one(held, names, level), untested=[*missing, *held.untried()], **options
        ),
        coalition=(
            Verdict(word=HOLDS, tolerance=tolerance, level=level, worst=None, because="by construction")
            if held.nested  # the best member can do by itself what all of them do
            else judge(found.excess_of_several(held, names, level), untested=missing, **options)
        ),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Held:
    """What recipients hold, the worst model first; equal models count once."""

    method: str
    model: Classifier
    initial: Any
    rate: float
    promises: tuple[float, ...]
    params: tuple[Any, ...]
    predicts: tuple[Predict, ...]
    full: Any = None
    nested: bool = False

    @classmethod
    def of(cls, delivery: Delivery | CheckpointDelivery, model: Classifier | None) -> _Held:
        if isinstance(delivery, CheckpointDelivery):
            return cls(**delivery.held_by_recipients(model))
        known, different = delivery.full, []
        for given in sorted(delivery.models, key=lambda one: one.achieved):
            if not any(given.params is not None and _same(given.params, other.params) for other in different):
                different.append(given)
        return cls(
            method=delivery.method,
            model=known.model if model is None else model,
            initial=known.initial,
            rate=known.rate,
            promises=tuple(one.promised for one in different),
            params=tuple(one.params for one in different),
            predicts=tuple(one.predict for one in different),
            full=known.params,
            nested=delivery.method in NESTED,
        )

    def full_accuracy(self, test: Samples) -> float:
        if self.full is None:
            return float("nan")
        return float(np.mean(np.asarray(self.model.predict(self.full, test.inputs)) == test.labels))

    def untried(self) -> tuple[str, ...]:
        """Attacks that a recipient could make and that cannot be made here."""
        if all(params is None for params in self.params) or isinstance(self.model, Trainable):
            return ()
        tunable = callable(getattr(self.model, "tuned", None)) and hasattr(self.params[0], "partial_fit")
        return () if tunable else ("training this kind of model further",)

    def attacked(self) -> list[int]:
        """The recipient of the best model of each promise."""
        return sorted({promise: k for k, promise in enumerate(self.promises)}.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """Correctness on the test samples: candidates by attack, for each share of own data."""

    alone: list[np.ndarray]
    by_one: list[list[dict[str, np.ndarray]]]
    by_several: list[dict[str, np.ndarray]]

    @classmethod
    def of(cls, attacker: Attacker, held: _Held, owns: Sequence[Samples]) -> _Found:
        together = slice(-MOST_COLLUDING, None)
        return cls(
            alone=[chosen(attacker.alone(own)) for own in owns],
            by_one=[
                [attacker.by_one(held.params[k], held.predicts[k], own) for own in owns] for k in held.attacked()
            ],
            by_several=[
                by_several(attacker, held.params[together], held.predicts[together], own) for own in owns
            ],
        )

    def excess_of_one(self, held: _Held, names: Sequence[str], level: float) -> list[Excess]:
        cells = len(self.by_one) * len(names)
        found, rows = [], list(self.by_one)
        if held.nested:  # the best member can make the others' models itself, and attack with all of them
            rows[-1] = [{**one, **all_} for one, all_ in zip(rows[-1], self.by_several, strict=True)]
        for k, attacks in zip(held.attacked(), rows, strict=True):
            for name, alone, tried in zip(names, self.alone, attacks, strict=True):
                best, right = _best(tried)
                where = f"promised {held.promises[k]:g}, {name}, {best}"
                found.append(exceed(where, right, (held.promises[k], alone), level=level, cells=cells))
        return found

    def excess_of_several(self, held: _Held, names: Sequence[str], level: float) -> list[Excess]:
        found, promise = [], max(held.promises)
        for place, (name, alone, tried) in enumerate(zip(names, self.alone, self.by_several, strict=True)):
            if not tried:
                continue
            best, right = _best(tried)
            member = max((_best(one[place])[1] for one in self.by_one), key=lambda row: float(row.mean()))
            where = f"all together, {name}, {best}"
            found.append(exceed(where, right, (promise, alone, member), level=level, cells=len(names)))
        return found


def _best(tried: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """The attack that recovers most, and the correctness of the best candidate of all attacks."""
    best = max(tried, key=lambda name: float(tried[name].mean(axis=1).max()))
    return best, chosen(np.vstack(list(tried.values())))


def _by_attack(rows: Sequence[Sequence[Mapping[str, np.ndarray]]]) -> dict[str, np.ndarray]:
    """Accuracy of the best candidate by attack, shape (rows, shares); NaN where an attack was not made."""
    names = dict.fromkeys(name for row in rows for cell in row for name in cell)
    return {
        name: np.array([[float(chosen(c[name]).mean()) if name in c else np.nan for c in row] for row in rows])
        for name in names
    }


def _own(delivery: Delivery | CheckpointDelivery, own: Samples | None, joint: int | None) -> tuple[Samples, int]:
    """Where own samples are taken from, and how many the joint data are."""
    pooled = None if isinstance(delivery, CheckpointDelivery) else delivery.full.samples
    pool = pooled if own is None else own
    if pool is None:
        raise InvalidInput("own is missing: expected samples from which recipients' own are taken")
    known = joint if joint is not None else (len(pooled) if pooled is not None else None)
    if known is None:
        raise InvalidInput("joint is missing: expected how many samples the joint model was trained on")
    return pool, checks.integer("joint", known, low=1)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and bool(np.array_equal(one, other))
    return one is other
