"""What the proof of a contract says of all others, enclosed: the upper end of the gap."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb

from contracts.proof import general_proof
from contracts.proof.evidence import Cases, Proof
from contracts.proof.intervals.ball import NotRigorous, lower, upper
from contracts.proof.intervals.case_balls import Exact, asked_floats, bound_by_cases, float_setting, missed
from contracts.proof.intervals.form_balls import FormBalls, by_cost, of_rows
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.price_balls import loss_bound
from contracts.proof.intervals.relaxation_balls import below
from contracts.proof.intervals.tree_balls import tree_bound
from contracts.proof.outside_options import may_stay_out
from contracts.proof.plain_proof import (
    CONTINUED,
    REFUTED,
    SERVING,
    Bounded,
    Given,
    _checked,
    _scope,
)
from contracts.proof.reached import unit_of
from contracts.proof.soundness import ProofRefused
from contracts.proof.witness import Tree, Witness


def most_data(form: FormBalls, outside: np.ndarray) -> float:
    """More data than participants bring in any contract, but for numbers of them that are next to impossible."""
    asked, top = asked_floats(form, outside), max(upper(world.worth.top_value) for world in form.worlds)
    each = max(
        upper(arb.max(arb(top) - arb(due), arb(0)) / cost)
        for due, cost in zip(asked.due, form.costs, strict=True)
    )
    count = max(sum(law.law.most for law in world.laws) for world in form.worlds)
    return max(each * count, *(world.plain.most_data for world in form.form.worlds)) * (1.0 + 1e-9)


def gaps(
    form: FormBalls, outside: np.ndarray, proof: Proof, reached: Any, data: np.ndarray, plain: bool
) -> Bounded:
    """Upper ends of the gaps that the parts of a proof leave.

    Args:
        form: the standard form.
        outside: what each type gets by staying out, enclosed, shape (types,).
        proof: the proof.
        reached: what the contract reaches, a ball.
        data: delivered by the rows, balls.
        plain: whether proofs of plain problems speak of it.
    """
    found: list[float] = []
    solved: list[tuple[float, str]] = []
    complaints: list[str] = []
    parts = _parts(form, outside, proof, reached, data, plain)
    for prove in parts:
        try:
            gap, scope = prove()
        except ProofRefused as refusal:
            complaints.append(str(refusal))
            continue
        except NotRigorous as reason:
            complaints.append(f"not proved rigorously: {reason}")
            continue
        gap = _positive(gap, unit_of(form.form), complaints)
        if gap is None:
            continue
        found += [gap] * (not scope)
        solved.append((gap, scope))
    gap = min(found, default=None)
    first, scope = solved[0] if solved else (gap, "")
    return Bounded(gap, first, scope, tuple(complaints))


def _positive(gap: float, unit: float, complaints: list[str]) -> float | None:
    if not gap < np.inf:
        complaints.append("the proof bounds nothing")
        return None
    if gap < -REFUTED * unit:
        complaints.append(f"the proof is refuted: the contract beats its bound by {-gap:.3g}")
        return None
    return max(gap, 0.0)


def _parts(
    form: FormBalls, outside: np.ndarray, proof: Proof, reached: Any, data: np.ndarray, plain: bool
) -> list[Any]:
    found: list[Any] = []
    if plain:
        for name, relaxed in (("witness", False), ("global_witness", True)):
            part = getattr(proof, name)
            if part is not None:
                found.append(lambda w=part, r=relaxed: _by_prices(form, outside, w, reached, data, r))
        if proof.tree is not None:
            found.append(lambda t=proof.tree: _by_tree(form, outside, t, reached))
    for name, relaxed in (("cases", False), ("global_cases", True)):
        part = getattr(proof, name)
        if part is not None:
            found.append(lambda c=part, r=relaxed: _by_cases(form, outside, c, reached, r))
    return found


def _by_tree(form: FormBalls, outside: np.ndarray, tree: Tree, reached: Any) -> tuple[float, str]:
    world, plain = form.worlds[0], form.form.worlds[0].plain
    due = asked_floats(form, outside).due
    limit = tree_bound(world.worth, _crowds(form)[0], plain, tree, form.costs, due)
    return upper(arb(limit) - reached), SERVING if may_stay_out(form.problem) else ""


def _alone(witness: Witness) -> Tree:
    """Prices without a mixture as a proof over outcomes with one case."""
    return Tree(
        row=np.array([-1]),
        threshold=np.zeros(1),
        contribution=np.asarray(witness.contribution, dtype=float)[None, :],
        feasibility_multipliers=np.asarray(witness.feasibility_multipliers, dtype=float)[None, :],
        participation_multipliers=np.asarray(witness.participation_multipliers, dtype=float)[None, :],
    )


def _by_prices(
    form: FormBalls, outside: np.ndarray, witness: Witness, reached: Any, data: np.ndarray, relaxed: bool
) -> tuple[float, str]:
    world, plain = form.worlds[0], form.form.worlds[0].plain
    if not np.size(witness.rates):
        return _by_tree(form, outside, _alone(witness), reached)
    due = asked_floats(form, outside).due
    types = due[form.form.row]
    stated = np.array([lower(amount) for amount in data])[form.form.row]
    given = Given(plain, types, stated, lower(reached), not may_stay_out(form.problem))
    checked = _checked(given, witness)
    crowd = _crowds(form)[0]
    floor = world.worth.floor_high > 0.0
    most = most_data(form, outside)
    losses = below(
        world.worth,
        crowd,
        checked.rates,
        checked.target_weights,
        checked.value_weights,
        most,
        floor=relaxed,
    )
    bound = loss_bound(world.worth, crowd, losses, checked, form.costs, due, data)
    loss = world.worth.top_target - reached
    scope = _scope(given, checked, solved=not relaxed)
    if floor and not relaxed:
        continued = bound.loss * arb(max(losses.target.high, 1.0)) / arb(losses.target.low)
        loss = arb.max(loss, continued + losses.lost_target)
    return upper(loss - bound.bound), scope


def _crowds(form: FormBalls) -> list[CrowdBalls]:
    ex_ante = form.problem.belief == "ex-ante"
    return [
        CrowdBalls(of_rows(form.form, by_cost(form, world)), form.form.group, world.laws, ex_ante)
        for world in form.worlds
    ]


def _by_cases(
    form: FormBalls, outside: np.ndarray, cases: Cases, reached: Any, relaxed: bool
) -> tuple[float, str]:
    setting, crowds = float_setting(form, outside), _crowds(form)
    group = form.problem.population.group_of
    by_type = [
        CrowdBalls(by_cost(form, world), group, world.laws, crowd.ex_ante)
        for world, crowd in zip(form.worlds, crowds, strict=True)
    ]
    most = most_data(form, outside)
    losses = [
        below(world.worth, crowd, one.rates, one.target_weights, one.value_weights, most, floor=relaxed)
        for world, crowd, one in zip(
            form.worlds, crowds, general_proof._mixtures(cases, len(form.worlds)), strict=True
        )
    ]
    exact = Exact(form, setting, outside, crowds, by_type, losses, missed(form))
    scopes = []
    if not relaxed and any(world.worth.floor_high > 0.0 for world in form.worlds):
        scopes.append(CONTINUED)
    stay = may_stay_out(form.problem)
    try:
        bound = bound_by_cases(exact, cases, stay=stay)
    except ProofRefused:
        if not stay:
            raise
        bound = bound_by_cases(exact, cases, stay=False)
        scopes.append(SERVING)
    gap = bound - lower(reached)
    if scopes and -np.inf < gap < 0.0:
        gap = 0.0
    return float(np.nextafter(gap, np.inf)), ", ".join(scopes)


def out_of_reach(form: FormBalls, outside: np.ndarray) -> bool:
    """Whether all together could not afford the data with which accuracy leaves its floor."""
    due = asked_floats(form, outside).due
    return bool((due >= 0.0).all()) and most_data(form, outside) <= form.worlds[0].worth.floor_low
