"""What each party holds, and what each participant does with it: the parts that are real or played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from mechanisms.attacks import flip_labels
from mechanisms.datasets import Samples, load
from modelpact.scheme.menu import Menu
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.stock import held_by_each, possible_types
from modelpact.scheme.tables import HONEST, Seat

TIE = 1e-9  # relative
CHANGE = 0.01  # standard deviation of what a copy is changed by, so that no two are equal
PARTS = ("pilot", "validation", "test", "stock")
STREAMS = ("data", "pilot", "sign", "contribute", "verify", "train", "deliver", "audit")


def stream(scheme: Scheme, stage: str, *further: int) -> np.random.Generator:
    """The random generator of one stage, independent of all others."""
    return np.random.default_rng([scheme.seed, STREAMS.index(stage), *further])


def samples(record: Record, part: str | int) -> Samples:
    """Samples that a record holds under the names `inputs` and `labels` of a part."""
    if isinstance(part, int):
        return Samples(inputs=record.arrays[f"inputs_{part}"], labels=record.arrays[f"labels_{part}"])
    return Samples(inputs=record.arrays[f"{part}_inputs"], labels=record.arrays[f"{part}_labels"])


def pad(parts: Sequence[Samples], slots: int) -> tuple[Samples, np.ndarray]:
    """All samples of some parts, filled up to a number of slots, with weight 1 on samples and 0 on filling."""
    inputs = np.concatenate([part.inputs for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    spare = max(slots - len(labels), 0)
    weights = np.r_[np.ones(len(labels)), np.zeros(spare)]
    filled = Samples(inputs=np.pad(inputs, [(0, spare), (0, 0)]), labels=np.pad(labels, (0, spare)))
    return filled, weights


def cut_data(scheme: Scheme, _: Mapping[str, Record]) -> Made:
    """Cut the real data into pilot, validation and test samples and the participants' stock."""
    data = scheme.data
    cut = load(data.name, validation=data.validation, test=data.test, seed=scheme.seed)
    left = len(cut.train)
    pilot = round(data.pilot * left) if data.pilot < 1 else round(data.pilot)
    if pilot >= left:
        raise InvalidInput(
            f"[data] pilot = {data.pilot:g}: too little data, expected fewer than the {left} left"
        )
    order = stream(scheme, "data").permutation(left)
    parts = {
        "pilot": cut.train.take(order[:pilot]),
        "validation": cut.validation,
        "test": cut.test,
        "stock": cut.train.take(order[pilot:]),
    }
    arrays = {}
    for name, part in parts.items():
        arrays |= {f"{name}_inputs": part.inputs, f"{name}_labels": part.labels}
    sizes = {name: len(part) for name, part in parts.items()}
    return {"name": cut.name, "classes": cut.classes, "features": cut.features, "samples": sizes}, arrays


def holdings(scheme: Scheme, data: Record) -> tuple[Samples, ...]:
    """The samples each participant could label at its cost, disjoint; free-riders hold none."""
    stock, ends = samples(data, "stock"), np.cumsum(held_by_each(scheme, data))
    return tuple(stock.take(part) for part in np.split(np.arange(ends[-1]), ends[:-1]))


def sign(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Everybody who comes reads the menu and signs an option, or stays away."""
    menu = Menu.of(inputs["publish"])
    draw = stream(scheme, "sign")
    held, signatures = held_by_each(scheme, inputs["data"]), []
    for k, (seat, kind) in enumerate(zip(scheme.seats, _kinds(scheme, draw), strict=True)):
        cost = float(menu.costs[kind]) if seat.cost is None else float(seat.cost)
        option = _choose(menu, seat, cost, kind, int(held[k]))
        if option is not None and menu.data[option] > held[k] and seat.behaviour != "free-riding":
            raise InvalidInput(
                f"too little data: option {menu.names[option]!r} asks for {menu.data[option]} samples, expected"
                f" at most the {held[k]} that participant {k + 1} holds"
            )
        signatures.append(
            {
                "name": f"participant {k + 1}",
                "behaviour": seat.behaviour,
                "cost": cost,
                "type": kind,
                "label_noise": seat.label_noise,
                "copies": seat.copies,
                "attack": seat.attack if seat.behaviour == "malicious" else "",
                "option": option,
            }
        )
    return {"signatures": signatures}, {}


def _kinds(scheme: Scheme, draw: np.random.Generator) -> list[int]:
    """The type of each seat: by name, by its cost, or drawn.

    One is drawn for every seat, so that what one seat does changes nothing for the others.
    """
    population, found = scheme.population, []
    for seat in scheme.seats:
        may = possible_types(population, seat)
        chances = np.where(may, np.maximum(population.probabilities, np.finfo(float).tiny), 0.0)
        found.append(int(draw.choice(population.types, p=chances / chances.sum())))
    return found


def _choose(menu: Menu, seat: Seat, cost: float, kind: int, held: int) -> int | None:
    """The option signed, or None; whoever cheats counts only what cheating costs it.

    Nobody signs for more than it holds, but whoever delivers nothing anyway.
    """
    if seat.behaviour == "truthful":
        return menu.option_of(kind)
    noise = float(seat.label_noise or 0.0)
    borne = {"free-riding": 0.0, "duplicating": 1.0 - seat.copies, "low-quality": 1.0 - noise}
    gains = menu.gains(kind, cost, borne=borne.get(seat.behaviour, 1.0))
    if seat.behaviour != "free-riding":
        gains = np.where(menu.data <= held, gains, -np.inf)
    best, own = int(np.argmax(gains)), menu.option_of(kind)
    if own is not None and gains[own] >= gains[best] - TIE * max(abs(gains[best]), 1.0):
        best = own  # of options that are as good but for rounding, the one that is meant
    if np.isneginf(gains[best]) or (seat.behaviour == "strategic" and gains[best] < menu.alone(cost, kind)[1]):
        return None
    return best


def contribute(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Everybody who signed delivers what it delivers."""
    menu, held = Menu.of(inputs["launch"]), holdings(scheme, inputs["data"])
    classes = int(inputs["data"].result["classes"])
    submissions, arrays = [], {}
    for k, signature in enumerate(inputs["launch"].result["signatures"]):
        if signature["option"] is None:
            continue
        amount = int(menu.data[signature["option"]])
        draw = stream(scheme, "contribute", k)
        given, share = deliver_data(held[k], amount, signature, classes=classes, draw=draw)
        cost = share * signature["cost"] * amount + float(menu.joining[signature["type"]])
        submissions.append({"seat": k, "samples": len(given), "cost": cost})
        arrays |= {f"inputs_{k}": given.inputs, f"labels_{k}": given.labels}
    return {"submissions": submissions}, arrays


def deliver_data(
    held: Samples, amount: int, signature: Mapping[str, Any], *, classes: int, draw: np.random.Generator
) -> tuple[Samples, float]:
    """What a participant hands in for an option, and the share of the option's true cost that it bears.

    A wrong label costs nothing: whoever has a share of labels wrong saves that share of the cost.
    """
    behaviour, noise = signature["behaviour"], float(signature["label_noise"])
    if behaviour == "free-riding":
        return held.take(np.arange(0)), 0.0
    if behaviour == "duplicating":
        new = max(amount - round(float(signature["copies"]) * amount), 1)
        copied = held.take(np.arange(amount) % new)
        change = np.where(np.arange(amount)[:, None] < new, 0.0, draw.normal(0, CHANGE, copied.inputs.shape))
        return Samples(inputs=copied.inputs + change, labels=copied.labels), new / max(amount, 1)
    given = held.take(np.arange(amount))
    if behaviour == "malicious" and signature["attack"] == "label-flip":
        return Samples(inputs=given.inputs, labels=flip_labels(given.labels, classes=classes)), 1.0
    return with_label_noise(given, noise, classes=classes, draw=draw), 1.0 - noise


def with_label_noise(part: Samples, level: float, *, classes: int, draw: np.random.Generator) -> Samples:
    """The samples with that share of labels replaced by another class, drawn evenly."""
    wrong = draw.permutation(len(part))[: round(level * len(part))]
    labels = part.labels.copy()
    labels[wrong] = (labels[wrong] + draw.integers(1, classes, size=len(wrong))) % classes
    return Samples(inputs=part.inputs, labels=labels)


def honest_seats(signatures: list[dict[str, Any]]) -> list[int]:
    """The seats that signed an option and keep to it."""
    return [k for k, s in enumerate(signatures) if s["behaviour"] in HONEST and s["option"] is not None]


DATA = Stage(
    name="data", purpose="cut the data into what each party holds", after=(), reads=("data",), carry_out=cut_data
)
SIGN = Stage(
    name="sign",
    purpose="participants sign options",
    after=("data", "publish"),
    reads=("population", "participants"),
    carry_out=sign,
)
CONTRIBUTE = Stage(
    name="contribute",
    purpose="participants deliver data",
    after=("data", "launch"),
    reads=("participants",),
    carry_out=contribute,
)
