"""The conflict between robustness and learning, measured on real data.

A rule that keeps malicious updates out also keeps out what the victim does not know yet. `measure_conflict`
trains a coalition with every rule, once undisturbed and once under attack, over one knob, and reports what
the victim learns against what the attacker achieves; whether some setting is both safe and useful; and where
the conflict is absent, as for independent and identically distributed peers, it says so.

Definitions:

* learning gain: test accuracy of the undisturbed coalition minus that of the victim alone;
* attack success: how much oftener than undisturbed the target group gets the label the attacker wants. The
  difference matters: a model that never saw the group may give that label anyway. For attacks that want no label
  in particular, all but "steer" and "edge-case-backdoor", it is the test accuracy lost.

Source of the question: M. Raynal, C. Troncoso, "On the conflict of robustness and learning in collaborative
machine learning", IEEE S&P 2025. The experiment is ours; the attack is greedy from round to round, so that
its success is a lower bound and "safe" means safe against it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import choice, integer, number
from contracts.errors import InvalidInput
from mechanisms.aggregation import Defender, aggregate, find
from mechanisms.attacks import ATTACKS
from mechanisms.attacks import attack as send
from mechanisms.coalitions import Coalition, Task, draw_task
from mechanisms.conflict_curves import ConflictCurves
from mechanisms.models import Model

KNOBS = {
    "representativeness": "groups_held",
    "coverage": "target_samples",
    "rarity": "holders",
    "heterogeneity": "concentration",
    "colluders": "colluders",
    "tolerance": "tolerance",
}
TARGETED = ("steer", "edge-case-backdoor")  # attacks that want a label
TARGET_STEPS = 25  # of the attacker's descent to the model it wants, anew in every round


def measure_conflict(
    coalition: Coalition,
    *,
    rules: Sequence[str],
    knob: str,
    values: Sequence[float],
    attack: str = "steer",
    options: Mapping[str, float] | None = None,
    seeds: int = 4,
    first_seed: int = 0,
    tolerance: float | None = None,
    on_rule: Callable[[str], None] | None = None,
) -> ConflictCurves:
    """Measure learning gain against attack success, per rule, over the values of one knob.

    Args:
        coalition: who takes part; what the knob sets in it is replaced.
        rules: names known to `mechanisms.aggregation.registry`.
        knob: "representativeness" (groups the victim holds), "coverage" (its samples of the target group),
            "rarity" (honest peers that hold the target group), "heterogeneity" (concentration of the
            Dirichlet draw), "colluders" (how many attack), or "tolerance" (of rules that take one).
        values: what to set the knob to.
        attack: one of `mechanisms.attacks.ATTACKS`.
        options: numbers the attack takes, such as `scale`.
        seeds: how many independent draws; the same for every rule and value, so that differences are paired.
        first_seed: of the draws; a claim made on some seeds is tested on others.
        tolerance: for rules that take one, where it is not the knob.
        on_rule: called with the name of a rule before it is measured.

    Raises:
        InvalidInput: an argument out of range, or a rule that the coalition is too small for.
        BackendMissing: scikit-learn is not installed.

    >>> small = Coalition(dataset="iris", participants=5, malicious=1, rounds=5, samples=10, hidden=())
    >>> curves = measure_conflict(small, rules=["median"], knob="representativeness", values=[2, 3], seeds=2)
    >>> curves.gain.shape
    (1, 2, 2)
    """
    started = time.perf_counter()
    choice("knob", knob, list(KNOBS))
    choice("attack", attack, list(ATTACKS))
    start = integer("first_seed", first_seed)
    drawn = range(start, start + integer("seeds", seeds, low=1))
    sent = tuple(sorted((options or {}).items()))
    if len(rules) == 0 or len(values) == 0:
        raise InvalidInput("rules and values: expected at least one each")
    if tolerance is not None:
        tolerance = number("tolerance", tolerance, low=0)
    settings = [number(f"values[{index}]", value, low=0) for index, value in enumerate(values)]
    for rule in rules:
        if knob == "tolerance" and not any("tolerance" in part.arguments for part in find(rule)):
            raise InvalidInput(f"rule {rule!r} has no tolerance to turn")
    field = KNOBS[knob]
    turned = [coalition if knob == "tolerance" else replace(coalition, **{field: v}) for v in settings]
    tolerances = settings if knob == "tolerance" else [tolerance] * len(settings)
    batches = [_stacked([draw_task(one, seed) for seed in drawn]) for one in turned]
    for rule in rules:  # refuse what a rule cannot do before hours are spent on the others
        limit = _limit(rule, tolerances[0])
        jax.eval_shape(partial(_play, _frame(coalition), rule, None, (), limit), batches[0])
    alone = np.stack([_alone(one, batch) for one, batch in zip(turned, batches, strict=True)])
    outcomes = []
    for rule in rules:
        if on_rule is not None:
            on_rule(rule)
        runs = zip(turned, batches, tolerances, strict=True)
        outcomes.append([_compare(one, batch, rule, attack, sent, limit) for one, batch, limit in runs])
    accuracy, attacked, *rates = (np.stack(part) for part in zip(*map(_columns, outcomes), strict=True))
    return ConflictCurves(
        coalition=coalition,
        knob=knob,
        values=tuple(settings),
        rules=tuple(rules),
        attack=attack,
        first_seed=start,
        alone=alone,
        gain=accuracy - alone,
        lost=accuracy - attacked,
        success=rates[1] - rates[0] if attack in TARGETED else accuracy - attacked,
        clean_rate=rates[0],
        attacked_rate=rates[1],
        clean_group=rates[2],
        attacked_group=rates[3],
        seconds=time.perf_counter() - started,
    )


def _columns(rows: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    return list(map(np.stack, zip(*rows, strict=True)))


def _stacked(tasks: list[Task]) -> Task:
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *tasks)


def _compare(
    coalition: Coalition,
    batch: Task,
    rule: str,
    attack: str,
    options: tuple[tuple[str, float], ...],
    tolerance: float | None,
) -> tuple[np.ndarray, ...]:
    """Accuracy, wrong-label rate and accuracy on the target group: undisturbed and attacked, one a seed."""
    frame, limit = _frame(coalition), _limit(rule, tolerance)
    disturbed = (attack, options) if coalition.colluders else (None, ())
    clean, attacked = (
        [np.asarray(part, float) for part in _play(frame, rule, *kind, limit, batch)]
        for kind in ((None, ()), disturbed)
    )
    return tuple(value for pair in zip(clean, attacked, strict=True) for value in pair)


def _frame(coalition: Coalition) -> Coalition:
    """The coalition without what its knobs put into arrays: all values of a knob share one compilation."""
    arrays = ("groups_held", "target_samples", "holders", "target_share", "concentration")
    return replace(coalition, **dict.fromkeys(arrays))


def _limit(rule: str, tolerance: float | None) -> Any:
    takes = tolerance is not None and any("tolerance" in part.arguments for part in find(rule))
    return jnp.asarray(tolerance) if takes else None


def _alone(coalition: Coalition, batch: Task) -> np.ndarray:
    steps = coalition.rounds * coalition.steps
    return np.asarray(_train_alone(coalition.model, steps, coalition.rate, batch), float)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _train_alone(model: Model, steps: int, rate: float, batch: Task) -> Any:
    def one(task: Task) -> Any:
        update = descend(model, task.initial, *task.victim, steps=steps, rate=rate)
        return _evaluate(model, task.initial + update, task)[0]

    return jax.vmap(one)(batch)


def descend(
    model: Model, start: Any, inputs: Any, labels: Any, weights: Any = None, *, steps: int, rate: float
) -> Any:
    """The update of a participant that makes full-batch gradient steps from `start`."""

    def step(_: Any, params: Any) -> Any:
        return params - rate * jax.grad(model.loss)(params, inputs, labels, weights)

    return jax.lax.fori_loop(0, steps, step, start) - start


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _play(
    coalition: Coalition,
    rule: str,
    attack: str | None,
    options: tuple[tuple[str, float], ...],
    tolerance: Any,
    batch: Task,
) -> Any:
    return jax.vmap(lambda task: _one_run(coalition, rule, attack, dict(options), tolerance, task))(batch)


def _one_run(
    coalition: Coalition,
    rule: str,
    attack: str | None,
    options: Mapping[str, float],
    tolerance: Any,
    task: Task,
) -> Any:
    model = coalition.model
    local = partial(descend, model, steps=coalition.steps, rate=coalition.rate)
    loss, error_rate = _weighted_measures(model)

    def one_round(state: Any, _: Any) -> Any:
        params, center, history = state
        own = local(params, *task.victim)
        updates = jnp.vstack([own, jax.vmap(partial(local, params))(*task.peers)])
        inputs, labels, weights = task.victim
        defender = Defender(
            parameters=params,
            update=own,
            inputs=inputs,
            labels=(labels, weights),
            loss=loss,
            error_rate=error_rate,
        )

        def combined(rows: Any) -> Any:
            limit = {} if tolerance is None else {"tolerance": tolerance}
            known = {"defender": defender, "center": center, "history": history + rows}
            return aggregate(rows, rule, malicious=coalition.malicious, **known, **limit)

        rows = updates
        if attack is not None:
            rows = _attacked(coalition, attack, options, task, params, updates, combined)
        step = combined(rows)
        return (params + step, step, history + rows), None

    start = (task.initial, jnp.zeros_like(task.initial), jnp.zeros((coalition.participants, model.size)))
    (params, *_), _ = jax.lax.scan(one_round, start, length=coalition.rounds)
    return _evaluate(model, params, task)


def _attacked(
    coalition: Coalition,
    name: str,
    options: Mapping[str, float],
    task: Task,
    params: Any,
    updates: Any,
    combined: Callable[[Any], Any],
) -> Any:
    """The rows that arrive: the last `colluders` are malicious."""
    model, colluders = coalition.model, coalition.colluders or 0
    honest = updates[:-colluders]
    local = partial(descend, model, params, steps=coalition.steps, rate=coalition.rate)
    if name == "label-flip":
        inputs, labels = (part[-colluders:] for part in task.peers)
        return jnp.vstack([honest, jax.vmap(local)(inputs, model.classes - 1 - labels)])
    if name == "edge-case-backdoor":  # the attacker's data hold the target group under the wanted label
        return send(honest, name, colluders=colluders, backdoor=local(*task.attacker), **options)
    if name != "steer":
        more = {"rule": combined} if name.startswith("tuned-") else {}
        return send(honest, name, colluders=colluders, **more, **options)
    target = descend(model, params, *task.attacker, steps=TARGET_STEPS, rate=coalition.rate)

    def harm(step: Any) -> Any:
        return model.loss(params + step, *task.wanted)

    return send(honest, name, colluders=colluders, target=target, harm=harm, rule=combined)


def _evaluate(model: Model, params: Any, task: Task) -> tuple[Any, Any, Any]:
    """Test accuracy; on the target group, how often the attacker's label is given, and the accuracy."""
    inputs, labels, inside = task.test
    given = jnp.argmax(model.logits(params, inputs), axis=-1)
    wrong, right = (given == task.wrong), (given == labels)
    return right.mean(), (wrong * inside).sum() / inside.sum(), (right * inside).sum() / inside.sum()


@cache
def _weighted_measures(model: Model) -> tuple[Any, Any]:
    """Loss and error rate on samples with weights, one pair a model so that compiled code is found again."""

    def loss(params: Any, inputs: Any, labels: Any) -> Any:
        return model.loss(params, inputs, *labels)

    def error_rate(params: Any, inputs: Any, labels: Any) -> Any:
        true, weights = labels
        return ((jnp.argmax(model.logits(params, inputs), axis=-1) != true) * weights).sum() / weights.sum()

    return loss, error_rate
