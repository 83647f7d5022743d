"""The paper's scenarios, by name; and contracts by enumeration of every outcome."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import optimize, stats

from contracts import GeneralizationBound, LinearValuation, Population, Problem

SCENARIOS = {
    "S1": ([0.2, 0.16, 0.12, 0.08, 0.04], 86.478276016, 86.483772538),
    "S2": ([1, 0.85, 0.7, 0.55, 0.4], 69.053252849, 69.053252849),
    "S3": ([0.5, 0.4, 0.03, 0.02, 0.001], 94.013492427, 94.099207098),
}


OF_THE_POPULATION = ("names", "groups", "qualities", "capacities", "shading", "doubt")


def build(costs, participants, *, probabilities=None, belief="interim", accuracy=None, valuation=None, **other):
    if probabilities is None:
        probabilities = [1 / len(costs)] * len(costs)
    who = {name: other.pop(name) for name in OF_THE_POPULATION if name in other}
    return Problem(
        population=Population(costs=costs, probabilities=probabilities, participants=participants, **who),
        accuracy=GeneralizationBound() if accuracy is None else accuracy,
        valuation=LinearValuation(scale=100.0) if valuation is None else valuation,
        belief=belief,
        **other,
    )


@pytest.fixture(name="build")
def build_fixture():
    return build


@pytest.fixture(params=list(SCENARIOS))
def scenario(request):
    return SCENARIOS[request.param]


def by_enumeration(problem, score, *, level=None, margins=(0.0, None), scales=None, near=None):
    """The best score over all contracts, by listing every outcome and scipy's SLSQP; independent of mixtures.

    `score(target, utility, reward)` is maximised; with `level(utility, alone)`, its least entry instead.
    `margins` are the participation margin, and a pair: the sets of types that share an option, and the margin
    between options. `near` is a contract around which to start once more.
    """
    population = problem.population
    c, p, n = population.costs, population.probabilities, population.participants
    size, top = c.size, problem.largest_value
    scales = np.ones(size) if scales is None else scales
    counts = np.array([k for k in itertools.product(range(n + 1), repeat=size) if sum(k) == n])
    prior = stats.multinomial.pmf(counts, n, p)
    if problem.belief == "interim":
        less = np.array([k for k in itertools.product(range(n), repeat=size) if sum(k) == n - 1])
        beliefs = [
            (less + np.eye(size, dtype=int)[i], stats.multinomial.pmf(less, n - 1, p)) for i in range(size)
        ]
    else:
        beliefs = [(counts, prior * (counts[:, i] > 0) / (1 - (1 - p[i]) ** n)) for i in range(size)]
    unit = 0.3 * top / c.max()
    alone = [max(0.0, -optimize.minimize_scalar(lambda m, i=i: c[i] * m - scales[i] * problem.value(abs(m)),
                                                bounds=(0, scales[i] * top / c[i]), method="bounded").fun)
             for i in range(size)]  # fmt: skip

    def parts(x):
        m, t = x[:size] * unit, x[size : 2 * size] * top
        return m, t, scales * t - c * m

    def constraints(x):
        m, t, u = parts(x)
        found = [(law @ problem.value(outcomes @ m) - t[i]) / top for i, (outcomes, law) in enumerate(beliefs)]
        found += list((u - alone - margins[0]) / top)
        for i in range(size):
            for j in range(size):
                same = margins[1] is not None and any(i in group and j in group for group in margins[1][0])
                slack = 0.0 if margins[1] is None or same else margins[1][1]
                if i != j and not same:
                    found.append((u[i] - scales[i] * t[j] + c[i] * m[j] - slack) / top)
        if level is not None:
            found += list(level(u, np.array(alone)) / top - x[-1])
        return np.array(found)

    def equalities(x):
        groups = margins[1][0] if margins[1] is not None else []
        pairs = [(a, b) for group in groups for a, b in itertools.pairwise(sorted(group))]
        return np.array([x[a + k] - x[b + k] for a, b in pairs for k in (0, size)])

    def objective(x):
        m, t, u = parts(x)
        if level is not None:
            return -x[-1]
        return -score(float(prior @ problem.target(counts @ m)), u, t)

    limits = [{"type": "ineq", "fun": constraints}]
    if equalities(np.zeros(2 * size)).size:
        limits.append({"type": "eq", "fun": equalities})
    best = -np.inf
    rng = np.random.default_rng(0)
    for trial in range(12):
        m = np.sort(rng.uniform(0.05, 1.5, size))
        if trial == 0 and near is not None:
            m = near.contribution / unit * rng.uniform(0.95, 1.05, size)
        offered = [law @ problem.value(outcomes @ (m * unit)) / top for outcomes, law in beliefs]
        x0 = np.r_[m, np.full(size, 0.98 * min(offered)), [0.0] * (level is not None)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optimize.minimize(
                lambda x: objective(x) / (top if level is None else 1.0),
                x0,
                method="SLSQP",
                bounds=[(0, None)] * x0.size,
                constraints=limits,
                options={"maxiter": 300, "ftol": 1e-13},
            )
        if constraints(found.x).min() > -1e-7 and abs(equalities(found.x)).max(initial=0.0) < 1e-7:
            best = max(best, -found.fun * top)
    return best


@pytest.fixture(name="by_enumeration")
def by_enumeration_fixture():
    return by_enumeration
