"""What the proof of a contract says of all others, enclosed: the upper end of the gap."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from flint import arb

from contracts.proof.duality import Prices, lower_bound
from contracts.proof.evidence import Cases, Proof
from contracts.proof.gaps import SERVING, Bounded, Part, collected, positive_gap
from contracts.proof.general_proof import crowds_of, gap_by_cases, mixtures_in, not_endless
from contracts.proof.intervals.ball import balls, lower, upper, where
from contracts.proof.intervals.case_balls import asked_floats, setting_balls
from contracts.proof.intervals.form_balls import FormBalls, by_cost, of_rows
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.outcome_case_balls import MOST_LOOKED_AT, OutcomeBalls, outcome_balls
from contracts.proof.intervals.relaxation_balls import below
from contracts.proof.intervals.tree_balls import tree_bound
from contracts.proof.leaf_bound import by_mixture
from contracts.proof.losses import Losses, expected_losses
from contracts.proof.outcome_losses import everybody_of
from contracts.proof.outside_options import may_stay_out
from contracts.proof.plain_proof import Given, checked, prices_of, scope_of
from contracts.proof.reached import unit_of
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
    ways = {}
    if plain:
        by_prices = partial(_by_prices, data=data)
        solved, bounded = partial(by_prices, relaxed=False), partial(by_prices, relaxed=True)
        ways = {"witness": solved, "global_witness": bounded, "tree": _by_tree}
    ways |= {"cases": partial(_by_cases, relaxed=False), "global_cases": partial(_by_cases, relaxed=True)}
    parts: list[Part] = [
        partial(way, form, outside, part, reached)
        for name, way in ways.items()
        if (part := getattr(proof, name)) is not None
    ]
    if plain and not may_stay_out(form.problem) and _out_of_reach(form, outside):
        parts.append(lambda: (max(upper(-reached), 0.0), ""))
    return collected(parts)


def _by_tree(form: FormBalls, outside: np.ndarray, tree: Tree, reached: Any) -> tuple[float, str]:
    world, plain = form.worlds[0], form.form.worlds[0].plain
    due = asked_floats(form, outside).due
    limit = tree_bound(world.worth, _crowds(form)[0], plain, tree, form.costs, due)
    gap = positive_gap(upper(arb(limit) - reached), unit_of(form.form))
    return gap, SERVING if may_stay_out(form.problem) else ""


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
    form: FormBalls, outside: np.ndarray, witness: Witness, reached: Any, *, data: np.ndarray, relaxed: bool
) -> tuple[float, str]:
    world, plain = form.worlds[0], form.form.worlds[0].plain
    if not np.size(witness.rates):
        return _by_tree(form, outside, _alone(witness), reached)
    due = asked_floats(form, outside).due
    stated = np.array([lower(amount) for amount in data])[form.form.row]
    given = Given(plain, due[form.form.row], stated, lower(reached), not may_stay_out(form.problem))
    witness = checked(given, witness)
    crowd, nothing = _crowds(form)[0], np.arange(due.size) < witness.excluded
    mixture = witness.rates, witness.target_weights, witness.value_weights
    losses = below(world.worth, crowd, *mixture, most_data(form, outside), floor=relaxed)
    lost = expected_losses(crowd, *losses.mixture, data, nothing).target

    def below_all(m: np.ndarray, y: np.ndarray) -> Losses:
        return losses.losses(crowd, m, nothing, y)

    y, w, m, u, excluded = prices_of(witness)
    prices = Prices(balls(y), balls(w), where(nothing, arb(0), balls(m)), balls(u), excluded)
    bound = lower_bound(below_all, prices, form.costs, balls(due), world.worth.top_value, lost)
    loss = world.worth.top_target - reached
    if world.worth.floor_high > 0.0 and not relaxed:
        continued = lost * arb(max(losses.target.high, 1.0)) / arb(losses.target.low)
        loss = arb.max(loss, continued + losses.lost_target)
    gap = positive_gap(upper(loss - bound.bound), unit_of(form.form))
    return gap, scope_of(given, witness, solved=not relaxed)


def _crowds(form: FormBalls) -> list[CrowdBalls]:
    ex_ante = form.problem.belief == "ex-ante"
    return [
        CrowdBalls(
            of_rows(form.form, by_cost(form, world)), form.form.group, world.laws, ex_ante, world.worth.tops
        )
        for world in form.worlds
    ]


def _by_cases(
    form: FormBalls, outside: np.ndarray, cases: Cases, reached: Any, *, relaxed: bool
) -> tuple[float, str]:
    crowds, most, received = _crowds(form), most_data(form, outside), None
    if cases.mixtures is None:
        listed = crowds_of(form.form)
        worlds = zip(form.worlds, crowds, listed, strict=True)
        not_endless(sum(len(everybody_of(crowd).prior) for crowd in listed), cases, MOST_LOOKED_AT)
        found = [outcome_balls(world.worth, crowd, floats, most) for world, crowd, floats in worlds]
        losses = [one.losses for one in found]
        received = partial(_received, found)
    else:
        worlds = zip(form.worlds, crowds, mixtures_in(cases, len(form.worlds)), strict=True)
        losses = [
            by_mixture(partial(below(world.worth, crowd, *weights, most, floor=relaxed).losses, crowd))
            for world, crowd, one in worlds
            for weights in [(one.rates, one.target_weights, one.value_weights)]
        ]
    setting = setting_balls(form, outside, crowds, losses, received)
    relaxed = relaxed or cases.mixtures is None
    continued = not relaxed and any(world.worth.floor_high > 0.0 for world in form.worlds)
    gap, scope = gap_by_cases(setting, cases, lower(reached), continued=continued)
    return float(np.nextafter(gap, np.inf)), scope


def _received(worlds: list[OutcomeBalls], high: np.ndarray) -> np.ndarray:
    return np.min([world.received(high) for world in worlds], axis=0)


def _out_of_reach(form: FormBalls, outside: np.ndarray) -> bool:
    """Whether all together could not afford the data with which accuracy leaves its floor."""
    due = asked_floats(form, outside).due
    return bool((due >= 0.0).all()) and most_data(form, outside) <= form.worlds[0].worth.floor_low
