"""Seconds for one aggregation: our rules, textbook NumPy, byzfl (NumPy and torch) and Flower.

    python benchmarks/aggregation.py [--rows 50 --columns 1000000 --malicious 10]

Peers run where `benchmarks/peers/environments.py` finds them, each in a process that waits for its turn. All
get the same float32 updates and as many threads as they take; each figure is the minimum of several runs,
taken in turn, so that another program's load falls on all alike. The last column is the fastest alternative's
time over ours. Centred clipping is compared at equal steps; byzfl's geometric median makes 3 steps with an
absolute floor, ours runs to convergence.
"""

import argparse
import json
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).with_name("peers")))
from environments import start_peers

from mechanisms import aggregation
from mechanisms.aggregation import aggregate


def squared_distances(rows):
    return np.array([[((a - b) ** 2).sum() for b in rows] for a in rows])


def textbook(rows, f):
    """What one writes down from the definitions."""

    def krum_scores():
        return np.sort(squared_distances(rows), axis=1)[:, 1 : len(rows) - f - 1].sum(axis=1)

    def weiszfeld(steps=100):
        center = rows.mean(axis=0)
        for _ in range(steps):
            weights = 1 / np.maximum(np.linalg.norm(rows - center, axis=1), 1e-12)
            moved = weights @ rows / weights.sum()
            if np.linalg.norm(moved - center) <= 1e-9 * np.linalg.norm(moved):
                return moved
            center = moved
        return center

    def around_median():
        near = np.argsort(np.abs(rows - np.median(rows, axis=0)), axis=0)[: len(rows) - f]
        return np.take_along_axis(rows, near, axis=0).mean(axis=0)

    def mixing():
        near = np.argsort(squared_distances(rows), axis=1)[:, : len(rows) - f]
        return np.stack([rows[one].mean(axis=0) for one in near])

    def clip():
        lengths = np.linalg.norm(rows, axis=1)
        return (rows * np.minimum(1, np.median(lengths) / lengths)[:, None]).mean(axis=0)

    return {
        "mean": lambda: rows.mean(axis=0),
        "median": lambda: np.median(rows, axis=0),
        "trimmed-mean": lambda: np.sort(rows, axis=0)[f:-f].mean(axis=0),
        "mean-around-median": around_median,
        "krum": lambda: rows[np.argmin(krum_scores())],
        "multi-krum": lambda: rows[np.argsort(krum_scores())[: len(rows) - f]].mean(axis=0),
        "geometric-median": weiszfeld,
        "norm-clipping": clip,
        "nearest-neighbour-mixing": mixing,
        "bucketing": lambda: (
            rows[np.random.default_rng(0).permutation(len(rows))].reshape(-1, 2, rows.shape[1]).mean(1)
        ),
    }


def ours(rows, f):
    settings = {"malicious": f}
    named = (
        "mean",
        "median",
        "trimmed-mean",
        "mean-around-median",
        "krum",
        "multi-krum",
        "bulyan",
        "minimum-diameter",
    )
    rules = {
        name: lambda name=name: aggregate(rows, name, **settings)
        for name in (*named, "norm-clipping", "foolsgold")
    }
    rules["geometric-median"] = lambda: aggregation.geometric_median(rows)
    for steps in (1, 3):
        rules[f"centered-clipping, {steps} step{'s' * (steps > 1)}"] = lambda steps=steps: (
            aggregation.centered_clipping(rows, radius=1.0, steps=steps)
        )
    rules["nearest-neighbour-mixing"] = lambda: aggregation.nearest_neighbour_mixing(rows, malicious=f)
    rules["bucketing"] = lambda: aggregation.bucketing(rows, size=2)
    return rules


def seconds(rule):
    start = time.perf_counter()
    rule()
    return time.perf_counter() - start


def ask(peer, key):
    """The seconds one run takes in a peer's process."""
    peer.stdin.write(key + "\n")
    peer.stdin.flush()
    return float(peer.stdout.readline())


def peers_timers(sizes):
    """For every rule, by its name here, functions that return the seconds a peer needs, by the peer's kind."""
    timers = {}
    for peer in start_peers("serve", sizes.rows, sizes.columns, sizes.malicious):
        for key in json.loads(peer.stdout.readline()):
            kind, name = key.split("|")
            name = name.removesuffix(", n-f-1 neighbours").removesuffix(", 3 steps of Weiszfeld")
            timers.setdefault(name, {})[kind] = partial(ask, peer, key)
    return timers


def interleaved(timers, repeats):
    """The least of several runs of each, taken in turn so that they meet the same load; of more if short."""
    best = dict.fromkeys(timers, np.inf)
    began, count = time.perf_counter(), 0
    while count < repeats or (time.perf_counter() - began < 3 and count < 20 * repeats):
        count += 1
        for kind, timer in timers.items():
            if not 20 < best[kind] < np.inf:
                best[kind] = min(best[kind], timer())
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 50), ("columns", 1_000_000), ("malicious", 10), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rules", nargs="*", help="only these")
    sizes = parser.parse_args()
    f = sizes.malicious
    rows = np.random.default_rng(0).standard_normal((sizes.rows, sizes.columns), dtype=np.float32)
    numpy_rules, jax_rules, plain = ours(rows, f), ours(jnp.asarray(rows), f), textbook(rows, f)
    theirs = peers_timers(sizes)
    kinds = ["NumPy", *sorted({kind for timers in theirs.values() for kind in timers})]
    print(f"{sizes.rows} x {sizes.columns} float32, f = {f}: seconds")
    print(
        f"{'rule':28} {'ours':>9} {'memory':>8}{'ours, JAX':>11}"
        + "".join(f"{kind:>14}" for kind in kinds)
        + f"{'best / ours':>13}"
    )
    for name in sizes.rules or numpy_rules:
        timers = {"ours": partial(seconds, numpy_rules[name])}
        timers["ours, JAX"] = partial(seconds, lambda rule=jax_rules[name]: jax.block_until_ready(rule()))
        if name in plain:
            timers["NumPy"] = partial(seconds, plain[name])
        best = interleaved({**timers, **theirs.get(name, {})}, sizes.repeats)
        tracemalloc.start()
        numpy_rules[name]()
        extra = tracemalloc.get_traced_memory()[1] / rows.nbytes
        tracemalloc.stop()
        others = [best[kind] for kind in kinds if kind in best]
        cells = "".join(f"{best[kind]:14.3f}" if kind in best else f"{'-':>14}" for kind in kinds)
        ratio = f"{min(others) / best['ours']:13.1f}" if others else f"{'-':>13}"
        print(f"{name:28} {best['ours']:9.3f} {extra:7.2f}x{best['ours, JAX']:11.3f}{cells}{ratio}", flush=True)


if __name__ == "__main__":
    main()
