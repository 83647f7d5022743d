"""What a contract is, which one is best, and the proof."""

from contracts.accuracy import (
    AccuracyCurve,
    Arctan,
    CustomCurve,
    Exponential,
    GeneralizationBound,
    PowerLaw,
    Tabulated,
)
from contracts.errors import BackendMissing, Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.population import Population
from contracts.problem import Problem
from contracts.reservation import Reservation, reservation
from contracts.valuation import (
    ExponentialUtility,
    LinearValuation,
    LogarithmicValuation,
    PowerValuation,
    Valuation,
)

__all__ = [
    "AccuracyCurve",
    "Arctan",
    "BackendMissing",
    "CustomCurve",
    "Exponential",
    "ExponentialUtility",
    "GeneralizationBound",
    "Infeasible",
    "InvalidInput",
    "LinearValuation",
    "LogarithmicValuation",
    "ModelpactError",
    "NotConverged",
    "Population",
    "PowerLaw",
    "PowerValuation",
    "Problem",
    "Reservation",
    "Tabulated",
    "Valuation",
    "reservation",
]
