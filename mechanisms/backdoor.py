"""A backdoor on inputs so rare that hardly anybody holds them.

Source: H. Wang et al., "Attack of the tails: yes, you really can backdoor federated learning", NeurIPS 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.checks import array, integer
from contracts.errors import InvalidInput
from mechanisms.aggregation.updates import as_updates, namespace


def edge_cases(inputs: Any, reference: Any, *, count: int) -> np.ndarray:
    """The samples that are least likely among some, as the tail that a backdoor is put on.

    Likelihood is that of a normal law fitted to the reference samples, its covariance shrunk by a tenth to a
    multiple of the identity so that no direction without variance decides.

    Args:
        inputs: (samples, features) candidates.
        reference: (samples, features) of the whole data.
        count: how many to return.

    Returns:
        The indices of the `count` candidates of least likelihood, the least likely first.

    Raises:
        InvalidInput: not numbers, or `count` out of range.

    >>> edge_cases([[0.0], [5.0], [-1.0]], [[0.0], [1.0], [-1.0]], count=1)
    array([1])
    """
    rows, known = array("inputs", inputs, ndim=2), array("reference", reference, ndim=2)
    if rows.shape[1] != known.shape[1]:
        raise InvalidInput(f"reference has {known.shape[1]} features: expected {rows.shape[1]}, as inputs")
    count = integer("count", count, low=1, high=len(rows))
    offsets = known - known.mean(axis=0)
    spread = offsets.T @ offsets / len(known)
    even = max(float(np.trace(spread)) / len(spread), np.finfo(float).tiny)
    spread = 0.9 * spread + 0.1 * even * np.eye(len(spread))
    away = rows - known.mean(axis=0)
    unlikely = np.einsum("ij,ij->i", away, np.linalg.solve(spread, away.T).T)
    return np.argsort(-unlikely, kind="stable")[:count]


def edge_case_backdoor(honest: Any, *, backdoor: Any) -> Any:
    """Send an update learned with a backdoor on rare inputs, no farther from the honest mean than an honest
    one is.

    The projection is that of the attack's projected-gradient variant; the backdoor is what colluders learn from
    clean data and rare inputs (`edge_cases`) under the label they want. Knows the honest updates and clean data.

    Args:
        honest: (h, d) honest updates, NumPy or JAX.
        backdoor: the update that was learned, length d.

    Raises:
        InvalidInput: an argument out of range.

    >>> edge_case_backdoor([[0.0, 1.0], [0.0, -1.0]], backdoor=[5.0, 0.0])
    array([1., 0.])
    """
    values = as_updates(honest, "honest")
    xp = namespace(values)
    if np.shape(backdoor) != values.shape[1:]:
        raise InvalidInput(f"backdoor has shape {np.shape(backdoor)}: expected {values.shape[1:]}")
    center = values.mean(axis=0)
    move = xp.asarray(backdoor) - center
    reach, length = xp.sqrt(xp.sum((values - center) ** 2, axis=1).max()), xp.sqrt(xp.sum(move**2))
    return (center + move * xp.minimum(1, reach / xp.where(length > 0, length, 1))).astype(values.dtype)
