"""Compare our definitions with byzfl and Flower, rule by rule, on random updates.

    python benchmarks/peers/definitions.py [--store tests/mechanisms/peer_references.json]

Prints the largest difference a rule, relative to the largest entry. `--store` keeps the peers' answers on two
small cases for the tests.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
from environments import run_peers

from mechanisms import aggregation, attacks
from mechanisms.aggregation import aggregate
from mechanisms.aggregation.geometry import squared_distances
from mechanisms.aggregation.selection import neighbour_scores

SAME = (
    "mean",
    "median",
    "trimmed-mean",
    "krum",
    "multi-krum",
    "bulyan",
    "geometric-median",
    "mean-around-median",
)
ORIGIN = {"byzfl": "byzfl 0.0.11", "Flower": "flwr 1.41.0"}


def own(rule, rows, f):
    """Our answer to what the peer's rule computes, with its departures from the papers spelled out."""
    if rule in SAME:
        return aggregate(rows, rule, malicious=f)
    if rule == "minimum-diameter":
        return aggregation.minimum_diameter(rows, malicious=f)
    if rule == "nearest-neighbour-mixing":
        return aggregation.nearest_neighbour_mixing(rows, malicious=f)
    if rule == "centered-clipping, 1 step":
        return aggregation.centered_clipping(rows, radius=1.0, steps=1)
    if rule == "clip to length 1":
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows * np.minimum(1, 1 / lengths)
    if rule.endswith("n-f-1 neighbours"):
        squared = squared_distances(rows, np.ones(len(rows), bool))
        order = np.argsort(neighbour_scores(squared, len(rows) - f - 1))
        return rows[order[0]] if rule.startswith("krum") else rows[order[: len(rows) - f]].mean(axis=0)
    signs = {"a-little-is-enough": {"deviations": -1.5}, "mimic": {"row": 0}}
    return attacks.ATTACKS[rule].function(rows, **signs.get(rule, {}))


def tied(rows, f):
    """Whether several subsets of n - f rows have the least diameter."""
    squared = squared_distances(rows, np.ones(len(rows), bool))
    subsets = itertools.combinations(range(len(rows)), len(rows) - f)
    diameters = np.array([squared[np.ix_(subset, subset)].max() for subset in map(list, subsets)])
    return (diameters <= diameters.min() * (1 + 1e-12)).sum() > 1


def cases(count):
    draw = np.random.default_rng(0)
    for index in range(count):
        f = int(draw.integers(1, 4))
        n = int(draw.integers(4 * f + 3, 4 * f + 8))
        yield f"{index}-f{f}", draw.standard_normal((n, int(draw.integers(2, 30)))) + draw.standard_normal()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    chosen = dict(cases(options.cases))
    kept = [next(case for case in chosen if case.endswith(f"f{f}")) for f in (1, 3)]
    stored = []
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/cases.npz", **chosen)
        for peer, _ in run_peers("answers", f"{folder}/cases.npz", f"{folder}/answers.npz"):
            found = np.load(f"{folder}/answers.npz")
            worst, differing = {}, {}
            for key, value in found.items():
                case, _, rule = key.split("|")
                if rule == "bulyan" and not case.endswith("f3"):
                    continue  # its last choices have one neighbour: mutual ones tie, Flower takes the first
                if rule == "minimum-diameter" and tied(chosen[case], int(case.split("-f")[1])):
                    continue  # several subsets share the least diameter; byzfl takes the first it meets
                mine = own(rule, chosen[case], int(case.split("-f")[1]))
                gap = np.abs(mine - value).max() / np.abs(chosen[case]).max()
                worst[rule] = max(worst.get(rule, 0.0), gap)
                differing[rule] = differing.get(rule, 0) + (gap > 1e-6)
                if case in kept:
                    stored.append({"case": case, "origin": ORIGIN[peer], "rule": rule, "answer": value.tolist()})
            print(f"\n{peer}: largest relative difference over {options.cases} cases, cases that differ")
            for rule, gap in worst.items():
                print(f"  {rule:32} {gap:9.1e} {differing[rule]:4d}")
    if options.store:
        small = {case: chosen[case].tolist() for case in kept}
        options.store.write_text(json.dumps({"cases": small, "answers": stored}) + "\n")


if __name__ == "__main__":
    main()
