"""Exact cosine Shapley values: the Gram table against evaluating every subset, and against pyDVL.

Run `python benchmarks/shapley.py`. pyDVL pins an old NumPy, so it is asked in an environment of its own: set
PYDVL_PYTHON to that environment's interpreter to add its column.
"""

import json
import os
import subprocess
import time

import numpy as np

from mechanisms.cosine_game import cosine_contributions, cosine_shapley
from mechanisms.shapley import shapley

SIZE = 2410  # parameters of the digits network 64-32-10

PYDVL = """
import json, sys, time
import numpy as np
from pydvl.valuation.dataset import Dataset
from pydvl.valuation.methods import ShapleyValuation
from pydvl.valuation.samplers import DeterministicUniformSampler, FiniteSequentialIndexIteration
from pydvl.valuation.stopping import NoStopping
from pydvl.valuation.utility.base import UtilityBase

updates = np.array(json.load(sys.stdin))
together = updates.sum(axis=0)

class Cosine(UtilityBase):
    def __call__(self, sample):
        if sample is None or len(sample.subset) == 0:
            return 0.0
        chosen = updates[list(sample.subset)].sum(axis=0)
        return float(chosen @ together / np.linalg.norm(chosen) / np.linalg.norm(together))

data = Dataset(np.arange(len(updates)).reshape(-1, 1), np.zeros(len(updates)))
sampler = DeterministicUniformSampler(index_iteration=FiniteSequentialIndexIteration)
started = time.perf_counter()
valuation = ShapleyValuation(Cosine(), sampler, NoStopping(), progress=False)
valuation.fit(data)
result = valuation.result
result.sort(key="index")
print(json.dumps({"seconds": time.perf_counter() - started, "values": list(map(float, result.values))}))
"""


def timed(function, *, repeats=3):
    best, result = np.inf, None
    for _ in range(repeats):
        started = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - started)
    return best, result


def by_subsets(updates):
    together = updates.sum(axis=0)

    def game(coalition):
        if not coalition:
            return 0.0
        chosen = updates[list(coalition)].sum(axis=0)
        return float(chosen @ together / np.linalg.norm(chosen) / np.linalg.norm(together))

    return shapley(game, players=len(updates)).values


def by_pydvl(updates):
    interpreter = os.environ.get("PYDVL_PYTHON")
    if not interpreter:
        return np.nan, None
    answer = subprocess.run(
        [interpreter, "-c", PYDVL],
        input=json.dumps(updates.tolist()),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(answer.stdout.splitlines()[-1])
    return found["seconds"], np.array(found["values"])


def main():
    print(f"{SIZE} parameters; seconds, the least of three runs (pyDVL and subsets beyond 10: of one)")
    heads = ["players", "Gram", "subsets", "ratio", "pyDVL", "ratio", "surrogate", "agreement"]
    print(" ".join(f"{head:>9}" for head in heads))
    for players in (5, 8, 10, 12, 14, 16, 18, 20):
        updates = np.random.default_rng(players).normal(size=(players, SIZE))
        gram, exact = timed(lambda u=updates: cosine_shapley(u).values)
        linear, _ = timed(lambda u=updates: cosine_contributions(u))
        subsets, gaps = np.nan, []
        if players <= 16:
            subsets, values = timed(lambda u=updates: by_subsets(u), repeats=3 if players <= 10 else 1)
            gaps.append(np.abs(values - exact).max())
        peer, values = by_pydvl(updates) if players <= 10 else (np.nan, None)
        if values is not None:
            gaps.append(np.abs(values - exact).max())
        figures = [gram, subsets, subsets / gram, peer, peer / gram, linear, max(gaps, default=np.nan)]
        print(" ".join([f"{players:>9}", *(f"{figure:>9.2g}" for figure in figures)]))


if __name__ == "__main__":
    main()
