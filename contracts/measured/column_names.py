"""What columns of measurements are called, by scikit-learn, Keras, and people.

>>> find_columns("curve.csv", ["Training set size", "Test accuracy (%)", "SEM"]).kinds
{'data': 0, 'value': 1, 'error': 2}
"""

from __future__ import annotations

import re

from contracts.errors import InvalidInput
from contracts.measured.scores import NAMES
from contracts.records import frozen


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DATA = _words(
    "data train_size train_sizes training_size training_sizes training_set_size train_set_size training_data"
    " size size_train sample_size dataset_size data_size n n_train ntrain n_data n_samples n_train_samples n_obs"
    " samples training_samples train_samples sample observations tokens train_tokens n_tokens examples"
    " training_examples train_examples n_examples records rows images patients cases data_points datapoints"
    " amount_of_data datensätze daten trainingsdaten données taille_de_l_échantillon"
)
ERRORS = _words(
    "standard_error std_err stderr std_error se sem s_e s_e_m standard_error_of_the_mean standardfehler"
    " erreur_standard accuracy_se acc_se accuracy_sem test_score_se test_score_sem mean_se"
)
DEVIATIONS = _words(
    "test_score_std std_test_score test_scores_std val_score_std accuracy_std acc_std test_accuracy_std"
    " val_accuracy_std val_acc_std std sd stdev std_dev st_dev standard_deviation standardabweichung"
)
TIMES = (
    "repeats",
    "repetitions",
    "replicates",
    "runs",
    "n_runs",
    "n_splits",
    "splits",
    "folds",
    "n_repeats",
    "cv",
)
SIGNS = ("(%)", "[%]", "%", "in %", "in percent", "(percent)", "percent", "_pct", "pct")
OTHERS = ("mse", "rmse", "mae", "mean_squared_error", "neg_mean_squared_error", "mean_absolute_error")
STEPS = ("epoch", "epochs", "step", "steps", "iteration", "iterations")
REPLICATE = re.compile(r"(split|fold|run|rep|replicate|repeat|repetition|seed|trial|cv)_?\d+(_.*)?")


@frozen
class Columns:
    """Which column is what.

    Attributes:
        kinds: place by kind: "data", "value", "error", "deviation", "times".
        replicates: places of columns with one value each, where there is no "value".
        name: what the score is called, in plain form.
        percent: kinds whose name says percent.
        notes: what was not plain.
    """

    kinds: dict[str, int]
    replicates: tuple[int, ...]
    name: str
    percent: tuple[str, ...]
    notes: tuple[str, ...]


def plain_name(name: str) -> tuple[str, bool]:
    """A name in lower case with underscores, and whether it says percent."""
    word = name.strip().strip("'\"").lower()
    sign = next(
        (one for one in sorted(SIGNS, key=len, reverse=True) if word.endswith(one) and word != one), None
    )
    word = word[: -len(sign)] if sign else word
    word = re.sub(r"^(number|amount|nr\.?|no\.?) of |^#\s*|^num[_ ]", "", word.strip())
    word = re.sub(r"\((mean|average|test|nats|n)\)", "", word)
    word = re.sub(r"^(mean|average|avg)[_ ](?!test_score|squared|absolute|se$)", "", word)
    word = re.sub(r"[\s\-/.:]+", "_", word.strip()).strip("_")
    return re.sub(r"_(mean|avg|average)$", "", word) if word != "test_score_mean" else word, sign is not None


def find_columns(where: str, names: list[str]) -> Columns:
    """Which column is what, by their names.

    Raises:
        InvalidInput: a column is missing, occurs twice, or holds what is no score.
    """
    words, percent = zip(*map(plain_name, names), strict=True) if names else ((), ())
    kinds: dict[str, int] = {}
    for kind, known in (
        ("data", DATA),
        ("value", tuple(NAMES)),
        ("error", ERRORS),
        ("deviation", DEVIATIONS),
        ("times", TIMES),
    ):
        ranked = [k for name in known for k, word in enumerate(words) if word == name]
        if ranked:
            if words.count(words[ranked[0]]) > 1:
                raise InvalidInput(f"{where}: column {names[ranked[0]]!r} occurs twice: expected it once")
            kinds[kind] = ranked[0]
    replicates = tuple(
        k
        for k, word in enumerate(words)
        if REPLICATE.fullmatch(word) and "train" not in word and "time" not in word
    )
    replicates = replicates if "value" not in kinds and len(replicates) > 1 else ()
    notes = []
    if len(names) == 2 and not replicates and {"error", "deviation"}.isdisjoint(kinds):
        notes += _only_two(kinds, names, words)
    _complete(where, kinds, replicates, names, words)
    if "error" in kinds:
        kinds.pop("deviation", None)
    used = {*kinds.values(), *replicates}
    aside = [repr(name) for k, name in enumerate(names) if k not in used and name]
    if aside:
        notes.append(f"left aside: {', '.join(aside):.200}")
    return Columns(
        kinds=kinds,
        replicates=replicates,
        name=words[kinds["value"]] if "value" in kinds else "accuracy",
        percent=tuple(kind for kind, k in kinds.items() if percent[k]),
        notes=tuple(notes),
    )


def _only_two(kinds: dict[str, int], names: list[str], words: tuple[str, ...]) -> list[str]:
    """With two columns, an unknown name is of what the other one is not."""
    unknown = [k for k in (0, 1) if k not in kinds.values() and words[k] not in (*OTHERS, *STEPS)]
    if len(unknown) == 2:
        kinds |= {"data": 0, "value": 1}
    elif unknown and len(kinds) == 1:
        kinds["value" if "data" in kinds else "data"] = unknown[0]
    if not unknown or len(kinds) < 2:
        return []
    return [f"columns {names[kinds['data']]!r} and {names[kinds['value']]!r} are read as data and accuracy"]


def _complete(where: str, kinds: dict[str, int], replicates: tuple, names: list[str], words: tuple) -> None:
    """Refuse what lacks a column, saying what is there instead."""
    among = f"among {', '.join(map(repr, names)):.200}"
    if "data" not in kinds:
        step = next((names[k] for k, word in enumerate(words) if word in STEPS), None)
        cure = f" ({step!r} counts passes over the same data: expected how many there were)" if step else ""
        raise InvalidInput(f"{where}: no column 'data' {among}: expected data, accuracy{cure}")
    if "value" not in kinds and not replicates:
        other = next((names[k] for k, word in enumerate(words) if word in OTHERS), None)
        cure = f" ({other!r} has no scale of its own: expected r2 = 1 - mse / variance)" if other else ""
        raise InvalidInput(f"{where}: no column 'accuracy' {among}: expected data, accuracy{cure}")
