"""What malicious participants may send, with what each attack must know.

An attack is a function of the honest updates, an (h, d) array, that returns one malicious update; all
colluders send it. What it reads is its knowledge, and the measurements of robustness are worth as much as
the attacks they were made with: `steer` knows most, the honest updates, the rule, and a defender's data.

Sources: C. Xie, O. Koyejo, I. Gupta, "Fall of empires", UAI 2019 (inner-product manipulation); G. Baruch, M.
Baruch, Y. Goldberg, "A little is enough", NeurIPS 2019; S. P. Karimireddy, L. He, M. Jaggi, ICLR 2022
(mimic); V. Shejwalkar, A. Houmansadr, "Manipulating the Byzantine", NDSS 2021 (min-max, min-sum, and the idea of
tuning against the rule); H. Wang et al., "Attack of the tails: yes, you really can backdoor federated learning",
NeurIPS 2020 (edge-case backdoor); M. Raynal,
C. Troncoso, "On the conflict of robustness and learning in collaborative machine learning", IEEE S&P 2025
(the idea of `steer`; the algorithm is ours).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import array, choice, integer, number, numbers
from contracts.errors import InvalidInput
from mechanisms.aggregation.geometry import squared_distances
from mechanisms.aggregation.updates import as_updates, namespace

TUNED_SCALES = tuple(float(scale) for scale in np.geomspace(0.05, 50, 19))
STEER_SCALES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)


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
    values = _several(honest, 2)
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
    values = _several(honest, 2)
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
    values = _several(honest, 2)
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


def steer(
    honest: Any,
    *,
    target: Any,
    harm: Callable[[Any], Any],
    rule: Callable[[Any], Any],
    colluders: int,
    reference: Any = None,
    scales: tuple[float, ...] = STEER_SCALES,
) -> Any:
    """Stay close to a reference and steer to a target as far as does most harm after aggregation.

    Colluders send reference + c (target - reference) with the c that minimises `harm` of the aggregate: a
    small c passes rules that look at distances; for rules that look at behaviour the target is a model that
    is right where the defender looks and wrong elsewhere. Either all of them send it or, against rules that
    look for colluders who are alike, the first does and the others send zeros, whichever does more harm.
    Knows the honest updates, the rule, and through it the defender's data. It is greedy from round to round,
    so what it achieves is a lower bound.

    Args:
        honest: (h, d) honest updates, NumPy or JAX.
        target: the update that leads to the model the attacker wants, length d.
        harm: a function of the aggregate, smaller is better for the attacker.
        rule: a function of all n = h + colluders updates, the honest ones first.
        colluders: how many rows the attacker sends.
        reference: where to hide, length d; None is the honest mean.
        scales: the values of c that are tried.

    Returns:
        (colluders, d) malicious updates.

    Raises:
        InvalidInput: an argument out of range.

    >>> from mechanisms.aggregation import median
    >>> honest = np.array([[0.0], [1.0], [2.0]])
    >>> steer(honest, target=[9.0], harm=lambda mean: (mean[0] - 9) ** 2, rule=median, colluders=1)
    array([[3.]])
    """
    values = as_updates(honest, "honest")
    count = integer("colluders", colluders, low=1)
    if not scales:
        raise InvalidInput("scales is empty: expected at least one number")
    xp = namespace(values)
    center = values.mean(axis=0) if reference is None else xp.asarray(reference)
    if np.shape(target) != values.shape[1:]:
        raise InvalidInput(f"target has shape {np.shape(target)}: expected {values.shape[1:]}")
    direction = xp.asarray(target) - center
    together = np.ones(count)
    choices = [(scale, who) for who in (together, 1.0 * (np.arange(count) == 0)) for scale in scales]
    choices = choices[: len(scales)] if count == 1 else choices

    def sent(scale: Any, active: Any) -> Any:
        return (active[:, None] * (center + scale * direction)).astype(values.dtype)

    def outcome(scale: Any, active: Any) -> Any:
        return harm(rule(xp.concatenate([values, sent(scale, active)])))

    if isinstance(values, jax.Array):
        tried = jnp.asarray([c for c, _ in choices]), jnp.asarray(np.array([who for _, who in choices]))
        best = jnp.argmin(jax.vmap(outcome)(*tried))
        return sent(tried[0][best], tried[1][best])
    return sent(*choices[int(np.argmin([float(outcome(*one)) for one in choices]))])


def tuned_little(honest: Any, *, rule: Callable[[Any], Any], colluders: int, harm: Any = None) -> Any:
    """A little is enough with the number of deviations, either way, that does most harm after aggregation.

    Knows the honest updates and the rule. Nineteen sizes from .05 to 50 deviations up and down are tried, then
    nine between the neighbours of the best.

    Args:
        honest: (h, d) honest updates, h >= 2, NumPy or JAX.
        rule: a function of all n = h + colluders updates, the honest ones first.
        colluders: how many send the row.
        harm: a function of the aggregate, smaller is better for the attacker; None is minus its squared distance
            to the honest mean.

    Raises:
        InvalidInput: an argument out of range.

    >>> from mechanisms.aggregation import mean
    >>> tuned_little([[0.0], [2.0]], rule=mean, colluders=1).round(1)
    array([71.7])
    """
    values = _several(honest, 2)
    spread = values.std(axis=0, ddof=1)
    both = tuple(sign * scale for scale in TUNED_SCALES for sign in (1.0, -1.0))
    return _tuned(values, -spread, values.mean(axis=0), sorted(both), rule, colluders, harm)


def tuned_inner_product(honest: Any, *, rule: Callable[[Any], Any], colluders: int, harm: Any = None) -> Any:
    """Inner-product manipulation with the multiple that does most harm after aggregation.

    Knows the honest updates and the rule. Arguments and search are as of `tuned_little`, the multiples positive.

    >>> from mechanisms.aggregation import median
    >>> tuned_inner_product([[1.0], [2.0], [3.0]], rule=median, colluders=1).round(2)
    array([-0.1])
    """
    values = as_updates(honest, "honest")
    mean = values.mean(axis=0)
    return _tuned(values, -mean, 0 * mean, TUNED_SCALES, rule, colluders, harm)


def _tuned(
    values: Any, move: Any, base: Any, scales: Any, rule: Callable[[Any], Any], colluders: int, harm: Any
) -> Any:
    xp, count = namespace(values), integer("colluders", colluders, low=1)
    center = values.mean(axis=0)

    def sent(scale: Any) -> Any:
        return (base + scale * move).astype(values.dtype)

    def outcome(scale: Any) -> Any:
        result = rule(xp.concatenate([values, xp.broadcast_to(sent(scale), (count, values.shape[1]))]))
        return -xp.sum((result - center) ** 2) if harm is None else harm(result)

    def best_of(tried: Any) -> Any:
        if xp is jnp:
            return jnp.argmin(jax.vmap(outcome)(tried))
        return int(np.argmin([float(outcome(scale)) for scale in tried]))

    coarse = xp.asarray(np.asarray(scales, values.dtype))
    best = best_of(coarse)
    low, high = coarse[xp.maximum(best - 1, 0)], coarse[xp.minimum(best + 1, len(coarse) - 1)]
    fine = xp.concatenate([coarse[best][None], low + (high - low) * xp.linspace(0, 1, 9, dtype=values.dtype)])
    return sent(fine[best_of(fine)])


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


def _several(honest: Any, least: int) -> Any:
    values = as_updates(honest, "honest")
    if len(values) < least:
        raise InvalidInput(f"honest has {len(values)} rows: expected at least {least}")
    return values
