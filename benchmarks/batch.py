"""Thousands of contracts at once: the paper's grid, throughput against batch size and types, and the floor.

    python benchmarks/batch.py            # a few minutes on two cores
    python benchmarks/batch.py --quick    # smaller batches only

- grid: 50 x 30 two-type problems (2..100 participants, 30 chances of the dearer type, costs 0.02 and 0.01) for
  both beliefs and for complete information, as a batch (first with compilation, then without), against a loop
  over the single solver and against the published approach (`enumeration_baseline.py`: all outcomes, scipy's
  trust-constr). The loop and the baseline are timed on a random SAMPLE and EXTRAPOLATED to the grid.
- solver: programs per second of the compiled interior-point method alone, by types and batch size, against the
  floor: evaluating the same expectations once for every iteration, and doing nothing with them.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from contracts import GeneralizationBound, LinearValuation, Population, Problem, design_contract, verify
from contracts.contract.batch import design_contracts
from contracts.contract.full_information import full_information, full_informations
from contracts.program.batch_solver import solve_programs
from contracts.program.compiled import fill_terms
from contracts.program.first_moment import Program, moments, prepare

out = Console(width=120, highlight=False)


def two_types(participants: int, chance: float, belief: str) -> Problem:
    return Problem(
        population=Population(costs=[0.02, 0.01], probabilities=[chance, 1 - chance], participants=participants),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        belief=belief,
    )


def grid(belief: str) -> list[Problem]:
    chances = np.linspace(0.02, 0.98, 30)
    return [two_types(n, float(p), belief) for n in range(2, 101, 2) for p in chances]


def clocked(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = function()
    return time.perf_counter() - began, answer


def sampled(problems: Sequence[Problem], solve: Callable[[Problem], Any], size: int) -> float:
    """Seconds for all problems, extrapolated from a random sample."""
    chosen = np.random.default_rng(1).choice(len(problems), size, replace=False)
    solve(problems[chosen[0]])
    seconds, _ = clocked(lambda: [solve(problems[k]) for k in chosen])
    return seconds * len(problems) / size


def peak() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"


def compare_grid(sample: int) -> None:
    table = Table("1500 two-type problems", "seconds", "of the batch", "")
    for belief in ("interim", "ex-ante"):
        problems = grid(belief)
        first, _ = clocked(lambda p=problems: design_contracts(p))
        again, contracts = min(
            (clocked(lambda p=problems: design_contracts(p)) for _ in range(3)), key=lambda run: run[0]
        )
        models = [prepare(problem) for problem in problems]
        programs = [model.program for model in models]
        solve_programs(programs, belief)
        solver, _ = clocked(lambda p=programs, b=belief: solve_programs(p, b))
        seconds, certificates = clocked(lambda c=contracts: [verify(contract) for contract in c])
        worst = max(c.as_solved_gap or c.gap or 0.0 for c in certificates)
        held = sum(certificate.holds for certificate in certificates)

        def row(name: str, spent: float, note: str = "", unit: float = again) -> None:
            table.add_row(name, f"{spent:.2f}", f"{spent / unit:.2f}x", note)

        row(f"{belief}: batch, first time", first, "compilation, mixtures and relaxations included")
        row(f"{belief}: batch, again", again, "with exclusion and the bound against the true curve")
        row(f"{belief}: the compiled solver alone", solver, "one program each")
        row(f"{belief}: certificates", seconds, f"{held} hold, largest optimality gap {worst:.1e}")
        row(f"{belief}: loop over design_contract", sampled(problems, design_contract, sample), _said(sample))
        baseline(belief, problems, row)
    problems = grid("interim")
    full_informations(problems)
    together, _ = clocked(lambda: full_informations(problems))
    table.add_row("complete information: batch", f"{together:.2f}", "1.00x", "")
    looped = sampled(problems, full_information, sample)
    table.add_row("complete information: loop", f"{looped:.2f}", f"{looped / together:.2f}x", _said(sample))
    out.print(table)


def _said(sample: int) -> str:
    return f"extrapolated from a sample of {sample}"


def baseline(belief: str, problems: Sequence[Problem], row: Callable[..., None], sample: int = 12) -> None:
    try:
        from enumeration_baseline import solve
    except ImportError:
        row(f"{belief}: enumeration", float("nan"), "benchmarks/enumeration_baseline.py not found")
        return
    chosen = np.random.default_rng(1).choice(len(problems), sample, replace=False)
    # Its own clock leaves out compilation, which a loop over one shape would pay once.
    seconds = sum(solve(problems[k]).seconds for k in chosen) * len(problems) / sample
    row(f"{belief}: enumeration, trust-constr", seconds, _said(sample))


def programs(types: int, count: int) -> list[Program]:
    costs = np.linspace(0.2, 0.04, types)
    rng = np.random.default_rng(types)
    found = []
    for _ in range(count):
        shares = rng.uniform(0.2, 1.0, types)
        population = Population(
            costs=costs, probabilities=shares / shares.sum(), participants=int(rng.integers(10, 1000))
        )
        problem = Problem(
            population=population, accuracy=GeneralizationBound(), valuation=LinearValuation(scale=100.0)
        )
        found.append(prepare(problem).program)
    return found


@partial(jax.jit, static_argnames=("times",))
def _evaluate(stacked: Program, contribution: Any, times: int) -> Any:
    """Expectations of every program, `times` over (each time elsewhere, so that nothing is saved)."""

    def once(k: Any, total: Any) -> Any:
        found = jax.vmap(lambda p, m: moments(p, m * (1.0 + 1e-3 * k), "interim", jnp))(stacked, contribution)
        return total + found.target_loss + sum(part.sum((1, 2)) for part in found.partials)

    return jax.lax.fori_loop(0, times, once, jnp.zeros(contribution.shape[0]))


def floor(stated: Sequence[Program], iterations: int) -> float:
    terms = max(program.rates.size for program in stated)

    with jax.enable_x64(True):
        lanes = [fill_terms(program, terms) for program in stated]
        stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *lanes)
        m = jnp.full(stacked.costs.shape, 0.5)
        _evaluate(stacked, m, iterations).block_until_ready()
        return min(clocked(lambda: _evaluate(stacked, m, iterations).block_until_ready())[0] for _ in range(3))


def throughput(sizes: Sequence[int], types: Sequence[int]) -> None:
    table = Table(
        "types",
        "batch",
        "contracts/s",
        "ms each",
        "floor, ms each",
        "of the floor",
        "worst error",
        "peak memory",
    )
    for count in types:
        for size in sizes:
            stated = programs(count, size)
            solve_programs(stated, "interim")
            runs = [clocked(lambda s=stated: solve_programs(s, "interim")) for _ in range(3)]
            seconds, answers = min(runs, key=lambda run: run[0])
            iterations = round(float(np.mean([answer.iterations for answer in answers])))
            least = floor(stated, iterations)
            table.add_row(
                str(count), str(size), f"{size / seconds:.0f}", f"{1e3 * seconds / size:.3f}",
                f"{1e3 * least / size:.3f}", f"{seconds / least:.1f}x",
                f"{max(answer.error for answer in answers):.0e}", peak(),
            )  # fmt: skip
    out.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller batches only")
    quick = parser.parse_args().quick
    compare_grid(sample=20 if quick else 100)
    throughput((8, 512) if quick else (8, 64, 512, 4096), (2, 5) if quick else (2, 5, 10, 20, 50))


if __name__ == "__main__":
    main()
