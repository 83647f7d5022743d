"""The largest error of every rule against hostile rows, beside what is guaranteed: the kappa table.

    python benchmarks/robustness_bounds.py [--matrices 10000] [--rules smea caf] [--processes 2]

All rules meet the same matrices of 11 or 15 rows, 2 or 3 of them hostile in one of nine ways
(`mechanisms.testing.hostile_updates`), one, two or five parameters, float32 and float64, in units from 1e-290 to
1e200. On one in 250 they are tuned against each rule (`mechanisms.attacks`). `largest` is |rule - honest
mean|^2 over the honest rows' mean squared distance to it; `outside` counts the answers that break what
`mechanisms.aggregation.guarantee` states: the bound kappa or, where no rule of this kind has one, its region.
"""

import argparse
import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import jax.numpy as jnp
import numpy as np
from record import store, stored

from contracts.errors import NotConverged
from mechanisms.aggregation import Defender, aggregate, find, guarantee, rules
from mechanisms.attacks import attack
from mechanisms.testing import HOSTILE, error_ratio, hostile_updates

COMPOSED = (
    "nearest-neighbour-mixing+median",
    "nearest-neighbour-mixing+krum",
    "nearest-neighbour-mixing+mean",
    "adaptive-clipping+median",
    "adaptive-clipping+clustering",
    "bucketing+median",
    "loss-screen+median",
)
TUNED = ("tuned-a-little-is-enough", "tuned-inner-product-manipulation")
SIZES = ((11, 2), (15, 3))
AT_ONCE = 100
TOLERANCE = 1.0  # of the rules around one's own update
PER_BUCKET = 2


def every():
    return [*rules("average"), *rules("distance"), *rules("behaviour"), *COMPOSED]


def honest_rows(draw, count):
    rows = draw.standard_normal((count, draw.choice([1, 2, 5])))
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


def loss(parameters, inputs, _):
    return jnp.mean((inputs - parameters) ** 2)


def error_rate(parameters, inputs, _):
    return jnp.mean(jnp.abs(inputs - parameters) > jnp.abs(inputs))


def settings(name, honest, f):
    """What the rule takes: the first honest row is one's own."""
    parts, own = find(name), honest[0]
    given = {"malicious": f}
    if any("defender" in part.required for part in parts):
        given["defender"] = Defender(
            parameters=np.zeros_like(own),
            update=own,
            inputs=honest[:3],
            labels=np.zeros(3),
            loss=loss,
            error_rate=error_rate,
        )
    elif any("own" in part.required for part in parts):
        given["own"] = own
    if any("tolerance" in part.required for part in parts):
        given["tolerance"] = TOLERANCE
    if name.startswith("bucketing"):
        given["size"] = PER_BUCKET
    return given


def measure(name, rows, honest, f, promise, kind):
    """The error on these rows, or with rows tuned against the rule; whether it is outside, and finite."""
    given = settings(name, honest, f)

    def rule(updates):
        with np.errstate(all="ignore"):
            return aggregate(updates, name, **given)

    if kind in TUNED:
        with np.errstate(all="ignore"):
            rows = attack(honest, kind, colluders=f, rule=rule)
    answer = rule(rows)
    seen = {"honest": honest, "updates": rows, "own": honest[0], "tolerance": TOLERANCE}
    return error_ratio(answer, honest), promise.broken_by(answer, **seen), not np.isfinite(answer).all()


def measure_all(names, n, f, seeds):
    """For every rule: matrices, largest error, how many outside, not finite, not converged."""
    found = {name: np.zeros(5) for name in names}
    promises = {name: guarantee(name, rows=n, malicious=f, size=PER_BUCKET) for name in names}
    for seed in seeds:
        draw = np.random.default_rng([seed, n])
        honest = honest_rows(draw, n - f)
        kind = TUNED[seed // 250 % 2] if seed % 250 == 0 else draw.choice(HOSTILE)
        rows = None if kind in TUNED else hostile_updates(honest, f, kind=kind, seed=seed)
        for name in names:
            kept = found[name]
            try:
                error, broken, infinite = measure(name, rows, honest, f, promises[name], kind)
            except NotConverged:
                kept[4] += 1
                continue
            kept[:] = kept[0] + 1, max(kept[1], error), kept[2] + broken, kept[3] + infinite, kept[4]
    return found


def line(name, n, f, kept):
    promise = guarantee(name, rows=n, malicious=f, size=PER_BUCKET)
    return {
        "rule": name,
        "n": n,
        "f": f,
        "matrices": int(kept[0]),
        "largest": f"{kept[1]:.3g}",
        "bound": "" if promise.kappa is None else f"{promise.kappa:.3g}",
        "region": promise.region,
        "outside": int(kept[2]),
        "not finite": int(kept[3]),
        "not converged": int(kept[4]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=10_000)
    parser.add_argument("--rules", nargs="*", help="only these; the others keep the lines they have")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    names = options.rules or every()
    kept = [row for row in stored("robustness_bounds") if row["rule"] not in names] if options.rules else []
    each = options.matrices // len(SIZES)
    parts = [
        (n, f, range(start, min(start + AT_ONCE, each))) for start in range(0, each, AT_ONCE) for n, f in SIZES
    ]
    together = {(name, *size): np.zeros(5) for name in names for size in SIZES}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=spawn) as pool:
        done = pool.map(functools.partial(measure_all, names), *zip(*parts, strict=True))
        for (n, f, seeds), found in zip(parts, done, strict=True):
            for name in names:
                before = together[name, n, f]
                most = max(before[1], found[name][1])
                before += found[name]
                before[1] = most
            store(
                "robustness_bounds",
                kept + [line(*key, counts) for key, counts in together.items() if counts.any()],
            )
            print(f"{n} rows, {f} hostile: {seeds.stop} matrices", flush=True)


if __name__ == "__main__":
    main()
