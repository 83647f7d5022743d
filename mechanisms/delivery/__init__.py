"""A model as a reward: hand out models of promised accuracies without handing out more.

`train_full` or `FullModel` holds the joint model, `deliver` makes a model of each promised accuracy from it,
`deliver_checkpoints` picks one from what a training run wrote, and `audit` measures what recipients, alone and
together, can recover, and whether that is more than it may be.

Measured on digits (network 64-32-10, 900 joint samples, full model .964, 497 test samples, one seed; promises
.70, .80, .90, or ten of .80 where each recipient has draws of its own). What the recipient of .80 recovers by
the best of all attacks with no own samples, and with 9, 45, 90 and 450 of the joint ones, which alone give .547,
.761, .887 and .958 by the same means; and the verdicts, with a tolerance of .05:

    method                 0     9    45    90   450   fine-tuning  coalition
    early-stop           .771  .797  .833  .903  .958  open         holds
    nested-subset        .809  .831  .831  .897  .954  open         holds
    top-changes          .775  .881  .907  .950  .966  leaks        by construction
    masked               .785  .813  .924  .924  .966  leaks        by construction
    noisy                .787  .913  .930  .946  .954  leaks        by construction
    quantised            .755  .817  .887  .948  .964  leaks        by construction
    independent-masks    .759  .873  .901  .940  .968  leaks        leaks, .964 by union
    independent-noise    .809  .907  .930  .958  .972  leaks        leaks, .960 by average
    interpolated         .797  .960  .962  .970  .970  leaks        open
    randomised-response  .964  .964  .964  .964  .964  leaks        holds, for one alone has all

`benchmarks/leaks.py` measures it anew.
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
