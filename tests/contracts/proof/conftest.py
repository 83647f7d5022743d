"""Problems of every ingredient, with contracts and proofs that no solver of the project made."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from scipy import optimize, stats

from contracts import (
    DistributionCost,
    Doubt,
    Exponential,
    LinearValuation,
    Menu,
    NashBargaining,
    Poisson,
    Population,
    Problem,
    Rawlsian,
    Scenario,
    Welfare,
)
from contracts.problem.cases import linear_constraints, whole
from contracts.problem.standard_form import standard_form
from contracts.proof.certify import certify
from contracts.proof.evidence import LEAF, Cases, Mixtures, Proof
from contracts.proof.general_proof import asked_of
from contracts.proof.losses import Crowd, expected_losses
from contracts.proof.outside_options import outside_utilities
from contracts.proof.reached import levelled, weight_of

RATE, OPTIMUM, SCALE = 0.002, 0.9, 100.0


def people(**changes):
    stated = {"costs": [0.2, 0.1, 0.04], "probabilities": [0.3, 0.3, 0.4], "participants": 4}
    return Population(**(stated | changes))


def problem_of(population=None, **changes):
    """A problem whose loss is one exponential, so that its mixture is exact."""
    stated = {"accuracy": Exponential(optimum=OPTIMUM, rate=RATE), "valuation": LinearValuation(scale=SCALE)}
    return Problem(population=population or people(), **(stated | changes))


PROBLEMS = {
    "plain": problem_of(),
    "qualities": problem_of(people(qualities=[0.5, 1.0, 0.8])),
    "shading": problem_of(people(shading=0.1)),
    "scales": problem_of(valuation=LinearValuation(scale=[100.0, 80.0, 150.0])),
    "groups": problem_of(
        Population(
            costs=[0.2, 0.1, 0.04],
            probabilities=[0.5, 0.5, 1.0],
            groups=["a", "a", "b"],
            participants={"a": 2, "b": Poisson(mean=1.5)},
        )
    ),
    "named": problem_of(Population(costs=[0.2, 0.1, 0.04], names=["A", "B", "C"], participants="named")),
    "law": problem_of(people(participants=Poisson(mean=3.0))),
    "scenarios": problem_of(
        scenarios=[Scenario(weight=0.4), Scenario(weight=0.6, probabilities=[0.6, 0.3, 0.1], participants=6)]
    ),
    "doubt": problem_of(people(doubt=Doubt(radius=0.1))),
    "welfare": problem_of(objective=Welfare(coordinator=0.5)),
    "rawlsian": problem_of(objective=Rawlsian(coordinator=0.1)),
    "nash": problem_of(objective=NashBargaining()),
    "distribution": problem_of(objective=DistributionCost(rate=1e-3, exponent=2.0)),
    "margin": problem_of(menu=Menu(participation_margin=1.0)),
    "ex-ante": problem_of(belief="ex-ante", objective=Welfare(coordinator=1.0)),
}


class Solved(NamedTuple):
    """A problem, its menu, its proof and what is stated of it."""

    problem: Problem
    stated: dict
    proof: Proof

    def certificate(self, proof=None, **changes):
        return certify(self.problem, **(self.stated | changes), proof=self.proof if proof is None else proof)


class _Program:
    """The program of the case in which nothing is decided, by the kernel's formulas, in (x, u, z)."""

    def __init__(self, problem):
        self.form = standard_form(problem)
        self.outside = outside_utilities(self.form)
        self.asked = asked_of(self.form, self.outside)
        self.linear = linear_constraints(self.form, whole(self.form), self.asked)
        self.rows = self.form.rows
        self.crowds = [Crowd(w.plain, w.probabilities, self.form.group, w.laws) for w in self.form.worlds]
        self.rates = np.array([RATE])
        self.value_weights = np.array([[w.plain.largest_value] for w in self.form.worlds])
        self.target_weights = np.array([[w.plain.largest_target] for w in self.form.worlds])

    def losses(self, k, x, prices):
        args = self.rates, self.target_weights[k], self.value_weights[k]
        return expected_losses(self.crowds[k], *args, x, np.zeros(self.rows, dtype=bool), prices)

    def objective(self, v):
        x, u, z = v[: self.rows], v[self.rows : -1], v[-1]
        weights = [w.weight for w in self.form.worlds]
        found = weight_of(self.form) * sum(
            weight * (self.crowds[k].plain.largest_target - self.losses(k, x, np.zeros(self.rows)).target)
            for k, weight in enumerate(weights)
        )
        if levelled(self.form):
            return found + z
        return found + self.social(x, u)

    def social(self, x, u):
        from contracts.problem.objective import Outcome

        objective, form = self.form.problem.objective, self.form
        if objective is None:
            return 0.0
        own, given = form.relative * u[form.row], (u + form.costs * x)[form.row]
        p = form.problem.population
        return float(objective.formula(Outcome(own, given, self.outside, p.shares, p.mean_participants), np))

    def constraints(self, v):
        x, u, z = v[: self.rows], v[self.rows : -1], v[-1]
        feasible = [
            crowd.plain.largest_value - self.losses(k, x, np.zeros(self.rows)).value - self.form.costs * x - u
            for k, crowd in enumerate(self.crowds)
        ]
        a = self.linear
        return np.concatenate([*feasible, a.by_x @ x + a.by_u @ u + a.by_z * z - a.least])

    def solve(self):
        size = np.r_[np.full(self.rows, 0.3 * SCALE / self.form.costs.max()), np.full(self.rows + 1, SCALE)]
        x = np.linspace(0.3, 0.9, self.rows)
        u = np.array([0.35 + 0.1 * k for k in range(self.rows)])
        best = None
        for start in (0.5, 1.0, 2.0):
            found = optimize.minimize(
                lambda w: -self.objective(np.abs(w) * size) / SCALE,
                np.r_[start * x, u, 0.1],
                method="SLSQP",
                bounds=[(1e-9, None)] * size.size,
                constraints={"type": "ineq", "fun": lambda w: self.constraints(np.abs(w) * size) / SCALE},
                options={"maxiter": 500, "ftol": 1e-15},
            )
            if self.constraints(found.x * size).min() > -1e-6 and (best is None or found.fun < best.fun):
                best = found
        return best.x * size

    def prices(self, v):
        """Prices that leave the least residual: nonnegative least squares over what binds."""
        active = np.flatnonzero(self.constraints(v) <= 1e-3)
        rows = np.array([_slopes(lambda w, k=k: self.constraints(w)[k], v) for k in active])
        scale = np.r_[np.full(self.rows, SCALE / self.form.costs.min()), np.full(self.rows + 1, SCALE)]
        found, _ = optimize.nnls((rows * scale).T, -_slopes(self.objective, v) * scale)
        prices = np.zeros(self.constraints(v).size)
        prices[active] = found
        return prices


def _slopes(function, v):
    """Central differences, refined once."""
    found = np.zeros(v.size)
    for k in range(v.size):
        step = 1e-4 * max(abs(v[k]), 1.0)
        at = [function(v + np.eye(v.size)[k] * s * step) for s in (1.0, -1.0, 2.0, -2.0)]
        found[k] = (8.0 * (at[0] - at[1]) - (at[2] - at[3])) / (12.0 * step)
    return found


def solved(problem):
    """A contract for a problem, and its proof, by SLSQP and least squares."""
    program = _Program(problem)
    form, v = program.form, program.solve()
    prices = program.prices(v)
    x, u, z = v[: form.rows], v[form.rows : -1], v[-1]
    # What SLSQP promises too much, and rounding of what it leaves to be envied, is taken off everybody.
    u = np.maximum(u - 2.0 * max(-program.constraints(v).min(), 0.0), program.asked.due)
    worlds = len(form.worlds)
    mixtures = Mixtures(
        rates=program.rates, target_weights=program.target_weights, value_weights=program.value_weights
    )
    cases = Cases(
        mixtures=mixtures,
        kind=np.array([LEAF]),
        index=np.array([0]),
        threshold=np.zeros(1),
        contribution=x[None, :],
        utility=u[None, :],
        level=np.array([z if levelled(form) else 0.0]),
        feasibility=prices[: worlds * form.rows].reshape(1, worlds, form.rows),
        linear=(prices[worlds * form.rows :],),
    )
    stated = menu_of(problem, x, u)
    return Solved(problem, stated, Proof(cases=cases))


def menu_of(problem, x, u):
    """What a contract states for contributions and utilities of the rows."""
    form = standard_form(problem)
    outside = outside_utilities(form)
    raw = x[form.row] / form.effective
    reward = form.relative * (u + form.costs * x)[form.row]
    found = {"contribution": raw, "expected_reward": reward, "reservation_utility": outside}
    value, accuracy = expectations(problem, raw)
    return found | {"objective": value, "expected_accuracy": accuracy}


def outcomes(problem, raw, world, *, believer=None):
    """All outcomes of a world with their probabilities, one participant at a time; no law, no transform."""
    form = standard_form(problem)
    population, data = problem.population, raw * form.effective
    p = world.plain.population.probabilities * len(world.laws)
    found = [(0.0, 1.0)]
    for g, law in enumerate(world.laws):
        members = np.flatnonzero(population.group_of == g)
        others = believer is not None and population.group_of[believer] == g
        counts, chances = (law.others() if others else law).support
        kept = chances > 1e-12
        group = []
        for count, chance in zip(counts[kept], chances[kept], strict=True):
            for who in itertools.combinations_with_replacement(members, int(count)):
                number = np.bincount(np.array(who, dtype=int), minlength=p.size)[members]
                group.append(
                    (
                        float(number @ data[members]),
                        chance * stats.multinomial.pmf(number, int(count), p[members]),
                    )
                )
        found = [(a + b, c * d) for a, c in found for b, d in group]
    amounts, chances = np.array(found).T
    return amounts + (0.0 if believer is None else data[believer]), chances


def expectations(problem, raw):
    """Expected value and accuracy of the trained model, by all outcomes."""
    form, value, accuracy = standard_form(problem), 0.0, problem.baseline
    for world in form.worlds:
        amounts, chances = outcomes(problem, raw, world)
        value += world.weight * float(chances @ world.plain.value(amounts))
        accuracy += world.weight * float(chances @ world.plain.accuracy(amounts))
    return value, accuracy


_KNOWN = {}


def solution(name):
    if name not in _KNOWN:
        _KNOWN[name] = solved(PROBLEMS[name])
    return _KNOWN[name]


@pytest.fixture(params=list(PROBLEMS), scope="session")
def case(request):
    """A problem with its contract and proof, for each ingredient."""
    return solution(request.param)


@pytest.fixture(name="solution", scope="session")
def solution_fixture():
    return solution


@pytest.fixture(name="expectations", scope="session")
def expectations_fixture():
    return expectations


@pytest.fixture(name="outcomes", scope="session")
def outcomes_fixture():
    return outcomes


@pytest.fixture(name="problem_of", scope="session")
def problem_of_fixture():
    return problem_of


@pytest.fixture(name="people", scope="session")
def people_fixture():
    return people


@pytest.fixture(name="menu_of", scope="session")
def menu_of_fixture():
    return menu_of
