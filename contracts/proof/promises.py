"""Whether a menu keeps what it promises: to each type in its own units, in every world, within all limits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.problem.standard_form import StandardForm
from contracts.proof.outside_options import may_stay_out

TOLERANCE = 1e-9  # of the largest value: rounding of sums of a few thousand terms, far below any promise
BEYOND = 1e6  # times what all is worth
SAME = 1e-9  # relative: options that differ by less are one
STATED = 100.0  # tolerances by which a stated outside utility may differ from the recomputed one
BLOCK = 512  # types whose envy is looked at together


class Menu(NamedTuple):
    """A menu as the types see it.

    Attributes:
        raw: data that each type owes, shape (types,).
        reward: expected value promised, in own units, shape (types,).
        data: data delivered at least, shape (types,).
        worth: expected value promised, in units of rows, shape (types,).
        stays: who is left outside of the deal, shape (types,).
        outside: what each gets by staying out, in own units, shape (types,).
        joining: what joining costs each, in own units, shape (types,).
    """

    raw: np.ndarray
    reward: np.ndarray
    data: np.ndarray
    worth: np.ndarray
    stays: np.ndarray
    outside: np.ndarray
    joining: np.ndarray


def read_menu(
    form: StandardForm, raw: np.ndarray, reward: np.ndarray, outside: np.ndarray
) -> tuple[Menu, list[str]]:
    """A menu of contributions that can be made, and complaints about others."""
    problem, names = form.problem, _names(form)
    # Who pays a million times what all is worth loses; sums of such amounts would overflow.
    most = BEYOND * (form.relative * largest_value(form) + np.abs(outside))
    with np.errstate(over="ignore", invalid="ignore"):
        possible = np.isfinite(raw) & (raw >= 0.0) & (raw * problem.population.costs <= most)
    found = [f"contribution: {names[i]} would contribute {raw[i]:g} data" for i in np.flatnonzero(~possible)]
    raw = np.where(possible, raw, 0.0)
    reward = np.where(
        np.isfinite(reward), reward, np.nan
    )  # infinity is no more a promise than what is no number
    joining = np.broadcast_to(np.asarray(problem.outside.joining_cost, dtype=float), raw.shape)
    nothing = (raw == 0.0) & (reward == 0.0) & possible
    unserved = -joining <= outside + problem.menu.participation_margin
    stays = nothing & unserved if may_stay_out(problem) else np.zeros(raw.size, dtype=bool)
    return Menu(raw, reward, raw * form.effective, reward / form.relative, stays, outside, joining), found


def own_tolerance(form: StandardForm) -> np.ndarray:
    """What is tolerated of each type's promises, in its own units, shape (types,)."""
    return TOLERANCE * form.relative * largest_value(form)


def largest_value(form: StandardForm) -> float:
    """The largest value of any world, in units of rows."""
    return max(world.plain.largest_value for world in form.worlds)


def gains(form: StandardForm, menu: Menu) -> np.ndarray:
    """What each type gains over staying out, in own units, shape (types,)."""
    costs = form.problem.population.costs
    joined = menu.reward - costs * menu.raw - menu.joining - menu.outside
    return np.where(menu.stays, 0.0, joined)


def envy(form: StandardForm, menu: Menu, *, separate: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The most that each type gains by another's option that it can deliver, in own units, and whose that is.

    Args:
        form: the standard form.
        menu: the menu.
        separate: whether only options that differ from a type's own count.
    """
    types = menu.raw.size
    worst, envied = np.full(types, -np.inf), np.arange(types)
    for first in range(0, types, BLOCK):
        who = np.arange(first, min(first + BLOCK, types))
        each = _envy(form, menu, who)
        if separate:
            each[_alike(form, menu, who)] = -np.inf
        worst[who], envied[who] = each.max(axis=1), np.argmax(each, axis=1)
    return (worst, envied) if separate else (np.where(np.isneginf(worst), 0.0, worst), envied)


def _envy(form: StandardForm, menu: Menu, who: np.ndarray) -> np.ndarray:
    """What types `who` gain by each option, shape (who, types); -inf where there is none for them."""
    population, group = form.problem.population, form.problem.population.group_of
    cost = form.problem.population.costs[who] / form.effective[who]
    worth = np.multiply.outer(form.relative[who], menu.worth) - np.multiply.outer(cost, menu.data)
    own = np.where(
        menu.stays[who],
        menu.outside[who] + menu.joining[who],
        menu.reward[who] - population.costs[who] * menu.raw[who],
    )
    offered = (group[who, None] == group) & ~menu.stays
    offered &= menu.data <= form.reach[form.row[who], None]
    gain = np.where(offered, worth - own[:, None], -np.inf)
    same = np.flatnonzero(offered[np.arange(who.size), who])
    gain[same, who[same]] = own[same] - own[same]  # nothing is gained by one's own; NaN where it is none
    return gain


def _alike(form: StandardForm, menu: Menu, who: np.ndarray) -> np.ndarray:
    """Which options are the same as those of types `who`, shape (who, types)."""
    data = np.abs(menu.data[who, None] - menu.data) <= SAME * max(float(menu.data.max()), 1e-300)
    return data & (np.abs(menu.worth[who, None] - menu.worth) <= SAME * largest_value(form))


def broken(
    form: StandardForm, menu: Menu, gain: np.ndarray, offered: np.ndarray, missed: np.ndarray
) -> list[str]:
    """Who is short of which promise, and by how much. Whatever is not a number breaks its promise.

    Args:
        form: the standard form.
        menu: the menu.
        gain: over staying out, in own units, shape (types,).
        offered: the most that could be given in every world, in own units, shape (types,).
        missed: what may be wrong with that, in own units, shape (types,).
    """
    names, tolerance, problem = _names(form), own_tolerance(form), form.problem
    margin = problem.menu.participation_margin
    found = [
        f"individual rationality: {names[i]} would gain {gain[i]:.9g} over staying out:"
        f" short by {margin - gain[i]:.3g}"
        for i in np.flatnonzero(~(gain >= margin - tolerance) & ~menu.stays)
    ]
    found += _envious(form, menu, tolerance)
    for i in np.flatnonzero(~(menu.reward <= offered + tolerance + missed) & ~menu.stays):
        found.append(
            f"feasibility: {names[i]} is promised {menu.reward[i]:.9g}, at most {offered[i]:.9g} can be given:"
            f" short by {menu.reward[i] - offered[i]:.3g}"
        )
    return found + _beyond_limits(form, menu)


def _envious(form: StandardForm, menu: Menu, tolerance: np.ndarray) -> list[str]:
    names, least = _names(form), form.problem.menu.preference_margin
    worst, envied = envy(form, menu)
    found = [
        f"incentive compatibility: {names[i]} would rather take the option of {names[envied[i]]}:"
        f" gains {worst[i]:.3g}"
        for i in np.flatnonzero(~(worst <= tolerance))
    ]
    if least > 0.0:
        worst, envied = envy(form, menu, separate=True)
        served = ~menu.stays
        found += [
            f"preference margin: {names[i]} loses only {-worst[i]:.9g} by the option of {names[envied[i]]}:"
            f" short by {least + worst[i]:.3g}"
            for i in np.flatnonzero(~(worst <= tolerance - least) & served)
        ]
    return found


def _beyond_limits(form: StandardForm, menu: Menu) -> list[str]:
    """Options that are too many, no whole lots, or more data than a type has."""
    problem, names, found = form.problem, _names(form), []
    capacity = problem.population.capacities
    if capacity is not None:
        for i in np.flatnonzero(menu.raw > capacity * (1.0 + SAME)):
            found.append(f"capacity: {names[i]} is asked for {menu.raw[i]:.9g} data and has {capacity[i]:.9g}")
    if form.lot is not None:
        lots = menu.data / form.lot
        for i in np.flatnonzero(np.abs(lots - np.round(lots)) > SAME * np.maximum(lots, 1.0)):
            found.append(f"lots: {names[i]} is asked for {lots[i]:.9g} lots")
    if problem.menu.options is not None:
        number = options_of(form, menu)
        if number > problem.menu.options:
            found.append(f"options: the menu has {number}, at most {problem.menu.options} are allowed")
    return found


def options_of(form: StandardForm, menu: Menu) -> int:
    """How many options there are, whoever they are offered to; to bring nothing and get nothing is none."""
    near = SAME * max(float(menu.data.max()), 1e-300), SAME * largest_value(form)
    seen: list[tuple[float, float]] = []
    for data, worth in zip(menu.data[~menu.stays].tolist(), menu.worth[~menu.stays].tolist(), strict=True):
        nothing = data == 0.0 and worth == 0.0
        if not nothing and not any(abs(data - d) <= near[0] and abs(worth - w) <= near[1] for d, w in seen):
            seen.append((data, worth))
    return len(seen)


def misstated(form: StandardForm, stated: np.ndarray, outside: np.ndarray) -> list[str]:
    """Outside utilities that are not what is stated."""
    names, tolerance = _names(form), STATED * own_tolerance(form)
    return [
        f"reservation utility: {names[i]} is stated to get {stated[i]:.9g} outside, recomputed {outside[i]:.9g}"
        for i in np.flatnonzero(~(np.abs(stated - outside) <= tolerance))
    ]


def unequal(form: StandardForm, menu: Menu) -> list[str]:
    """Types that doubt or a bound takes for one, and that bring different amounts."""
    names, found = _names(form), []
    for row in range(form.rows):
        members = np.flatnonzero(form.row == row)
        amounts = menu.data[members]
        if np.ptp(amounts) > SAME * max(float(menu.data.max()), 1e-300):
            low, high = members[np.argmin(amounts)], members[np.argmax(amounts)]
            found.append(
                f"{names[low]} and {names[high]} have the same cost and bring different amounts of data"
            )
    return found


def _names(form: StandardForm) -> list[str]:
    return list(form.problem.population.names or ())
