r"""The designed menu as a function that JAX differentiates, maps and compiles.

The solver finds the optimum and how it moves (`contracts.program.implicit`), outside JAX; how the conditions of
an optimum depend on the parameters is JAX's own derivative, of a Lagrangian written down here.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from contracts.errors import InvalidInput
from contracts.numeric import traced
from contracts.problem import Problem
from contracts.problem.participants import Turnout
from contracts.program.first_moment import Program, moments, unfold
from contracts.program.implicit import PLACES, TERMS, Optimum, optimum


class DesignedMenu(NamedTuple):
    """The best menu, in the user's order of types and units.

    Attributes:
        objective: the expected target.
        contribution: data asked of each type, shape (types,).
        utility: each type's expected value less its cost, shape (types,), in units of cost.
        expected_reward: each type's expected value of its model, shape (types,).
    """

    objective: Any
    contribution: Any
    utility: Any
    expected_reward: Any


def designed_objective(problem: Problem) -> Any:
    """The best expected target as a function that JAX differentiates, by the envelope theorem.

    Like `designed_menu`, and differentiable also where the best menu is not unique or about to change its shape,
    unless the objective itself has a kink there.

    Args:
        problem: see `designed_menu`.

    Returns:
        The objective of the contract that `design_contract` finds before it searches globally.

    Raises:
        InvalidInput: what the problem has beyond this, single precision, or a kink.

    >>> from contracts import LinearValuation, Population, PowerLaw
    >>> curve = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5)
    >>> def objective(costs):
    ...     population = Population(costs=costs, probabilities=np.array([0.5, 0.5]), participants=10)
    ...     problem = Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
    ...     return designed_objective(problem)
    >>> with jax.enable_x64(True):
    ...     bool((jax.grad(objective)(jnp.array([0.02, 0.01])) < 0.0).all())
    True
    """
    return _designed(problem, "objective").objective


def designed_contribution(problem: Problem) -> Any:
    """The contributions of the best menu, shape (types,), as a function that JAX differentiates.

    Like `designed_menu`, and differentiable also where utilities can be chosen freely within limits, as those of
    types that contribute nothing often can.

    Args:
        problem: see `designed_menu`.

    Raises:
        InvalidInput: as for `designed_menu`.
    """
    return _designed(problem, "contribution").contribution


def designed_menu(problem: Problem) -> DesignedMenu:
    """Design the best menu of a plain problem so that JAX can differentiate it.

    The costs, the probabilities and the parameters of curve and valuation may be traced: `jax.grad`, `jacobian`,
    `vmap` and `jit` apply, in double precision (within `jax.enable_x64(True)`). Derivatives are those of the
    optimum (implicit differentiation), once: they can't be differentiated again.

    Args:
        problem: a plain problem of a known number of participants whose loss is a mixture of exponentials (power
            laws, bounds and exponentials, under most valuations), with costs that differ.

    Returns:
        The menu that `design_contract` finds before it searches globally. Without proof: use `design_contract`
        for a contract to sign. Derivatives are those of who is left out now: that leaving out somebody else, or
        training alone, is just as good is not noticed.

    Raises:
        InvalidInput: what the problem has beyond this, single precision, or derivatives that do not exist: a
            bound is about to start or to cease to matter, or the best menu is not unique. Within `jax.jit` and
            `jax.vmap` JAX wraps the message into an error of its own.

    >>> from contracts import LinearValuation, Population, PowerLaw
    >>> def contributions(costs):
    ...     population = Population(costs=costs, probabilities=np.array([0.5, 0.5]), participants=10)
    ...     curve = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5)
    ...     problem = Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
    ...     return designed_menu(problem).contribution
    >>> with jax.enable_x64(True):
    ...     print(jax.jacobian(contributions)(jnp.array([0.02, 0.01])).shape)
    (2, 2)
    """
    return _designed(problem, "menu")


def _designed(problem: Problem, wanted: str) -> DesignedMenu:
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise InvalidInput("derivatives are computed with float64: expected a call within jax.enable_x64(True)")
    _refuse(problem)
    population, parts = problem.population, (problem.accuracy, problem.valuation)
    numbers = (population.costs, population.probabilities, *parts)
    parameters = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), numbers)
    return _menu(_Fixed(problem, wanted), parameters)


def _refuse(problem: Problem) -> None:
    population = problem.population
    number = population.participants
    if traced(number) or isinstance(number, Turnout | dict) or np.ndim(number) > 0:
        raise InvalidInput(f"participants = {number!r:.60}: expected a known number, not traced")
    if not problem.accuracy.settled:
        raise InvalidInput(f"accuracy: derivatives of a {problem.accuracy.family} curve are not known")
    if not problem.plain:
        raise InvalidInput(
            "problem: expected a plain one (costs, probabilities, participants, curve, valuation)"
        )


class _Fixed:
    """What of a problem is not differentiated, compared by what JAX has to trace anew."""

    def __init__(self, problem: Problem, wanted: str) -> None:
        self.problem, self.wanted = problem, wanted
        number = int(problem.population.participants)
        kinds = (jax.tree.structure(problem.accuracy), jax.tree.structure(problem.valuation))
        self.key = (wanted, number, problem.belief, problem.maximise, kinds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fixed) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _menu(fixed: _Fixed, parameters: Any) -> DesignedMenu:
    found = _optimum(fixed, parameters, differentiable=False, curves=False)
    return _read(fixed, parameters, found, found.gaps)


def _menu_jvp(fixed: _Fixed, primals: Any, tangents: Any) -> Any:
    (parameters,), (moved,) = primals, tangents
    parameters = jax.tree.map(_once, parameters)
    curves = any(not _still(tangent) for tangent in jax.tree.leaves(moved[2:], is_leaf=_still))
    moved = jax.tree.map(lambda x, dx: jnp.zeros_like(x) if _still(dx) else dx, parameters, moved)
    found = _optimum(fixed, parameters, differentiable=True, curves=curves)

    def menu(given: Any) -> DesignedMenu:
        residual = _residual(fixed, given, found)
        step = found.inverse @ (residual - jax.lax.stop_gradient(residual))
        return _read(fixed, given, found, found.gaps - step[: found.gaps.size])

    return jax.jvp(menu, (parameters,), (moved,))


_menu.defjvp(_menu_jvp, symbolic_zeros=True)


def _still(tangent: Any) -> bool:
    return isinstance(tangent, SymbolicZero)


@jax.custom_jvp
def _once(value: Any) -> Any:
    return value


@_once.defjvp
def _once_jvp(*_: Any) -> Any:
    raise InvalidInput("designed_menu: derivatives of derivatives are not known")


def _optimum(fixed: _Fixed, parameters: Any, *, differentiable: bool, curves: bool) -> Optimum:
    """Solve, at once where the parameters are numbers, else when what is being traced runs."""
    solve = partial(_solved, fixed, differentiable, curves)
    if not traced(*jax.tree.leaves(parameters)):
        return jax.tree.map(jnp.asarray, solve(parameters))
    types = parameters[0].shape[-1]
    unknowns = 4 * types - 1
    shapes = Optimum(
        (2 * types,), (2 * types - 1,), (unknowns, unknowns), (2 * types,), (TERMS,), (TERMS,), (TERMS,),
        (PLACES,), (TERMS, PLACES), (types,), (3,),
    )  # fmt: skip
    result = Optimum(*(jax.ShapeDtypeStruct(shape, np.float64) for shape in shapes))
    return jax.pure_callback(solve, result, parameters, vmap_method="sequential")


def _solved(fixed: _Fixed, differentiable: bool, curves: bool, parameters: Any) -> Optimum:
    """Without JAX, which must not be called from what it calls back."""
    numbers = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), parameters)
    problem = _checked(fixed, numbers)
    return optimum(problem, fixed.wanted, differentiable=differentiable, curves=curves)


def _checked(fixed: _Fixed, parameters: Any) -> Problem:
    """The problem of these numbers, with the checks of its constructors."""
    costs, probabilities, *parts = parameters
    curve, valuation = (dataclasses.replace(part) for part in parts)
    population = dataclasses.replace(fixed.problem.population, costs=costs, probabilities=probabilities)
    return dataclasses.replace(fixed.problem, population=population, accuracy=curve, valuation=valuation)


def _program(fixed: _Fixed, parameters: Any, found: Optimum) -> tuple[Program, Any, Any]:
    """The program of the parameters around the optimum found; its largest value and target, in units."""
    costs, probabilities, curve, valuation = parameters
    falling = jnp.argsort(-costs)
    data_unit, value_unit, target_unit = found.units
    c, p = costs[falling], (probabilities / probabilities.sum())[falling]
    top = valuation.formula(curve.optimum, jnp)
    shortfall = curve.shortfall(found.data, jnp)
    of_value = _moved(found, valuation.loss(curve.optimum, shortfall, jnp)) / value_unit + found.value_weights
    if fixed.problem.target_is_value:
        target_top, of_target = top, of_value
    else:
        target_top, of_target = curve.optimum, _moved(found, shortfall) / target_unit + found.target_weights
    data, lowest = _alone(curve, valuation, c, found.alone)
    utility = valuation.formula(curve.formula(data, jnp), jnp) - c * data
    empty, alone = _idle(fixed, p, 1.0 - found.active[: 2 * c.shape[0] : 2])
    return (
        Program(
            costs=c * data_unit / value_unit,
            probabilities=p,
            reservation=jnp.where(lowest, utility, 0.0) / value_unit,
            participants=float(fixed.problem.population.participants),
            rates=found.rates,
            target_weights=of_target,
            value_weights=of_value,
            target_offset=empty * (of_target.sum() - target_top / target_unit),
            value_offset=alone * (of_value.sum() - top / value_unit),
            active=found.active,
        ),
        top / value_unit,
        target_top / target_unit,
    )


def _moved(found: Optimum, loss: Any) -> Any:
    return found.change @ (loss - jax.lax.stop_gradient(loss))


def _alone(curve: Any, valuation: Any, costs: Any, data: Any) -> tuple[Any, Any]:
    """Data collected alone, polished by Newton's method (their utility is stationary there), and by whom."""
    pays = data > 0.0

    def marginal(m: Any, cost: Any) -> Any:
        return jax.grad(lambda x: valuation.formula(curve.formula(x, jnp), jnp))(m) - cost

    place = jnp.where(pays, data, 1.0)
    for _ in range(2):
        value, slope = jax.vmap(jax.value_and_grad(marginal))(place, costs)
        place = jnp.where(pays & (slope < 0.0), place - value / slope, place)
    return jax.lax.stop_gradient(place), pays


def _idle(fixed: _Fixed, p: Any, left_out: Any) -> tuple[Any, Any]:
    """How likely nobody comes but types left out: for the coordinator, and as each type believes."""
    number = int(fixed.problem.population.participants)
    nobody = left_out @ p
    empty = jnp.where(left_out.sum() > 0.0, nobody**number, 0.0)
    if fixed.problem.belief == "interim":
        return empty, left_out * nobody ** (number - 1)
    return empty, left_out * (nobody**number - (nobody - p) ** number) / (1.0 - (1.0 - p) ** number)


def _residual(fixed: _Fixed, parameters: Any, found: Optimum) -> Any:
    """What is zero at an optimum for whatever moves: slopes of the Lagrangian, and constraints."""
    program, top, _ = _program(fixed, parameters, found)
    lagrangian = partial(_lagrangian, fixed, program, top, found.multipliers)
    slope, slacks = jax.grad(lagrangian, has_aux=True)(found.gaps)
    return jnp.concatenate([slope, slacks])


def _lagrangian(fixed: _Fixed, program: Program, top: Any, multipliers: Any, gaps: Any) -> tuple[Any, Any]:
    m, u = unfold(program, gaps, jnp)
    here = moments(program, m, fixed.problem.belief, jnp)
    slacks = jnp.concatenate([top - here.value_loss - program.costs * m - u, (u - program.reservation)[1:]])
    return jnp.log(here.target_loss) - multipliers @ slacks, slacks


def _read(fixed: _Fixed, parameters: Any, found: Optimum, gaps: Any) -> DesignedMenu:
    program, top, target_top = _program(fixed, parameters, found)
    data_unit, value_unit, target_unit = found.units
    m, u = unfold(program, gaps, jnp)
    order = jnp.argsort(jnp.argsort(-parameters[0]))
    contribution, utility = (m * data_unit)[order], (u * value_unit)[order]
    # At the optimum the Lagrangian is the objective, and moves as if it stood still (envelope theorem).
    loss = jnp.exp(_lagrangian(fixed, program, top, found.multipliers, found.gaps)[0])
    return DesignedMenu(
        objective=(target_top - loss) * target_unit,
        contribution=contribution,
        utility=utility,
        expected_reward=utility + parameters[0] * contribution,
    )
