"""What a recipient of a weakened model recovers: method by own data, with the verdicts.

Run `python benchmarks/leaks.py`, which writes `benchmarks/results/leaks.csv`: digits, network 64-32-10, promises
.70, .80, .90 (ten of .80 for methods that draw afresh), own samples of 1, 5, 10 and 50 % of the joint data taken
from it, 0 to 300 steps at two lengths. `alone` is what the same samples give without any model, `recovered` the
most that the recipient of .80 gets by any attack of one, `together` the most that all of them get.
"""

import argparse
import csv
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from mechanisms.datasets import load
from mechanisms.delivery import METHODS, audit, deliver, train_full
from mechanisms.models import MultilayerPerceptron

RESULTS = Path(__file__).parent / "results" / "leaks.csv"
COLUMNS = (
    "method", "seed", "own_share", "own_samples", "alone", "recovered", "by", "together", "full",
    "fine_tuning", "coalition",
)  # fmt: skip


def measured(method, seed):
    digits = load("digits", validation=400, test=497, seed=seed)
    full = train_full(MultilayerPerceptron(features=64, classes=10), digits.train, seed=seed)
    promises = [0.8] * 10 if method.startswith("independent") else [0.7, 0.8, 0.9]
    options = {"held_out": digits.validation, "method": method, "allow_unsafe": True, "seed": seed}
    found = audit(deliver(full, promises, **options), test=digits.test, seed=seed)
    row = int(np.argmin(np.abs(found.promises - 0.8)))
    for k, share in enumerate(found.shares):
        one = {name: values[row, k] for name, values in found.by_one.items() if np.isfinite(values[row, k])}
        best = max(one, key=one.get)
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
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    with options.output.open("w", newline="") as file:
        file.write(
            f"# python {' '.join(sys.argv)}; revision {revision}; {platform.machine()}, {platform.system()}\n"
        )
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for method in options.methods:
            for seed in range(options.seeds):
                began = time.perf_counter()
                table.writerows(measured(method, seed))
                file.flush()
                print(f"{method}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
