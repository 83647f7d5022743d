"""The compiled solver is the default one, faster."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export

from contracts import (
    Arctan,
    GeneralizationBound,
    LinearValuation,
    LogarithmicValuation,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    verify,
)
from contracts.program import compiled, interior_point, newton
from contracts.program.first_moment import exclude, prepare


def problem(costs=(0.02, 0.01), share=0.5, **options):
    rest = np.full(len(costs) - 1, (1.0 - share) / (len(costs) - 1))
    return Problem(
        population=Population(
            costs=costs, probabilities=[share, *rest], participants=options.pop("participants", 10)
        ),
        accuracy=options.pop("accuracy", GeneralizationBound()),
        valuation=options.pop("valuation", LinearValuation(scale=100.0)),
        **options,
    )


@pytest.mark.slow
@given(
    st.lists(st.floats(0.005, 0.5), min_size=3, max_size=3, unique=True),
    st.floats(0.01, 0.98),
    st.integers(2, 100_000),
    st.sampled_from([GeneralizationBound(), PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5)]),
    st.sampled_from([LinearValuation(scale=100.0), LogarithmicValuation(scale=60.0, sensitivity=2.0)]),
    st.sampled_from(["interim", "ex-ante"]),
)
@settings(max_examples=30)
def test_the_compiled_solver_designs_what_the_default_one_does(costs, share, participants, curve, worth, belief):
    stated = problem(costs, share, participants=participants, accuracy=curve, valuation=worth, belief=belief)
    default = design_contract(stated, time_limit=0.0)
    contract = design_contract(stated, solver="compiled", time_limit=0.0)
    assert contract.objective == pytest.approx(default.objective, abs=1e-9 * stated.largest_value)
    assert contract.provenance.excluded == default.provenance.excluded
    certificate = verify(contract)
    assert certificate.holds, "\n".join(certificate.violations)


@pytest.mark.parametrize("belief", ["interim", pytest.param("ex-ante", marks=pytest.mark.slow)])
def test_it_takes_the_steps_of_the_default_solver(belief):
    program = prepare(problem([0.2, 0.16, 0.12, 0.08, 0.04], 0.2, belief=belief)).program
    for left_out in (0, 2):
        restricted = exclude(program, left_out, belief)
        single, fast = interior_point.solve(restricted, belief), compiled.solve(restricted, belief)
        assert fast.iterations == single.iterations
        assert fast.loss == pytest.approx(single.loss, abs=1e-13)
        assert fast.gaps.shape == single.gaps.shape
        assert fast.multipliers.shape == single.multipliers.shape


@pytest.mark.parametrize(
    "stated",
    [
        problem(accuracy=Arctan(optimum=1.0, scale=1000.0)),
        problem(participants=Poisson(mean=10.0)),
        problem(np.geomspace(0.5, 0.01, 70), 0.1, participants=1000),
    ],
    ids=["no mixture", "uncertain number", "many types"],
)
def test_what_is_not_compiled_is_solved_by_the_default_solver(stated):
    contract = design_contract(stated, solver="compiled", time_limit=0.0)
    assert contract.objective == design_contract(stated, time_limit=0.0).objective


@pytest.mark.parametrize("platform", ["cuda", "rocm"])
def test_many_programs_can_be_compiled_for_a_graphics_processor_in_double_precision(platform):
    programs = [prepare(problem(share=share)).program for share in (0.3, 0.7)]

    def step(program):
        run = compiled.begin(program, "interim")
        return compiled.advance(program, run, newton.maps(program, jnp), 1.0, "interim")

    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(jnp.asarray(leaves)), *programs)
        unchecked = [
            export.DisabledSafetyCheck.custom_call(f"{name}_lu_pivots_to_permutation") for name in ("cu", "hip")
        ]
        exported = export.export(jax.jit(jax.vmap(step)), platforms=[platform], disabled_checks=unchecked)(
            stacked
        )
    assert "solver_getrf" in exported.mlir_module()
    assert "f32" not in exported.mlir_module()


THREADS = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from contracts import GeneralizationBound, LinearValuation, Population, Problem
from contracts.contract.batch import design_contracts

def grid(seed):
    shares = np.random.default_rng(seed).dirichlet(np.full(9, 5.0), size=200)
    return [
        Problem(
            population=Population(costs=np.linspace(0.2, 0.04, 9), probabilities=row, participants=1000),
            accuracy=GeneralizationBound(),
            valuation=LinearValuation(scale=100.0),
        )
        for row in shares
    ]

with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(design_contracts, [grid(seed) for seed in range(12)]))
print(sum(map(len, answers)))
"""


@pytest.mark.slow
def test_batches_in_several_threads_do_not_wait_for_each_other_for_ever():
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "2400", done.stderr
