"""The contract-design problem: who takes part, what data give, what models are worth."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.baseline import above
from contracts.problem.combinations import check_combination
from contracts.problem.menu import Menu
from contracts.problem.objective import Objective
from contracts.problem.outside import Outside
from contracts.problem.population import Population
from contracts.problem.scenario import Scenario, checked_weights, in_population
from contracts.problem.valuation import Valuation
from contracts.pytrees import register
from contracts.records import frozen, identity

BELIEFS = ("interim", "ex-ante")
TARGETS = ("accuracy", "value")


@register(meta=["belief", "maximise", "baseline", "outside", "menu", "objective", "scenarios", "currency"])
@frozen
class Problem:
    """A coordinator's problem, made of independent ingredients; each but the first three may be left out.

    Args:
        population: who may take part: types, their number, groups, qualities, capacities, doubt.
        accuracy: the learning curve of the jointly trained model, by effective data.
        valuation: what a model is worth to participants; its scale is a number, or one for each type (shape
            (types,)), in units of that type's cost.
        baseline: the accuracy that everybody has without any data (a coin flip, the majority class), in [0, 1);
            worth is counted from there on, both alone and together.
        outside: what each type gets by staying out.
        menu: limits of the menu, and margins.
        objective: what is maximised; None for the coordinator's target.
        scenarios: populations or curves of which one will turn out true; promises are kept in each.
        belief: what a participant thinks of the others. "interim": it knows its own type and expects
            participants - 1 others drawn by the probabilities (Bayes' rule); "ex-ante": it expects a draw of
            all participants with at least one of its type (the published code).
        maximise: the coordinator's target: the expected "accuracy" of the trained model (the papers') or its
            expected "value" (the mean valuation's where scales differ); the same thing when the valuation is
            linear.
        currency: the unit of costs and values, for those who read; "" for none.

    Raises:
        InvalidInput: naming the argument and what is accepted; also where two ingredients do not go together
            (`contracts.problem.combinations` lists them all, with reasons).

    Source: Wang et al., AAAI 2025 (arXiv 2412.11122), problem (1); the interim belief and all ingredients but
    the first three are ours.
    """

    population: Population
    accuracy: AccuracyCurve
    valuation: Valuation
    belief: str = "interim"
    maximise: str = "accuracy"
    baseline: Any = 0.0
    outside: Outside = Outside()
    menu: Menu = Menu()
    objective: Objective | None = None
    scenarios: Any = ()
    currency: str = ""

    def __post_init__(self) -> None:
        for name, kind in (("population", Population), ("accuracy", AccuracyCurve), ("valuation", Valuation)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise InvalidInput(f"{name} = {value!r}: expected a {kind.__name__}")
        checks.choice("belief", self.belief, BELIEFS)
        checks.choice("maximise", self.maximise, TARGETS)
        self._check_ingredients()
        if not self.plain:
            check_combination(self)

    def _check_ingredients(self) -> None:
        set_field = object.__setattr__
        set_field(self, "baseline", checks.number("baseline", self.baseline, low=0.0, high=1.0, open_high=True))
        for name, kind in (("outside", Outside), ("menu", Menu)):
            if not isinstance(getattr(self, name), kind):
                raise InvalidInput(f"{name} = {getattr(self, name)!r:.60}: expected an {kind.__name__}")
        if self.objective is not None and not isinstance(self.objective, Objective):
            raise InvalidInput(f"objective = {self.objective!r:.60}: expected an Objective such as Welfare()")
        if not isinstance(self.currency, str):
            raise InvalidInput(f"currency = {self.currency!r:.60}: expected a text")
        set_field(self, "currency", checks.visible(self.currency))
        set_field(self, "scenarios", self._checked_scenarios())
        if self.plain:  # a batch's parameters have shapes of their own
            return
        for curve in (self.accuracy, *(scenario.accuracy for scenario in self.scenarios)):
            if curve is not None and np.ndim(curve.optimum) > 0:
                shape = np.shape(curve.optimum)
                raise InvalidInput(
                    f"accuracy.optimum has shape {shape}: expected a number; only plain problems form batches"
                )
            if curve is not None and self.baseline >= float(curve.optimum):
                best = f"the curve's optimum {float(curve.optimum):g}"
                raise InvalidInput(f"baseline = {self.baseline:g}: expected less than {best}")
        types = self.population.types
        if self.menu.options is not None and self.menu.options > types:
            raise InvalidInput(
                f"menu.options = {self.menu.options}: expected at most {types}, one for each type"
            )
        for name, value in (
            ("valuation.scale", self.valuation.scale),
            ("outside.utility", self.outside.utility),
            ("outside.joining_cost", self.outside.joining_cost),
        ):
            if np.ndim(value) > 0 and np.shape(value) != (types,):
                raise InvalidInput(f"{name} has shape {np.shape(value)}: expected ({types},), one for each type")

    def _checked_scenarios(self) -> tuple[Scenario, ...]:
        scenarios = tuple(self.scenarios)
        for k, scenario in enumerate(scenarios):
            if not isinstance(scenario, Scenario):
                raise InvalidInput(f"scenarios[{k}] = {scenario!r:.60}: expected a Scenario")
        if scenarios:
            checked_weights(scenarios)
        return tuple(self._scenario(k, scenario) for k, scenario in enumerate(scenarios))

    def _scenario(self, k: int, scenario: Scenario) -> Scenario:
        try:
            return in_population(scenario, self.population)
        except InvalidInput as error:
            raise InvalidInput(f"scenarios[{k}]: {error}") from error

    @property
    def plain(self) -> bool:
        """Whether it is the published problem: the first three ingredients alone, in their simplest form.

        Plain problems are what batches and the compiled solvers know; others are compiled to them where they can
        be (`contracts.problem.standard_form`).
        """
        limits = self.outside.plain and self.menu.plain
        stated = self.objective is None and not self.scenarios and self.baseline == 0.0
        certain = getattr(self.accuracy, "known", True)
        return limits and stated and certain and not self._scale_by_type and self.population.plain

    @property
    def _scale_by_type(self) -> bool:
        return np.shape(self.valuation.scale) == np.shape(self.population.costs)

    @cached_property
    def scales(self) -> np.ndarray:
        """Value of a perfect model to each type, shape (types,), in its own units of cost."""
        scale = np.asarray(self.valuation.scale, dtype=float)
        return np.broadcast_to(scale, (self.population.types,))

    @cached_property
    def mean_valuation(self) -> Valuation:
        """The valuation at the mean scale of the participants expected."""
        if not self._scale_by_type:
            return self.valuation
        scales = self.scales
        # Equal scales give exactly the problem without scales.
        mean = float(scales[0] + self.population.shares @ (scales - scales[0]))
        return dataclasses.replace(self.valuation, scale=mean)  # type: ignore[type-var]

    @cached_property
    def worth(self) -> tuple[AccuracyCurve, Valuation]:
        """Curve and mean valuation counted from the baseline: what joining is about."""
        return above(self.accuracy, self.mean_valuation, self.baseline)

    def value(self, data: Any) -> Any:
        """Value of a model trained on `data` (>= 0, any shape), counted from the baseline, at the mean scale."""
        curve, valuation = self.worth
        return valuation(curve(data))

    def value_loss(self, data: np.ndarray) -> np.ndarray:
        """Value missing to the largest at `data` >= 0: precise however small, the whole of it on the floor."""
        curve, valuation = self.worth
        top = float(curve.optimum)
        return valuation.loss(top, np.minimum(curve.shortfall(data, np), top), np)

    @cached_property
    def largest_value(self) -> float:
        """Value of the model that unlimited data would give, counted from the baseline, at the mean scale."""
        curve, valuation = self.worth
        return float(valuation(float(curve.optimum)))

    @cached_property
    def most_data(self) -> float:
        """More data than all participants together ever contribute: nobody pays more than the largest value."""
        population = self.population
        return population.most_participants * self.largest_value / float(population.costs.min())

    @property
    def family(self) -> tuple[Any, ...]:
        """What losses depend on, as a hashable key: problems of one sweep share curves and mixtures."""
        return identity(self.accuracy), identity(self.valuation), self.target_is_value

    @property
    def target_is_value(self) -> bool:
        """Whether objectives, bounds and gaps are in units of value (else of accuracy)."""
        return self.maximise == "value" or self.valuation.linear

    @property
    def largest_target(self) -> float:
        """The target of the model that unlimited data would give."""
        return self.largest_value if self.target_is_value else float(self.accuracy.optimum)

    def target(self, data: Any) -> np.ndarray:
        """What the coordinator maximises in expectation, by the data the model is trained on."""
        return self.value(data) if self.target_is_value else self.accuracy(data)
