"""Measure how well a classifier tells malignant from benign tumours, by the number of labelled samples.

    python examples/tumour-clinics/measure.py     # about a minute; writes curve.csv beside this file

Data: the 569 fine-needle samples of breast tumours (30 features of cell nuclei) that ship with scikit-learn,
the UCI "Breast Cancer Wisconsin (Diagnostic)" data. Every repetition draws its own training samples and 200
others to test on; the rows share none of their draws, so their errors are independent of each other.
"""

import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SIZES = [12, 17, 24, 34, 48, 68, 96, 136, 192, 272, 368]
REPETITIONS, TEST_SAMPLES, SEED = 400, 200, 2026


def accuracy(samples: np.ndarray, malignant: np.ndarray, size: int, repetition: int) -> float:
    """Share of held-out tumours classified correctly after training on `size` random ones."""
    rng = np.random.default_rng([SEED, size, repetition])
    order = rng.permutation(len(malignant))
    while len(set(malignant[order[:size]])) < 2:  # a dozen samples may all be benign: nothing to learn from
        order = rng.permutation(len(malignant))
    train, test = order[:size], order[size : size + TEST_SAMPLES]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return float(classifier.fit(samples[train], malignant[train]).score(samples[test], malignant[test]))


def main() -> None:
    samples, malignant = load_breast_cancer(return_X_y=True)
    target = Path(__file__).with_name("curve.csv")
    with target.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["data", "accuracy", "standard_error", "repetitions"])
        for size in SIZES:
            found = [accuracy(samples, malignant, size, repetition) for repetition in range(REPETITIONS)]
            error = np.std(found, ddof=1) / np.sqrt(REPETITIONS)
            table.writerow([size, f"{np.mean(found):.6f}", f"{error:.6f}", REPETITIONS])
            print(f"{size:4d} samples: accuracy {np.mean(found):.4f} ± {error:.4f}")


if __name__ == "__main__":
    main()
