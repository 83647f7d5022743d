r"""Reward policies: from an expected reward t_i back to stochastic model rewards r_i(n).

Any rewards with r_i(n) <= a(n·m) and E v(r_i) = t_i make the first-moment optimum an optimal contract.

- **capped** (recommended): v(r_i) = min(v(a(n·m)), cap_i), "any checkpoint up to accuracy rho_i". Among all
  feasible rewards with that mean it is least in convex order: least variance, best worst case, and preferred
  by every risk-averse participant. (For convex h, E[h(r) - h(c)] >= E[(h'(c) - h'(cap)) (r - c)] >= 0: above
  the cap the first factor is 0, below it r <= c.)
- **proportional**: v(r_i) = (t_i/T_i) v(a(n·m)), the published one.
- **lottery**: the full model with probability t_i/T_i, else none; the other extreme.

Source: proportional, Wang et al., AAAI 2025 (arXiv 2412.11122); capped and its optimality are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contracts import checks
from contracts.contract.caps import cap_of
from contracts.errors import InvalidInput
from contracts.problem.laws import believed
from contracts.problem.outcomes import Law
from contracts.problem.standard_form import StandardForm
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.contract import Contract

POLICIES = ("capped", "proportional", "lottery")
NEARLY = 1e-9  # what solvers may miss of the whole expected value


@frozen
class Rewards:
    """The rewards of every type under one policy, as each type believes they will turn out.

    Attributes:
        policy: "capped", "proportional" or "lottery".
        form: the problem's standard form.
        scenario: in which of its worlds, from 0.
        levels: what the policy fixes in advance, shape (types,): the cap (in own value; infinite where the whole
            model is given), the share t_i/T_i, or the probability of the full model.
        values: for each type the possible values of its reward, increasing, a tuple of arrays.
        probabilities: their probabilities, a tuple of arrays.
        step: 0 if the laws are exact, else the step (in data) of the lattice they were computed on.
    """

    policy: str
    form: StandardForm
    scenario: int
    levels: np.ndarray
    values: tuple[np.ndarray, ...]
    probabilities: tuple[np.ndarray, ...]
    step: float

    @property
    def mean(self) -> np.ndarray:
        """Expected value of each type's reward, shape (types,); the contract's expected reward."""
        return np.array([v @ p for v, p in zip(self.values, self.probabilities, strict=True)])

    @property
    def standard_deviation(self) -> np.ndarray:
        """Standard deviation of the value of each type's reward, shape (types,)."""
        pairs = zip(self.values, self.probabilities, self.mean, strict=True)
        return np.sqrt([p @ (v - mean) ** 2 for v, p, mean in pairs])

    def quantile(self, level: float) -> np.ndarray:
        """The least value that each type's reward stays below with probability >= `level`, in [0, 1]."""
        level = checks.number("level", level, low=0.0, high=1.0)
        found = []
        for values, probabilities in zip(self.values, self.probabilities, strict=True):
            place = np.searchsorted(np.cumsum(probabilities), level * (1.0 - 1e-12), side="left")
            found.append(values[min(int(place), values.size - 1)])
        return np.array(found)

    @property
    def accuracy_cap(self) -> np.ndarray:
        """For the capped policy: the accuracy rho_i above which no model is given, shape (types,)."""
        plain = self.form.worlds[self.scenario].plain
        value = np.minimum(self.levels / self.form.relative, plain.largest_value)
        return self.form.problem.baseline + plain.valuation.inverse(value)

    def value(self, total_data: float, *, seed: int | None = None) -> np.ndarray:
        """Values of the models to hand out when the joint model was trained on `total_data`, shape (types,).

        Args:
            total_data: realised effective data, >= 0.
            seed: for the lottery, whose draw this is.
        """
        data = checks.number("total_data", total_data, low=0.0)
        trained = float(self.form.worlds[self.scenario].plain.value(data))
        return self.value_of(np.array([trained]), seed=seed)[:, 0]

    def value_of(self, trained: np.ndarray, *, seed: int | None = None) -> np.ndarray:
        """Values of rewards, to each type, where the trained model is worth `trained` on average.

        Returns:
            Shape (types, len(trained)).
        """
        level, whole = self.levels[:, None], self.form.relative[:, None] * trained
        if self.policy == "capped":
            return np.minimum(whole, level)
        if self.policy == "proportional":
            return whole * level
        seed = None if seed is None else checks.integer("seed", seed)
        draw = np.random.default_rng(seed).random(whole.shape)
        return np.where(draw < level, whole, 0.0)


def rewards(contract: Contract, policy: str = "capped", *, scenario: int = 0) -> Rewards:
    """Map a contract's expected rewards back to stochastic model rewards.

    Args:
        contract: a feasible contract (t_i <= T_i).
        policy: "capped", "proportional" or "lottery".
        scenario: in which scenario, from 0; with doubt about the probabilities, at the worst ones.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, Problem, design_contract
    >>> problem = Problem(
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> contract = design_contract(problem)
    >>> capped, proportional = rewards(contract), rewards(contract, "proportional")
    >>> bool((capped.standard_deviation <= proportional.standard_deviation + 1e-9).all())
    True
    """
    checks.choice("policy", policy, POLICIES)
    form = contract.form
    if contract.clause is not None:
        return _launched(contract, policy)
    world = form.worlds[checks.integer("scenario", scenario, high=len(form.worlds) - 1)]
    laws = believed(form, world, contract.delivered)
    worth = [world.plain.value(law.data) for law in laws]
    levels, values, probabilities = [], [], []
    for row, relative, promised in zip(form.row, form.relative, contract.expected_reward, strict=True):
        level, value, mass = _reward(policy, laws[row], relative * worth[row], float(promised))
        levels.append(level)
        values.append(value)
        probabilities.append(mass)
    return Rewards(
        policy=policy,
        form=form,
        scenario=scenario,
        levels=np.array(levels),
        values=tuple(values),
        probabilities=tuple(probabilities),
        step=max(law.step for law in laws),
    )


def _launched(contract: Contract, policy: str) -> Rewards:
    """Of a menu with a launch clause, whose models are capped."""
    from contracts.contract.launch_settlement import rewards_by_type

    if policy != "capped":
        raise InvalidInput(
            f"policy = {policy!r}: expected 'capped': a launch clause says which models are given"
        )
    levels, values, probabilities = rewards_by_type(contract)
    return Rewards(
        policy=policy,
        form=contract.form,
        scenario=0,
        levels=levels,
        values=values,
        probabilities=probabilities,
        step=0.0,
    )


def whole_model(contract: Contract, *, scenario: int = 0) -> np.ndarray:
    """Whether each type receives whatever is trained, shape (types,): promised the whole expected value."""
    if contract.clause is not None:
        return np.isinf(contract.rewards("capped").levels)
    return contract.rewards("proportional", scenario=scenario).levels > 1.0 - NEARLY


def _reward(policy: str, law: Law, trained: np.ndarray, promised: float) -> tuple[float, np.ndarray, np.ndarray]:
    """What the policy fixes, and the law of the reward."""
    if policy == "capped":
        level = cap_of(trained, law, promised)
        return level, *_merged(np.minimum(trained, level), law.probabilities)
    level = _share(trained, law, promised)
    if policy == "proportional":
        return level, *_merged(trained * level, law.probabilities)
    mass = np.r_[1.0 - level, level * law.probabilities]
    return level, *_merged(np.r_[0.0, trained], mass)


def _share(trained: np.ndarray, law: Law, promised: float) -> float:
    mean = float(trained @ law.probabilities)
    return min(promised / mean, 1.0) if mean > 0.0 else 0.0


def _merged(values: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    levels, place = np.unique(values, return_inverse=True)
    return levels, np.bincount(place, weights=mass)
