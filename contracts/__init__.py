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
from contracts.batch import attempt_contracts, design_contracts
from contracts.contract import Contract, Settlement
from contracts.design import design_contract
from contracts.errors import BackendMissing, Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.full_information import FullInformation, full_information, full_informations
from contracts.kullback_leibler import WithinKullbackLeibler
from contracts.learning_curves import CurveFit, compare_families, fit_curve
from contracts.measurements import Measurements, read_measurements
from contracts.population import Population
from contracts.problem import Problem
from contracts.reservation import Reservation, reservation, reservations
from contracts.rewards import Rewards, rewards
from contracts.robust_contract import Breach, RobustContract
from contracts.total_variation import WithinTotalVariation
from contracts.turnout import Binomial, FiniteTurnout, Poisson, Turnout, generated_turnout
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
    "Binomial",
    "Breach",
    "Certificate",
    "Contract",
    "CurveFit",
    "CustomCurve",
    "Exponential",
    "ExponentialUtility",
    "FiniteTurnout",
    "FullInformation",
    "GeneralizationBound",
    "Infeasible",
    "InvalidInput",
    "LinearValuation",
    "LogarithmicValuation",
    "Measurements",
    "ModelpactError",
    "NotConverged",
    "Poisson",
    "Population",
    "PowerLaw",
    "PowerValuation",
    "Problem",
    "Reservation",
    "Rewards",
    "RobustContract",
    "Settlement",
    "Tabulated",
    "Turnout",
    "Valuation",
    "WithinKullbackLeibler",
    "WithinTotalVariation",
    "attempt_contracts",
    "compare_families",
    "design_contract",
    "design_contracts",
    "fit_curve",
    "full_information",
    "full_informations",
    "generated_turnout",
    "read_measurements",
    "reservation",
    "reservations",
    "rewards",
    "verify",
]
