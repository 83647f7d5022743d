"""Expectations without enumeration against enumeration, and derivatives against autodiff."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln, xlogy

from contracts.problem.outcomes import compositions
from contracts.program.participation import BELIEFS, Known, transform


def outcomes(p, n):
    """Every count vector with its multinomial probability."""
    counts = compositions(n, len(p))
    logs = gammaln(n + 1) - gammaln(counts + 1).sum(axis=1) + xlogy(counts, p).sum(axis=1)
    return counts, np.exp(logs)


def enumerated(m, p, n, s, belief, i):
    counts, weights = outcomes(p, n - 1 if belief == "interim" else n)
    if belief == "interim":
        return weights @ np.exp(-s * (m[i] + counts @ m))
    weights = np.where(counts[:, i] >= 1, weights, 0.0)
    return weights @ np.exp(-s * (counts @ m)) / weights.sum()


populations = st.integers(1, 5).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(0, 300), min_size=k, max_size=k),
        st.lists(st.floats(0.05, 1), min_size=k, max_size=k),
    )
)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@given(population=populations, n=st.integers(2, 12), s=st.floats(1e-4, 0.3))
def test_expectations_equal_enumeration(belief, population, n, s):
    m, p = np.array(population[0]), np.array(population[1]) / np.sum(population[1])
    rates = np.array([s])
    at = transform(m, p, rates, np)
    counts, weights = outcomes(p, n)
    assert np.exp(n * at.log_phi[0]) == pytest.approx(weights @ np.exp(-s * (counts @ m)), rel=1e-12)
    values = BELIEFS[belief](m, p, Known(float(n), np), rates, at, np).value[0]
    for i in range(m.size):
        assert values[i] == pytest.approx(enumerated(m, p, n, s, belief, i), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_partials_are_the_derivatives(belief):
    rng = np.random.default_rng(1)
    m, p, n, s = rng.uniform(0, 2, 4), rng.dirichlet(np.ones(4)), 7.0, np.array([0.4, 1.3])

    def value(own, log_phi, i, q):
        at = transform(jnp.asarray(m), p, s, jnp)._replace(log_phi=jnp.asarray([log_phi, log_phi]))
        moved = jnp.asarray(m).at[i].set(own)
        return BELIEFS[belief](moved, p, Known(n, jnp), s, at, jnp).value[q, i]

    at = transform(m, p, s, np)
    found = BELIEFS[belief](m, p, Known(n, np), s, at, np)
    gradient, hessian = (jax.jit(d(value, argnums=(0, 1))) for d in (jax.grad, jax.hessian))
    with jax.enable_x64(True):
        for i, q in product(range(4), range(2)):
            here = (m[i], at.log_phi[q], i, q)
            first, second = gradient(*here), hessian(*here)
            np.testing.assert_allclose([found.by_own[q, i], found.by_log_phi[q, i]], first, rtol=1e-9)
            expected = [second[0][0], second[0][1], second[1][1]]
            actual = [found.by_own_twice[q, i], found.by_both[q, i], found.by_log_phi_twice[q, i]]
            np.testing.assert_allclose(actual, expected, rtol=1e-8)


def test_powers_keep_their_precision_with_a_million_participants():
    m, p, n = np.array([100.0, 100.0 + 1e-6]), np.array([0.5, 0.5]), 10**6
    log_phi = transform(m, p, np.array([1e-9]), np).log_phi[0]
    assert n * log_phi == pytest.approx(-1e-9 * n * (100.0 + 0.5e-6), rel=1e-14)


def test_types_that_never_occur_have_the_limit_belief():
    m, rates = np.array([5.0, 50.0, 70.0]), np.array([1e-3, 0.1])
    limits = []
    for chance in (0.0, 1e-15):
        p = np.array([chance, 0.5, 0.5 - chance])
        limits.append(BELIEFS["ex-ante"](m, p, Known(20.0, np), rates, transform(m, p, rates, np), np).value)
    np.testing.assert_allclose(limits[0], limits[1], rtol=1e-9)
    assert np.isfinite(limits[0]).all()
