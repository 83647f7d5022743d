"""Seconds of one processor for one aggregation: our rules, textbook NumPy, byzfl (NumPy and torch) and Flower.

    python benchmarks/aggregation.py [--sizes 20x100000x4 50x1000000x10] [--rules median]

Peers run where `benchmarks/peers/environments.py` finds them, each in a process that waits for its turn. All
get the same float32 updates and one processor each, and what counts is the processor's time, so that other
programs' load does not; each figure is the least of several runs taken in turn. `fastest peer / ours` above
one says that no peer is faster. A peer that took more than three times our time at every size before is not
timed again. Centred clipping is compared at equal steps. byzfl's geometric median makes 3 steps with an
absolute floor, which is another answer; it is also timed with the 10 steps after which it is as near to the
median as 32 bits show, ours is converged in both lines. `memory` is what ours needs beside the updates, in
their size.
"""

import argparse
import json
import os
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).with_name("peers")))
from environments import start_peers
from peer_rules import one_processor
from peer_rules import seconds as processor_seconds
from record import store

from mechanisms import aggregation
from mechanisms.aggregation import aggregate

SIZES = ("20x100000x4", "200x10000x40", "50x1000000x10", "10x10000000x1")
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
KINDS = ("byzfl NumPy", "byzfl torch", "Flower NumPy")


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
        "geometric-median, 10 steps of Weiszfeld": weiszfeld,
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
    for steps in (3, 10):
        rules[f"geometric-median, {steps} steps of Weiszfeld"] = lambda: aggregation.geometric_median(rows)
    for steps in (1, 3):
        rules[f"centered-clipping, {steps} step{'s' * (steps > 1)}"] = lambda steps=steps: (
            aggregation.centered_clipping(rows, radius=1.0, steps=steps)
        )
    rules["nearest-neighbour-mixing"] = lambda: aggregation.nearest_neighbour_mixing(rows, malicious=f)
    rules["bucketing"] = lambda: aggregation.bucketing(rows, size=2)
    return rules


def ask(peer, key):
    """The seconds one run takes in a peer's process."""
    peer.stdin.write(key + "\n")
    peer.stdin.flush()
    return float(peer.stdout.readline())


def peers_timers(rows, columns, malicious):
    """For every rule, by its name here, functions that return the seconds a peer needs, by the peer's kind."""
    timers, processes = {}, list(start_peers("serve", rows, columns, malicious))
    for peer in processes:
        for key in json.loads(peer.stdout.readline()):
            kind, name = key.split("|")
            timers.setdefault(name.removesuffix(", n-f-1 neighbours"), {})[kind] = partial(ask, peer, key)
    return timers, processes


def interleaved(timers, repeats):
    """The least of several runs of each, taken in turn; one run of what takes twenty times the fastest."""
    best = dict.fromkeys(timers, np.inf)
    began = time.perf_counter()
    for count in range(repeats):
        for kind, timer in timers.items():
            if count == 0 or best[kind] < 20 * min(best.values()):
                best[kind] = min(best[kind], timer())
        if count and time.perf_counter() - began > 60:
            break
    return best


def measure(size, chosen, slow, repeats):
    """The lines of one size; `slow` collects how many times slower peers were, by rule and kind."""
    n, columns, f = map(int, size.split("x"))
    rows = np.random.default_rng(0).standard_normal((n, columns), dtype=np.float32)
    mine, plain = ours(rows, f), textbook(rows, f)
    theirs, processes = peers_timers(n, columns, f)
    for name in chosen or mine:
        timers = {"ours": partial(processor_seconds, mine[name])}
        if name in plain and rows.size < 10**7:
            timers["textbook"] = partial(processor_seconds, plain[name])
        for kind, timer in theirs.get(name, {}).items():
            if min(slow.get((name, kind), [0])) <= 3:
                timers[kind] = timer
        best = interleaved(timers, repeats)
        for kind in theirs.get(name, {}):
            slow.setdefault((name, kind), []).append(best.get(kind, np.inf) / best["ours"])
        tracemalloc.start()
        mine[name]()
        memory = tracemalloc.get_traced_memory()[1] / rows.nbytes
        tracemalloc.stop()
        peers = [best[kind] for kind in KINDS if kind in best]
        cells = {kind: f"{best[kind]:.5f}" if kind in best else "" for kind in ("ours", "textbook", *KINDS)}
        yield {
            "rows": n,
            "columns": columns,
            "malicious": f,
            "rule": name,
            **cells,
            "fastest peer / ours": f"{min(peers) / best['ours']:.2f}" if peers else "",
            "memory": f"{memory:.2f}",
            "load": f"{os.getloadavg()[0]:.0f}",
        }
    for process in processes:
        process.stdin.close()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=SIZES, help="ROWSxCOLUMNSxMALICIOUS")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rules", nargs="*", help="only these")
    options = parser.parse_args()
    if not ALONE.items() <= os.environ.items():  # which libraries read when they are imported; peers inherit it
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALONE})
    one_processor()
    table, slow = [], {}
    for size in options.sizes:
        for row in measure(size, options.rules, slow, options.repeats):
            table.append(row)
            print(*row.values(), flush=True)
            if not options.rules:
                store("aggregation", table)


if __name__ == "__main__":
    main()
