"""What a contract is, which one is best, and the proof."""

from contracts.accuracy import (
    AccuracyCurve,
    Arctan,
    CustomCurve,
    Exponential,
    GeneralizationBound,
    MonotoneTabulated,
    PowerLaw,
    Tabulated,
)
from contracts.batch import attempt_contracts, design_contracts
from contracts.contract import Contract, Settlement
from contracts.design import design_contract
from contracts.errors import BackendMissing, Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.full_information import FullInformation, full_information, full_informations
from contracts.learning_curves import CurveFit, compare_families, fit_curve
from contracts.measurements import Measurements, read_measurements
from contracts.population import Population
from contracts.problem import Problem
from contracts.reservation import Reservation, reservation, reservations
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
    "CurveFit",
    "CustomCurve",
    "Exponential",
    "ExponentialUtility",
    "FullInformation",
    "GeneralizationBound",
    "Infeasible",
    "InvalidInput",
    "LinearValuation",
    "LogarithmicValuation",
    "Measurements",
    "ModelpactError",
    "MonotoneTabulated",
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
    "attempt_contracts",
    "compare_families",
    "design_contract",
    "design_contracts",
    "fit_curve",
    "full_information",
    "full_informations",
    "read_measurements",
    "reservation",
    "reservations",
    "rewards",
    "verify",
]
