"""The whole timeline of a scheme on real data: from a pilot to delivered models and their audit.

A scheme file (`modelpact.scheme.scheme_file`) says who might take part, what data cost them and who comes.
`run_scheme` carries it out in a folder, one file a stage (`modelpact.scheme.stages`), so that any stage can be
resumed, or replaced by the real world; `modelpact.scheme.trainers` says how to train elsewhere.
"""

from modelpact.scheme.scheme_file import read_scheme
from modelpact.scheme.settings import Scheme
from modelpact.scheme.timeline import read_delivered, read_job, run_scheme, write_trained
from modelpact.scheme.trainers import Trained, Trainer, TrainingJob, register_trainer

__all__ = [
    "Scheme",
    "Trained",
    "Trainer",
    "TrainingJob",
    "read_delivered",
    "read_job",
    "read_scheme",
    "register_trainer",
    "run_scheme",
    "write_trained",
]
