"""What an estimate of quality sees of data that lack classes: five participants who share handwritten digits.

    python examples/skewed_digits/measure.py

Four have all ten digits and some wrong labels, the fifth has clean labels and four digits. Whose data are taken
for best, what is promised of the model, and how a nearest-neighbour model errs that is trained as asked. Writes
digits.json here.
"""

import json
from pathlib import Path

import numpy as np
from sklearn import datasets, linear_model, neighbors

from contracts.storage import write_atomically
from equilibria.participation import ParticipationGame
from equilibria.verified import VerifiedRule
from mechanisms.shift import shift_tests
from mechanisms.verification import TypeEstimates, estimate_types, probe_losses

CONSTANTS = {"loss_weight": 1.0, "complexity": 2.5255, "exponent": 0.7035, "cost": 0.001662}  # as in label_noise
NOISE, SAMPLES, REPEATS = 0.15, 150, 20


def samples(rng, features, labels, rows, agent, count):
    """What an agent has: clean and four digits for the last, all digits and wrong labels for the others."""
    own = rng.choice(rows[labels[rows] < 4] if agent == 4 else rows, size=count)
    wrong = rng.random(count) < (0.0 if agent == 4 else NOISE)
    return features[own], np.where(wrong, (labels[own] + rng.integers(1, 10, count)) % 10, labels[own])


def error_of(contributions, data, test, test_labels) -> float:
    """Error of the nearest-neighbour model of what everybody gives."""
    counts = np.floor(contributions).astype(int)
    given = [data(agent, count) for agent, count in enumerate(counts) if count > 0]
    table, told = (np.concatenate(part) for part in zip(*given, strict=True))
    model = neighbors.KNeighborsClassifier(1).fit(table, told)
    return float((model.predict(test) != test_labels).mean())


def asked(estimates: TypeEstimates) -> tuple[np.ndarray, float]:
    """Contributions under the verified rule, and the error it reckons with."""
    game = ParticipationGame(types=estimates.estimates, **CONSTANTS)
    rule = VerifiedRule(estimates=estimates, paid=False, slack_factor=0.0)
    played = game.with_rule(rule)
    return played.contributions("all"), played.learning_error("all")


def measure(seed: int) -> dict[str, dict[str, float]]:
    features, labels = datasets.load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    train, trusted, test, rest = np.split(rng.permutation(labels.size), [200, 500, 900])
    probe = linear_model.LogisticRegression(max_iter=3000).fit(features[train], labels[train])

    def data(agent, count):
        return samples(rng, features, labels, rest, agent, count)

    own, told = zip(*(data(agent, SAMPLES) for agent in range(5)), strict=True)
    losses = [probe_losses([probe.predict], table, known) for table, known in zip(own, told, strict=True)]
    target = probe_losses([probe.predict], features[trusted], labels[trusted])
    blind = estimate_types(losses, target)
    tests = shift_tests(told, labels[trusted], features=own, trusted_features=features[trusted])
    found = {
        "by the probe alone": blind,
        "labels counted": estimate_types(
            losses, target, labels=told, trusted_labels=labels[trusted], classes=10
        ),
        "who differs refused": blind.refusing(tests),
    }
    rows = {}
    for name, estimates in found.items():
        contributions, claimed = asked(estimates)
        rows[name] = {
            "share of the four digits": float(contributions[4] / contributions.sum()),
            "error reckoned with": claimed,
            "error measured": error_of(contributions, data, features[test], labels[test]),
        }
    return rows


def main() -> None:
    runs = [measure(seed) for seed in range(REPEATS)]
    means = {
        name: {key: round(float(np.mean([run[name][key] for run in runs])), 3) for key in runs[0][name]}
        for name in runs[0]
    }
    path = Path(__file__).parent / "digits.json"
    write_atomically(path, json.dumps({"repeats": REPEATS, **means}, indent=1) + "\n")
    print(path.read_text(), end="")


if __name__ == "__main__":
    main()
