import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

from contracts.problem import outcomes
from contracts.problem.outcomes import believed_total, compositions, total_data
from contracts.program.gauss import compress, total


def enumerate_law(m, p, n, present=None):
    counts = compositions(n, len(p))
    weights = multinomial(n, p).pmf(counts)
    if present is not None:
        weights = np.where(counts[:, present] > 0, weights, 0.0)
        weights = weights / weights.sum()
    return counts @ np.array(m), weights


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=4),
    st.integers(1, 8),
    st.integers(0, 3),
    st.integers(0, 10**6),
)
def test_small_laws_are_exact(m, n, present, seed):
    p = np.random.default_rng(seed).dirichlet(np.ones(len(m)))
    present = present % len(m)
    for given_type in (None, present):
        law = total_data(m, p, n, present=given_type)
        data, weights = enumerate_law(m, p, n, given_type)
        assert law.step == 0
        assert law.probabilities.sum() == pytest.approx(1, abs=1e-9)
        for power in (1, 2, 3):
            assert law.expectation(lambda x, k=power: x**k) == pytest.approx(
                weights @ data**power, rel=1e-8, abs=1e-9
            )
        assert law.expectation(lambda x: np.minimum(x, 120.0)) == pytest.approx(
            weights @ np.minimum(data, 120.0), rel=1e-8, abs=1e-9
        )


@pytest.mark.parametrize("present", [None, 2])
def test_the_lattice_agrees_with_all_outcomes(monkeypatch, present):
    m, p, n = np.array([3.0, 11.7, 20.1, 41.3]), np.array([0.4, 0.3, 0.1, 0.2]), 12
    data, weights = enumerate_law(m, p, n, present)
    monkeypatch.setattr(outcomes, "MOST_OUTCOMES", 1)
    law = total_data(m, p, n, present=present)
    assert law.step > 0
    assert law.probabilities.min() >= 0
    assert law.expectation(np.sqrt) == pytest.approx(weights @ np.sqrt(data), rel=1e-9)
    assert law.expectation(lambda x: np.minimum(x, 200.0)) == pytest.approx(
        weights @ np.minimum(data, 200.0), rel=1e-8
    )


def test_large_laws_have_the_exact_mean_and_variance():
    m, p, n = np.geomspace(1, 100, 30), np.full(30, 1 / 30), 10**6
    law = total_data(m, p, n)
    variance = n * (p @ m**2 - (p @ m) ** 2)
    mean = law.expectation(lambda x: x)
    assert mean == pytest.approx(n * p @ m, rel=1e-9)
    assert law.expectation(lambda x: (x - mean) ** 2) == pytest.approx(variance, rel=0.05)


def test_nobody_and_nothing_have_laws_too():
    assert total_data([5.0, 6.0], [0.5, 0.5], 0).data.tolist() == [0.0]
    assert total_data([0.0, 0.0], [0.5, 0.5], 3).data.tolist() == [0.0]
    assert total_data([7.0], [1.0], 3, present=0).data.tolist() == [21.0]


def test_beliefs_differ_as_bayes_rule_says(build):
    contribution = np.array([10.0, 20.0])
    interim = believed_total(build([2, 1], 3, belief="interim"), contribution, 1)
    ex_ante = believed_total(build([2, 1], 3, belief="ex-ante"), contribution, 1)
    assert interim.probabilities.tolist() == pytest.approx([0.25, 0.5, 0.25])
    assert ex_ante.probabilities.tolist() == pytest.approx([3 / 7, 3 / 7, 1 / 7])


@given(st.integers(2, 60), st.integers(0, 10**6))
def test_gauss_rules_keep_moments(atoms, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.random(atoms), rng.dirichlet(np.ones(atoms))
    rule = compress(x, w, 6)
    assert rule.points.size <= 6
    assert (rule.weights >= 0).all()
    for power in range(12):
        assert rule.weights @ rule.points**power == pytest.approx(w @ x**power, rel=1e-9)


def test_gauss_rules_of_sums_integrate_polynomials_exactly():
    m, p, n = np.array([1.0, 2.0, 5.0]), np.array([0.2, 0.5, 0.3]), 1000
    rule = total(compress(m, p), n)
    mean, variance = n * p @ m, n * (p @ m**2 - (p @ m) ** 2)
    assert rule.weights @ rule.points == pytest.approx(mean, rel=1e-12)
    assert rule.weights @ (rule.points - mean) ** 2 == pytest.approx(variance, rel=1e-9)
