"""The form of a stage's result: what was written fits, what an editor breaks does not."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpact.scheme.form import form_of, misfit

LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=3)
KEYS = st.text("abcd", min_size=1, max_size=2)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_was_written_is_of_its_own_form(result):
    form = json.loads(json.dumps(form_of(result)))
    assert misfit(json.loads(json.dumps(result)), form) == ""


RESULT = {
    "total": 3,
    "curve": 0.8,
    "rewards": [{"seat": 0, "owed": 0.7, "note": ""}, {"seat": 1, "owed": 1, "cap": None}],
    "accepted": [0, 1],
    "holds": True,
}


def changed(*path, value=None, drop=False):
    found = copy.deepcopy(RESULT)
    place = found
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (changed("rewards", 0, "seat", drop=True), "result.rewards[0] has no 'seat'"),
        (changed("rewards", 0, "sat", value=1), "result.rewards[0] has unknown key 'sat'"),
        (changed("rewards", value={}), "result.rewards = {}: expected a list"),
        (changed("rewards", 1, value=3), "result.rewards[1] = 3: expected a table"),
        (changed("curve", value="high"), "result.curve = 'high': expected a number"),
        (changed("curve", value=float("nan")), "result.curve = nan"),
        (changed("curve", value=float("inf")), "result.curve = inf"),
        (changed("accepted", 1, value=1.5), "result.accepted[1] = 1.5: expected an integer"),
        (changed("holds", value=1), "result.holds = 1: expected a truth"),
        (changed("total", drop=True), "result has no 'total'"),
        (3, "result = 3: expected a table"),
    ],
)
def test_what_is_not_of_the_form_is_named(result, message):
    assert message in misfit(result, form_of(RESULT))


@pytest.mark.parametrize(
    "result",
    [
        changed("rewards", 0, "note", drop=True),
        changed("rewards", 0, "cap", value=None),
        changed("rewards", value=[]),
        changed("rewards", 0, "owed", value=0),
        changed("accepted", value=[0, 1, 2, 3]),
        changed("curve", value=1),
    ],
)
def test_other_numbers_and_lists_are_of_the_form(result):
    assert misfit(result, form_of(RESULT)) == ""
