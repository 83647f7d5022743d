"""What malicious participants may send, with what each attack must know.

An attack is a function of the honest updates, an (h, d) array, that returns one malicious update; all
colluders send it. What it reads is its knowledge, and the measurements of robustness are worth as much as
the attacks they were made with: `steer` knows most, the honest updates, the rule, and a defender's data.

Sources: C. Xie, O. Koyejo, I. Gupta, "Fall of empires", UAI 2019 (inner-product manipulation); G. Baruch, M.
Baruch, Y. Goldberg, "A little is enough", NeurIPS 2019; S. P. Karimireddy, L. He, M. Jaggi, ICLR 2022
(mimic); V. Shejwalkar, A. Houmansadr, "Manipulating the Byzantine", NDSS 2021 (min-max, min-sum). Attacks that
try what they send are in `mechanisms.adaptive_attacks`, the backdoor in `mechanisms.backdoor`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from contracts.checks import choice, integer, number, numbers
from contracts.errors import InvalidInput
from mechanisms.adaptive_attacks import several, steer, tuned_inner_product, tuned_little
from mechanisms.aggregation.geometry import squared_distances
from mechanisms.aggregation.updates import as_updates, namespace
from mechanisms.backdoor import edge_case_backdoor


def sign_flip(honest: Any) -> Any:
    """Send minus the honest mean. Knows the honest updates.

    >>> sign_flip([[1.0, 2.0], [3.0, 4.0]])
    array([-2., -3.])
    """
    return inner_product_manipulation(honest, scale=1.0)


def inner_product_manipulation(honest: Any, *, scale: float = 0.1) -> Any:
    """Send minus a multiple of the honest mean; a small one hides among honest rows. Knows the honest
    updates.

    Args:
        honest: (h, d) honest updates, NumPy or JAX.
        scale: the multiple, >= 0.

    Raises:
        InvalidInput: an argument out of range.

    >>> inner_product_manipulation([[1.0, 2.0], [3.0, 4.0]], scale=0.5)
    array([-1. , -1.5])
    """
    return -number("scale", scale, low=0) * as_updates(honest, "honest").mean(axis=0)


def fall_of_empires(honest: Any, *, scale: float = 2.0) -> Any:
    """Inner-product manipulation with a multiple above one, which turns an average round. Knows the honest
    updates.

    >>> fall_of_empires([[1.0, 2.0], [3.0, 4.0]])
    array([-4., -6.])
    """
    return inner_product_manipulation(honest, scale=scale)


def gaussian(honest: Any, *, scale: float = 3.0, seed: int = 0) -> Any:
    """Send noise whose expected squared length is that of `scale` times the honest mean. Knows that length
    only.

    Args:
        honest: (h, d) honest updates, NumPy or JAX.
        scale: the multiple, >= 0.
        seed: of the noise.

    Raises:
        InvalidInput: an argument out of range.

    >>> gaussian([[1.0, 2.0], [3.0, 4.0]]).shape
    (2,)
    """
    values = as_updates(honest, "honest")
    xp = namespace(values)
    mean = values.mean(axis=0)
    noise = np.random.default_rng(integer("seed", seed)).standard_normal(values.shape[1])
    deviation = number("scale", scale, low=0) * xp.sqrt(xp.sum(mean**2) / values.shape[1])
    return deviation * xp.asarray(noise.astype(values.dtype))


def a_little_is_enough(honest: Any, *, deviations: float = 1.5) -> Any:
    """Move the honest mean by a few standard deviations (n - 1 in the denominator) in every parameter.

    Knows the honest updates; the move hides in their spread. Negative `deviations` move upwards.

    Args:
        honest: (h, d) honest updates, h >= 2, NumPy or JAX.
        deviations: how many standard deviations to move down.

    Raises:
        InvalidInput: an argument out of range.

    >>> a_little_is_enough([[0.0], [2.0]], deviations=1.0).round(4)
    array([-0.4142])
    """
    values = several(honest, 2)
    return values.mean(axis=0) - number("deviations", deviations) * values.std(axis=0, ddof=1)


def mimic(honest: Any, *, row: int = 0) -> Any:
    """Send a copy of one honest update, so that this participant counts many times. Knows that update.

    >>> mimic([[1.0, 2.0], [3.0, 4.0]], row=1)
    array([3., 4.])
    """
    values = as_updates(honest, "honest")
    return values[integer("row", row, high=len(values) - 1)]


def infinite(honest: Any) -> Any:
    """Send infinity in every parameter. Knows nothing.

    >>> infinite([[1.0, 2.0]])
    array([inf, inf])
    """
    values = as_updates(honest, "honest")
    return namespace(values).full_like(values[0], np.inf)


def min_max(honest: Any) -> Any:
    """Move the honest mean against the honest spread as far as the farthest honest row stays from another.

    The largest distance to an honest update equals the largest between two honest ones, so that rules which
    look at the largest distance see nothing. Knows the honest updates.

    Args:
        honest: (h, d) honest updates, h >= 2, NumPy or JAX.

    >>> min_max([[0.0], [1.0], [2.0]])
    array([0.])
    """
    values = several(honest, 2)
    constant, linear, quadratic, squared = _move(values)
    return _moved(values, _root(constant, linear, quadratic, squared.max()).min())


def min_sum(honest: Any) -> Any:
    """Move the honest mean against the honest spread as far as the most remote honest row is in sum of
    squares.

    The sum of squared distances to the honest updates equals the largest such sum of an honest one. Knows the
    honest updates.

    Args:
        honest: (h, d) honest updates, h >= 2, NumPy or JAX.

    >>> min_sum([[0.0], [1.0], [2.0]])
    array([0.])
    """
    values = several(honest, 2)
    constant, linear, quadratic, squared = _move(values)
    limit = squared.sum(axis=1).max()
    return _moved(values, _root(constant.sum(), linear.sum(), len(values) * quadratic, limit))


def _move(values: Any) -> tuple[Any, Any, Any, Any]:
    """Row i lies at squared distance constant_i + 2 g linear_i + g^2 quadratic from mean - g * deviations.

    Returns:
        The three coefficients, and the squared distances between the rows.
    """
    xp = namespace(values)
    offsets, spread = values - values.mean(axis=0), values.std(axis=0, ddof=1)
    squared = squared_distances(values, xp.ones(len(values), bool)).astype(values.dtype)
    return xp.sum(offsets**2, axis=1), offsets @ spread, spread @ spread, squared


def _root(constant: Any, linear: Any, quadratic: Any, limit: Any) -> Any:
    """The largest g with constant + 2 g linear + g^2 quadratic <= limit, which holds at g = 0."""
    xp = namespace(quadratic)
    discriminant = xp.maximum(linear**2 + quadratic * (limit - constant), 0)
    return (xp.sqrt(discriminant) - linear) / xp.where(quadratic > 0, quadratic, 1)


def _moved(values: Any, distance: Any) -> Any:
    return values.mean(axis=0) - distance * values.std(axis=0, ddof=1)


def flip_labels(labels: Any, *, classes: int) -> np.ndarray:
    """Labels for a participant who trains on y -> classes - 1 - y and sends what comes out. Knows its own
    data.

    Args:
        labels: true classes, from 0.
        classes: how many classes there are.

    Raises:
        InvalidInput: a label out of range.

    >>> flip_labels([0, 1, 9], classes=10)
    array([9, 8, 0])
    """
    count = integer("classes", classes, low=2)
    given = numbers("labels", labels)
    if given.dtype.kind not in "iu" or ((given < 0) | (given >= count)).any():
        raise InvalidInput(f"labels: expected whole numbers from 0 to {count - 1}")
    return count - 1 - given


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A named attack.

    Attributes:
        name: as configuration files write it.
        function: of the honest updates, with keyword arguments; None for attacks on the data.
        knows: what the attacker must know, in words.
    """

    name: str
    function: Callable[..., Any] | None
    knows: str


_HONEST = "the honest updates"
ATTACKS = {
    attack.name: attack
    for attack in (
        Attack(name="sign-flip", function=sign_flip, knows=_HONEST),
        Attack(name="inner-product-manipulation", function=inner_product_manipulation, knows=_HONEST),
        Attack(name="fall-of-empires", function=fall_of_empires, knows=_HONEST),
        Attack(name="label-flip", function=None, knows="its own data"),
        Attack(name="gaussian", function=gaussian, knows="the length of the honest mean"),
        Attack(name="a-little-is-enough", function=a_little_is_enough, knows=_HONEST),
        Attack(name="mimic", function=mimic, knows="one honest update"),
        Attack(name="min-max", function=min_max, knows=_HONEST),
        Attack(name="min-sum", function=min_sum, knows=_HONEST),
        Attack(name="infinite", function=infinite, knows="nothing"),
        Attack(name="tuned-a-little-is-enough", function=tuned_little, knows="the honest updates, the rule"),
        Attack(
            name="tuned-inner-product-manipulation",
            function=tuned_inner_product,
            knows="the honest updates, the rule",
        ),
        Attack(name="edge-case-backdoor", function=edge_case_backdoor, knows="the honest updates, clean data"),
        Attack(name="steer", function=steer, knows="the honest updates, the rule, the defender's data"),
    )
}


def attack(honest: Any, name: str, *, colluders: int, **options: Any) -> Any:
    """All updates of a round in which colluders attack: the honest rows, then the malicious ones.

    Args:
        honest: (h, d) honest updates, NumPy or JAX.
        name: one of `ATTACKS` other than "label-flip", which acts on data (`flip_labels`).
        colluders: how many malicious rows are appended.
        options: further arguments of the attack.

    Returns:
        (h + colluders, d) updates.

    Raises:
        InvalidInput: an unknown attack, or an argument out of range.

    >>> attack([[1.0], [3.0]], "sign-flip", colluders=1)
    array([[ 1.],
           [ 3.],
           [-2.]])
    """
    values = as_updates(honest, "honest")
    count = integer("colluders", colluders, low=1)
    function = ATTACKS[choice("name", name, [a for a in ATTACKS if ATTACKS[a].function is not None])].function
    assert function is not None
    if "colluders" in inspect.signature(function).parameters:
        options["colluders"] = count
    try:
        sent = function(values, **options)
    except TypeError as error:
        raise InvalidInput(f"attack {name!r}: {error}") from error
    xp = namespace(values)
    return xp.concatenate([values, xp.broadcast_to(sent, (count, values.shape[1]))])
