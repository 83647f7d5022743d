"""Is what verification proves true where data are skewed? Splits of real data by Dirichlet(.1) over the labels.

    python benchmarks/skewed_splits.py [--splits 50]

Digits and breast cancer are split among four agents, each label by its own draw of shares, so that most agents
lack most labels. Quality is estimated from samples of what each owns, over two classes of models: two probe
classifiers with the frequencies of labels, and all decision stumps. A line is one split and class: whether the
guarantee says proved, its radius, by how much the worst estimate is off the true discrepancy (over the class,
exactly), and by how much a model of the class that was trained on the samples exceeds the estimate of any
agent's data. Writes results/skewed_splits.csv.
"""

import argparse
from typing import Any

import numpy as np
from record import store
from sklearn import datasets, linear_model, preprocessing, tree

from equilibria.participation import ParticipationGame
from equilibria.verified import VerifiedRule
from mechanisms.stumps import estimate_types_over_stumps, largest_stump_difference
from mechanisms.verification import estimate_types, probe_losses

#: Agents who would train so much alone that the theorem's condition holds for any radius below one: what is
#: examined is the promise, not its price.
CONSTANTS: dict[str, Any] = {"loss_weight": 1.0, "complexity": 1e4, "cost": 1e-6}
AGENTS, SAMPLES, TRUSTED, STEPS = 4, 300, 400, (1, 3)


def dirichlet_shares(labels, agents, rng, concentration=0.1):
    """Who owns each sample when each label is split by its own Dirichlet draw."""
    owner = np.empty(labels.size, dtype=int)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        shares = rng.dirichlet(np.full(agents, concentration))
        cuts = (np.cumsum(shares) * rows.size).astype(int)[:-1]
        for agent, part in enumerate(np.split(rows, cuts)):
            owner[part] = agent
    return owner


def errors(models, features, labels):
    """0-1 losses of models that each look at some features only, shape (samples, models)."""
    looks = [lambda table, m=model, s=step: m.predict(table[:, ::s]) for step, model in models.items()]
    return probe_losses(looks, features, labels)


def variation(own, other):
    kinds = np.unique(other)
    return sum(abs((own == kind).mean() - (other == kind).mean()) for kind in kinds) / 2.0


def measure(name, seed):
    """Rows of one split."""
    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    features = preprocessing.StandardScaler().fit_transform(features)
    rng, classes = np.random.default_rng(seed), np.unique(labels).size
    order = rng.permutation(labels.size)
    train, rest = order[:150], order[150:]
    owner = dirichlet_shares(labels[rest], AGENTS, rng)
    # What an agent owns is their distribution, all of it the target; samples are drawn with replacement.
    owned = [rest[owner == agent] for agent in range(AGENTS)]
    owned = [rows if rows.size else rest[:1] for rows in owned]
    drawn = [rng.choice(rows, size=SAMPLES) for rows in owned]
    trusted = rng.choice(rest, size=TRUSTED)
    told = [labels[rows] for rows in drawn]
    probes = {
        step: linear_model.LogisticRegression(max_iter=2000).fit(features[train, ::step], labels[train])
        for step in STEPS
    }
    means = [errors(probes, features[rows], labels[rows]).mean(axis=0) for rows in [*owned, rest]]
    seen = np.abs(np.array(means[:-1]) - means[-1])
    yield {
        "data": name, "seed": seed, "models": "probes and labels",
        **examined(
            estimate_types(
                [errors(probes, features[rows], labels[rows]) for rows in drawn],
                errors(probes, features[trusted], labels[trusted]),
                labels=told, trusted_labels=labels[trusted], classes=classes,
            ),
            np.maximum(seen.max(axis=1), [variation(labels[rows], labels[rest]) for rows in owned]),
            seen[:, 0],
        ),
    }  # fmt: skip
    stump = tree.DecisionTreeClassifier(max_depth=1, random_state=0)
    stump.fit(features[np.concatenate(drawn)], np.concatenate(told))
    wrong = [(stump.predict(features[rows]) != labels[rows]).mean() for rows in [*owned, rest]]
    yield {
        "data": name, "seed": seed, "models": "decision stumps",
        **examined(
            estimate_types_over_stumps(
                [features[rows] for rows in drawn], told, features[trusted], labels[trusted], classes=classes
            ),
            np.array([
                largest_stump_difference(features[rows], labels[rows], features[rest], labels[rest])
                for rows in owned
            ]),
            np.abs(np.array(wrong[:-1]) - wrong[-1]),
        ),
    }  # fmt: skip


def examined(estimates, exact, trained):
    """What the guarantee says, and how far estimates are from discrepancies, of the class and of one model."""
    guarantee = VerifiedRule(estimates=estimates).guarantee(
        ParticipationGame(types=estimates.estimates, **CONSTANTS), estimates.model_class
    )
    off = float(np.abs(estimates.estimates - exact).max())
    above = float((trained - estimates.estimates).max())
    return {
        "proved": guarantee.holds,
        "confidence": guarantee.confidence,
        "radius": round(guarantee.radius, 4),
        "off": round(off, 4),
        "trained above": round(above, 4),
        "within": max(off, above) <= guarantee.radius,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=50)
    splits = parser.parse_args().splits
    rows = [row for name in ("digits", "breast_cancer") for seed in range(splits) for row in measure(name, seed)]
    store("skewed_splits", rows)
    for name in ("digits", "breast_cancer"):
        for models in ("probes and labels", "decision stumps"):
            mine = [row for row in rows if (row["data"], row["models"]) == (name, models)]
            proved = [row for row in mine if row["proved"]]
            within = f"{sum(row['within'] for row in proved)} of {len(proved)} within {mine[0]['radius']}"
            print(f"{name}, {models}: {within}, at most {max(row['off'] for row in mine)} off")


if __name__ == "__main__":
    main()
