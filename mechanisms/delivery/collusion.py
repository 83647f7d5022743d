"""What several holders of models recover together, by putting together what they hold.

Each attack gives new parameters, which the coalition may train further on its own samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mechanisms.datasets import Samples
from mechanisms.delivery.recovery import Attacker, Predict, majority
from mechanisms.protocols import VectorModel

SWEEPS = 2


def by_several(
    attacker: Attacker, params: Sequence[Any], predicts: Sequence[Predict], own: Samples
) -> dict[str, np.ndarray]:
    """All attacks of a coalition, shape (candidates, samples) each; none for a single model.

    Args:
        attacker: what it knows besides.
        params: what its members hold, from the worst to the best model; None where they may only ask.
        predicts: their answers.
        own: the coalition's samples.
    """
    if len(predicts) < 2:
        return {}
    inputs, classes = attacker.test.inputs, attacker.model.classes
    found = {"majority": [majority([predict(inputs) for predict in predicts], classes)]}
    if all(isinstance(each, np.ndarray) for each in params) and isinstance(attacker.model, VectorModel):
        made = combined(np.asarray(attacker.initial), np.stack(params))
        if len(own):
            made |= searched(attacker, np.stack(params), own)
        for (name, point), tuned in zip(made.items(), attacker.tune(list(made.values()), own), strict=True):
            found[name] = [attacker.answer(point), *tuned]
    return {name: attacker.right(each) for name, each in found.items()}


def combined(initial: np.ndarray, params: np.ndarray) -> dict[str, np.ndarray]:
    """What needs no samples: the average, the median, the union and the sum of the differences.

    The union gives each coordinate the mean over those whose value is not the initial one; "most changed" gives
    it the value farthest from the initial one, which undoes coarse quantisation where grids differ;
    "extrapolated" goes from the worst through the best as far again.
    """
    received = params != initial
    sums = np.where(received, params, 0).sum(axis=0)
    union = np.where(received.any(axis=0), sums / np.maximum(received.sum(axis=0), 1), initial)
    farthest = np.abs(params - initial).argmax(axis=0)
    return {
        "average": params.mean(axis=0),
        "median": np.median(params, axis=0),
        "union": union,
        "most changed": np.take_along_axis(params, farthest[None], axis=0)[0],
        "extrapolated": 2 * params[-1] - params[0],
    }


def searched(attacker: Attacker, params: np.ndarray, own: Samples) -> dict[str, np.ndarray]:
    """What own samples find: on the line from the worst through the best, and in the span of all and the start.

    The span is searched one direction after another: the differences of neighbouring models, and of the best
    from the start and from the average.
    """
    line = attacker.search(params[0], params[-1], own)
    directions = [after - before for before, after in pairwise(params)]
    directions += [params[-1] - np.asarray(attacker.initial), params.mean(axis=0) - params[-1]]
    point = params[-1]
    for _ in range(SWEEPS):
        for direction in directions:
            for sign in (1, -1):
                if direction.any():
                    point = attacker.search(point, point + sign * direction, own)
    return {"line": line, "span": point}
