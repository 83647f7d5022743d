"""Rules by name, for training loops, command lines and configuration files; users add their own.

A rule is a function of the updates whose further arguments are picked, by name, from what the caller knows:
`malicious`, `defender`, `own`, `center`, `history`, and options. Names joined by "+" compose:
pre-aggregations ("nearest-neighbour-mixing+krum") and screens ("roni-screen+median", a hybrid: rows that the
defender rejects are replaced by the defender's own update before the distance rule sees them).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from contracts.checks import choice
from contracts.errors import InvalidInput
from mechanisms.aggregation import (
    behaviour,
    centers,
    coordinatewise,
    distance,
    filters,
    own_update,
    preaggregation,
    spectral,
)
from mechanisms.aggregation.autogm import autogm
from mechanisms.aggregation.similarity import foolsgold
from mechanisms.aggregation.updates import as_updates, malicious_count, nonnegative

FAMILIES = ("average", "distance", "behaviour", "pre-aggregation", "screen")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A named rule.

    Attributes:
        name: as configuration files write it.
        family: one of `FAMILIES`. "average" trusts everybody; "distance" looks at the updates alone;
            "behaviour" tries them on the defender's data; "pre-aggregation" and "screen" return (n, d)
            updates and come before a "+".
        function: of the updates, with keyword arguments.
        arguments: the keywords it takes.
        required: those it cannot do without.
    """

    name: str
    family: str
    function: Callable[..., Any]
    arguments: frozenset[str] = field(init=False)
    required: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        choice("family", self.family, FAMILIES)
        keywords = [p for p in inspect.signature(self.function).parameters.values() if p.kind == p.KEYWORD_ONLY]
        object.__setattr__(self, "arguments", frozenset(p.name for p in keywords))
        required = frozenset(p.name for p in keywords if p.default is p.empty)
        object.__setattr__(self, "required", required)

    def __call__(self, updates: Any, known: Mapping[str, Any]) -> Any:
        """Apply the rule with those of the known arguments that it takes."""
        given = {name: known[name] for name in self.arguments if known.get(name) is not None}
        missing = sorted(self.required - given.keys())
        if missing:
            raise InvalidInput(f"rule {self.name!r} needs {', '.join(missing)}")
        return self.function(updates, **given)


_RULES: dict[str, Rule] = {}


def register(name: str, function: Callable[..., Any], *, family: str) -> Rule:
    """Add a rule, so that it can be named wherever rules are named.

    Args:
        name: lower-case words joined by hyphens, not taken yet.
        function: `function(updates, *, ...)`; of the keywords it may ask for `malicious`, `defender`, `own`
            (the defender's update), `center` (the last aggregate), `history` (every participant's summed
            updates) and any option. It returns the aggregate, length d, or (n, d) updates in the families
            "pre-aggregation" and "screen".
        family: one of `FAMILIES`.

    Raises:
        InvalidInput: the name is taken or not of the form above, or the family is unknown.

    >>> rule = register("first-row", lambda updates: updates[0], family="distance")
    >>> aggregate([[1, 0], [0, 1]], "first-row")
    array([1., 0.])
    >>> unregister("first-row")
    """
    if not isinstance(name, str) or not name.replace("-", "").isalnum() or name != name.lower():
        raise InvalidInput(f"name = {name!r}: expected lower-case words joined by hyphens")
    if name in _RULES:
        raise InvalidInput(f"name = {name!r}: a rule of this name is registered already")
    _RULES[name] = Rule(name=name, family=family, function=function)
    return _RULES[name]


def unregister(name: str) -> None:
    """Forget a rule.

    Raises:
        InvalidInput: no rule has this name.
    """
    del _RULES[choice("name", name, rules())]


def rules(family: str | None = None) -> list[str]:
    """The names of the registered rules, of one family or of all.

    >>> rules("behaviour")
    ['zeno', 'loss-rejection', 'error-rejection', 'fltrust', 'roni']
    """
    if family is not None:
        choice("family", family, FAMILIES)
    return [name for name, rule in _RULES.items() if family in (None, rule.family)]


def find(name: str) -> tuple[Rule, ...]:
    """The rules a name stands for, in the order they are applied; several if they are joined by "+".

    Raises:
        InvalidInput: a name is unknown, or the parts do not compose.

    >>> [rule.family for rule in find("nearest-neighbour-mixing+krum")]
    ['pre-aggregation', 'distance']
    """
    parts = [
        _RULES[choice("rule", part, rules())] for part in (name.split("+") if isinstance(name, str) else [name])
    ]
    before = [rule.family in ("pre-aggregation", "screen") for rule in parts]
    if before[-1] or not all(before[:-1]):
        raise InvalidInput(
            f"rule = {name!r}: expected pre-aggregations or screens, then one rule, joined by '+'"
        )
    return tuple(parts)


def aggregate(
    updates: Any,
    rule: str,
    *,
    malicious: int = 0,
    defender: behaviour.Defender | None = None,
    center: Any = None,
    history: Any = None,
    **options: Any,
) -> Any:
    """Aggregate updates by a named rule.

    Args:
        updates: (n, d) array, one participant a row, NumPy or JAX.
        rule: a registered name, or names joined by "+".
        malicious: how many malicious rows to withstand, f; rules that take no such number ignore it.
        defender: who judges, for behaviour rules; its update is `own` for rules around one's own update.
        center: the last aggregate, for centred clipping.
        history: every participant's summed updates, for FoolsGold.
        options: further arguments of the rule, such as `tolerance`.

    Returns:
        The aggregate, length d, of the kind and type of `updates`.

    Raises:
        InvalidInput: an unknown rule or option, or whatever the rule itself refuses.

    >>> aggregate([[0.0], [1.0], [50.0]], "median")
    array([1.])
    >>> aggregate([[0.0], [1.0], [50.0]], "krum", malicious=1)
    Traceback (most recent call last):
    contracts.errors.InvalidInput: updates has 3 rows: krum needs at least 2 * malicious + 3 = 5
    """
    values = as_updates(updates)
    parts = find(rule)
    f = malicious_count(malicious)
    if f and 2 * f >= len(values) and parts[-1].family == "distance":  # a defender needs no majority
        raise InvalidInput(f"malicious = {f} of {len(values)} updates: {rule} needs fewer than half")
    unknown = sorted(options.keys() - frozenset().union(*(part.arguments for part in parts)))
    if unknown:
        raise InvalidInput(f"rule {rule!r} takes no option {unknown[0]!r}")
    known = {"malicious": f, "defender": defender, "center": center, "history": history, **options}
    if defender is not None and "own" not in options:
        known["own"] = defender.update
    for part in parts:
        values = part(values, known)
    return values


def _screen(accept: Any, name: str) -> Callable[..., Any]:
    """The updates with the rows that the defender rejects replaced by the defender's own."""

    def screened(updates: Any, *, defender: behaviour.Defender, malicious: int) -> Any:
        keep = behaviour.kept(updates, malicious)
        return behaviour.run_judged(_replaced, updates, defender, malicious, name, screen=accept, keep=keep)

    return screened


def _roni_screen(updates: Any, *, defender: behaviour.Defender, tolerance: float = 0.1) -> Any:
    limit, accept = nonnegative("tolerance", tolerance), behaviour.roni_screen
    return behaviour.run_judged(_replaced, updates, defender, None, "roni-screen", limit, screen=accept)


def _replaced(
    values: Any, present: Any, defender: behaviour.Defender, *arrays: Any, screen: Any, **settings: Any
) -> Any:
    accepted = screen(values, present, defender, *arrays, **settings)
    return jnp.where(accepted[:, None], values, defender.update)


for _name, _function, _family in (
    ("mean", coordinatewise.mean, "average"),
    ("median", coordinatewise.median, "distance"),
    ("trimmed-mean", coordinatewise.trimmed_mean, "distance"),
    ("mean-around-median", coordinatewise.mean_around_median, "distance"),
    ("krum", distance.krum, "distance"),
    ("multi-krum", distance.multi_krum, "distance"),
    ("bulyan", distance.bulyan, "distance"),
    ("minimum-diameter", distance.minimum_diameter, "distance"),
    ("geometric-median", centers.geometric_median, "distance"),
    ("centered-clipping", centers.centered_clipping, "distance"),
    ("norm-clipping", centers.norm_clipping, "distance"),
    ("autogm", autogm, "distance"),
    ("smea", spectral.smea, "distance"),
    ("caf", spectral.caf, "distance"),
    ("dnc", spectral.dnc, "distance"),
    ("signguard", filters.signguard, "distance"),
    ("clustering", filters.clustering, "distance"),
    ("foolsgold", foolsgold, "distance"),
    ("monna", own_update.monna, "distance"),
    ("acceptance-radius", own_update.acceptance_radius, "distance"),
    ("clipping-radius", own_update.clipping_radius, "distance"),
    ("zeno", behaviour.zeno, "behaviour"),
    ("loss-rejection", behaviour.loss_rejection, "behaviour"),
    ("error-rejection", behaviour.error_rejection, "behaviour"),
    ("fltrust", behaviour.fltrust, "behaviour"),
    ("roni", behaviour.roni, "behaviour"),
    ("nearest-neighbour-mixing", preaggregation.nearest_neighbour_mixing, "pre-aggregation"),
    ("bucketing", preaggregation.bucketing, "pre-aggregation"),
    ("adaptive-clipping", preaggregation.adaptive_clipping, "pre-aggregation"),
    ("static-clipping", preaggregation.static_clipping, "pre-aggregation"),
    ("zeno-screen", _screen(behaviour.zeno_screen, "zeno-screen"), "screen"),
    ("loss-screen", _screen(behaviour.loss_screen, "loss-screen"), "screen"),
    ("error-screen", _screen(behaviour.error_screen, "error-screen"), "screen"),
    ("roni-screen", _roni_screen, "screen"),
):
    register(_name, _function, family=_family)
