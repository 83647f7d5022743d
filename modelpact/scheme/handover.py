"""From the accepted data to delivered models: train, settle, deliver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from contracts.errors import InvalidInput
from mechanisms.datasets import Samples
from mechanisms.delivery import Delivery, audit, deliver
from mechanisms.delivery.families import FAMILIES
from mechanisms.delivery.full_model import FullModel, train_full
from mechanisms.protocols import Fittable
from modelpact.scheme.menu import Menu
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.trainers import Trained, TrainingJob, classifier, find_trainer
from modelpact.scheme.world import samples


def model_of(scheme: Scheme, data: Record) -> Any:
    """The classifier that is trained."""
    return classifier(scheme.model, features=data.result["features"], classes=data.result["classes"])


def method_of(scheme: Scheme, model: Any) -> str:
    """How models of promised accuracies are made."""
    return scheme.delivery.method or ("nested-subset" if isinstance(model, Fittable) else "early-stop")


def training_job(scheme: Scheme, inputs: Mapping[str, Record]) -> TrainingJob:
    """What the trainer is given, from the records of "data", "launch" and "verify"."""
    signatures = inputs["launch"].result["signatures"]
    accepted = inputs["verify"].result["accepted"]
    attacks = ["" if signatures[k]["attack"] == "label-flip" else signatures[k]["attack"] for k in accepted]
    return TrainingJob(
        model=model_of(scheme, inputs["data"]),
        participants=tuple(samples(inputs["verify"], k) for k in accepted),
        names=tuple(signatures[k]["name"] for k in accepted),
        attacks=tuple(attacks),
        settings=scheme.training,
        validation=samples(inputs["data"], "validation"),
        seed=scheme.seed,
    )


def train(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Train the joint model on what was accepted. `modelpact.scheme.trainers` says how to replace this."""
    trainer = find_trainer(scheme.training.trainer)
    job = training_job(scheme, inputs)
    if not job.participants:
        full = _untrained(job.model, job.seed)
        at = 0.0 if full.params is None else full.accuracy(full.params, job.validation)
        return record_of(scheme, Trained(full=full, accuracy=np.array([at])))
    return record_of(scheme, trainer(job))


def _untrained(model: Any, seed: int) -> FullModel:
    """A model that nobody taught anything; without parameters, where a model has none before it is fitted."""
    start = model.initial(seed) if callable(getattr(model, "initial", None)) else None
    path = None if start is None or isinstance(model, Fittable) else start[None]
    return FullModel(model=model, initial=start, params=start, path=path)


def record_of(scheme: Scheme, trained: Trained) -> Made:
    """What the stage "train" writes."""
    arrays = {}
    if not isinstance(trained.full.model, Fittable):
        arrays = {"initial": trained.full.initial, "params": trained.full.params}
        if trained.full.path is not None:
            arrays["path"] = np.asarray(trained.full.path)
    result = {
        "trainer": scheme.training.trainer,
        "rounds": len(trained.accuracy) - 1,
        "accuracy": np.asarray(trained.accuracy, dtype=float).tolist(),
    }
    return result, {name: _narrow(array) for name, array in arrays.items()}


def _narrow(array: np.ndarray) -> np.ndarray:
    """As float32 where that loses nothing, which halves the file."""
    short = np.asarray(array, dtype=np.float32)
    return short if np.array_equal(short.astype(np.float64), array) else np.asarray(array, dtype=np.float64)


def full_model(scheme: Scheme, inputs: Mapping[str, Record]) -> FullModel:
    """The joint model as the records of "data", "verify" and "train" hold it, or fitted to these data again."""
    arrays, accepted = inputs["train"].arrays, inputs["verify"].result["accepted"]
    model = model_of(scheme, inputs["data"])
    parts = [samples(inputs["verify"], k) for k in accepted]
    pool = (
        Samples(
            inputs=np.concatenate([p.inputs for p in parts]), labels=np.concatenate([p.labels for p in parts])
        )
        if parts
        else None
    )
    if isinstance(model, Fittable):
        return _untrained(model, scheme.seed) if pool is None else train_full(model, pool, seed=scheme.seed)
    return FullModel(
        model=model,
        initial=arrays["initial"].astype(np.float64),
        params=arrays["params"].astype(np.float64),
        path=arrays["path"].astype(np.float64) if "path" in arrays else None,
        samples=pool,
        steps=scheme.training.rounds * scheme.training.epochs,
        rate=scheme.training.rate,
    )


def settle(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Say which accuracy each accepted participant is promised, now that the model is trained.

    It is that of the option's share of the trained model's value, on the validation samples. `error` is how far
    a model's accuracy on as many fresh samples as the test set has may be from the promise: the sampling errors
    of calibration and test, at the scheme's confidence for all options together.
    """
    menu, signatures = Menu.of(inputs["launch"]), inputs["launch"].result["signatures"]
    options = {k: int(signatures[k]["option"]) for k in inputs["verify"].result["accepted"]}
    total = int(sum(menu.data[option] for option in options.values()))
    trained = float(inputs["train"].result["accuracy"][-1]) if options else 0.0
    held = inputs["data"].result["samples"]
    rewards = []
    for k, option in options.items():
        promise = float(menu.promise(trained)[option])
        error = stated_error(promise, held, options=len(menu.data), confidence=scheme.measuring.confidence)
        rewards.append(
            {
                "seat": k,
                "name": signatures[k]["name"],
                "option": option,
                "data": int(menu.data[option]),
                "promised_accuracy": promise,
                "promised_value": float(menu.worth(promise, int(signatures[k]["type"]))),
                "error": error,
            }
        )
    return {
        "accepted_data": total,
        "expected_accuracy": float(menu.curve(float(total))),
        "trained_accuracy": trained,
        "rewards": rewards,
    }, {}


def stated_error(promise: float, held: Mapping[str, int], *, options: int, confidence: float) -> float:
    """Half the width of the interval that is stated with a promise; see `settle`."""
    z = float(stats.norm.isf((1.0 - confidence) / (2.0 * options)))
    # one sample more than none keeps the error of a promise of 0 or 1 from vanishing
    smoothed = (promise * held["validation"] + 1.0) / (held["validation"] + 2.0)
    return z * float(np.sqrt(smoothed * (1.0 - smoothed) * (1.0 / held["validation"] + 1.0 / held["test"])))


def hand_over(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Make each participant's model, weakened to what it is owed."""
    rewards = inputs["settle"].result["rewards"]
    if not rewards:
        method = method_of(scheme, model_of(scheme, inputs["data"]))
        return {"method": method, "models": [], "proofs": {}}, {}
    full, held_out = full_model(scheme, inputs), samples(inputs["data"], "validation")
    given = deliver(
        full,
        [reward["promised_accuracy"] for reward in rewards],
        held_out=held_out,
        method=method_of(scheme, full.model),
        seed=scheme.seed,
    )
    proofs = _proofs(scheme, given, held_out)
    models, arrays = [], {}
    for reward, model in zip(rewards, given.models, strict=True):
        models.append(
            {
                "seat": reward["seat"],
                "name": reward["name"],
                "achieved": model.achieved,
                "standard_error": model.standard_error,
                "share_of_full": model.knob,
                "remark": model.remark,
            }
        )
        if not isinstance(full.model, Fittable):
            arrays[f"params_{reward['seat']}"] = _narrow(model.params)
    return {"method": given.method, "models": models, "proofs": proofs}, arrays


def delivered(scheme: Scheme, records: Mapping[str, Record]) -> dict[int, Any]:
    """Parameters of the delivered models, by seat; estimators fitted again to their shares."""
    found, full = records["deliver"], full_model(scheme, records)
    if not isinstance(full.model, Fittable):
        return {one["seat"]: found.arrays[f"params_{one['seat']}"] for one in found.result["models"]}
    if full.samples is None:
        return {}
    family = FAMILIES[found.result["method"]](full=full, seed=scheme.seed)
    shares = {one["seat"]: float(one["share_of_full"]) for one in found.result["models"]}
    return {seat: family.at(round(share * family.levels)) for seat, share in shares.items()}


def _proofs(scheme: Scheme, given: Delivery, held_out: Samples) -> dict[str, str]:
    """What is known of coalitions and of fine-tuning; audited where the scheme asks for one of them.

    Recipients' own samples are taken from the joint data, which they delivered, and judged on the coordinator's.

    Raises:
        InvalidInput: the models fail what the scheme asks for, or are not shown to meet it.
    """
    wanted = scheme.delivery.requires
    if not wanted:
        return {"coalition-proof": given.coalition_proof, "fine-tuning-proof": given.fine_tuning_proof}
    rates = [scheme.training.rate]
    found = audit(given, test=held_out, tolerance=scheme.delivery.tolerance, rates=rates, seed=scheme.seed)
    verdicts = {"coalition-proof": found.coalition, "fine-tuning-proof": found.fine_tuning}
    for name in wanted:
        if not verdicts[name].holds:
            raise InvalidInput(
                f"[delivery] requires {name!r}, and {given.method!r} is not shown to be: {verdicts[name]}:"
                " nothing is delivered; expected another method, more validation samples or a larger tolerance"
            )
    return {name: str(verdict) for name, verdict in verdicts.items()}


TRAIN = Stage(
    name="train",
    purpose="train the joint model",
    after=("data", "launch", "verify"),
    reads=("model", "training"),
    carry_out=train,
)
SETTLE = Stage(
    name="settle",
    purpose="settle",
    after=("data", "launch", "verify", "train"),
    reads=("measuring",),
    carry_out=settle,
)
DELIVER = Stage(
    name="deliver",
    purpose="deliver the models",
    after=("data", "verify", "train", "settle"),
    reads=("model", "training", "delivery"),
    carry_out=hand_over,
)
