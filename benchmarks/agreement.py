"""How often our rules and byzfl's or Flower's give the same answer on benign updates, half of them full of ties.

    PYTHONPATH=DIRECTORY_WITH_BYZFL FLOWER_PYTHON=flo/bin/python python benchmarks/agreement.py [--matrices 2000]

byzfl must be importable here, as from a wheel unpacked beside torch; Flower runs where
`benchmarks/peers/environments.py` finds it. Both pin other libraries, so neither is a dependency; the lines
of one that is not there stay as they are. Nine updates and f = 2 with byzfl; with Flower, whose Bulyan needs
as many, 4 f + 3. Equal means within 1e-8 of the largest entry.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).with_name("peers")))
from environments import run_peers
from peer_rules import stub_torchvision
from record import store, stored

from mechanisms.aggregation import (
    adaptive_clipping,
    aggregate,
    nearest_neighbour_mixing,
    static_clipping,
)

stub_torchvision()
try:
    import byzfl
except ImportError:
    byzfl = None

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


def benign(seed, rows=9):
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((rows, 4))
    return np.round(2 * rows) if seed % 2 else rows


def line(peer, name, same):
    """One line, of the numbers of matrices that are equal, without and with ties."""
    shares = [np.mean(same[ties]) for ties in (0, 1)]
    row = {
        "peer": peer,
        "rule": name,
        "matrices": sum(map(len, same)),
        "equal": f"{shares[0]:.3f}",
        "equal with ties": f"{shares[1]:.3f}",
    }
    print(*row.values(), flush=True)
    return row


def equal(mine, other, rows):
    return np.allclose(mine, other, rtol=0, atol=1e-8 * np.abs(rows).max())


def beside_byzfl(matrices):
    for name, (theirs, ours) in RULES.items():
        same = ([], [])
        for seed in range(matrices):
            rows, f = benign(seed), 2
            np.random.seed(seed)  # noqa: NPY002 - byzfl draws from the global generator
            other = np.asarray(theirs(rows.copy(), f))
            mine = ours(rows, f) if callable(ours) else aggregate(rows, ours, malicious=f)
            same[seed % 2].append(equal(mine, other, rows))
        yield line("byzfl", name, same)


def beside_flower(matrices):
    cases = {f"{seed}-f{f}": benign(seed, 4 * f + 3) for f in (2, 3) for seed in range(matrices)}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/cases.npz", **cases)
        files = f"{folder}/cases.npz", f"{folder}/answers.npz"
        peers = [peer for peer, _ in run_peers("answers", *files, only="Flower")]
        found = dict(np.load(f"{folder}/answers.npz")) if peers else {}
    same = {}
    for key, other in found.items():
        case, _, name = key.split("|")
        seed, f = map(int, case.split("-f"))
        mine = aggregate(cases[case], name, malicious=f)
        same.setdefault(f"{name}, f = {f}", ([], []))[seed % 2].append(equal(mine, other, cases[case]))
    for name, both in same.items():
        yield line("Flower", name, both)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=2000)
    matrices = parser.parse_args().matrices
    table = [*(beside_byzfl(matrices) if byzfl else ()), *beside_flower(matrices)]
    seen = {row["peer"] for row in table}
    kept = [row for row in stored("agreement") if row["peer"] not in seen]
    store("agreement", [*kept, *table])


if __name__ == "__main__":
    main()
