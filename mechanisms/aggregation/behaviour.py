"""Rules that try each update on the defender's own data: Zeno, loss and error-rate rejection, FLTrust, RONI.

They need a `Defender`: the participant or server that judges, with the model it holds and data of its own.
What they can see is bounded by those data: an update that is right there and wrong elsewhere passes.

Every rule but FLTrust is a *screen*, which says of every row whether it is accepted, and never accepts one after
which the defender's loss is not finite; the rule averages the accepted rows, and the registry offers the
screens to put before a distance rule instead.

Sources: C. Xie, O. Koyejo, I. Gupta, "Zeno", ICML 2019; M. Fang, X. Cao, J. Jia, N. Gong, "Local model
poisoning attacks to Byzantine-robust federated learning", USENIX Security 2020 (rejection by loss and by
error rate); X. Cao, M. Fang, J. Liu, N. Gong, "FLTrust", NDSS 2021; M. Barreno, B. Nelson, A. Joseph, J.
Tygar, "The security of machine learning", Machine Learning 2010 (RONI, reject on negative impact).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import number
from contracts.errors import InvalidInput
from contracts.pytrees import register
from mechanisms.aggregation.geometry import combine, row_keys
from mechanisms.aggregation.selection import as_weights, smallest
from mechanisms.aggregation.updates import as_updates, malicious_count, nonnegative, run_rule, unit_peaks

Measure = Callable[[Any, Any, Any], Any]


@register(meta=["loss", "error_rate"])
@dataclass(frozen=True, kw_only=True, eq=False)
class Defender:
    """Who judges updates: a model, data to try it on, and an update of its own.

    Attributes:
        parameters: the flat parameters every update starts from, length d.
        update: the defender's own update, learned from its own data, length d.
        inputs: what the model reads, one sample a row.
        labels: the true classes, one a sample.
        loss: `loss(parameters, inputs, labels)`, a JAX function: the mean loss of a model.
        error_rate: `error_rate(parameters, inputs, labels)`: the fraction in [0, 1] it gets wrong.

    >>> from mechanisms.models import SoftmaxRegression
    >>> defender = Defender.of_model(
    ...     SoftmaxRegression(features=2, classes=2),
    ...     parameters=np.zeros(6), update=np.ones(6), inputs=np.eye(2), labels=np.array([0, 1]),
    ... )
    >>> round(float(defender.loss(defender.parameters, defender.inputs, defender.labels)), 4)
    0.6931
    """

    parameters: Any
    update: Any
    inputs: Any
    labels: Any
    loss: Measure
    error_rate: Measure

    @classmethod
    def of_model(cls, model: Any, *, parameters: Any, update: Any, inputs: Any, labels: Any) -> Defender:
        """Make a defender that judges by the loss and error rate of a classifier of `mechanisms.models`."""
        loss, error_rate = _measures(model)
        return cls(
            parameters=parameters,
            update=update,
            inputs=inputs,
            labels=labels,
            loss=loss,
            error_rate=error_rate,
        )


@cache
def _measures(model: Any) -> tuple[Measure, Measure]:
    """One pair of functions a model, so that what is compiled for it is found again."""

    def error_rate(parameters: Any, inputs: Any, labels: Any) -> Any:
        return jnp.mean(jnp.argmax(model.logits(parameters, inputs), axis=-1) != labels)

    return model.loss, error_rate


def zeno(updates: Any, *, defender: Defender, malicious: int, penalty: float = 1e-3) -> Any:
    """Average the n - f rows that lower the defender's loss most, less a penalty on their squared length.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        defender: who judges.
        malicious: how many rows to leave out, f < n.
        penalty: loss per squared unit of the updates, >= 0.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: an argument out of range, or more than f rows that are not finite.
    """
    f = malicious_count(malicious)
    settings = {"keep": kept(updates, f), "penalty": number("penalty", penalty, low=0)}
    return _mean_of_accepted(zeno_screen, updates, defender, f, "zeno", **settings)


def zeno_screen(values: Any, present: Any, defender: Defender, *, keep: int, penalty: float = 1e-3) -> Any:
    """The rows `zeno` accepts, as n booleans."""
    scores = _losses(defender, values) + penalty * jnp.sum(values**2, axis=1)
    return smallest(scores, (jnp.sum(values**2, axis=1), row_keys(values)), keep, present & jnp.isfinite(scores))


def loss_rejection(updates: Any, *, defender: Defender, malicious: int) -> Any:
    """Leave out the f rows whose removal from the mean lowers the defender's loss most; average the rest.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        defender: who judges.
        malicious: how many rows to leave out, f < n.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: an argument out of range, or more than f rows that are not finite.
    """
    f = malicious_count(malicious)
    return _mean_of_accepted(loss_screen, updates, defender, f, "loss_rejection", keep=kept(updates, f))


def loss_screen(values: Any, present: Any, defender: Defender, *, keep: int) -> Any:
    """The rows `loss_rejection` accepts, as n booleans."""
    present = present & jnp.isfinite(_losses(defender, values))
    without = _losses(defender, _means_without(values, present))
    return smallest(-without, (-without, row_keys(values)), keep, present)


def error_rejection(updates: Any, *, defender: Defender, malicious: int) -> Any:
    """Leave out the f rows whose removal from the mean lowers the defender's error rate most; average the
    rest.

    Error rates on few samples tie often; the loss then decides.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        defender: who judges.
        malicious: how many rows to leave out, f < n.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: an argument out of range, or more than f rows that are not finite.
    """
    f = malicious_count(malicious)
    return _mean_of_accepted(error_screen, updates, defender, f, "error_rejection", keep=kept(updates, f))


def error_screen(values: Any, present: Any, defender: Defender, *, keep: int) -> Any:
    """The rows `error_rejection` accepts, as n booleans."""
    present = present & jnp.isfinite(_losses(defender, values))
    means = _means_without(values, present)
    errors = jax.vmap(lambda mean: _judge(defender, defender.error_rate, mean))(means).astype(values.dtype)
    return smallest(-errors, (-_losses(defender, means), row_keys(values)), keep, present)


def roni(updates: Any, *, defender: Defender, tolerance: float = 0.1) -> Any:
    """Average the rows that on their own do not raise the defender's loss by more than a tolerance.

    The defender's own update is always accepted, and stands alone if nothing else is.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        defender: who judges.
        tolerance: the accepted relative rise of the loss, >= 0.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: an argument out of range, or no row is finite.
    """
    limit = nonnegative("tolerance", tolerance)
    return run_judged(_screened_mean, updates, defender, None, "roni", limit, screen=roni_screen)


def roni_screen(values: Any, present: Any, defender: Defender, tolerance: Any = 0.1) -> Any:
    """The rows `roni` accepts, as n booleans."""
    before = _judge(defender, defender.loss, jnp.zeros_like(values[0]))
    own = (values == defender.update).all(axis=1)
    return present & (own | (_losses(defender, values) <= (1 + tolerance) * before))


def fltrust(updates: Any, *, defender: Defender) -> Any:
    """Average the rows, rescaled to the length of the defender's update, weighted by their cosine with it.

    Rows at a right angle or more to the defender's update have weight zero, so the result is never longer
    than that update; it is zero if every weight is.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        defender: whose update is trusted.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: `updates` or `defender` is out of range, or no row is finite.
    """
    return run_judged(_fltrust, updates, defender, None, "fltrust")


def _fltrust(values: Any, present: Any, defender: Defender) -> Any:
    own = jnp.asarray(defender.update)
    (heading,) = unit_peaks(own[None], jnp.ones(1, bool))
    rows = unit_peaks(values, present)
    lengths, length = jnp.linalg.norm(rows, axis=1), jnp.linalg.norm(heading)
    usable = present & (lengths > 0)
    scale = jnp.where(usable, lengths, 1)
    trust = jnp.where(usable, jnp.maximum(rows @ heading, 0) / scale / jnp.where(length > 0, length, 1), 0)
    total = trust.sum()
    mean = combine(trust / jnp.where(total > 0, total, 1) / scale, rows)  # of unit vectors
    return mean * length * (jnp.abs(own).max() / jnp.where(length > 0, jnp.abs(heading).max(), 1))


def _judge(defender: Defender, measure: Measure, update: Any) -> Any:
    return measure(defender.parameters + update, defender.inputs, defender.labels)


def _losses(defender: Defender, updates: Any) -> Any:
    """The defender's loss after each row; infinite where it is not a number."""
    losses = jax.vmap(lambda update: _judge(defender, defender.loss, update))(updates)
    return jnp.where(jnp.isnan(losses), jnp.inf, losses).astype(updates.dtype)


def _means_without(values: Any, present: Any) -> Any:
    """Row i is the mean of the present rows other than i."""
    others = present[None, :] & ~jnp.eye(len(values), dtype=bool)
    return (others / jnp.maximum(others.sum(axis=1, keepdims=True), 1)).astype(values.dtype) @ values


def kept(updates: Any, malicious: int) -> int:
    """How many rows stay when as many as may be malicious are left out."""
    count = len(as_updates(updates))
    if malicious >= count:
        raise InvalidInput(f"malicious = {malicious}: expected fewer than the {count} updates")
    return count - malicious


def _mean_of_accepted(
    screen: Any, updates: Any, defender: Defender, tolerated: int | None, rule: str, **settings: Any
) -> Any:
    return run_judged(_screened_mean, updates, defender, tolerated, rule, screen=screen, **settings)


def _screened_mean(
    values: Any, present: Any, defender: Defender, *arrays: Any, screen: Any, **settings: Any
) -> Any:
    accepted = screen(values, present, defender, *arrays, **settings)
    return jnp.where(accepted.any(), combine(as_weights(accepted), values), defender.update)


def run_judged(
    core: Any,
    updates: Any,
    defender: Defender,
    tolerated: int | None,
    rule: str,
    *arrays: Any,
    **settings: Any,
) -> Any:
    """Run a rule that calls the defender's model in JAX, in the precision of the updates."""
    values = as_updates(updates)
    for name in ("parameters", "update"):
        shape = np.shape(getattr(defender, name))
        if shape != values.shape[1:]:
            raise InvalidInput(
                f"defender.{name} has shape {shape}: expected {values.shape[1:]}, as a row of updates"
            )
    settings = {"rule": rule, "tolerated": tolerated, **settings}
    if isinstance(values, jax.Array):
        return run_rule(core, values, defender, *arrays, **settings)
    with jax.enable_x64(values.dtype == np.float64):
        return np.asarray(run_rule(core, jnp.asarray(values), defender, *arrays, **settings))
