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

from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.problem.outcomes import Law, believed_total
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.contract import Contract
    from contracts.problem import Problem

POLICIES = ("capped", "proportional", "lottery")


@frozen
class Rewards:
    """The rewards of every type under one policy, as each type believes they will turn out.

    Attributes:
        policy: "capped", "proportional" or "lottery".
        problem: the problem.
        levels: what the policy fixes in advance, shape (types,): the cap (in value; infinite where the whole
            model is given), the share t_i/T_i, or the probability of the full model.
        values: for each type the possible values of its reward, increasing, a tuple of arrays.
        probabilities: their probabilities, a tuple of arrays.
        step: 0 if the laws are exact, else the step (in data) of the lattice they were computed on.
    """

    policy: str
    problem: Problem
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
        top = self.problem.largest_value
        return self.problem.valuation.inverse(np.minimum(self.levels, top))

    def value(self, total_data: float, *, seed: int | None = None) -> np.ndarray:
        """Values of the models to hand out when the joint model was trained on `total_data`, shape (types,).

        Args:
            total_data: realised n·m, >= 0.
            seed: for the lottery, whose draw this is.
        """
        trained = float(self.problem.value(checks.number("total_data", total_data, low=0.0)))
        return self.value_of(np.array([trained]), seed=seed)[:, 0]

    def value_of(self, trained: np.ndarray, *, seed: int | None = None) -> np.ndarray:
        """Values of rewards where the trained model is worth `trained`, shape (types, len(trained))."""
        level = self.levels[:, None]
        if self.policy == "capped":
            return np.minimum(trained, level)
        if self.policy == "proportional":
            return trained * level
        draw = np.random.default_rng(seed).random((self.levels.size, trained.size))
        return np.where(draw < level, trained, 0.0)


def rewards(contract: Contract, policy: str = "capped") -> Rewards:
    """Map a contract's expected rewards back to stochastic model rewards.

    Args:
        contract: a feasible contract (t_i <= T_i).
        policy: "capped", "proportional" or "lottery".

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
    problem = contract.problem
    laws = _laws(contract)
    levels, values, probabilities = [], [], []
    for i, law in enumerate(laws):
        trained = problem.value(law.data)
        promised = float(contract.expected_reward[i])
        level = _cap(trained, law, promised) if policy == "capped" else _share(trained, law, promised)
        levels.append(level)
        if policy == "capped":
            reward, mass = np.minimum(trained, level), law.probabilities
        elif policy == "proportional":
            reward, mass = trained * level, law.probabilities
        else:
            reward = np.r_[0.0, trained]
            mass = np.r_[1.0 - level, level * law.probabilities]
        reward, mass = _merged(reward, mass)
        values.append(reward)
        probabilities.append(mass)
    return Rewards(
        policy=policy,
        problem=problem,
        levels=np.array(levels),
        values=tuple(values),
        probabilities=tuple(probabilities),
        step=max(law.step for law in laws),
    )


def _laws(contract: Contract) -> list[Law]:
    """Each type's belief about the trained data; types that believe the same share the work."""
    problem, m = contract.problem, contract.contribution
    if problem.belief == "interim":
        base = believed_total(problem, m, 0).shifted(-float(m[0]))
        return [base.shifted(float(own)) for own in m]
    return [believed_total(problem, m, i) for i in range(m.size)]


def _cap(trained: np.ndarray, law: Law, promised: float) -> float:
    """The cap with E min(trained, cap) = promised: piecewise linear in the cap, solved exactly."""
    p = law.probabilities
    below = np.concatenate([[0.0], np.cumsum(trained * p)])
    above = np.concatenate([np.cumsum(p[::-1])[::-1], [0.0]])
    reached = below[1:] + trained * above[1:]
    if promised >= reached[-1]:
        return float("inf")
    cell = int(np.searchsorted(reached, promised))
    return float((promised - below[cell]) / above[cell])


def _share(trained: np.ndarray, law: Law, promised: float) -> float:
    mean = float(trained @ law.probabilities)
    return min(promised / mean, 1.0) if mean > 0.0 else 0.0


def _merged(values: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    levels, place = np.unique(values, return_inverse=True)
    return levels, np.bincount(place, weights=mass)


def conforms(rewards: Rewards, data: Any) -> bool:
    """Whether no type receives more than what is trained, for each amount of data given."""
    trained = rewards.problem.value(np.asarray(data, dtype=float))
    return bool((rewards.value_of(trained, seed=0) <= trained * (1.0 + 1e-15)).all())
