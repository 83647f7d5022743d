"""The rules of byzfl and of Flower, run by an interpreter that has one of them. Started by the scripts next
to it.

python peer_rules.py answers CASES.npz ANSWERS.npz      what each rule gives on each case
python peer_rules.py serve ROWS COLUMNS MALICIOUS       times one run of each rule asked for, on one processor
"""

import json
import os
import sys
import time
import types

import numpy as np

UNTIMED = ("minimum-diameter", "geometric-median", "clip to length 1")  # 10^10 subsets; 500 steps; no rule


def stub_torchvision():
    """byzfl imports torchvision for its data loaders, which are not used here; most environments lack it."""
    try:
        import torchvision  # noqa: F401
    except Exception:

        class Anything(types.ModuleType):
            def __getattr__(self, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                return Anything(name)

            def __call__(self, *_, **__):
                return self

        for name in ("torchvision", "torchvision.datasets", "torchvision.transforms"):
            sys.modules[name] = Anything(name)


def byzfl_rules(f):
    stub_torchvision()
    import byzfl

    return {
        "mean": byzfl.Average(),
        "median": byzfl.Median(),
        "trimmed-mean": byzfl.TrMean(f=f),
        "geometric-median": byzfl.GeometricMedian(nu=1e-12, T=500),
        "geometric-median, 3 steps of Weiszfeld": byzfl.GeometricMedian(),
        "geometric-median, 10 steps of Weiszfeld": byzfl.GeometricMedian(nu=1e-6, T=10),
        "krum, n-f-1 neighbours": byzfl.Krum(f=f),
        "multi-krum, n-f-1 neighbours": byzfl.MultiKrum(f=f),
        "centered-clipping, 1 step": lambda rows: byzfl.CenteredClipping(L=1, tau=1.0)(rows),
        "centered-clipping, 3 steps": lambda rows: byzfl.CenteredClipping(L=3, tau=1.0)(rows),
        "minimum-diameter": byzfl.MDA(f=f),
        "mean-around-median": byzfl.Meamed(f=f),
        "nearest-neighbour-mixing": byzfl.NNM(f=f),
        "bucketing": byzfl.Bucketing(s=2),
        "clip to length 1": lambda rows: byzfl.Clipping(c=1.0)(rows.copy()),
    }


def byzfl_attacks():
    stub_torchvision()
    import byzfl

    return {
        "a-little-is-enough": byzfl.ALittleIsEnough(tau=1.5),
        "inner-product-manipulation": byzfl.InnerProductManipulation(tau=0.1),
        "sign-flip": byzfl.SignFlipping(),
        "mimic": byzfl.Mimic(epsilon=0),
    }


def flower_rules(f):
    from flwr.server.strategy import aggregate as flower

    def results(rows):
        return [([row], 1) for row in rows]

    return {
        "median": lambda rows: flower.aggregate_median(results(rows))[0],
        "trimmed-mean": lambda rows: flower.aggregate_trimmed_avg(results(rows), (f + 1e-9) / len(rows))[0],
        "krum": lambda rows: flower.aggregate_krum(results(rows), f, 0)[0],
        "multi-krum": lambda rows: flower.aggregate_krum(results(rows), f, len(rows) - f)[0],
        "bulyan": lambda rows: flower.aggregate_bulyan(results(rows), f, flower.aggregate_krum, to_keep=0)[0],
    }


def peers(f):
    try:
        return {"byzfl": byzfl_rules(f)}
    except ImportError:
        return {"Flower": flower_rules(f)}


def answers(cases_path, answers_path):
    found = {}
    for name, rows in np.load(cases_path).items():
        f = int(name.split("-f")[1])
        for peer, rules in peers(f).items():
            for rule, function in rules.items():
                if "steps of Weiszfeld" not in rule and "3 steps" not in rule and rule != "bucketing":
                    found[f"{name}|{peer}|{rule}"] = np.asarray(function(rows.copy()))
            if peer == "byzfl":
                for attack, function in byzfl_attacks().items():
                    found[f"{name}|byzfl attack|{attack}"] = np.asarray(function(rows.copy()))
    np.savez(answers_path, **found)


def one_processor():
    """So that what every library takes can be compared, whatever else the machine does."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def seconds(rule):
    """The processor's seconds that one run takes: time in which other programs run does not count."""
    start = time.process_time()
    rule()
    return time.process_time() - start


def serve(rows, columns, f):
    """Print the names of what can be timed, then the seconds of one run for every name that is read."""
    one_processor()
    values = np.random.default_rng(0).standard_normal((rows, columns), dtype=np.float32)
    runs = {}
    for peer, rules in peers(f).items():
        data = {f"{peer} NumPy": values}
        if peer == "byzfl":
            import torch

            torch.set_num_threads(1)
            data["byzfl torch"] = torch.from_numpy(values.copy())
        for kind, updates in data.items():
            for name, rule in rules.items():
                if name not in UNTIMED:
                    runs[f"{kind}|{name}"] = lambda rule=rule, updates=updates: rule(updates)
    print(json.dumps(list(runs)), flush=True)
    for line in sys.stdin:
        print(seconds(runs[line.strip()]), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "answers":
        answers(*sys.argv[2:])
    else:
        serve(*map(int, sys.argv[2:]))
