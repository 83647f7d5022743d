"""How often intervals of learning curves cover what came later, and what contracts on pilots are worth.

    python benchmarks/learning_curves.py                    # forty curves that the repository holds
    python benchmarks/learning_curves.py --lcdb FOLDER      # held-out curves of LCDB 1.0
    python benchmarks/learning_curves.py --contracts 60     # contracts on the first third, judged by all sizes

FOLDER holds `database-accuracy.csv` of the package `lcdb` 0.1.0 (MIT licence; unpack what `pip download
--no-deps lcdb==0.1.0` gets); curves of even OpenML numbers are taken. The priors were learned from curves of odd
numbers alone, of LCDB 1.1 and 1.0; the forty curves of the repository are odd, too, and prove nothing here.
Results: `results/learning_curves.csv`.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from contracts import (
    Infeasible,
    LinearValuation,
    MeasuredCurve,
    Measurements,
    Menu,
    Population,
    Problem,
    design_contract,
    fit_curve,
    fit_family,
)
from contracts.errors import ModelpactError

HERE = Path(__file__).parent
EXTRACT = HERE.parent / "tests" / "contracts" / "data" / "curves" / "lcdb_extract.csv"
HEADROOM = HERE / "headroom_quantiles.csv"  # of curves of odd OpenML numbers in LCDB 1.0
FEWEST, MOST = 17, 24  # sizes of a curve


class Curve(NamedTuple):
    """One measured curve."""

    dataset: int
    data: np.ndarray
    accuracy: np.ndarray
    error: np.ndarray

    def pilot(self, share: float) -> Measurements:
        """The first share of its sizes."""
        n = max(4, round(share * self.data.size))
        return Measurements(data=self.data[:n], accuracy=self.accuracy[:n], standard_error=self.error[:n])


def extract() -> Iterator[Curve]:
    """The forty curves of the repository."""
    table = np.genfromtxt(EXTRACT, delimiter=",", names=True, dtype=None, encoding="utf-8")
    for key in sorted({(int(row["dataset_id"]), str(row["learner"])) for row in table}):
        rows = table[(table["dataset_id"] == key[0]) & (table["learner"] == key[1])]
        error = np.maximum(rows["standard_error"], 1e-3)
        yield Curve(key[0], rows["data"].astype(float), rows["accuracy"], error)


def held_out(folder: Path) -> Iterator[Curve]:
    """Curves of LCDB 1.0 of even OpenML numbers; means over splits, errors from the outer splits' means."""
    scores: dict[tuple[int, str], dict[int, dict[int, list[float]]]] = {}
    with (folder / "database-accuracy.csv").open() as stream:
        for row in csv.DictReader(stream):
            if int(row["openmlid"]) % 2 == 0:
                sizes = scores.setdefault((int(row["openmlid"]), row["learner"]), {})
                outer = sizes.setdefault(int(row["size_train"]), {})
                outer.setdefault(int(row["outer_seed"]), []).append(float(row["score_test"]))
    for (dataset, _), sizes in sorted(scores.items()):
        x = sorted(sizes)
        complete = all(len(outer) > 1 and sum(map(len, outer.values())) >= 5 for outer in sizes.values())
        if len(x) < FEWEST or not complete:
            continue
        x = [x[k] for k in np.unique(np.round(np.linspace(0, len(x) - 1, MOST)).astype(int))]
        mean = [float(np.mean([v for one in sizes[k].values() for v in one])) for k in x]
        spread = [[float(np.mean(one)) for one in sizes[k].values()] for k in x]
        error = [max(float(np.std(one, ddof=1) / np.sqrt(len(one))), 1e-3) for one in spread]
        yield Curve(dataset, np.array(x, dtype=float), np.array(mean), np.array(error))


def posterior(curve: Curve, pilot: Measurements, level: float) -> tuple[float, float, float]:
    """Mean and interval of the last accuracy as it was measured."""
    found, last = fit_curve(pilot), curve.data[-1:]
    noise = curve.error[-1] * stats.norm.ppf((np.arange(4000) * 0.381966 + 0.1) % 1.0)
    sample = found.predictor.sample(last)[:, 0] + noise
    low, high = np.quantile(sample, 0.5 + 0.5 * level * np.array([-1.0, 1.0]))
    return float(found.mean(last)[0]), float(low), float(high)


def power_law(curve: Curve, pilot: Measurements, level: float) -> tuple[float, float, float]:
    """A fitted power law with its delta-method interval."""
    fit = fit_family(pilot)
    mean = float(fit.curve(curve.data[-1]))
    wide = float(np.hypot(np.nan_to_num(fit.standard_error_at(curve.data[-1]), posinf=3.0), curve.error[-1]))
    z = stats.norm.ppf(0.5 + 0.5 * level)
    return mean, float(mean - z * wide), float(min(mean + z * wide, 1.0))


def last_value(_: Curve, pilot: Measurements, level: float) -> tuple[float, float, float]:
    """The last accuracy of the pilot with its standard error."""
    z = stats.norm.ppf(0.5 + 0.5 * level) * pilot.standard_error[-1]
    last = float(pilot.accuracy[-1])
    return last, last - z, last + z


def headroom(curve: Curve, pilot: Measurements, level: float) -> tuple[float, float, float]:
    """The last accuracy plus quantiles of what other curves gained of the room left."""
    last = float(pilot.accuracy[-1])
    ranks = np.array([0.5, 0.5 - 0.5 * level, 0.5 + 0.5 * level])
    table = np.genfromtxt(HEADROOM, delimiter=",")
    place, known = np.log(curve.data[-1] / pilot.data[-1]), np.log(table[1:, 0])
    gain = np.array([np.interp(place, known, row) for row in _at_ranks(table, ranks).T])
    return tuple(np.clip(last + gain * (1.0 - last), 0.0, 1.0).tolist())


def _at_ranks(table: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    return np.array([np.interp(ranks, table[0, 1:], row[1:]) for row in table[1:]])


METHODS = {
    "posterior": posterior,
    "headroom quantiles": headroom,
    "last value": last_value,
    "power law": power_law,
}


def forecasts(curves: list[Curve], source: str) -> Iterator[dict[str, Any]]:
    """Coverage, width, interval score and error of every method."""
    for share, (name, method), level in (
        (share, item, level) for share in (1 / 3, 1 / 2) for item in METHODS.items() for level in (0.95, 0.9)
    ):
        chosen = curves if name != "power law" else curves[:: max(len(curves) // 60, 1)]
        rows, began, failed = [], time.perf_counter(), 0
        for curve in chosen:
            try:
                rows.append((*method(curve, curve.pilot(share), level), curve.accuracy[-1]))
            except ModelpactError:
                failed += 1
        mean, low, high, truth = np.array(rows).T
        penalty = 2.0 / (1.0 - level) * (np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0))
        inside = (low <= truth) & (truth <= high)
        yield {
            "source": source,
            "what": "last accuracy",
            "measured": f"{share:.2f}",
            "method": name,
            "level": level,
            "curves": len(rows),
            "failed": failed,
            "coverage": round(float(inside.mean()), 4),
            "median_width": round(float(np.median(high - low)), 4),
            "interval_score": round(float((high - low + penalty).mean()), 4),
            "mean_error": round(float(np.abs(mean - truth).mean()), 4),
            "milliseconds": round(1e3 * (time.perf_counter() - began) / len(rows), 1),
        }


def contracts(curves: list[Curve], source: str, number: int, share: float) -> Iterator[dict[str, Any]]:
    """Contracts designed on the first share of each curve, judged by an increasing curve through all of it."""
    random = np.random.default_rng(0)
    chosen = [curves[k] for k in random.permutation(len(curves))[:number]]
    for promise, options in (("model", None), ("model", 1), ("value", None), ("average", None)):
        gains, slack, again = [], [], np.random.default_rng(1)
        began = time.perf_counter()
        for curve in chosen:
            stated, truth = _stated(curve, promise, again, share)
            try:
                contract = design_contract(
                    dataclasses.replace(stated, menu=Menu(options=options)), time_limit=1.0
                )
            except Infeasible:
                continue
            gain, least = _judged(contract, truth)
            gains.append(float(stated.population.probabilities @ gain))
            slack.append(least)
        yield {
            "source": source,
            "what": f"contract, promise {promise}" + (", one option" if options else ""),
            "measured": f"{share:.2f}",
            "method": "posterior",
            "level": 0.95,
            "curves": len(chosen),
            "failed": len(chosen) - len(gains),
            "coverage": round(float(np.mean(np.array(slack) >= -1e-6)), 4) if gains else "",
            "within_a_hundredth": round(float(np.mean(np.array(slack) >= -0.01)), 4) if gains else "",
            "mean_gain": round(float(np.mean(gains)), 5) if gains else "",
            "gain_standard_error": round(float(np.std(gains) / np.sqrt(len(gains))), 5) if gains else "",
            "milliseconds": round(1e3 * (time.perf_counter() - began) / len(chosen), 1),
        }


def _stated(curve: Curve, promise: str, random: np.random.Generator, share: float) -> tuple[Problem, Any]:
    """Three types who would alone gather between a quarter of the pilot's last size and half of the curve's."""
    pilot = curve.pilot(share)
    increasing = np.asarray(optimize.isotonic_regression(curve.accuracy, weights=curve.error**-2.0).x)
    u = np.log(curve.data)

    def truth(data: Any) -> np.ndarray:
        x = np.log(np.maximum(data, 1e-9))
        start = np.minimum(np.asarray(data) / curve.data[0], 1.0)  # from nothing to the first size linearly
        return np.interp(x, u, increasing) * start

    amounts = np.sort(np.exp(random.uniform(np.log(pilot.data[-1] / 4), np.log(curve.data[-1] / 2), 3)))
    # Costs at which the slope of the whole curve makes these amounts the best.
    whole = fit_curve(curve.pilot(1.0)).mean(np.r_[amounts, 1.2 * amounts])
    slope = (whole[3:] - whole[:3]) / (0.2 * amounts)
    costs = np.sort(np.maximum(slope, 1e-4 / amounts))[::-1]
    population = Population(costs=costs, probabilities=[0.3, 0.4, 0.3], participants=5)
    accuracy = MeasuredCurve(measurements=pilot, promise=promise)
    return Problem(population=population, accuracy=accuracy, valuation=LinearValuation(scale=1.0)), truth


def _judged(contract: Any, truth: Any) -> tuple[np.ndarray, float]:
    """What each type gains over training alone on the true curve, and by how much the worst promise is kept.

    Expectations are over every composition of the others. Who trains alone does so with the amount that is best
    on average; beside a promise of values it is as good as had it known the curve, and rewards must be there to
    give.
    """
    problem, m = contract.problem, contract.contribution
    costs, p, n = problem.population.costs, problem.population.probabilities, problem.population.participants
    others = [o for o in itertools.product(range(n), repeat=costs.size) if sum(o) == n - 1]
    chance = np.array([stats.multinomial.pmf(o, n - 1, p) for o in others])
    middle, slack, gains = problem.accuracy.middle, [], []
    whole = np.array([[chance @ f(np.array(others) @ m + one) for one in m] for f in (middle, truth)])
    for i in range(costs.size):
        x = np.geomspace(1e-6 / costs[i], 1.0 / costs[i], 2000)
        alone, known = (np.asarray(f(x)) - costs[i] * x for f in (middle, truth))
        received = contract.expected_reward / np.maximum(whole[0], 1e-300) * whole[1]
        if problem.accuracy.promise == "value":
            received = contract.expected_reward
            slack += [float(whole[1][i] - received[i]), float(received[i] - costs[i] * m[i] - known.max())]
        gains.append(received[i] - costs[i] * m[i] - max(float(known[int(np.argmax(alone))]), 0.0))
    return np.array(gains), float(min(gains + slack))


def main() -> None:
    """Run and append to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lcdb", type=Path)
    parser.add_argument("--contracts", type=int, default=0)
    parser.add_argument("--share", type=float, default=1 / 3, help="of the sizes that contracts rest on")
    parser.add_argument("--most", type=int, default=0, help="curves, drawn without regard to anything; 0: all")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "learning_curves.csv")
    chosen = parser.parse_args()
    source = "LCDB 1.0, even OpenML numbers" if chosen.lcdb else "LCDB 1.1 extract (odd)"
    curves = list(held_out(chosen.lcdb) if chosen.lcdb else extract())
    if chosen.most and chosen.most < len(curves):
        picked = np.sort(np.random.default_rng(2).permutation(len(curves))[: chosen.most])
        curves = [curves[k] for k in picked]
    rows = (
        contracts(curves, source, chosen.contracts, chosen.share)
        if chosen.contracts
        else forecasts(curves, source)
    )
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    ).stdout.strip()
    fields = [
        "source",
        "what",
        "measured",
        "method",
        "level",
        "curves",
        "failed",
        "coverage",
        "median_width",
        "interval_score",
        "mean_error",
        "within_a_hundredth",
        "mean_gain",
        "gain_standard_error",
        "milliseconds",
        "revision",
        "machine",
    ]
    new = not chosen.output.exists()
    with chosen.output.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, fields)
        if new:
            writer.writeheader()
        for row in rows:
            row |= {"revision": revision, "machine": platform.machine()}
            writer.writerow(row)
            stream.flush()
            print(row)


if __name__ == "__main__":
    main()
