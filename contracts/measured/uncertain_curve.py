r"""Contracts that keep their promises for every learning curve that measurements do not rule out.

Rewards are promised in value before anybody knows the true curve. Nobody may lose by taking part even if
training alone goes as well as any curve of the region allows, and no model may be promised that the worst curve
of the region would not give:

    u_i >= max over curves of f_i,   t_i <= min over curves of T_i(m).

The lowest accuracy at every amount of data, over all curves of the region, is itself an increasing curve,
concave above its floor. Its loss is majorised by a mixture of exponentials: what can be given under that curve
can be given under every curve of the region. Incentives do not depend on the curve.

Source: ours.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
from scipy import interpolate, optimize

from contracts import checks
from contracts.contract import Contract
from contracts.contract.design import check_concave, contract_of, design_contract, hopeless
from contracts.errors import Infeasible, InvalidInput
from contracts.extension import ExtendedProblem
from contracts.extensions.confidence_region import ConfidenceRegion, confidence_region
from contracts.extensions.menu import MenuContract
from contracts.extensions.old_verify import LATTICE_ERROR, TOLERANCE, Certificate, verify_menu
from contracts.measured.exponential_mixture import ExponentialMixture
from contracts.measured.learning_curves import CurveFit
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.outcomes import Law, believed_total, total_data
from contracts.problem.population import Population
from contracts.problem.reservation import Reservation
from contracts.problem.valuation import Valuation
from contracts.program.exclusion import Found, search
from contracts.program.exponential_sum import fit_exponentials
from contracts.program.first_moment import prepare
from contracts.proof.duality import lower_bound
from contracts.proof.mixture_check import below, mixture_error
from contracts.records import frozen

PER_DECADE = 24
FLOOR_PER_DECADE = 8
NEGLIGIBLE = 1e-7  # accuracy given away so that the far tail need not be matched relatively
ROUNDING = 1e-9
COARSE, FINE, ZOOMS = 300, 24, 3
SAMPLED = 400
ATOMS = 2000


@frozen
class UncertainProblem(ExtendedProblem):
    """A problem whose learning curve is known up to the uncertainty of its fit.

    Args:
        population, valuation, belief, maximise: as in `Problem`.
        fit: the curve fitted to measurements, by `fit_curve`.
        level: with which confidence the promises must be kept, in (0, 1).
        covariance: of the estimates; by default the fit's own (see `confidence_region`).

    The coordinator maximises what is reached under the worst curve. `design_contracts` does not take it: what
    types get alone follows from another curve than what can be given. Promises are more cautious than they need
    be by a few thousandths of the loss, for exponential and arctan curves by up to 3 %.

    Raises:
        InvalidInput: naming the argument and what is accepted.

    Source: ours.

    >>> from contracts import LinearValuation, design_contract, fit_curve, read_measurements, verify
    >>> problem = UncertainProblem(
    ...     population=Population(costs=[150, 70, 30], probabilities=[0.3, 0.4, 0.3], participants=20),
    ...     fit=fit_curve(read_measurements("examples/tumour-clinics/curve.csv")),
    ...     valuation=LinearValuation(scale=100_000.0),
    ... )
    >>> contract = design_contract(problem)
    >>> 0 < contract.price < 0.01 * contract.nominal.objective
    True
    >>> verify(contract).holds
    True
    """

    population: Population
    fit: CurveFit
    valuation: Valuation
    belief: str = "interim"
    maximise: str = "accuracy"
    level: Any = 0.95
    covariance: Any = None

    def __post_init__(self) -> None:
        level = checks.number("level", self.level, low=0.0, high=1.0, open_low=True, open_high=True)
        object.__setattr__(self, "level", level)
        region = self.region
        if region.least_optimum <= 0.0:
            raise InvalidInput(
                f"fit: at level {level:g} its region holds curves that never learn (optimum"
                f" {region.least_optimum:.3g}): expected more precise measurements, or a lower level"
            )
        _ = self.nominal

    @property
    def region(self) -> ConfidenceRegion:
        """The curves not ruled out."""
        return confidence_region(self.fit, level=self.level, covariance=self.covariance)

    @property
    def nominal(self) -> Problem:
        """The problem with the fitted curve taken for true."""
        return self.under(self.fit.curve)

    def under(self, curve: AccuracyCurve) -> Problem:
        """The problem with a curve taken for true."""
        return Problem(
            population=self.population,
            accuracy=curve,
            valuation=self.valuation,
            belief=self.belief,
            maximise=self.maximise,
        )

    def design(self, *, solver: str) -> UncertainContract:
        """The best contract that keeps its promises throughout the region; see `design_contract`.

        Raises:
            Infeasible: the region is so large that no contract does.
            InvalidInput: another solver than "interior-point".
        """
        if solver != "interior-point":
            raise InvalidInput(f"solver = {solver!r}: expected 'interior-point' for an uncertain curve")
        began = time.perf_counter()
        region, nominal = self.region, design_contract(self.nominal)
        if region.point:
            return UncertainContract(problem=self, menu=nominal, nominal=nominal, single=nominal)
        due = reservation_at_best(self, region)
        menu = _designed(self, self.under(lowest_curve(region, self.nominal.most_data)), due, began)
        data = self.population.participants * float(self.population.probabilities @ menu.contribution)
        _, worst = region.lowest(np.array([max(data, 1e-9 * self.nominal.most_data)]))
        single = _designed(self, self.under(region.curve(worst[0])), due, began)
        return UncertainContract(problem=self, menu=menu, nominal=nominal, single=single)


def _designed(problem: UncertainProblem, under: Problem, due: np.ndarray, began: float) -> Contract:
    """The best contract under one curve when types are due so much."""
    check_concave(under)
    if not due.any() and hopeless(under):
        return design_contract(under)
    model = prepare(under, Reservation(utility=due, contribution=np.zeros(due.size)))
    best, bound = search(model)
    if due.any() and (best is None or best.target <= 1e-12 * model.target_unit):
        raise Infeasible(
            f"no contract keeps its promises for every curve at level {problem.level:g}: alone, some types might"
            " get more than the worst curve lets all give; expected more precise measurements, or a lower level"
        )
    return contract_of(model, Found(best, bound), "interior-point", began)


def lowest_curve(region: ConfidenceRegion, most: float) -> ExponentialMixture:
    """A curve that no curve of the region falls below, up to an amount of data."""
    top = region.least_optimum
    data = np.geomspace(1e-9 * most, 10.0 * most, 10 * FLOOR_PER_DECADE)
    lowest, _ = region.lowest(data)
    above = data[lowest > 0.0]
    if not above.size:
        raise Infeasible(
            f"at level {region.level:g} the worst curve never leaves zero with what can be paid for;"
            " expected more precise measurements, or a lower level"
        )
    low = max(float(above[0]) * 10.0 ** (-1.0 / FLOOR_PER_DECADE), 1e-9 * most)
    points = np.geomspace(low, 10.0 * most, 2 * int(PER_DECADE * np.log10(10.0 * most / low)) + 1)
    loss = np.maximum(top - region.lowest(points)[0], 0.0) + NEGLIGIBLE * top
    smooth = interpolate.PchipInterpolator(np.log(points), np.log(loss))
    rates = None
    if region.family == "exponential":  # one rate or nearly: the usual spacing is too wide
        rate = float(np.exp(region.centre[1]))
        width = float(np.linalg.norm(region.factor[1]))
        near = rate * np.exp(np.linspace(-1.0 - width, 1.0 + width, 120))
        rates = np.r_[1e-3 / points[-1], near]
    fit = fit_exponentials(lambda x: np.exp(smooth(np.log(x))), low, float(points[-1]), rates=rates)
    # Raise the mixture until no curve of the region loses more at any of the points.
    more = float((loss / fit(points)).max()) * (1.0 + ROUNDING)
    return ExponentialMixture(optimum=top, weights=fit.weights * max(more, 1.0), rates=fit.rates)


def reservation_at_best(problem: UncertainProblem, region: ConfidenceRegion) -> np.ndarray:
    """What each type gets alone under the curve of the region that is best for it, shape (types,)."""
    costs = problem.population.costs
    value = problem.valuation
    high = float(value(1.0)) / costs
    data = np.geomspace(1e-9 * high.min(), high.max(), COARSE)
    worth = value(region.highest(data))
    profit = worth - costs[:, None] * data
    place = np.argmax(profit, axis=1)
    best = np.maximum(profit.max(axis=1), 0.0)
    low, up = data[np.maximum(place - 1, 0)], data[np.minimum(place + 1, COARSE - 1)]
    for _ in range(ZOOMS):
        fine = np.geomspace(low, up, FINE, axis=-1)
        profit = value(region.highest(fine.ravel())).reshape(fine.shape) - costs[:, None] * fine
        place, rows = np.argmax(profit, axis=1), np.arange(costs.size)
        best = np.maximum(best, profit[rows, place])
        low, up = fine[rows, np.maximum(place - 1, 0)], fine[rows, np.minimum(place + 1, FINE - 1)]
    return best


@frozen
class UncertainContract(MenuContract):
    """A contract that keeps its promises for every curve of a confidence region.

    Attributes:
        problem: the problem it answers.
        menu: the menu; its problem has the lowest curve, its objective is what is reached at least.
        nominal: the best contract if the fitted curve were certain.
        single: the best contract under one curve of the region with the same reservation utilities: no contract
            that keeps its promises throughout the region reaches more at its worst.
    """

    problem: UncertainProblem
    menu: Contract
    nominal: Contract
    single: Contract

    @property
    def guaranteed(self) -> float:
        """The expected target under every curve of the region, at least."""
        return _target(self.menu)

    @property
    def price(self) -> float:
        """What caution costs: the nominal contract's target less what is guaranteed.

        In units of value (of accuracy if that is maximised and the valuation is not linear).
        """
        return _target(self.nominal) - self.guaranteed

    @property
    def under_the_fit(self) -> float:
        """The expected target if the fitted curve is the true one."""
        nominal, population = self.problem.nominal, self.problem.population
        law = total_data(self.menu.contribution, population.probabilities, population.participants)
        return law.expectation(nominal.target)

    def certify(self) -> Certificate:
        """Check the promises for curves all over the region, sampled and searched for.

        For each constraint the worst curve is looked for among 400 on the region's boundary, then by a direct
        search (Nelder-Mead) from the worst of them; nothing of the design's envelopes is used. `extended` has
        what is guaranteed, what is reached at worst, and the price; `optimality_gap` bounds how much more any
        contract that keeps its promises throughout the region could reach at worst.
        """
        region = self.problem.region
        own = self.problem.under(self.menu.problem.accuracy)
        menu = dataclasses.replace(self.menu, problem=own)
        tolerance = 100.0 * TOLERANCE * own.largest_value
        worst = _Worst(self.problem, region)
        alone = worst.reservation()
        certificate = verify_menu(menu, menu.reservation_utility)
        participation = menu.utility - alone
        feasibility = worst.offered(menu.contribution) - menu.expected_reward
        reached = worst.target(menu.contribution)
        names = list(self.problem.population.names or ())
        complaints = [
            f"individual rationality: {names[i]} would get {-participation[i]:.3g} less than alone under some"
            " curve of the region"
            for i in np.flatnonzero(participation < -tolerance)
        ] + [
            f"feasibility: {names[i]} is promised {-feasibility[i]:.3g} more than some curve of the region gives"
            for i in np.flatnonzero(feasibility < -tolerance)
        ]
        if reached < self.guaranteed - tolerance:
            complaints.append(f"objective: {self.guaranteed:.9g} is guaranteed, some curve gives {reached:.9g}")
        limit, doubts = self._limit(region)
        violations = (*certificate.violations, *complaints, *doubts)
        return dataclasses.replace(
            certificate,
            holds=not violations,
            participation_slack=participation,
            feasibility_slack=feasibility,
            optimality_gap=None if limit is None else max(limit - self.guaranteed, 0.0),
            global_gap=None,
            violations=violations,
            extended={
                "guaranteed": self.guaranteed,
                "reached under the worst curve found": reached,
                "at most, under one curve": np.nan if limit is None else limit,
                "price of caution": self.price,
            },
        )

    def _limit(self, region: ConfidenceRegion) -> tuple[float | None, list[str]]:
        """What no contract that is right under the single curve exceeds, and doubts about that curve."""
        curve = self.single.problem.accuracy
        problem = self.problem.under(curve)
        single = dataclasses.replace(self.single, problem=problem)
        if not region.point:
            natural = np.array([curve.parameters()[name] for name in self.problem.fit.parameters])
            z = np.r_[natural[0], np.log(natural[1:])]
            step = np.linalg.lstsq(region.factor, z - region.centre, rcond=None)[0]
            off = np.abs(region.centre + region.factor @ step - z).max()
            capped = natural[0] >= 1.0 or ("exponent" in self.problem.fit.parameters and natural[-1] >= 2.0)
            if (np.linalg.norm(step) > 1.0 + 1e-6 or off > 1e-6) and not capped:
                return None, ["optimality: the single curve is not in the region"]
        witness = single.global_witness if problem.accuracy.floor > 0.0 else single.witness
        if witness is None:
            return None, []
        error = 0.0
        if problem.accuracy.floor > 0.0:
            witness = below(problem, witness)
            if witness is None:
                return None, []
        else:
            error = mixture_error(problem, witness) if witness.rates.size else LATTICE_ERROR
        bound, _, sensitivity, _ = lower_bound(problem, witness, single.reservation_utility, single.contribution)
        top = problem.largest_target
        return top - bound + error * sensitivity, []

    def __str__(self) -> str:
        return (
            f"{self.menu}\nkept with confidence {self.problem.level:g}: at least {self.guaranteed:.6g},"
            f" {self.under_the_fit:.6g} if the fit is right; without caution {_target(self.nominal):.6g}"
        )


def _target(contract: Contract) -> float:
    return contract.objective if contract.problem.target_is_value else contract.expected_accuracy


class _Worst:
    """The worst curves of a region, one constraint at a time, by sampling and direct search."""

    def __init__(self, problem: UncertainProblem, region: ConfidenceRegion):
        self.problem, self.region = problem, region
        directions = np.random.default_rng(20250101).standard_normal((SAMPLED, region.centre.size))
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)

    def _least(self, score: Any) -> float:
        """The least of score(parameters of curves (curves, parameters)) over the region."""
        if self.region.point:
            return float(score(self.region.parameters(self.directions[:1]))[0])
        values = score(self.region.parameters(self.directions))

        def one(w: np.ndarray) -> float:
            unit = w / max(float(np.linalg.norm(w)), 1e-12)
            return float(score(self.region.parameters(unit[None]))[0])

        start = self.directions[int(np.argmin(values))]
        options = {"maxiter": 60, "xatol": 1e-6, "fatol": 1e-12 * abs(float(values.min())) + 1e-15}
        found: Any = optimize.minimize(one, start, method="Nelder-Mead", options=options)
        return min(float(values.min()), float(found.fun))

    def _expected(self, law: Law, value: Any) -> float:
        data, mass = _gathered(law)
        return self._least(lambda z: value(self.region.accuracy(z, data)) @ mass)

    def offered(self, contribution: np.ndarray) -> np.ndarray:
        """The least T_i, shape (types,)."""
        under, seen = self.problem.nominal, {}
        values = np.empty(contribution.size)
        for i in range(contribution.size):
            key = contribution[i] if self.problem.belief == "interim" else i
            if key not in seen:
                seen[key] = self._expected(believed_total(under, contribution, i), self.problem.valuation)
            values[i] = seen[key]
        return values

    def target(self, contribution: np.ndarray) -> float:
        """The least expected target."""
        population = self.problem.population
        law = total_data(contribution, population.probabilities, population.participants)
        by_value = self.problem.nominal.target_is_value
        return self._expected(law, self.problem.valuation if by_value else lambda accuracy: accuracy)

    def reservation(self) -> np.ndarray:
        """The largest f_i, shape (types,)."""
        values = []
        for cost in self.problem.population.costs:
            top = float(self.problem.valuation(1.0)) / cost
            data = np.geomspace(1e-7 * top, top, 400)

            def loss(z: np.ndarray, cost: float = float(cost), data: np.ndarray = data) -> np.ndarray:
                profit = self.problem.valuation(self.region.accuracy(z, data)) - cost * data
                return -np.maximum(profit.max(axis=1), 0.0)

            values.append(-self._least(loss))
        return np.array(values)


def _gathered(law: Law) -> tuple[np.ndarray, np.ndarray]:
    """A law of many atoms gathered in cells at their means."""
    if law.data.size <= ATOMS:
        return law.data, law.probabilities
    cell = np.linspace(0, ATOMS, law.data.size, endpoint=False).astype(int)
    mass = np.bincount(cell, weights=law.probabilities)
    return np.bincount(cell, weights=law.probabilities * law.data)[mass > 0] / mass[mass > 0], mass[mass > 0]
