"""Time and accuracy of three ways to design a contract, from one run.

    python benchmarks/solvers.py                 # about five minutes on two cores
    python benchmarks/solvers.py --limit 20      # seconds that one cell may take (default 60)
    python benchmarks/solvers.py --quick         # small sizes only

- default: `design_contract`: exact expectations without enumeration, the interior-point method, the search over
  contracts that leave types out, the bound against the true curve; `solve` is one run of the interior point,
  `compiled` the same run compiled by JAX, and `in a batch` one of 512 programs of the shape (32 beyond twenty
  types), their probabilities random, solved together (compiled too);
- conic: cvxpy with Clarabel on the same program;
- enumeration: the published approach (`enumeration_baseline.py`), all outcomes and scipy's trust-constr.

Costs are spread evenly from 0.2 to 0.04 (the paper's first scenario), types equally likely, interim belief.
Times are the best of as many runs as fit into a second, after one to warm up (compilation and imports are not
counted for anybody); in brackets, how many times the default's, and, for the enumeration, which solves one
program and nothing else, how many times the compiled run's. `short` is how far the objective stays below the
proved upper bound of the default method's certificate, relative to the largest value; `gap` is that bound
less the default's own objective.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from contracts import GeneralizationBound, LinearValuation, ModelpactError, Population, Problem

SIZES = [
    (2, 10), (3, 10), (5, 10), (7, 10), (9, 10), (20, 10), (5, 64), (20, 1000), (50, 1000), (100, 10_000),
    (200, 100_000), (1000, 1_000_000), (2000, 1_000_000), (5000, 1_000_000),
]  # fmt: skip
QUICK = [(2, 10), (5, 10), (9, 10), (20, 1000)]


def problem(types: int, participants: int) -> Problem:
    return Problem(
        population=Population(
            costs=np.linspace(0.2, 0.04, types),
            probabilities=np.full(types, 1.0 / types),
            participants=participants,
        ),
        accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
        valuation=LinearValuation(scale=100.0),
    )


def default(stated: Problem) -> tuple[float, Any]:
    from contracts import design_contract

    contract = design_contract(stated)
    return contract.objective, contract


def conic(stated: Problem) -> tuple[float, Any]:
    from contracts import design_contract

    return design_contract(stated, solver="conic").objective, None


def enumeration(stated: Problem) -> tuple[float, Any]:
    from enumeration_baseline import solve

    answer = solve(stated)
    return answer.objective, answer


METHODS: dict[str, Callable[[Problem], tuple[float, Any]]] = {
    "default": default, "conic": conic, "enumeration": enumeration,
}  # fmt: skip


def measure(method: str, types: int, participants: int) -> dict[str, Any]:
    """Run one cell: best time, objective and, for the default, the certificate's gap."""
    stated = problem(types, participants)
    began = time.perf_counter()
    objective, answer = METHODS[method](stated)
    first = time.perf_counter() - began
    seconds = []
    while not seconds or (sum(seconds) + min(seconds) < 1.0 and len(seconds) < 50):
        if method == "enumeration":  # compiles afresh on every call and says how long the rest took
            seconds.append(answer.seconds)
            if first > 5.0:
                break
            objective, answer = METHODS[method](stated)
            continue
        began = time.perf_counter()
        objective, answer = METHODS[method](stated)
        seconds.append(time.perf_counter() - began)
    result = {"objective": objective, "seconds": min(seconds), "cold": first}
    if method == "default":
        from contracts import verify

        result |= alone(stated) | batched(types, participants)

        began = time.perf_counter()
        certificate = verify(answer)
        result |= {"gap": certificate.as_solved_gap or certificate.gap or np.nan, "holds": certificate.holds}
        result["verifying"] = time.perf_counter() - began
    return result


def alone(stated: Problem) -> dict[str, float]:
    """Time of one program, by NumPy and, up to the size that is compiled, by compiled code."""
    from contracts.program import compiled, interior_point
    from contracts.program.first_moment import prepare

    program, times = prepare(stated).program, {}
    for name, solve in (("solve", interior_point.solve), ("compiled", compiled.solve)):
        if name == "compiled" and program.costs.size > compiled.MOST_TYPES:
            continue
        solve(program, stated.belief)
        solves = []
        while sum(solves) < 0.3:
            began = time.perf_counter()
            solve(program, stated.belief)
            solves.append(time.perf_counter() - began)
        times[name] = min(solves)
    return times


def batched(types: int, participants: int) -> dict[str, float]:
    """Time of one program among many of its shape, if they are small enough to be solved together."""
    from contracts.program.batch_solver import solve_programs
    from contracts.program.compiled import MOST_TYPES
    from contracts.program.first_moment import prepare

    if types > MOST_TYPES:
        return {}
    shares = np.random.default_rng(types).dirichlet(np.full(types, 5.0), size=512 if types <= 20 else 32)
    base = problem(types, participants)
    programs = [
        prepare(replace(base, population=replace(base.population, probabilities=row))).program for row in shares
    ]
    solve_programs(programs, base.belief)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        solve_programs(programs, base.belief)
        times.append(time.perf_counter() - began)
    return {"batched": min(times) / len(programs)}


def _cell(pipe: Any, method: str, types: int, participants: int) -> None:
    try:
        pipe.send(measure(method, types, participants))
    except MemoryError as error:
        pipe.send({"why": str(error)})
    except ModelpactError as error:
        pipe.send({"why": f"fails: {error}"})


def limited(method: str, types: int, participants: int, limit: float) -> dict[str, Any]:
    """One cell in a process of its own, ended at the limit."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_cell, args=(sender, method, types, participants))
    process.start()
    sender.close()
    try:
        answer = receiver.recv() if receiver.poll(limit) else {"why": f"> {limit:g} s"}
    except EOFError:
        answer = {"why": "died (memory)"}
    process.kill()
    process.join()
    return answer


def seconds(value: float) -> str:
    return f"{value * 1e3:.{1 if value > 1e-3 else 2}f} ms" if value < 1.0 else f"{value:.1f} s"


def row(types: int, participants: int, cells: dict[str, dict[str, Any]], scale: float) -> list[str]:
    ours = cells["default"]
    texts = [f"{types}", f"{participants:,}"]
    if "why" in ours:
        return [*texts, ours["why"][:24], *[""] * 10]
    bound = ours["objective"] + ours["gap"]
    verdict = "" if ours["holds"] else " (does not hold)"
    texts += [seconds(ours["seconds"]), seconds(ours["solve"])]
    texts += [seconds(ours[name]) if name in ours else "" for name in ("compiled", "batched")]
    texts.append(seconds(ours["verifying"]))
    texts += [f"{ours['gap'] / scale:.0e}{verdict}", f"{ours['objective']:.9f}"]
    for method in ("conic", "enumeration"):
        cell = cells[method]
        if "why" in cell:
            texts += [cell["why"][:24], ""]
        else:
            times = f"{cell['seconds'] / ours['seconds']:,.0f}x"
            if method == "enumeration" and "compiled" in ours:
                times += f", {cell['seconds'] / ours['compiled']:,.0f}x"
            texts += [
                f"{seconds(cell['seconds'])} ({times})",
                f"{(bound - cell['objective']) / scale:.0e}",
            ]
    return texts


def growth(table: dict[tuple[int, int], dict[str, dict[str, Any]]]) -> list[str]:
    """How time grows in types and in participants: exponents of a power law between neighbouring sizes."""
    lines = []
    for method in METHODS:
        done = {size: cells[method]["seconds"] for size, cells in table.items() if "why" not in cells[method]}
        few = sorted((i, t) for (i, n), t in done.items() if n == 10)
        many = sorted((i, t) for (i, n), t in done.items() if n == 1_000_000)
        for name, series in (("N = 10", few), ("N = 1,000,000", many)):
            if len(series) >= 2:
                (i0, t0), (i1, t1) = series[0], series[-1]
                rate = np.log(t1 / t0) / np.log(i1 / i0)
                lines.append(f"{method}, {name}: I from {i0} to {i1}, time x{t1 / t0:,.1f} (about I^{rate:.1f})")
        five = sorted((n, t) for (i, n), t in done.items() if i == 5)
        if len(five) >= 2:
            (n0, t0), (n1, t1) = five[0], five[-1]
            lines.append(f"{method}, I = 5: N from {n0} to {n1}, time x{t1 / t0:,.1f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that one cell may take")
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    options = parser.parse_args()
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # inherited by every cell's process
        os.environ.setdefault(variable, "1")
    console = Console(width=165, highlight=False)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    output, found = Table(box=None), {}
    for title in (
        "I",
        "N",
        "default",
        "solve",
        "compiled",
        "in a batch",
        "verify",
        "gap",
        "objective",
        "conic",
        "short",
        "enumeration",
        "short",
    ):
        output.add_column(title, justify="right")
    for size in QUICK if options.quick else SIZES:
        cells = {method: limited(method, *size, options.limit) for method in METHODS}
        found[size] = cells
        output.add_row(*row(*size, cells, 100.0))
        print(f"  {size}: done", file=sys.stderr)
    console.print(output)
    for line in growth(found):
        console.print(line)


if __name__ == "__main__":
    main()
