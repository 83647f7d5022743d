"""A model as a reward: hand out models of promised accuracies without handing out more.

`train_full` or `FullModel` holds the joint model, `deliver` makes a model of each promised accuracy from it,
`deliver_checkpoints` picks one from what a training run wrote, and `audit` measures what recipients, alone and
together, can recover, and whether that is more than it may be.

Measured on digits by `benchmarks/leaks.py` (`benchmarks/results/leaks.csv`, three seeds): the recipient of a
nested-subset model of .80 recovers at most .02 beyond that or what its own samples teach it, of an early-stopped
one, which points on, up to .09. Fine-tuning the first holds in one seed and is open in two, of the second leaks
in one and is open in two. Deliver nested-subset models where recoverability matters. A recipient of rewards
in every round holds many models, and an audit must take the whole sequence.
"""

from mechanisms.delivery.audit import Audit, audit
from mechanisms.delivery.checkpoints import CheckpointDelivery, DeliveredCheckpoint, deliver_checkpoints
from mechanisms.delivery.deliver import DeliveredModel, Delivery, deliver
from mechanisms.delivery.families import METHODS, SAFE_METHODS, UNSAFE_METHODS
from mechanisms.delivery.full_model import FullModel, train_full
from mechanisms.delivery.responses import RandomisedResponse
from mechanisms.delivery.verdicts import Excess, Verdict

__all__ = [
    "METHODS",
    "SAFE_METHODS",
    "UNSAFE_METHODS",
    "Audit",
    "CheckpointDelivery",
    "DeliveredCheckpoint",
    "DeliveredModel",
    "Delivery",
    "Excess",
    "FullModel",
    "RandomisedResponse",
    "Verdict",
    "audit",
    "deliver",
    "deliver_checkpoints",
    "train_full",
]
