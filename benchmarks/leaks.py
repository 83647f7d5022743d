"""What a recipient of a weakened model recovers: method by own data, with the verdicts.

Run `python benchmarks/leaks.py`, which writes `benchmarks/results/leaks.csv`: digits, network 64-32-10, promises
.70, .80, .90 (ten of .80 for methods that draw afresh), own samples of 1, 5, 10 and 50 % of the joint data taken
from it, 0 to 300 steps at two lengths. `alone` is what the same samples give without any model, `recovered` the
most that the recipient of .80 gets by any attack of one, `together` the most that all of them get.
"""

import argparse
import time
from multiprocessing import get_context

import numpy as np
from record import store, stored

from mechanisms.datasets import load
from mechanisms.delivery import METHODS, audit, deliver, train_full
from mechanisms.models import MultilayerPerceptron


def measured(cell):
    method, seed = cell
    return list(rows(method, seed))


def rows(method, seed):
    digits = load("digits", validation=400, test=497, seed=seed)
    full = train_full(MultilayerPerceptron(features=64, classes=10), digits.train, seed=seed)
    promises = [0.8] * 10 if method.startswith("independent") else [0.7, 0.8, 0.9]
    options = {"held_out": digits.validation, "method": method, "allow_unsafe": True, "seed": seed}
    found = audit(deliver(full, promises, **options), test=digits.test, seed=seed)
    row = int(np.argmin(np.abs(found.promises - 0.8)))
    for k, share in enumerate(found.shares):
        one = {name: values[row, k] for name, values in found.by_one.items() if np.isfinite(values[row, k])}
        best = max(one, key=one.__getitem__)
        several = [values[k] for values in found.by_several.values()]
        yield {
            "method": method,
            "seed": seed,
            "own_share": share,
            "own_samples": found.own_sizes[k],
            "alone": f"{found.alone[k]:.4f}",
            "recovered": f"{one[best]:.4f}",
            "by": best,
            "together": f"{np.nanmax(several):.4f}" if several else "",
            "full": f"{found.full:.4f}",
            "fine_tuning": found.fine_tuning.word,
            "coalition": found.coalition.because or found.coalition.word,
        }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--resume", action="store_true", help="go on with the table that is there")
    options = parser.parse_args()
    table, began = stored("leaks") if options.resume else [], time.perf_counter()
    done = {(row["method"], int(row["seed"])) for row in table}
    cells = [(method, seed) for seed in range(options.seeds) for method in options.methods]
    cells = [cell for cell in cells if cell not in done]
    with get_context("spawn").Pool(options.jobs) as pool:
        for cell, found in zip(cells, pool.imap(measured, cells), strict=True):
            table = sorted(table + found, key=lambda row: (METHODS.index(row["method"]), int(row["seed"])))
            store("leaks", table)
            print(f"{cell[0]}, seed {cell[1]}, after {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
