"""Aggregation of updates when some participants may be malicious.

Every rule is a pure function of an (n, d) array, NumPy or JAX; `aggregate` reaches all of them by name.
"""

from mechanisms.aggregation.autogm import autogm
from mechanisms.aggregation.behaviour import Defender, error_rejection, fltrust, loss_rejection, roni, zeno
from mechanisms.aggregation.bounds import robustness_bound
from mechanisms.aggregation.centers import centered_clipping, geometric_median, norm_clipping
from mechanisms.aggregation.coordinatewise import mean, mean_around_median, median, trimmed_mean
from mechanisms.aggregation.distance import bulyan, krum, minimum_diameter, multi_krum
from mechanisms.aggregation.filters import clustering, signguard
from mechanisms.aggregation.guarantees import Guarantee, guarantee
from mechanisms.aggregation.in_rounds import RuleInRounds
from mechanisms.aggregation.own_update import acceptance_radius, clipping_radius, monna
from mechanisms.aggregation.preaggregation import (
    adaptive_clipping,
    bucketing,
    nearest_neighbour_mixing,
    static_clipping,
)
from mechanisms.aggregation.registry import Rule, aggregate, find, register, rules, unregister
from mechanisms.aggregation.similarity import foolsgold
from mechanisms.aggregation.spectral import caf, dnc, smea

__all__ = [
    "Defender",
    "Guarantee",
    "Rule",
    "RuleInRounds",
    "acceptance_radius",
    "adaptive_clipping",
    "aggregate",
    "autogm",
    "bucketing",
    "bulyan",
    "caf",
    "centered_clipping",
    "clipping_radius",
    "clustering",
    "dnc",
    "error_rejection",
    "find",
    "fltrust",
    "foolsgold",
    "geometric_median",
    "guarantee",
    "krum",
    "loss_rejection",
    "mean",
    "mean_around_median",
    "median",
    "minimum_diameter",
    "monna",
    "multi_krum",
    "nearest_neighbour_mixing",
    "norm_clipping",
    "register",
    "robustness_bound",
    "roni",
    "rules",
    "signguard",
    "smea",
    "static_clipping",
    "trimmed_mean",
    "unregister",
    "zeno",
]
