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
from contracts.contract import Contract, Settlement
from contracts.design import design_contract
from contracts.errors import BackendMissing, Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.full_information import FullInformation, full_information
from contracts.population import Population
from contracts.problem import Problem
from contracts.reservation import Reservation, reservation
from contracts.rewards import Rewards, rewards
from contracts.valuation import (
    ExponentialUtility,
    LinearValuation,
    LogarithmicValuation,
    PowerValuation,
    Valuation,
)
from contracts.verify import Certificate, verify

__all__ = [
    "AccuracyCurve",
    "Arctan",
    "BackendMissing",
    "Certificate",
    "Contract",
    "CustomCurve",
    "Exponential",
    "ExponentialUtility",
    "FullInformation",
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
    "Rewards",
    "Settlement",
    "Tabulated",
    "Valuation",
    "design_contract",
    "full_information",
    "reservation",
    "rewards",
    "verify",
]
