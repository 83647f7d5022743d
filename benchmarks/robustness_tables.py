"""Robustness against learning on the digits, table by table, as CSV with one line a rule, setting and seed.

    python benchmarks/robustness_tables.py behaviour --seeds 4 --output behaviour.csv

Tables:
    behaviour   rules that try updates on the victim's data, as it holds 2 to all 10 classes, under "steer"
    cluster     the same when a small cluster within the classes is attacked, by the victim's samples of it
    distance    rules that compare updates, as 11 to 1 of 11 honest peers hold the attacked class
    tolerance   rules around the victim's own update, by their radius: rare knowledge, then common
    grid        16 rules against 11 attacks without a target, peers alike and Dirichlet(0.3)
"""

import argparse
import csv
import io
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from contracts.storage import write_atomically
from mechanisms.coalitions import Coalition
from mechanisms.conflict import measure_conflict
from mechanisms.conflict_curves import MEASURES

BEHAVIOUR = ["zeno", "loss-rejection", "error-rejection", "roni", "fltrust"]
DISTANCE = [
    "median",
    "trimmed-mean",
    "krum",
    "multi-krum",
    "geometric-median",
    "centered-clipping",
    "bulyan",
    "minimum-diameter",
    "norm-clipping",
]
ATTACKS = [
    ("sign-flip", {}),
    ("inner-product-manipulation", {}),
    ("fall-of-empires", {}),
    ("fall-of-empires", {"scale": 10.0}),
    ("label-flip", {}),
    ("gaussian", {}),
    ("a-little-is-enough", {}),
    ("mimic", {}),
    ("min-max", {}),
    ("min-sum", {}),
    ("infinite", {}),
]


def behaviour():
    rules = ["mean", *BEHAVIOUR, "median", "multi-krum", "centered-clipping"]
    yield {}, Coalition(), {"rules": rules, "knob": "representativeness", "values": [2, 4, 6, 8, 9, 10]}


def cluster():
    coalition = Coalition(clusters=40, group_samples=8)
    yield {}, coalition, {"rules": [*BEHAVIOUR, "median"], "knob": "coverage", "values": [0, 3, 8]}


def distance():
    settings = {"rules": ["mean", *DISTANCE], "knob": "rarity", "values": [11, 6, 4, 2, 1]}
    yield {}, Coalition(groups_held=9), settings


def tolerance():
    for holders in (2, 11):
        coalition = Coalition(groups_held=5, holders=holders)
        for rule, values in (
            ("acceptance-radius", [1.0, 1.2, 1.35, 1.5, 1.75, 2.0, 3.0]),
            ("clipping-radius", [0.5, 0.75, 1.0, 1.5, 2.0, 4.0]),
        ):
            yield {"holders": holders}, coalition, {"rules": [rule], "knob": "tolerance", "values": values}


def grid():
    for attack, options in ATTACKS:
        for concentration in (None, 0.3):
            coalition = Coalition(rounds=60, group_samples=7, concentration=concentration)
            peers = "alike" if concentration is None else f"Dirichlet({concentration})"
            settings = {"rules": ["mean", *DISTANCE, "foolsgold", *BEHAVIOUR], "knob": "representativeness"}
            settings |= {"values": [10], "attack": attack, "options": options}
            yield {"peers": peers, "scale": options.get("scale", "")}, coalition, settings


TABLES = {table.__name__: table for table in (behaviour, cluster, distance, tolerance, grid)}


def measure(options):
    """The rows of a table, one dictionary a rule, setting and seed, a list at a time."""
    for labels, coalition, settings in TABLES[options.table]():
        started = time.perf_counter()
        coalition = replace(coalition, attacker_samples=options.attacker_samples)
        settings["rules"] = [rule for rule in settings["rules"] if rule in (options.rules or settings["rules"])]
        curves = measure_conflict(coalition, **settings, seeds=options.seeds, first_seed=options.first_seed)
        print(f"# {labels} {curves.attack} {time.perf_counter() - started:.0f} s\n{curves}", file=sys.stderr)
        yield [
            {
                **labels,
                "attack": curves.attack,
                "rule": curves.rules[rule],
                curves.knob: f"{curves.values[value]:g}",
                "seed": options.first_seed + seed,
                "alone": f"{curves.alone[value, seed]:.4f}",
                **{name: f"{getattr(curves, name)[rule, value, seed]:.4f}" for name in MEASURES},
            }
            for rule, value, seed in np.ndindex(curves.gain.shape)
        ]


def as_csv(rows):
    text = io.StringIO()
    text.write(f"# python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}\n")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--attacker-samples", type=int, default=200)
    parser.add_argument("--rules", nargs="*", help="only these")
    parser.add_argument("--output", type=Path, help="CSV file, written as the table grows; without it, printed")
    options = parser.parse_args()
    rows = []
    for part in measure(options):
        rows += part
        if options.output is not None:
            write_atomically(options.output, as_csv(rows))
    if options.output is None:
        print(as_csv(rows), end="")


if __name__ == "__main__":
    main()
