"""What a contract is, which one is best, and the proof."""

from contracts.contract import Contract, Settlement
from contracts.contract.batch import attempt_contracts, design_contracts
from contracts.contract.choice import Choice, choose, design_for_choice, sufficient_margin
from contracts.contract.continuous import ContinuousContract
from contracts.contract.continuous_design import design_continuous
from contracts.contract.design import design_contract
from contracts.contract.full_information import FullInformation, full_information, full_informations
from contracts.contract.rewards import Rewards, rewards
from contracts.contract.verify import verify
from contracts.errors import BackendMissing, Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.measured.confidence_region import ConfidenceRegion, bootstrap_covariance, confidence_region
from contracts.measured.curve_posterior import CurveDraws, CurvePosterior, fit_curve
from contracts.measured.exponential_mixture import ExponentialMixture
from contracts.measured.fitted_population import FittedPopulation, fit_population
from contracts.measured.learning_curves import CurveFit, compare_families, fit_family
from contracts.measured.measured_curve import MeasuredCurve
from contracts.measured.measurements import Measurements
from contracts.measured.measurements_file import read_measurements
from contracts.measured.next_measurement import NextMeasurement, next_measurement
from contracts.measured.profile import overdispersion, profile_interval
from contracts.measured.uncertain_curve import UncertainCurve
from contracts.problem import Problem
from contracts.problem.accuracy import (
    AccuracyCurve,
    Arctan,
    CustomCurve,
    Exponential,
    GeneralizationBound,
    MonotoneTabulated,
    PowerLaw,
    Tabulated,
)
from contracts.problem.continuous import ContinuousProblem, EmpiricalCosts
from contracts.problem.doubt import Doubt
from contracts.problem.generating_functions import generated_turnout
from contracts.problem.menu import Menu
from contracts.problem.objective import DistributionCost, NashBargaining, Objective, Rawlsian, Welfare
from contracts.problem.outside import Outside
from contracts.problem.participants import Binomial, FiniteTurnout, Poisson, Turnout
from contracts.problem.population import Population
from contracts.problem.reservation import Reservation, reservation, reservations
from contracts.problem.scenario import Scenario
from contracts.problem.shading import undetected_share
from contracts.problem.valuation import (
    ExponentialUtility,
    LinearValuation,
    LogarithmicValuation,
    PowerValuation,
    Valuation,
)
from contracts.proof.certificate import Certificate
from contracts.pytrees import register

__all__ = [
    "AccuracyCurve",
    "Arctan",
    "BackendMissing",
    "Binomial",
    "Certificate",
    "Choice",
    "ConfidenceRegion",
    "ContinuousContract",
    "ContinuousProblem",
    "Contract",
    "CurveDraws",
    "CurveFit",
    "CurvePosterior",
    "CustomCurve",
    "DistributionCost",
    "Doubt",
    "EmpiricalCosts",
    "Exponential",
    "ExponentialMixture",
    "ExponentialUtility",
    "FiniteTurnout",
    "FittedPopulation",
    "FullInformation",
    "GeneralizationBound",
    "Infeasible",
    "InvalidInput",
    "LinearValuation",
    "LogarithmicValuation",
    "MeasuredCurve",
    "Measurements",
    "Menu",
    "ModelpactError",
    "MonotoneTabulated",
    "NashBargaining",
    "NextMeasurement",
    "NotConverged",
    "Objective",
    "Outside",
    "Poisson",
    "Population",
    "PowerLaw",
    "PowerValuation",
    "Problem",
    "Rawlsian",
    "Reservation",
    "Rewards",
    "Scenario",
    "Settlement",
    "Tabulated",
    "Turnout",
    "UncertainCurve",
    "Valuation",
    "Welfare",
    "attempt_contracts",
    "bootstrap_covariance",
    "choose",
    "compare_families",
    "confidence_region",
    "design_continuous",
    "design_contract",
    "design_contracts",
    "design_for_choice",
    "fit_curve",
    "fit_family",
    "fit_population",
    "full_information",
    "full_informations",
    "generated_turnout",
    "next_measurement",
    "overdispersion",
    "profile_interval",
    "read_measurements",
    "register",
    "reservation",
    "reservations",
    "rewards",
    "sufficient_margin",
    "undetected_share",
    "verify",
]
