"""Measure how well a nearest-neighbour reader recognises digits, by the number of transcribed examples.

    python examples/handwriting/measure.py        # about 10 seconds; writes curve.csv beside this file

Data: the 1797 handwritten digits (8 x 8 pixels, 43 writers) that ship with scikit-learn, a copy of the test
set of the UCI "Optical Recognition of Handwritten Digits" data. Every repetition draws its own training
images and 600 others to test on, so that the errors of different rows are independent of each other.
"""

import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

SIZES = [20, 30, 45, 68, 100, 150, 225, 340, 510, 760, 1150]
REPETITIONS, TEST_IMAGES, SEED = 400, 600, 2026


def accuracy(images: np.ndarray, digits: np.ndarray, size: int, repetition: int) -> float:
    """Share of held-out images read correctly after training on `size` random ones."""
    order = np.random.default_rng([SEED, size, repetition]).permutation(len(digits))
    train, test = order[:size], order[size : size + TEST_IMAGES]
    reader = KNeighborsClassifier(1).fit(images[train], digits[train])
    return float(reader.score(images[test], digits[test]))


def main() -> None:
    images, digits = load_digits(return_X_y=True)
    target = Path(__file__).with_name("curve.csv")
    with target.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["data", "accuracy", "standard_error", "repetitions"])
        for size in SIZES:
            found = [accuracy(images, digits, size, repetition) for repetition in range(REPETITIONS)]
            error = np.std(found, ddof=1) / np.sqrt(REPETITIONS)
            table.writerow([size, f"{np.mean(found):.6f}", f"{error:.6f}", REPETITIONS])
            print(f"{size:5d} examples: accuracy {np.mean(found):.4f} ± {error:.4f}")


if __name__ == "__main__":
    main()
