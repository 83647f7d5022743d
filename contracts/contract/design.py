"""Design the best contract for a problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts import checks
from contracts.contract.contract import Contract
from contracts.contract.divergence_design import design_within_divergence
from contracts.contract.general_design import design_general
from contracts.contract.launch_design import design_launch
from contracts.contract.model_design import design_model
from contracts.contract.plain_design import SOLVERS, design_due
from contracts.contract.region_design import design_within_region
from contracts.contract.stated import Stated
from contracts.errors import InvalidInput, NotConverged
from contracts.problem import Problem


def design_contract(
    problem: Problem, *, solver: str = "interior-point", global_gap: float = 1e-3, time_limit: float = 10.0
) -> Contract:
    """Find the best contract for a problem, whatever its ingredients.

    Solves the first-moment relaxation exactly over who takes part, leaves types out where that is better,
    and maps the answer back to a menu in the user's order of types and in each type's own units. Where the
    curve's floor or its inflections leave open that another contract is better, branch and bound searches all of
    them. `verify` proves the answer.

    Args:
        problem: types, costs, probabilities, curve, valuation, and whatever else is stated.
        solver: "interior-point" (default: fast, precise, any size), "compiled" (the same method compiled by JAX:
            a second or two for each number of types, from then on several times faster up to 64 types; for
            many problems that are known only one after the other, else see `design_contracts`) or "conic"
            (cvxpy with Clarabel: an independent second opinion for up to about 50 types and 10,000
            participants, to about 1e-6). The last two know problems whose standard form is the published
            program (no groups, menu limits, scenarios, capacities or other objectives).
        global_gap: how much better than the answer another contract may be for all that is proved, as a share of
            the largest target, > 0 (1e-3: 0.1 of an accuracy in percent). Branch and bound begins only where
            cheaper bounds leave more open; below about 1e-6 it does not reach.
        time_limit: seconds that branch and bound may take, >= 0; 0 leaves it out. Where they do not suffice, or
            where more than 12,000 outcomes can occur, `reason` says what is left open.

    Returns:
        The contract. Where nobody's participation can pay it is the null contract, and `reason` says why, and
        whether that is proved.

    Raises:
        InvalidInput: the curve decreases, or the numbers are too extreme.
        Infeasible: no contract gives everybody what it is due; the message names whom, and by how much.
        NotConverged: the solver stopped early; the message says how far it got.

    Source: Wang et al., AAAI 2025 (arXiv 2412.11122); exact expectations, exclusion and bounds are ours.

    >>> from contracts import GeneralizationBound, LinearValuation, Population
    >>> problem = Problem(
    ...     population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> round(design_contract(problem).objective, 6)
    93.593713
    """
    checks.choice("solver", solver, SOLVERS)
    global_gap = checks.number("global_gap", global_gap, low=0.0, open_low=True)
    time_limit = checks.number("time_limit", time_limit, low=0.0)
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problem = {problem!r:.60}: expected a Problem")
    limits: dict[str, Any] = {"solver": solver, "global_gap": global_gap, "time_limit": time_limit}
    if problem.menu.assurance is not None:
        # margins of choice are tried one after the other: no search for a proof that nobody needs
        quick: dict[str, Any] = limits | {"time_limit": min(time_limit, 1.0)}
        return design_launch(problem, lambda one: design_contract(one, **(limits if one.menu.free else quick)))
    if problem.plain:
        _refuse_batch(problem)
        try:
            return design_due(problem, None, **limits)
        except NotConverged:
            if solver != "interior-point":
                raise
            return design_general(Stated.of(problem), global_gap=global_gap, time_limit=time_limit)
    stated = Stated.of(problem)
    if getattr(problem.accuracy, "promise", "") == "model":
        return design_model(stated)
    if stated.form.uncertain:
        return design_within_region(stated, lambda one: _design(one, **limits))
    return _design(stated, **limits)


def _design(stated: Stated, *, solver: str, global_gap: float, time_limit: float) -> Contract:
    """Design for known curves, by what the standard form asks for."""
    limits: dict[str, Any] = {"solver": solver, "global_gap": global_gap, "time_limit": time_limit}
    if stated.simple:
        try:
            return stated.read(design_due(stated.plain, stated.reservation, **limits))
        except NotConverged:
            if solver != "interior-point":
                raise
            # More may be due than can be given: the search over cases says to whom, and how much.
            return design_general(stated, global_gap=global_gap, time_limit=time_limit)
    if stated.divergence and stated.form.problem.population.doubt.radius > 0.0:  # type: ignore[union-attr]
        return design_within_divergence(stated, solver=solver, time_limit=time_limit)
    if solver != "interior-point":
        raise InvalidInput(f"solver = {solver!r}: expected 'interior-point' for {', '.join(stated.beyond)}")
    return design_general(stated, global_gap=global_gap, time_limit=time_limit)


def _refuse_batch(problem: Problem) -> None:
    """Name what has more numbers than one problem has."""
    types = problem.population.costs.shape[-1]
    for name, value, accepted in (
        ("population.costs", problem.population.costs, 1),
        ("valuation.scale", problem.valuation.scale, 0),
        ("accuracy.optimum", problem.accuracy.optimum, 0),
    ):
        if np.ndim(value) > accepted:
            one = f"a number or ({types},), one for each type" if name == "valuation.scale" else "one problem"
            raise InvalidInput(
                f"{name} has shape {np.shape(value)}: expected {one}; design_contracts takes batches"
            )
