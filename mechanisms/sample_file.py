"""Labelled samples of the user's own, read from a file.

Two forms are read: CSV with a header, a column `label` (numbers or words) and numbers in all others; and NPZ, as
`numpy.savez` writes it, with `inputs` of shape (samples, features) and `labels` of shape (samples,). Classes are
numbered in the order of their labels.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import TypeGuard

import numpy as np

from contracts.errors import InvalidInput

ENDINGS = (".csv", ".npz")
LABEL = "label"
FEWEST = 3  # samples of a class: one for training, one for validation, one for the test


def is_file(name: object) -> TypeGuard[str]:
    """Whether a data set's name is the path of a file of samples.

    >>> is_file("patients.csv"), is_file("digits")
    (True, False)
    """
    return isinstance(name, str) and name.lower().endswith(ENDINGS)


def digest(path: str) -> str:
    """SHA-256 of the file, by which a change of it is noticed.

    Raises:
        InvalidInput: it cannot be read.
    """
    return hashlib.sha256(_bytes(path)).hexdigest()


def read_samples(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of shape (samples, features), and the class of each sample, from 0.

    Raises:
        InvalidInput: naming the file, the row, the column and what is accepted; fewer than two classes, or a
            class with fewer than three samples.
    """
    inputs, labels = _from_csv(path) if path.lower().endswith(".csv") else _from_npz(path)
    wrong = np.argwhere(~np.isfinite(inputs))
    if wrong.size:
        row, column = wrong[0].tolist()
        raise InvalidInput(f"{path}: sample {row}, feature {column} = {inputs[row, column]}: expected a number")
    names, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if names.size < 2:
        raise InvalidInput(f"{path}: {names.size} classes: expected at least two different labels")
    rare = int(np.argmin(counts))
    if counts[rare] < FEWEST:
        raise InvalidInput(
            f"{path}: {counts[rare]} samples with label {str(names[rare])!r}: expected at least {FEWEST} of each"
        )
    return inputs, classes.astype(np.int64)


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}: expected a CSV or NPZ file of samples") from error


def _from_csv(path: str) -> tuple[np.ndarray, np.ndarray]:
    if not _bytes(path).strip():
        raise InvalidInput(f"{path} is empty: expected a header and a row for each sample")
    try:
        lines = [line for line in _bytes(path).decode("utf-8-sig").splitlines() if line.strip()]
        table = np.loadtxt(lines, dtype=str, delimiter=",", quotechar='"', comments=None, ndmin=2)
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInput(f"{path} is not a table of comma-separated values: {error}") from error
    header = [str(name).strip() for name in table[0]]
    if header.count(LABEL) != 1 or len(header) < 2:
        raise InvalidInput(
            f"{path}: columns {', '.join(header[:8])}: expected one named {LABEL!r} and at least one of numbers"
        )
    place = header.index(LABEL)
    features = np.delete(table[1:], place, axis=1)
    try:
        inputs = features.astype(np.float64)
    except ValueError:
        raise InvalidInput(_not_a_number(path, features, [*header[:place], *header[place + 1 :]])) from None
    return inputs, np.char.strip(table[1:, place])


def _not_a_number(path: str, features: np.ndarray, names: list[str]) -> str:
    for row, column in np.ndindex(features.shape):
        try:
            float(features[row, column])
        except ValueError:
            return f"{path}: row {row + 1}, {names[column]} = {str(features[row, column])!r}: expected a number"
    return f"{path}: expected numbers"


def _from_npz(path: str) -> tuple[np.ndarray, np.ndarray]:
    expected = "expected `inputs` of shape (samples, features), numbers, and `labels` of shape (samples,)"
    _bytes(path)  # says what is wrong if it cannot be read
    try:
        with np.load(path, allow_pickle=False) as file:
            inputs, labels = np.asarray(file["inputs"]), np.asarray(file["labels"])
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path} is not a file of samples: {error}: {expected}") from error
    if inputs.ndim != 2 or inputs.dtype.kind not in "iufb" or labels.shape != (len(inputs),):
        raise InvalidInput(f"{path}: inputs {inputs.dtype} {inputs.shape}, labels {labels.shape}: {expected}")
    return inputs.astype(np.float64), labels
