"""The largest error of every rule against hostile rows, beside its published or proved bound: the kappa table.

    python benchmarks/robustness_bounds.py [--matrices 10000] [--rules smea caf]

For every rule, so many matrices of 11 or 15 rows, 2 or 3 of them hostile in one of nine ways or tuned against
the rule (`mechanisms.testing.hostile_updates`, `mechanisms.attacks`), one to five parameters, float32 and
float64, in units from 1e-290 to 1e200. The ratio is |rule - honest mean|^2 over the honest rows' mean squared
distance to it.
"""

import argparse

import numpy as np
from record import store, stored

from contracts.errors import NotConverged
from mechanisms.aggregation import aggregate, robustness_bound, rules
from mechanisms.attacks import attack
from mechanisms.testing import HOSTILE, error_ratio, hostile_updates

COMPOSED = ["nearest-neighbour-mixing+median", "nearest-neighbour-mixing+krum", "adaptive-clipping+median"]
WITHOUT = ["acceptance-radius", "clipping-radius", "foolsgold"]
TUNED = ["tuned-a-little-is-enough", "tuned-inner-product-manipulation"]
SIZES = [(11, 2), (15, 3)]


def honest_rows(draw, count):
    rows = draw.standard_normal((count, draw.integers(1, 6)))
    match draw.integers(5):
        case 0:
            rows = np.round(rows)
        case 1:
            rows = 1e-6 * rows + draw.standard_normal(rows.shape[1])
        case 2:
            rows[: draw.integers(1, 4)] += 30
        case 3:
            rows *= np.exp(2 * draw.standard_normal((count, 1)))
    dtype = draw.choice([np.float32, np.float64])
    scale = draw.choice([1.0, 1e-30, 1e25] if dtype == np.float32 else [1.0, 1e-290, 1e200])
    return (rows * scale).astype(dtype)


def ratio(name, n, f, seed):
    """The error of one matrix, and whether the result is finite."""
    draw = np.random.default_rng([seed, n])
    honest = honest_rows(draw, n - f)
    options = {"own": honest[0]} if name == "monna" else {}

    def rule(rows):
        with np.errstate(all="ignore"):
            return aggregate(rows, name, malicious=f, **options)

    kind = [*HOSTILE, *TUNED][draw.integers(len(HOSTILE) + len(TUNED))]
    if kind in TUNED and seed % 4:
        kind = "spread"  # a search takes fifty aggregations
    if kind in TUNED:
        with np.errstate(all="ignore"):
            rows = attack(honest, kind, colluders=f, rule=rule)
    else:
        rows = hostile_updates(honest, f, kind=kind, seed=seed)
    result = rule(rows)
    return error_ratio(result, honest), np.isfinite(result).all()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=10_000)
    parser.add_argument("--rules", nargs="*", help="only these; the others keep the lines they have")
    options = parser.parse_args()
    matrices, every = options.matrices, [rule for rule in rules("distance") if rule not in WITHOUT] + COMPOSED
    table = [line for line in stored("robustness_bounds") if line["rule"] not in (options.rules or every)]
    for name in options.rules or every:
        for n, f in SIZES:
            found, finite, stopped = [], 0, 0
            for seed in range(matrices // len(SIZES)):
                try:
                    error, good = ratio(name, n, f, seed)
                except NotConverged:
                    stopped += 1
                    continue
                found.append(error)
                finite += good
            bound = robustness_bound(name, rows=n, malicious=f)
            table.append(
                {
                    "rule": name,
                    "n": n,
                    "f": f,
                    "matrices": len(found),
                    "largest": f"{max(found):.3g}",
                    "bound": "" if bound is None else f"{bound:.3g}",
                    "outside": "" if bound is None else sum(error > bound for error in found),
                    "not finite": len(found) - finite,
                    "not converged": stopped,
                }
            )
            print(*table[-1].values(), flush=True)
            store("robustness_bounds", table)


if __name__ == "__main__":
    main()
