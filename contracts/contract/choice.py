r"""Participants who choose by more than a hair's breadth: logit (quantal response) choice from a menu.

Type i chooses option j, or stays out, with probabilities proportional to exp(utility / scale): the larger the
scale, the more they err; as it falls to zero everybody takes the best there is, and where several are equally
good, as in most best contracts, each of them equally often. That is what margins are for
(`contracts.extensions.margins`): with a margin to every other option everybody takes its own in the limit.

Who errs changes who contributes what: participants are then draws from sum_i p_i P(j | i), what the model is
trained on follows that law, and the rewards that were promised for the types' own choices may or may not be
feasible. All of this is computed exactly; what is broken is named.

Source: McFadden 1974 and McKelvey & Palfrey 1995 for logit choice; its consequences for contracts are ours.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.errors import Infeasible, InvalidInput
from contracts.extensions.margins import MarginContract, MarginProblem
from contracts.extensions.menu import MenuContract
from contracts.extensions.tastes import TasteContract
from contracts.problem import Problem
from contracts.problem.outcomes import total_data
from contracts.records import frozen

SAME = 1e-9  # of the largest value: options that differ by less are one option
TRIALS = 12


@frozen
class Choice:
    """What becomes of a contract where participants choose with errors.

    Attributes:
        scale: the scale of the errors, in units of cost.
        contribution, expected_reward: the different options, shape (options,).
        own: the number of the option meant for each type, shape (types,).
        probabilities: P(j | i), shape (types, options).
        staying_out: probability that each type stays out, shape (types,).
        option_probabilities: how often each option is chosen by a participant drawn at random, shape (options,).
        expected_accuracy, expected_value: of the model trained on what is then contributed.
        largest_reward: the most that could be given for each option in expectation, shape (options,).
        violations: which promises cannot be kept, and by how much; empty if all can.
    """

    scale: float
    contribution: np.ndarray
    expected_reward: np.ndarray
    own: np.ndarray
    probabilities: np.ndarray
    staying_out: np.ndarray
    option_probabilities: np.ndarray
    expected_accuracy: float
    expected_value: float
    largest_reward: np.ndarray
    violations: tuple[str, ...]

    @property
    def right(self) -> np.ndarray:
        """Probability that each type takes the option meant for it, shape (types,)."""
        return self.probabilities[np.arange(self.own.size), self.own]

    @property
    def feasibility_slack(self) -> np.ndarray:
        """What could be given at most for each option less what was promised, shape (options,)."""
        return self.largest_reward - self.expected_reward

    def __str__(self) -> str:
        lines = ["option  contribute  reward       chosen  slack"]
        for j in range(self.contribution.size):
            lines.append(
                f"{j:<6}{self.contribution[j]:>12.4f}{self.expected_reward[j]:>12.4f}"
                f"{self.option_probabilities[j]:>8.4f}  {self.feasibility_slack[j]:.4g}"
            )
        lines.append(
            f"right choices: at least {self.right.min():.4f}; staying out: at most {self.staying_out.max():.4f};"
            f" expected accuracy {self.expected_accuracy:.6f}"
        )
        return "\n".join([*lines, *self.violations])


def choose(contract: Contract | MenuContract, *, scale: float) -> Choice:
    """Let participants choose from a contract's menu with logit errors.

    They choose by what was promised; staying out gives them what they get alone, and the others nothing. Options
    that do not differ count once.

    Args:
        contract: a contract of the base model, with margins, for another objective, with different tastes (each
            type then errs in units of its own), or with verified quality (then in the worst case).
        scale: of the errors, > 0, in units of cost: an option better by `scale` is chosen e times as often.

    Returns:
        The choice probabilities and their consequences, exact over who takes part and what they choose.

    Raises:
        InvalidInput: a scale that is not above zero, or something that is no contract.

    >>> from contracts.testing import example_contract
    >>> sober = choose(example_contract(), scale=1e-3)
    >>> round(float(sober.right.min()), 3), sober.expected_accuracy < example_contract().expected_accuracy
    (0.201, True)
    """
    menu, unit = _menu(contract)
    level = checks.number("scale", scale, low=0.0, open_low=True)
    problem, population = menu.problem, menu.problem.population
    first, own = _options(menu)
    contribution, reward = menu.contribution[first], menu.expected_reward[first]
    utility = reward - np.multiply.outer(population.costs, contribution)
    chances = _logit(unit[:, None] * np.column_stack([utility, menu.reservation_utility]), level)
    share = population.probabilities @ chances
    data = np.append(contribution, 0.0)
    law = total_data(data, share, population.participants)
    largest = _largest(problem, data, share)
    return Choice(
        scale=level,
        contribution=contribution,
        expected_reward=reward,
        own=own,
        probabilities=chances[:, :-1],
        staying_out=chances[:, -1],
        option_probabilities=share[:-1],
        expected_accuracy=law.expectation(problem.accuracy),
        expected_value=law.expectation(problem.value),
        largest_reward=largest,
        violations=_broken(menu, first, own, largest),
    )


def _menu(contract: Any) -> tuple[Contract, np.ndarray]:
    """The menu, and what one unit of its utilities is to each type, shape (types,)."""
    if isinstance(contract, Contract):
        return contract, np.ones(contract.contribution.size)
    if isinstance(contract, TasteContract):
        return contract.menu, contract.problem.scales
    if isinstance(contract, MenuContract):
        return contract.menu, np.ones(contract.menu.contribution.size)
    raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract, or one of an extension with a menu")


def _options(menu: Contract) -> tuple[np.ndarray, np.ndarray]:
    """For each different option a type it is meant for, and each type's option."""
    top = menu.problem.largest_value
    worth = menu.contribution * float(menu.problem.population.costs.max())
    order = np.lexsort((menu.expected_reward, menu.contribution))
    apart = np.maximum(np.abs(np.diff(worth[order])), np.abs(np.diff(menu.expected_reward[order]))) > SAME * top
    number = np.concatenate([[0], np.cumsum(apart)])
    own = np.empty(order.size, dtype=int)
    own[order] = number
    first = np.array([order[np.flatnonzero(number == j)[0]] for j in range(int(number[-1]) + 1)])
    return first, own


def _logit(utility: np.ndarray, scale: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        weight = np.exp((utility - utility.max(axis=1, keepdims=True)) / scale)
    return weight / weight.sum(axis=1, keepdims=True)


def _largest(problem: Problem, data: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The expected value of the whole model to whoever has chosen each option (the last is staying out)."""
    n = problem.population.participants
    others = total_data(data, share, n - 1)
    return np.array(
        [
            others.shifted(float(data[j])).expectation(problem.value)
            if problem.belief == "interim" or share[j] <= 0.0
            else total_data(data, share, n, present=j).expectation(problem.value)
            for j in range(data.size - 1)
        ]
    )


def _broken(menu: Contract, first: np.ndarray, own: np.ndarray, largest: np.ndarray) -> tuple[str, ...]:
    names, found = list(menu.problem.population.names or ()), []
    # The lattice on which large laws are computed is good to about 1e-8.
    short = menu.expected_reward[first] - largest
    for j in np.flatnonzero(short > 1e-7 * menu.problem.largest_value):
        whose = ", ".join(names[i] for i in np.flatnonzero(own == j))
        found.append(
            f"feasibility: whoever takes the option of {whose} is promised {menu.expected_reward[first[j]]:.9g},"
            f" at most {largest[j]:.9g} can be given: short by {short[j]:.3g}"
        )
    return tuple(found)


def sufficient_margin(share: float, *, scale: float, options: int) -> float:
    """A margin with which every type takes its own option at least as often as wanted, whatever the contract.

    With a margin to each of the other options and to staying out, the own option is chosen with probability
    >= 1 / (1 + options exp(-margin / scale)).

    Args:
        share: the probability wanted, in (0, 1).
        scale: of the logit errors, > 0.
        options: the number of different options, >= 1.

    Returns:
        The margin, >= 0, in units of cost.

    >>> round(sufficient_margin(0.9, scale=1.0, options=3), 4)
    3.2958
    """
    wanted = checks.number("share", share, low=0.0, high=1.0, open_low=True, open_high=True)
    level = checks.number("scale", scale, low=0.0, open_low=True)
    return max(0.0, level * math.log(checks.integer("options", options, low=1) * wanted / (1.0 - wanted)))


def design_for_choice(problem: Problem, *, share: float, scale: float) -> tuple[MarginContract, Choice]:
    """The best contract with so much margin that every type takes its own option as often as wanted.

    The margin, one for joining and for every other option, is the least that bisection finds between zero and
    `sufficient_margin`; what is returned has been checked at its margin.

    Args:
        problem: the problem.
        share: the least probability, in (0, 1), with which every type is to take its own option.
        scale: of the logit errors, > 0.

    Returns:
        The contract and what becomes of it.

    Raises:
        InvalidInput: as `choose`, and for curves that are no mixture of exponentials.
        Infeasible: no contract leaves everybody such a margin.
    """
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problem = {problem!r:.60}: expected a Problem")
    costs = np.unique(problem.population.costs).size
    low, high = 0.0, sufficient_margin(share, scale=scale, options=costs)
    best: tuple[MarginContract, Choice] | None = None
    for trial in range(TRIALS):
        margin = (low, high)[trial] if trial < 2 else 0.5 * (low + high)
        found = _attempt(problem, margin, scale)
        if found is not None and found[1].right.min() < share:
            low = margin
        else:
            best, high = found or best, margin
        if high <= low:
            break
    if best is None:
        raise Infeasible(
            f"share = {share:g}: no contract was found that leaves everybody a margin of {high:g}, with which"
            f" choices with errors of scale {scale:g} would be right as often; a smaller share would help"
        )
    return best


def _attempt(problem: Problem, margin: float, scale: float) -> tuple[MarginContract, Choice] | None:
    """The best contract with a margin, and what becomes of it; None if there is none."""
    stated = MarginProblem(problem=problem, participation_margin=margin, preference_margin=margin)
    try:
        contract = stated.design()
    except Infeasible:
        return None
    return contract, choose(contract, scale=scale)
