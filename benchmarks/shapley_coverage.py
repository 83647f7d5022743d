"""How often intervals of sampled Shapley values hold all values: on games whose exact values are known.

    python benchmarks/shapley_coverage.py [--repetitions 500]

Ten players, level .9, sampling stopped by its own rule at 256 orders or when the half-width asked for is met,
whichever is first; with the range of marginal contributions given and without it. The random game is drawn anew
in every repetition.
"""

import argparse

import numpy as np
from record import store

from mechanisms.shapley import sample_shapley, shapley_from_table

PLAYERS, LEVEL = 10, 0.9
MEMBERS = [tuple(i for i in range(PLAYERS) if bits >> i & 1) for bits in range(2**PLAYERS)]
WEIGHTS = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 1])


def table(value):
    return np.array([float(value(coalition)) for coalition in MEMBERS])


def games(seed):
    """Name, table of values, least and largest marginal contribution, half-width asked for."""
    yield "additive", table(lambda c: sum(c) / PLAYERS), (0.0, 1.0), 0.15
    yield "random", np.random.default_rng(seed).random(2**PLAYERS), (-1.0, 1.0), 0.3
    yield "glove", table(lambda c: min(sum(i < 3 for i in c), sum(i >= 3 for i in c))), (0.0, 1.0), 0.15
    yield "weighted vote", table(lambda c: WEIGHTS[list(c)].sum() > 23), (0.0, 1.0), 0.15
    jackpot = tuple(range(PLAYERS - 1))
    yield "rare and large", table(lambda c: 100 * (c == jackpot) + len(c)), (-99.0, 101.0), 20.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=500)
    repetitions = parser.parse_args().repetitions
    found = {}
    for seed in range(repetitions):
        for name, values, marginals, tolerance in games(seed):
            exact = shapley_from_table(values).values
            known = dict(zip(MEMBERS, values, strict=True))
            for span in (marginals, None):
                settings = {"marginals": span, "confidence": LEVEL, "max_permutations": 256, "seed": seed}
                result = sample_shapley(known.__getitem__, players=PLAYERS, tolerance=tolerance, **settings)
                covers = (np.abs(result.values - exact) <= result.half_widths + 1e-9).all()
                row = (covers, result.half_widths.max(), result.permutations, result.met)
                found.setdefault((name, "given" if span else "unknown"), []).append(row)
    rows = []
    for (name, span), seen in found.items():
        covers, widths, orders, met = np.array(seen, float).T
        rows.append(
            {
                "game": name,
                "range": span,
                "level": LEVEL,
                "repetitions": repetitions,
                "coverage": f"{covers.mean():.3f}",
                "half width": f"{widths.mean():.4g}",
                "orders": f"{orders.mean():.0f}",
                "met": f"{met.mean():.2f}",
            }
        )
    store("shapley_coverage", rows)


if __name__ == "__main__":
    main()
