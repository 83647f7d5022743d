"""Other rules on the same draw: the same people, the same data, the same test samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.baseline import above
from mechanisms.accuracy_shaping import AccuracyShaping, StandardRule
from mechanisms.data_sharing import DataSharing, data_sharing
from mechanisms.datasets import Samples
from mechanisms.gradient_rewards import CosineGradientRewards
from mechanisms.local_training import LocalTraining, Stack, stack
from mechanisms.protocols import VectorModel
from mechanisms.training import train as train_in_rounds
from modelpact.scheme.replays import Draw

# of gradient rewards, whose step falls to zero over the run: it is as good as with all
MOST_ROUNDS = 60

# data delivered by each, accuracy received by each, accuracy of the joint model if there is one
Found = tuple[list[int], list[float], float | None]
Rule = Callable[[Draw, Sequence[int], AccuracyCurve], Found]


def alone(draw: Draw, seats: Sequence[int], _: AccuracyCurve) -> Found:
    """Everybody labels what pays for itself and trains by itself."""
    amounts = [draw.menu.alone(float(draw.signatures[k]["cost"]), draw.signatures[k]["type"])[0] for k in seats]
    amounts = [min(amount, len(draw.held[k])) for amount, k in zip(amounts, seats, strict=True)]
    return (
        amounts,
        [
            draw.by_itself(part, 0.0, k).accuracy
            for part, k in zip(_parts(draw, seats, amounts), seats, strict=True)
        ],
        None,
    )


def everything_for_everybody(draw: Draw, seats: Sequence[int], _: AccuracyCurve) -> Found:
    """Everybody delivers what the contract asks, and receives the whole model."""
    amounts = [int(draw.menu.data[draw.signatures[k]["option"]]) for k in seats]
    trained = _tested(draw, _parts(draw, seats, amounts))
    return amounts, [trained] * len(seats), trained


def everything_in_equilibrium(draw: Draw, seats: Sequence[int], curve: AccuracyCurve) -> Found:
    """Everybody receives the whole model and delivers what is best for itself, given the others: the cheapest
    deliver, the others ride free."""
    found = StandardRule(sharing=_sharing(draw, seats, curve)).equilibrium()
    amounts = _available(draw, seats, found.contributions)
    trained = _tested(draw, _parts(draw, seats, amounts))
    return amounts, [trained] * len(seats), trained


def accuracy_shaping(draw: Draw, seats: Sequence[int], curve: AccuracyCurve) -> Found:
    """Accuracy shaping in its equilibrium; it knows everybody's cost, which the contract does not."""
    rule = AccuracyShaping(sharing=_sharing(draw, seats, curve))
    amounts = _available(draw, seats, rule.equilibrium().contributions)
    if not sum(amounts):
        return amounts, [0.0] * len(seats), None
    full = draw.train(_parts(draw, seats, amounts))
    promised = draw.menu.curve.chance + rule.accuracies(np.array(amounts, dtype=float))
    return amounts, draw.delivered(full, promised.tolist()), full.accuracy(full.params, draw.test)


def gradient_rewards(draw: Draw, seats: Sequence[int], _: AccuracyCurve) -> Found:
    """Cosine gradient rewards, with what the contract asks delivered."""
    amounts = [int(draw.menu.data[draw.signatures[k]["option"]]) for k in seats]
    run = train_in_rounds(
        draw.model,
        _stacked(draw, _parts(draw, seats, amounts)),
        rounds=min(draw.scheme.training.rounds, MOST_ROUNDS),
        local=LocalTraining(epochs=draw.scheme.training.epochs, rate=draw.scheme.training.rate),
        reward=CosineGradientRewards.mended(),
        validation=draw.validation,
        seed=draw.scheme.seed,
    )

    def tested(params: np.ndarray) -> float:
        return draw.model.accuracy(params, draw.test.inputs, draw.test.labels)

    return amounts, [tested(params) for params in run.participants], tested(run.params)


BASELINES: dict[str, Rule] = {
    "alone": alone,
    "everything for everybody": everything_for_everybody,
    "everything, in equilibrium": everything_in_equilibrium,
    "accuracy shaping, costs known": accuracy_shaping,
    "gradient rewards": gradient_rewards,
}


def carry_out(draw: Draw, seats: Sequence[int], curve: AccuracyCurve) -> dict[str, dict[str, Any]]:
    """Carry out every baseline for the honest seats of a draw."""
    costs = np.array([float(draw.signatures[k]["cost"]) for k in seats])
    found = {}
    for name, rule in BASELINES.items():
        if rule is gradient_rewards and not isinstance(draw.model, VectorModel):
            continue  # no updates, no gradients
        amounts, accuracies, trained = rule(draw, seats, curve)
        values = np.array([draw.worth(accuracy, k) for accuracy, k in zip(accuracies, seats, strict=True)])
        found[name] = {
            "data": amounts,
            "accuracy": accuracies,
            "trained": trained,
            "utility": (values - costs * np.array(amounts)).tolist(),
        }
    return found


def gain_of_riding_free(draw: Draw, seats: Sequence[int]) -> list[float]:
    """What each seat would gain by delivering nothing where everybody receives the whole model."""
    amounts = [int(draw.menu.data[draw.signatures[k]["option"]]) for k in seats]
    parts = _parts(draw, seats, amounts)
    whole = _tested(draw, parts)
    gains = []
    for i, k in enumerate(seats):
        without = draw.worth(_tested(draw, [part for j, part in enumerate(parts) if j != i]), k)
        gains.append(without - draw.worth(whole, k) + float(draw.signatures[k]["cost"]) * amounts[i])
    return gains


def _sharing(draw: Draw, seats: Sequence[int], curve: AccuracyCurve) -> DataSharing:
    """The game of sharing; who values models more acts like one whose data are cheaper."""
    scale = np.broadcast_to(np.asarray(draw.menu.valuation.scale, dtype=float), (len(draw.menu.names),))
    unit = float(scale.mean())
    relative = np.array([scale[draw.signatures[k]["type"]] for k in seats]) / unit
    costs = np.array([float(draw.signatures[k]["cost"]) for k in seats]) / relative
    valuation = dataclasses.replace(draw.menu.valuation, scale=unit)  # type: ignore[type-var]
    added, worth = above(curve, valuation, draw.menu.curve.chance)
    return data_sharing(costs.tolist(), added, value=worth)


def _available(draw: Draw, seats: Sequence[int], wanted: np.ndarray) -> list[int]:
    """Whole amounts, at most what each holds."""
    return [min(int(amount), len(draw.held[k])) for amount, k in zip(wanted, seats, strict=True)]


def _parts(draw: Draw, seats: Sequence[int], amounts: Sequence[int]) -> list[Samples]:
    return [draw.held[k].take(np.arange(amount)) for k, amount in zip(seats, amounts, strict=True)]


def _stacked(draw: Draw, parts: Sequence[Samples]) -> Stack:
    """The parts padded to what everybody holds: one shape for all draws, compiled once."""
    stacked, most = stack(parts), max(map(len, draw.held))

    def padded(values: np.ndarray) -> np.ndarray:
        spare = [(0, 0), (0, most - values.shape[1])] + [(0, 0)] * (values.ndim - 2)
        return np.pad(values, spare)

    return Stack(*map(padded, stacked))


def _tested(draw: Draw, parts: Sequence[Samples]) -> float:
    if not sum(map(len, parts)):
        return 0.0
    full = draw.train(parts)
    return full.accuracy(full.params, draw.test)
