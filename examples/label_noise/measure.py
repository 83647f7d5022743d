"""Measure, with trained models, what the participation game predicts for agents with wrong labels.

    python examples/label_noise/measure.py digits
    python examples/label_noise/measure.py breast_cancer

Writes NAME.json next to this file, and the game the model predicts as NAME.toml for `modelpact play`.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from contracts.storage import write_atomically
from equilibria.label_noise import LabelNoise, label_noise
from equilibria.participation import ParticipationGame
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule

CASES = {
    "digits": {
        "rates": [0.02, 0.041, 0.064, 0.091, 0.123, 0.16, 0.207, 0.27, 0.364, 0.553],
        "sizes": [30, 60, 120, 240, 480],
        "standalone": 60,
    },
    "breast_cancer": {
        "rates": [0.01, 0.02, 0.032, 0.048, 0.068, 0.095, 0.135, 0.215],
        "sizes": [10, 20, 40, 80, 160],
        "standalone": 30,
    },
}
REPEATS, RUNS = 200, 60


def verification(task: LabelNoise, game: ParticipationGame, samples: int, paid: bool) -> dict:
    """How often estimates from real samples make the grand coalition an equilibrium, at the true rates."""
    rule = VerifiedRule(samples=samples, trusted_samples=task.trusted_labels.size // 2, paid=paid)
    nash, surplus = 0, []
    for run in range(RUNS):
        checked = game.with_rule(replace(rule, estimates=task.estimates(samples, seed=run)))
        gains = checked.surpluses("all")
        nash += bool((gains >= -game.tolerance).all())
        surplus.append(gains.sum())
    interval = stats.binomtest(nash, RUNS).proportion_ci(method="exact")
    return {
        "samples": samples,
        "paid": paid,
        "runs": RUNS,
        "nash": nash,
        "interval": [round(interval.low, 4), round(interval.high, 4)],
        "mean_surplus": round(float(np.mean(surplus)), 4),
        "proved": rule.guarantee(game).holds,
    }


def measure(name: str) -> tuple[dict, ParticipationGame]:
    case = CASES[name]
    task = label_noise(name, case["rates"])
    curve = task.learning_curve(case["sizes"], repeats=REPEATS)
    game = task.calibrated_game(case["sizes"], curve, standalone=case["standalone"])
    full = game.with_rule(FullInformationRule())
    chain = [np.arange(first, game.players) for first in range(game.players)]
    cascade = task.cascade(game, repeats=REPEATS)
    amounts = full.contributions()
    error = task.error(amounts, repeats=REPEATS)
    result = {
        "data": name,
        "repeats": REPEATS,
        "rates": case["rates"],
        "learning_curve": {"sizes": case["sizes"], "errors": curve.round(5).tolist()},
        "game": {key: float(f"{getattr(game, key):.8g}") for key in ("complexity", "exponent", "cost")},
        "chain": {
            "members": [members.size for members in chain],
            "predicted_error": [round(game.learning_error(members), 5) for members in chain],
            "measured_error": [
                round(task.error(game.contributions(members), repeats=REPEATS).mean, 5) for members in chain
            ],
        },
        "cascade": {
            "predicted_sizes": game.unravel().sizes.tolist(),
            "measured_sizes": cascade.sizes.tolist(),
            "measured_errors": cascade.errors.round(5).tolist(),
            "measured_least_gains": cascade.least_gains.round(5).tolist(),
        },
        "full_information": {
            "contributions": amounts.round(2).tolist(),
            "predicted_error": round(full.learning_error(), 5),
            "measured_error": round(error.mean, 5),
            "standard_error": round(error.standard_error, 5),
            "predicted_surplus": round(full.total_surplus(), 4),
            "measured_gains": task.measured_gains(full, repeats=REPEATS).round(4).tolist(),
        },
        "verification": [
            verification(task, game, samples, paid)
            for samples, paid in (
                (10, False),
                (25, False),
                (50, False),
                (100, False),
                (200, False),
                (15, True),
            )
        ],
    }
    return result, game


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in CASES:
        raise SystemExit(f"usage: measure.py {' | '.join(CASES)}")
    name = sys.argv[1]
    result, game = measure(name)
    folder = Path(__file__).parent
    write_atomically(folder / f"{name}.json", json.dumps(result, indent=1) + "\n")
    constants = "\n".join(f"{key} = {getattr(game, key):.8g}" for key in ("complexity", "exponent", "cost"))
    write_atomically(
        folder / f"{name}.toml",
        f"# Fitted to the learning curve of nearest neighbours on clean {name} data; see measure.py.\n"
        f'title = "Wrong labels: {name}"\nloss_weight = 1.0\n{constants}\ntypes = {result["rates"]}\n\n'
        "[rules.pooled]\n\n[rules.full_information]\n\n[rules.verified]\nsamples = 100\n"
        f"trusted_samples = {label_noise(name, [0.0]).trusted_labels.size // 2}\npaid = false\nruns = 60\n",
    )
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
