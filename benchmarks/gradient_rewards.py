"""Fairness of rewards in gradients by the paper's own measure: digits, three splits, 5 and 10 participants.

    python benchmarks/gradient_rewards.py [--seeds 5]

For the rule as published and as mended: the correlation of final with standalone accuracies over seeds (the
paper claims above .9), where it is defined; the rank correlation; mean and spread of final accuracies; how
many of the participants end below what they reach alone by more than sampling explains.
"""

import argparse

from record import store

from mechanisms.datasets import load, split
from mechanisms.fairness import fairness, over_runs, rationality
from mechanisms.gradient_rewards import CosineGradientRewards
from mechanisms.local_training import LocalTraining, train_alone
from mechanisms.models import MultilayerPerceptron
from mechanisms.training import train

ROUNDS = 40
RULES = {
    "published": CosineGradientRewards(step=0.5),
    "mended": CosineGradientRewards.mended(altruism=0.5),
}


def measure(rule, kind, participants, seed):
    digits = load("digits", validation=100, test=500, seed=seed)
    samples = None if kind == "class-imbalance" else 60  # there the classes set how many
    parts = split(digits, participants=participants, kind=kind, seed=seed, samples=samples)
    model, local = MultilayerPerceptron(features=64, classes=10), LocalTraining(epochs=5, rate=0.5)
    run = train(model, parts, rounds=ROUNDS, local=local, reward=rule, validation=digits.test, seed=seed)
    alone = [
        model.accuracy(params, digits.test.inputs, digits.test.labels)
        for params in train_alone(model, parts, epochs=5 * ROUNDS, local=local, seed=seed)
    ]
    final = run.participant_accuracy[-1]
    return fairness(alone, final), len(rationality(alone, final, samples=500).losers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    rows = []
    for kind in ("uniform", "power-law", "class-imbalance"):
        for participants in (5, 10):
            for name, rule in RULES.items():
                found = [measure(rule, kind, participants, seed) for seed in range(seeds)]
                linear = over_runs([one.pearson for one, _ in found], low=-1, high=1)
                rows.append(
                    {
                        "split": kind,
                        "participants": participants,
                        "rule": name,
                        "seeds": seeds,
                        "correlation": f"{linear.mean:.2f}",
                        "low": f"{linear.low:.2f}",
                        "high": f"{linear.high:.2f}",
                        "undefined": linear.undefined,
                        "rank": f"{over_runs([one.spearman for one, _ in found]).mean:.2f}",
                        "mean": f"{sum(one.mean for one, _ in found) / seeds:.3f}",
                        "spread": f"{sum(one.spread for one, _ in found) / seeds:.3f}",
                        "worse than alone": f"{sum(losers for _, losers in found) / seeds / participants:.2f}",
                    }
                )
                print(*rows[-1].values(), flush=True)
                store("gradient_rewards", rows)


if __name__ == "__main__":
    main()
