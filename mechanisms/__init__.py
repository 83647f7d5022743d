"""How a contract is carried out: training, verification, rewards, aggregation, delivery."""

from mechanisms.accuracy_shaping import AccuracyShaping
from mechanisms.aggregation import aggregate
from mechanisms.attacks import attack
from mechanisms.conflict import measure_conflict
from mechanisms.cosine_game import cosine_contributions, cosine_shapley, cosine_values
from mechanisms.data_sharing import DataSharing, data_sharing
from mechanisms.datasets import Dataset, Samples, load, split
from mechanisms.delivery import audit, deliver, train_full
from mechanisms.fairness import fairness, over_runs, rationality
from mechanisms.gradient_rewards import CosineGradientRewards
from mechanisms.model_class import ProbeClass, StumpClass, VCClass
from mechanisms.models import Model, MultilayerPerceptron, SoftmaxRegression
from mechanisms.radius import hoeffding_radius, samples_for_radius
from mechanisms.shapley import ShapleyValues, sample_shapley, shapley, shapley_from_table
from mechanisms.shift import ShiftTests, shift_tests
from mechanisms.stumps import estimate_types_over_stumps
from mechanisms.training import train
from mechanisms.verification import TypeEstimates, accept, estimate_types

__all__ = [
    "AccuracyShaping",
    "CosineGradientRewards",
    "DataSharing",
    "Dataset",
    "Model",
    "MultilayerPerceptron",
    "ProbeClass",
    "Samples",
    "ShapleyValues",
    "ShiftTests",
    "SoftmaxRegression",
    "StumpClass",
    "TypeEstimates",
    "VCClass",
    "accept",
    "aggregate",
    "attack",
    "audit",
    "cosine_contributions",
    "cosine_shapley",
    "cosine_values",
    "data_sharing",
    "deliver",
    "estimate_types",
    "estimate_types_over_stumps",
    "fairness",
    "hoeffding_radius",
    "load",
    "measure_conflict",
    "over_runs",
    "rationality",
    "sample_shapley",
    "samples_for_radius",
    "shapley",
    "shapley_from_table",
    "shift_tests",
    "split",
    "train",
    "train_full",
]
