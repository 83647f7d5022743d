"""A model as a reward: hand out models of promised accuracies without handing out more.

`train_full` or `FullModel` holds the joint model, `deliver` makes a model of each promised accuracy from it,
and `audit` measures what recipients, alone and together, can recover.
"""

from mechanisms.delivery.audit import Audit, audit
from mechanisms.delivery.deliver import DeliveredModel, Delivery, deliver
from mechanisms.delivery.families import METHODS, SAFE_METHODS, UNSAFE_METHODS
from mechanisms.delivery.full_model import FullModel, train_full
from mechanisms.delivery.responses import RandomisedResponse

__all__ = [
    "METHODS",
    "SAFE_METHODS",
    "UNSAFE_METHODS",
    "Audit",
    "DeliveredModel",
    "Delivery",
    "FullModel",
    "RandomisedResponse",
    "audit",
    "deliver",
    "train_full",
]
