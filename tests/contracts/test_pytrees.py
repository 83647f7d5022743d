"""JAX never takes one class for another, whatever their fields."""

import itertools
from dataclasses import dataclass, fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equilibria  # noqa: F401 - registers all classes
import modelpact  # noqa: F401
from contracts import CustomCurve, LinearValuation, Population, PowerLaw, PowerValuation, Problem, register
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.valuation import Valuation
from contracts.pytrees import REGISTERED
from contracts.records import assembled, frozen
from mechanisms.aggregation.behaviour import Defender

tree = jax.tree_util.tree_structure
OURS = [cls for cls in REGISTERED if cls.__module__.startswith(("contracts.", "mechanisms."))]


def bare(cls):
    """A record with the same values whatever the class."""
    return assembled(cls, [(field.name, 1.0) for field in fields(cls)])


def problem(accuracy=None, valuation=None, **options):
    population = Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10)
    return Problem(
        population=population,
        accuracy=accuracy or PowerLaw(),
        valuation=valuation or LinearValuation(),
        **options,
    )


def test_all_classes_that_jax_sees_are_known():
    assert {PowerLaw, CustomCurve, Population, Problem, Defender} <= set(OURS)


def test_no_two_classes_have_one_structure():
    alike = [pair for pair in itertools.combinations(OURS, 2) if len({tree(bare(cls)) for cls in pair}) == 1]
    assert alike == []


@pytest.mark.parametrize("kind", [AccuracyCurve, Valuation])
def test_nor_inside_a_problem(kind):
    name = "accuracy" if kind is AccuracyCurve else "valuation"
    made = [
        assembled(Problem, [*vars(problem()).items(), (name, bare(cls))])
        for cls in OURS
        if issubclass(cls, kind)
    ]
    assert len(made) >= 4
    assert all(tree(a) != tree(b) for a, b in itertools.combinations(made, 2))


@pytest.mark.parametrize("cls", OURS)
def test_what_is_taken_apart_is_put_together_again(cls):
    record = bare(cls)
    leaves, structure = jax.tree_util.tree_flatten(record)
    again = jax.tree_util.tree_unflatten(structure, leaves)
    assert type(again) is cls
    assert vars(again) == vars(record)
    assert tree(again) == tree(record)
    assert hash(tree(again)) == hash(tree(record))
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(record)[0]]
    assert {str(path[0]).lstrip(".") for path in paths} <= {field.name for field in fields(cls)}
    placeholder = jax.tree_util.tree_unflatten(structure, [object()] * len(leaves))
    assert type(placeholder) is cls


def twins(sign):
    @register
    @dataclass(frozen=True)
    class Line:
        slope: float
        level: float

        def at(self, x):
            return sign * self.slope * x + self.level

    return Line


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_what_was_compiled_for_one_class_never_answers_for_another(sign):
    for _ in range(50):
        first, second = twins(sign), twins(-sign)
        slope = jax.jit(jax.grad(lambda line, x: line.at(x), argnums=1))
        assert float(slope(first(3.0, 1.0), 2.0)) == 3.0 * sign
        assert float(slope(second(3.0, 1.0), 2.0)) == -3.0 * sign


def test_fields_that_are_part_of_the_structure_are_compared_by_content():
    @register(meta=["unit", "table"])
    @frozen
    class Amount:
        value: float
        unit: str
        table: np.ndarray

    def structure(**change):
        return tree(Amount(**{"value": 1.0, "unit": "kg", "table": np.arange(3.0)} | change))

    assert structure() == structure(value=2.0)
    assert hash(structure()) == hash(structure(value=2.0))
    for change in (
        {"unit": "g"},
        {"table": np.arange(4.0)},
        {"table": np.arange(3)},
        {"table": np.ones((1, 3))},
    ):
        assert structure(**change) != structure()
    found = jax.jit(lambda amount: amount)(Amount(value=1.0, unit="kg", table=np.arange(3.0)))
    assert found.unit == "kg"
    assert found.table.tolist() == [0.0, 1.0, 2.0]


def test_beliefs_and_names_are_part_of_the_structure():
    assert tree(problem()) == tree(problem())
    assert tree(problem()) != tree(problem(belief="ex-ante"))
    assert tree(problem()) != tree(problem(maximise="value"))
    assert tree(problem(valuation=PowerValuation())) != tree(problem())


def test_curves_put_together_by_jax_are_not_checked():
    doubled = jax.tree.map(lambda leaf: -2.0 * leaf, PowerLaw(optimum=0.9))
    assert doubled.optimum == -1.8
    with jax.enable_x64(True):
        slope = jax.grad(lambda curve: curve.formula(jnp.asarray(100.0), jnp))(
            PowerLaw(optimum=0.9, coefficient=1.0)
        )
    assert float(slope.coefficient) == pytest.approx(-0.1)


def test_unknown_meta_fields_are_named():
    with pytest.raises(TypeError, match=r"meta = \['unit'\]: expected fields of Line \(slope, level\)"):
        register(twins(1.0), meta=["unit"])
