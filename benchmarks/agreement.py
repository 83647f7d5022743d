"""How often our rules and byzfl's give the same answer on benign updates, half of them full of ties.

    PYTHONPATH=DIRECTORY_WITH_BYZFL python benchmarks/agreement.py [--matrices 2000]

byzfl must be importable here, as from a wheel unpacked beside torch; it pins an old NumPy, so it is no
dependency.
Equal means within 1e-8 of the largest entry.
"""

import argparse

import byzfl
import numpy as np
from record import store

from mechanisms.aggregation import (
    adaptive_clipping,
    aggregate,
    nearest_neighbour_mixing,
    static_clipping,
)

RULES = {  # name here: (theirs, ours)
    "mean": (lambda rows, _: byzfl.Average()(rows), "mean"),
    "median": (lambda rows, _: byzfl.Median()(rows), "median"),
    "trimmed-mean": (lambda rows, f: byzfl.TrMean(f)(rows), "trimmed-mean"),
    "mean-around-median": (lambda rows, f: byzfl.Meamed(f)(rows), "mean-around-median"),
    "krum": (lambda rows, f: byzfl.Krum(f)(rows), "krum"),
    "multi-krum": (lambda rows, f: byzfl.MultiKrum(f)(rows), "multi-krum"),
    "minimum-diameter": (lambda rows, f: byzfl.MDA(f)(rows), "minimum-diameter"),
    "geometric-median, 1000 steps": (
        lambda rows, _: byzfl.GeometricMedian(1e-9, 1000)(rows),
        "geometric-median",
    ),
    "smea": (lambda rows, f: byzfl.SMEA(f)(rows), "smea"),
    "caf": (lambda rows, f: byzfl.CAF(f)(rows), "caf"),
    "monna": (
        lambda rows, f: byzfl.MoNNA(f, 0)(rows),
        lambda rows, f: aggregate(rows, "monna", malicious=f, own=rows[0]),
    ),
    "nearest-neighbour-mixing": (
        lambda rows, f: byzfl.NNM(f)(rows),
        lambda rows, f: nearest_neighbour_mixing(rows, malicious=f),
    ),
    "static-clipping": (
        lambda rows, _: byzfl.Clipping(2.0)(rows),
        lambda rows, _: static_clipping(rows, radius=2.0),
    ),
    "adaptive-clipping": (
        lambda rows, f: byzfl.ARC(f)(rows),
        lambda rows, f: adaptive_clipping(rows, malicious=f),
    ),
}


def benign(seed):
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((9, 4))
    return np.round(2 * rows) if seed % 2 else rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=2000)
    matrices = parser.parse_args().matrices
    table = []
    for name, (theirs, ours) in RULES.items():
        same = np.zeros((2, 2), int)  # without ties, with ties: equal, all
        for seed in range(matrices):
            rows, f = benign(seed), 2
            np.random.seed(seed)  # noqa: NPY002 - byzfl draws from the global generator
            other = np.asarray(theirs(rows.copy(), f))
            mine = ours(rows, f) if callable(ours) else aggregate(rows, ours, malicious=f)
            same[seed % 2] += [np.allclose(mine, other, rtol=0, atol=1e-8 * np.abs(rows).max()), 1]
        shares = same[:, 0] / same[:, 1]
        row = {
            "rule": name,
            "matrices": matrices,
            "equal": f"{shares[0]:.3f}",
            "equal with ties": f"{shares[1]:.3f}",
        }
        table.append(row)
        print(*row.values(), flush=True)
        store("agreement", table)


if __name__ == "__main__":
    main()
