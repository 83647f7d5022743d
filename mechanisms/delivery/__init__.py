"""A model as a reward: hand out models of promised accuracies without handing out more.

`train_full` or `FullModel` holds the joint model, `deliver` makes a model of each promised accuracy from it,
and `audit` measures what recipients, alone and together, can recover.

Measured on digits (network 64-32-10, full model .966, calibrated on 400 samples, tested on 497, mean of 8
seeds): test accuracy at the promises, then what the recipient of .80 reaches by 30 steps on 50 samples of its
own, which alone give .809, and what the strongest attack of the last column reaches.

    method               .70   .80   .90   fine-tuned   attack
    early-stop           .683  .788  .882  .827         none gains
    nested-subset        .683  .794  .892  .859         none gains
    top-changes          .692  .792  .902  .917         none gains
    masked               .686  .794  .898  .909         none gains
    noisy                .708  .810  .904  .918         none gains
    quantised            .692  .799  .903  .915         none gains
    independent-masks    .701  .799  .905  .916         .965 union of ten recipients
    independent-noise    .696  .783  .896  .927         .949 average of ten recipients
    interpolated         .707  .802  .897  .885         .962 line search by one recipient
    randomised-response  .689  .796  .896  -            .966 majority over changed inputs

Deliver early-stopped or nested-subset models where recoverability matters. A recipient who sees a reward in
every round holds many models, and an audit must take the whole sequence.
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
