"""Frozen data: nobody writes into their arrays, and keys say what they are."""

import copy
import pickle
from functools import cached_property
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from contracts import (
    Binomial,
    CustomCurve,
    ExponentialMixture,
    FiniteTurnout,
    LinearValuation,
    Measurements,
    MonotoneTabulated,
    Population,
    PowerLaw,
    Problem,
    Tabulated,
    design_contract,
    reservation,
    verify,
)
from contracts.records import content, frozen, identity, read_only


class Pair(NamedTuple):
    first: Any
    second: Any


@frozen
class Record:
    values: Any

    @cached_property
    def doubled(self):
        return 2.0 * np.asarray(self.values)


@frozen
class Checked(Record):
    def __post_init__(self):
        object.__setattr__(self, "values", np.asarray(self.values, dtype=float))


def problem(**change):
    parts = {
        "population": Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
        "accuracy": PowerLaw(optimum=0.9, coefficient=1.0),
        "valuation": LinearValuation(scale=100.0),
    }
    return Problem(**parts | change)


def every_array(value):
    """Arrays held by a record, in tuples and inner records too."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, tuple):
        return [found for entry in value for found in every_array(entry)]
    return [found for entry in getattr(value, "__dict__", {}).values() for found in every_array(entry)]


CONTRACT = design_contract(problem())
HELD = [
    problem(),
    Tabulated(data=np.array([10.0, 20.0]), accuracy=np.array([0.5, 0.6])),
    MonotoneTabulated(data=np.array([10.0, 20.0]), accuracy=np.array([0.5, 0.6])),
    ExponentialMixture(optimum=0.9, weights=np.array([0.5]), rates=np.array([0.1])),
    PowerLaw(optimum=np.array([0.5, 0.6])),
    LinearValuation(scale=np.array([1.0, 2.0])),
    FiniteTurnout(counts=np.array([1, 2]), probabilities=np.array([0.5, 0.5])),
    FiniteTurnout(counts=np.array([1, 2, 4]), probabilities=np.array([0.5, 0.25, 0.25])).others(),
    Measurements(data=np.array([1.0, 2.0, 3.0]), accuracy=np.array([0.1, 0.2, 0.3])),
    CONTRACT,
    verify(CONTRACT),
    CONTRACT.settle([5, 5]),
    reservation(problem()),
]


@pytest.mark.parametrize("record", HELD, ids=lambda record: type(record).__name__)
def test_arrays_of_records_are_read_only(record):
    for again in (record, copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        found = every_array(again)
        assert found
        assert not any(array.flags.writeable for array in found)
        with pytest.raises(ValueError, match="read-only"):
            found[0][...] = 0.0


@pytest.mark.parametrize("cls", [Record, Checked])
def test_who_gives_an_array_may_go_on_writing_into_it(cls):
    mine = np.arange(4.0)
    for given_ in (mine, mine[:], mine[::2]):
        record = cls(values=given_)
        before = record.values.tolist()
        mine += 1.0
        assert record.values.tolist() == before
        assert mine.flags.writeable
    behind = mine.view()
    behind.flags.writeable = False
    record = cls(values=behind)
    before = record.values.tolist()
    mine += 1.0
    assert record.values.tolist() == before


def test_arrays_nobody_can_write_into_are_not_copied():
    settled = read_only(np.arange(3.0))
    assert read_only(settled) is settled
    assert Record(values=settled).values is settled


def test_arrays_in_tuples_and_of_cached_properties_are_read_only():
    record = Record(values=(np.ones(2), Pair(np.zeros(1), "text"), 3))
    assert isinstance(record.values[1], Pair)
    assert record.values[2] == 3
    assert not any(array.flags.writeable for array in every_array(record.values))
    assert not Record(values=[1.0, 2.0]).doubled.flags.writeable
    assert Record.doubled.__doc__ is None
    counts, mass = Binomial(trials=5, probability=0.5).support
    assert not counts.flags.writeable
    assert not mass.flags.writeable


ARRAYS = arrays(
    st.sampled_from([np.float64, np.int64]), array_shapes(max_dims=2, max_side=3), elements=st.integers(0, 2)
)


@given(ARRAYS, ARRAYS)
def test_keys_agree_exactly_where_contents_do(a, b):
    same = a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    assert (content(a) == content(b)) == same
    assert (identity(Record(values=a)) == identity(Record(values=b))) == same
    assert content((a, "text")) == content((a.copy(), "text"))
    hash(content([a, b]))


def test_keys_tell_classes_and_types_apart():
    assert identity(Record(values=1.0)) != identity(Checked(values=1.0))
    assert content(1) != content(1.0)
    assert content(True) != content(1)
    assert content(PowerLaw()) == identity(PowerLaw())
    assert content(jnp.arange(3)) == content(np.arange(3, dtype=np.int32))
    assert content({}) != content({})


# A custom curve reads what may change: every design and every check evaluates it anew.
def test_results_for_custom_curves_are_never_remembered():
    state = {"half": 40.0}

    def hyperbola(x):
        return 0.9 * x / (x + state["half"])

    stated = problem(accuracy=CustomCurve(function=hyperbola, optimum=0.9))
    before = design_contract(stated)
    assert verify(before).holds
    state["half"] = 400.0
    assert not verify(before).holds
    after = design_contract(stated)
    assert verify(after).holds
    fresh = design_contract(problem(accuracy=CustomCurve(function=lambda x: 0.9 * x / (x + 400.0), optimum=0.9)))
    assert after.objective == pytest.approx(fresh.objective, abs=1e-9)
    np.testing.assert_allclose(after.reservation_utility, fresh.reservation_utility, rtol=1e-12)


def test_derivatives_of_custom_curves_are_never_remembered():
    from contracts.proof.outcome_gradients import ContinuedLoss

    slope = [1.0]
    stated = problem(accuracy=CustomCurve(function=lambda x: 0.5 * x / (x + slope[0])))
    for half in (1.0, 7.0):
        slope[0] = half
        found = ContinuedLoss(stated, False).slope(np.array([2.0]))
        assert found[0] == pytest.approx(-0.5 * half / (2.0 + half) ** 2)
    assert stated.family != stated.family
    assert problem().family == problem().family


def test_a_table_edited_in_place_changes_nothing():
    data, accuracy = np.array([50.0, 200.0, 800.0]), np.array([0.5, 0.7, 0.8])
    curve = Tabulated(data=data, accuracy=accuracy)
    before = design_contract(problem(accuracy=curve)).objective
    accuracy[:] = [0.1, 0.15, 0.2]
    assert design_contract(problem(accuracy=curve)).objective == before
    other = Tabulated(data=data, accuracy=accuracy)
    assert design_contract(problem(accuracy=other)).objective < before
