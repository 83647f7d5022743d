r"""Participants who choose by more than a hair's breadth: logit (quantal response) choice from a menu.

Type i chooses option j, or stays out, with probabilities proportional to exp(utility / scale): the larger the
scale, the more they err; as it falls to zero everybody takes the best there is, and where several are equally
good, as in most best contracts, each of them equally often. That is what margins are for
(`contracts.Menu`): with a margin to every other option everybody takes its own in the limit.

Who errs changes who contributes what: participants are then draws from sum_i p_i P(j | i), what the model is
trained on follows that law, and the rewards that were promised for the types' own choices may or may not be
feasible. All of this is computed exactly; what is broken is named.

Source: McFadden 1974 and McKelvey & Palfrey 1995 for logit choice; its consequences for contracts are ours.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from contracts import checks
from contracts.contract.contract import Contract
from contracts.contract.design import design_contract
from contracts.contract.options import options_of
from contracts.errors import Infeasible, InvalidInput
from contracts.problem import Problem
from contracts.problem.laws import sum_of
from contracts.problem.outcomes import Law, total_data
from contracts.problem.participants import FixedTurnout, Turnout
from contracts.problem.standard_form import World
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


def choose(contract: Contract, *, scale: float, scenario: int = 0) -> Choice:
    """Let participants choose from a contract's menu with logit errors.

    They choose among the options of their group that they can deliver, by what was promised; staying out gives
    them their outside option, and the others nothing. Options that do not differ count once. Each type errs in
    its own units of cost.

    Args:
        contract: a contract of any problem.
        scale: of the errors, > 0, in units of cost: an option better by `scale` is chosen e times as often.
        scenario: in which scenario, from 0; with doubt about the probabilities, at the worst ones.

    Returns:
        The choice probabilities and their consequences, exact over who takes part and what they choose.

    Raises:
        InvalidInput: a scale that is not above zero, or something that is no contract.

    >>> from contracts.testing import example_contract
    >>> sober = choose(example_contract(), scale=1e-3)
    >>> round(float(sober.right.min()), 3), sober.expected_accuracy < example_contract().expected_accuracy
    (0.201, True)
    """
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract")
    if contract.clause is not None:
        raise InvalidInput(
            "contract: it has a launch clause: choices with errors are known for fixed terms only"
        )
    level = checks.number("scale", scale, low=0.0, open_low=True)
    form, offered = contract.form, options_of(contract)
    world = form.worlds[checks.integer("scenario", scenario, high=len(form.worlds) - 1)]
    first, own = _options(contract)
    utility = offered.utility[:, first]
    chances = _logit(np.column_stack([utility, contract.reservation_utility]), level)
    crowd = _Crowd.of(contract, world, first, chances)
    everybody = crowd.total()
    largest = crowd.largest()
    return Choice(
        scale=level,
        contribution=contract.contribution[first],
        expected_reward=contract.expected_reward[first],
        own=own,
        probabilities=chances[:, :-1],
        staying_out=chances[:, -1],
        option_probabilities=crowd.mean_shares()[:-1],
        expected_accuracy=contract.problem.baseline + everybody.expectation(world.plain.accuracy),
        expected_value=everybody.expectation(world.plain.value),
        largest_reward=largest * form.relative[first],
        violations=_broken(contract, first, own, largest * form.relative[first]),
    )


class _Crowd(NamedTuple):
    """Participants as they choose: in each group a draw brings one option's data, or nothing.

    Attributes:
        world: where they are.
        data: of the options, and of staying out, shape (options + 1,).
        shares: how often somebody of each group chooses each, shape (groups, options + 1).
        group: of the options, shape (options,).
        belief: "interim" or "ex-ante".
    """

    world: World
    data: np.ndarray
    shares: np.ndarray
    group: np.ndarray
    belief: str

    @classmethod
    def of(cls, contract: Contract, world: World, first: np.ndarray, chances: np.ndarray) -> _Crowd:
        """The crowd that a contract's options meet."""
        form = contract.form
        of_type = form.problem.population.group_of
        # A row's probability goes to its types in the proportions of the stated ones.
        stated = form.problem.population.probabilities
        total = np.bincount(form.row, weights=stated, minlength=form.rows)[form.row]
        equal = 1.0 / np.bincount(form.row, minlength=form.rows)[form.row]
        p = world.probabilities[form.row] * np.where(total > 0, stated / np.where(total > 0, total, 1.0), equal)
        shares = np.array([(p * (of_type == g)) @ chances for g in range(len(world.laws))])
        data = np.append((contract.contribution * form.effective)[first], 0.0)
        return cls(world, data, shares, of_type[first], contract.problem.belief)

    def mean_shares(self) -> np.ndarray:
        """How often a participant drawn at random chooses each."""
        means = np.array([float(law.mean) for law in self.world.laws])
        return means @ self.shares / means.sum()

    def _of_group(self, g: int, law: Turnout) -> Law:
        draws = law.count if isinstance(law, FixedTurnout) else law
        return total_data(self.data, self.shares[g], draws)

    def total(self) -> Law:
        """The law of all data brought."""
        return sum_of([self._of_group(g, law) for g, law in enumerate(self.world.laws)])

    def largest(self) -> np.ndarray:
        """The expected value of the whole model to whoever has chosen each option."""
        value, laws = self.world.plain.value, self.world.laws
        found = []
        for j, g in enumerate(self.group):
            if self.belief == "ex-ante" and self.shares[0, j] > 0.0:
                draws = laws[0].count if isinstance(laws[0], FixedTurnout) else laws[0]
                found.append(total_data(self.data, self.shares[0], draws, present=j).expectation(value))
                continue
            rest = [self._of_group(h, law.others() if h == g else law) for h, law in enumerate(laws)]
            found.append(sum_of(rest).shifted(float(self.data[j])).expectation(value))
        return np.array(found)


def _options(contract: Contract) -> tuple[np.ndarray, np.ndarray]:
    """For each different option (of a group) a type it is meant for, and each type's option."""
    form = contract.form
    plain = form.worlds[0].plain
    top, group = plain.largest_value, form.problem.population.group_of
    data = contract.contribution * form.effective
    worth, reward = data * float(form.costs.max()), contract.expected_reward / form.relative
    order = np.lexsort((reward, data, group))
    apart = np.maximum(np.abs(np.diff(worth[order])), np.abs(np.diff(reward[order]))) > SAME * top
    apart |= np.diff(group[order]) > 0
    number = np.concatenate([[0], np.cumsum(apart)])
    own = np.empty(order.size, dtype=int)
    own[order] = number
    first = np.array([order[np.flatnonzero(number == j)[0]] for j in range(int(number[-1]) + 1)])
    return first, own


def _logit(utility: np.ndarray, scale: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        weight = np.exp((utility - utility.max(axis=1, keepdims=True)) / scale)
    return weight / weight.sum(axis=1, keepdims=True)


def _broken(contract: Contract, first: np.ndarray, own: np.ndarray, largest: np.ndarray) -> tuple[str, ...]:
    names, found = list(contract.problem.population.names or ()), []
    # The lattice on which large laws are computed is good to about 1e-8.
    short = contract.expected_reward[first] - largest
    tolerance = 1e-7 * contract.form.worlds[0].plain.largest_value * contract.form.relative[first]
    for j in np.flatnonzero(short > tolerance):
        whose = ", ".join(names[i] for i in np.flatnonzero(own == j))
        found.append(
            f"feasibility: whoever takes the option of {whose} is promised"
            f" {contract.expected_reward[first[j]]:.9g}, at most {largest[j]:.9g} can be given: short by"
            f" {short[j]:.3g}"
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


def design_for_choice(problem: Problem, *, share: float, scale: float) -> tuple[Contract, Choice]:
    """The best contract with so much margin that every type takes its own option as often as wanted.

    The margin, one for joining and for every other option, is the least that bisection finds between zero and
    `sufficient_margin`; what is returned has been checked at its margin. It takes the place of the problem's own
    margins where those are smaller.

    Args:
        problem: the problem.
        share: the least probability, in (0, 1), with which every type is to take its own option.
        scale: of the logit errors, > 0.

    Returns:
        The contract and what becomes of it.

    Raises:
        InvalidInput: as `choose` and `design_contract`.
        Infeasible: no contract leaves everybody such a margin.
    """
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problem = {problem!r:.60}: expected a Problem")
    costs = np.unique(problem.population.costs).size
    low, high = 0.0, sufficient_margin(share, scale=scale, options=costs)
    best: tuple[Contract, Choice] | None = None
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


def _attempt(problem: Problem, margin: float, scale: float) -> tuple[Contract, Choice] | None:
    """The best contract with a margin, and what becomes of it; None if there is none."""
    menu = problem.menu
    wider = dataclasses.replace(
        menu,
        participation_margin=max(margin, menu.participation_margin),
        preference_margin=max(margin, menu.preference_margin),
    )
    try:
        contract = design_contract(dataclasses.replace(problem, menu=wider))
    except Infeasible:
        return None
    return contract, choose(contract, scale=scale)
