"""Records of stages: what is done again after a change, an edit, or an end at any moment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from modelpact.scheme import stages
from modelpact.scheme.scheme_file import scheme_from_data
from modelpact.scheme.stages import Stage, read_record, run_stages, write_record

POPULATION = {"costs": [1.0, 0.5], "probabilities": [0.5, 0.5], "participants": 3}
TABLES = ("data", "model", "training", "delivery")


def scheme(**tables):
    document = {"data": {"name": "iris"}, "valuation": {"family": "linear", "scale": 100.0}}
    return scheme_from_data({**document, "population": POPULATION, **tables})


CHANGES = {
    "data": {"name": "wine"},
    "model": {"hidden": [3]},
    "training": {"rounds": 7},
    "delivery": {"method": "masked"},
}


def timeline(shape, carried_out, forgetful=()):
    """Stages that repeat what they read; a forgetful one finds the same whatever it reads."""

    def stage(k, after, reads):
        def carry_out(scheme, inputs):
            carried_out.append(k)
            saw = [scheme.table(name) for name in reads] + [record.result for record in inputs.values()]
            return {"saw": [] if k in forgetful else saw}, {"counted": np.arange(k)} if k % 2 else {}

        names = tuple(f"stage-{j}" for j in after)
        return Stage(name=f"stage-{k}", purpose="", after=names, reads=reads, carry_out=carry_out)

    return [stage(k, after, reads) for k, (after, reads) in enumerate(shape)]


@st.composite
def shapes(draw):
    shape = []
    for k in range(draw(st.integers(1, 6))):
        after = draw(st.sets(st.integers(0, k - 1))) if k else set()
        shape.append((tuple(sorted(after)), tuple(sorted(draw(st.sets(st.sampled_from(TABLES)))))))
    return shape


def everything_downstream(shape, first, forgetful=()):
    """What a change that reaches the stages `first` makes again: by induction over the order."""
    redone, changed = [], set()
    for k, (after, _) in enumerate(shape):
        if k in first or changed & set(after):
            redone.append(k)
            changed |= set() if k in forgetful else {k}
    return redone


@settings(max_examples=40, deadline=None)
@given(shape=shapes(), table=st.sampled_from(TABLES), data=st.data())
def test_a_change_redoes_exactly_what_depends_on_it(tmp_path_factory, shape, table, data):
    forgetful = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    place, carried_out = tmp_path_factory.mktemp("run") / "run", []
    line = timeline(shape, carried_out, forgetful)
    run_stages(scheme(), place, line)
    assert carried_out == list(range(len(shape)))
    carried_out.clear()
    run_stages(scheme(), place, line)
    assert carried_out == []
    run_stages(scheme(**{table: CHANGES[table]}), place, line)
    readers = {k for k, (_, reads) in enumerate(shape) if table in reads}
    assert carried_out == everything_downstream(shape, readers, forgetful)


@settings(max_examples=25, deadline=None)
@given(shape=shapes(), data=st.data())
def test_an_end_at_any_write_loses_nothing_finished(tmp_path_factory, shape, data):
    """The machine stops at the n-th file: what is there is kept, the rest is done, and files are the same."""
    whole, broken = (tmp_path_factory.mktemp("run") / name for name in ("whole", "broken"))
    run_stages(scheme(), whole, timeline(shape, []))
    files = sum(1 + k % 2 for k in range(len(shape)))
    last = data.draw(st.integers(0, files - 1))
    write, written = stages.write_atomically, []

    def stopping(path, content):
        if len(written) == last:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, content)

    before, after = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "write_atomically", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_stages(scheme(), broken, timeline(shape, before))
    finished = [k for k in range(len(shape)) if (broken / f"stage-{k}.json").exists()]
    assert finished == before[:-1]
    run_stages(scheme(), broken, timeline(shape, after))
    assert after == list(range(len(finished), len(shape)))
    assert {p.name: p.read_bytes() for p in broken.iterdir()} == {
        p.name: p.read_bytes() for p in whole.iterdir()
    }


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_a_stage_sees_is_what_the_file_says(tmp_path):
    seen = []

    def first(scheme, inputs):
        return {"number": (1, 2)}, {"short": np.float32([0.1])}

    def second(scheme, inputs):
        seen.append(inputs["first"])
        return {}, {}

    line = [
        Stage(name="first", purpose="", after=(), reads=(), carry_out=first),
        Stage(name="second", purpose="", after=("first",), reads=(), carry_out=second),
    ]
    run_stages(scheme(), tmp_path, line)
    assert seen[0].result == {"number": [1, 2]}
    assert seen[0].arrays["short"].dtype == np.float32


def test_numbers_come_back_exactly(tmp_path):
    stage = Stage(name="one", purpose="", after=(), reads=(), carry_out=lambda *_: ({}, {}))
    numbers = [0.1, 1 / 3, 1e-308, 12345678901234567, -0.0]
    write_record(tmp_path, stage, scheme(), {}, {"numbers": numbers})
    record = read_record(tmp_path, stage, scheme(), {})
    assert record is not None
    assert record.result["numbers"] == numbers


def test_what_json_cannot_hold_is_refused(tmp_path):
    stage = Stage(name="one", purpose="", after=(), reads=(), carry_out=lambda *_: ({}, {}))
    with pytest.raises(ValueError, match="JSON"):
        write_record(tmp_path, stage, scheme(), {}, {"number": float("nan")})


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "missing" / "run", tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InvalidInput, match="cannot use the folder"):
            run_stages(scheme(), place, timeline([((), ())], []))
