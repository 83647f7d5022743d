"""Expectations over groups and worlds against enumeration, finite differences and splitting laws."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.problem.participants import FiniteTurnout, FixedTurnout, Poisson
from contracts.program.worlds import Worlds, counts_of, derivatives, expected, idle

RATES = np.array([0.3, 1.0, 4.0])


def worlds_of(group, p, laws, belief="interim", seed=0):
    rng = np.random.default_rng(seed)
    group, p = np.asarray(group), np.atleast_2d(np.asarray(p, dtype=float))
    n = p.shape[0]
    weight = rng.dirichlet(np.ones(n))
    return Worlds(
        group=group,
        probabilities=p,
        laws=tuple(laws),
        others=tuple(tuple(law.others() for law in each) for each in laws),
        counts=counts_of(tuple(laws)),
        rates=RATES,
        target_weights=weight[:, None] * rng.dirichlet(np.ones(3), n) * 1.3,
        value_weights=rng.dirichlet(np.ones(3), n) * 1.5,
        weight=weight,
        top_target=np.ones(n),
        top_value=np.ones(n),
        belief=belief,
    )


def outcomes(p, law):
    """(counts of the rows, probability), all of them."""
    for n, chance in zip(*law.support, strict=True):
        for counts in itertools.product(range(int(n) + 1), repeat=len(p)):
            if sum(counts) == n:
                ways = math.factorial(int(n)) / math.prod(math.factorial(c) for c in counts)
                yield np.array(counts), chance * ways * math.prod(q**c for q, c in zip(p, counts, strict=True))


def total_law(world, w, laws):
    """(total counts by rows, probability) for all groups together."""
    rows = world.group.size
    parts = []
    for g, law in enumerate(laws):
        mine = np.flatnonzero(world.group == g)
        each = []
        for counts, chance in outcomes(world.probabilities[w, mine], law):
            whole = np.zeros(rows)
            whole[mine] = counts
            each.append((whole, chance))
        parts.append(each)
    for combination in itertools.product(*parts):
        yield sum(c for c, _ in combination), math.prod(q for _, q in combination)


def loss(weights, data, top):
    """The mixture; the whole value without data."""
    return np.where(data > 0, np.exp(-data * RATES) @ weights, top)


CASES = [
    ([0, 0, 0], [[0.2, 0.3, 0.5]], [[FixedTurnout(count=3)]]),
    ([0, 0, 1], [[0.4, 0.6, 1.0], [0.7, 0.3, 1.0]], [[FixedTurnout(count=2), FixedTurnout(count=1)]] * 2),
    (
        [0, 0, 1, 1],
        [[0.4, 0.6, 0.9, 0.1]],
        [[FiniteTurnout(counts=[0, 1, 3], probabilities=[0.2, 0.5, 0.3]), FixedTurnout(count=2)]],
    ),
    ([0, 1, 2], [[1.0, 1.0, 1.0]], [[FixedTurnout(count=1)] * 3]),
    ([0, 0], [[0.0, 1.0]], [[FixedTurnout(count=2)]]),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_expectations_are_those_of_all_outcomes(case, zeros):
    world = worlds_of(*case)
    rows = world.group.size
    x = np.linspace(0.3, 1.2, rows)
    held = np.arange(rows) < min(zeros, rows - 1)
    x[held] = 0.0
    at = expected(world, x, idle(world, held))
    target = 0.0
    for w, laws in enumerate(world.laws):
        for counts, chance in total_law(world, w, laws):
            target += chance * float(loss(world.target_weights[w], counts @ x, world.weight[w]))
        for i in range(rows):
            g = world.group[i]
            biased = [law.others() if h == g else law for h, law in enumerate(laws)]
            mean = sum(
                chance * float(loss(world.value_weights[w], counts @ x + x[i], 1.0))
                for counts, chance in total_law(world, w, biased)
            )
            assert at.value_loss[w, i] == pytest.approx(mean, rel=1e-12)
    assert at.target_loss == pytest.approx(target, rel=1e-12)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_derivatives_are_differences(case, belief):
    group, p, laws = case
    if belief == "ex-ante" and (max(group) > 0 or len(p) > 1):
        pytest.skip("the ex-ante belief is one group's")
    world = worlds_of(group, p, laws, belief)
    rows = world.group.size
    x, rng = np.linspace(0.3, 1.2, rows), np.random.default_rng(1)
    y = rng.uniform(0.1, 1.0, (len(laws), rows))
    nothing = idle(world, np.zeros(rows, dtype=bool))

    def lagrangian(x):
        at = expected(world, x, nothing)
        return at, derivatives(world, at, y, at.target_loss)

    at, found = lagrangian(x)
    for j in range(rows):
        step = 1e-5 * np.eye(rows)[j]
        (up, above), (down, below) = lagrangian(x + step), lagrangian(x - step)
        assert found.gradient[j] == pytest.approx((up.target_loss - down.target_loss) / 2e-5, rel=1e-7, abs=1e-9)
        slope = (up.value_loss - down.value_loss) / 2e-5
        assert found.jacobian[:, :, j] == pytest.approx(slope, rel=1e-7, abs=1e-9)
        # Gradient of the Lagrangian, whose derivative is the Hessian.
        bend = above.gradient - below.gradient + np.einsum("wi,wij->j", y, above.jacobian - below.jacobian)
        assert found.hessian[j] == pytest.approx(bend / 2e-5, rel=1e-6, abs=1e-8)
    relative = derivatives(world, at, 0.0 * y, 1.0)
    assert relative.gradient == pytest.approx(found.gradient / at.target_loss, rel=1e-13)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 30.0), st.lists(st.floats(0.0, 1e3), min_size=3, max_size=3))
def test_a_poisson_group_is_its_parts_observed(mean, x):
    p, x = np.array([0.2, 0.3, 0.5]), np.sort(x)
    one = worlds_of([0, 0, 0], [p], [[Poisson(mean=mean)]])
    parts = worlds_of([0, 1, 2], [np.ones(3)], [[Poisson(mean=mean * q) for q in p]])
    nothing = idle(one, np.zeros(3, dtype=bool))
    y = np.array([[0.3, 0.2, 0.1]])
    first, second = expected(one, x, nothing), expected(parts, x, nothing)
    assert first.target_loss == pytest.approx(second.target_loss, rel=1e-12)
    assert first.value_loss == pytest.approx(second.value_loss, rel=1e-12)
    by_first, by_second = (derivatives(w, at, y, 1.0) for w, at in ((one, first), (parts, second)))
    for a, b in zip(by_first, by_second, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12)


def test_so_many_of_one_row_are_so_many_groups_of_one():
    together = worlds_of([0], [[1.0]], [[FixedTurnout(count=5)]])
    named = worlds_of(range(5), [np.ones(5)], [[FixedTurnout(count=1)] * 5])
    first = expected(together, np.array([0.7]), idle(together, np.array([False])))
    second = expected(named, np.full(5, 0.7), idle(named, np.zeros(5, dtype=bool)))
    assert first.target_loss == pytest.approx(second.target_loss, rel=1e-14)
    assert np.repeat(first.value_loss, 5) == pytest.approx(second.value_loss[0], rel=1e-14)
    by_one = derivatives(together, first, np.array([[0.3]]), 1.0)
    by_each = derivatives(named, second, np.full((1, 5), 0.3 / 5), 1.0)
    assert by_one.gradient[0] == pytest.approx(by_each.gradient.sum(), rel=1e-13)
    # E_i L by all contributions at once.
    assert by_one.jacobian[0, 0, 0] == pytest.approx(by_each.jacobian[0, 0].sum(), rel=1e-13)
    assert by_one.hessian[0, 0] == pytest.approx(by_each.hessian.sum(), rel=1e-12)


def test_a_million_participants_are_no_more_trouble():
    world = worlds_of([0, 0], [[0.5, 0.5]], [[FixedTurnout(count=10**6)]])
    x = np.array([1e-3, 2e-3])
    at = expected(world, x, idle(world, np.zeros(2, dtype=bool)))
    phi = 0.5 * np.expm1(-RATES * x[0]) + 0.5 * np.expm1(-RATES * x[1])
    exact = np.log(world.target_weights[0]) + 1e6 * np.log1p(phi)
    assert np.log(at.target_loss) == pytest.approx(np.logaddexp.reduce(exact), rel=1e-12)
    assert np.isfinite(derivatives(world, at, np.ones((1, 2)), 1.0).hessian).all()
