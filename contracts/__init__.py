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
from contracts.behaviour import Choice, choose, design_for_choice, sufficient_margin
from contracts.confidence_region import ConfidenceRegion, bootstrap_covariance, confidence_region
from contracts.continuous import ContinuousContract, ContinuousProblem, EmpiricalCosts
from contracts.contract import Contract, Settlement
from contracts.design import design_contract
from contracts.errors import BackendMissing, Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.exponential_mixture import ExponentialMixture
from contracts.full_information import FullInformation, full_information, full_informations
from contracts.kullback_leibler import WithinKullbackLeibler
from contracts.learning_curves import CurveFit, compare_families, fit_curve
from contracts.margins import MarginContract, MarginProblem
from contracts.measurements import Measurements, read_measurements
from contracts.objectives import (
    DistributionCost,
    NashBargaining,
    Objective,
    ObjectiveContract,
    ObjectiveProblem,
    Rawlsian,
    Welfare,
)
from contracts.population import Population
from contracts.problem import Problem
from contracts.quality import QualityContract, QualityProblem, undetected_share
from contracts.reservation import Reservation, reservation, reservations
from contracts.rewards import Rewards, rewards
from contracts.robust_contract import Breach, RobustContract
from contracts.scenarios import ScenarioContract, ScenarioProblem
from contracts.tastes import TasteContract, TasteProblem
from contracts.tiers import TieredContract, TieredProblem
from contracts.total_variation import WithinTotalVariation
from contracts.turnout import Binomial, FiniteTurnout, Poisson, Turnout, generated_turnout
from contracts.uncertain_curve import UncertainContract, UncertainProblem
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
    "Choice",
    "ConfidenceRegion",
    "ContinuousContract",
    "ContinuousProblem",
    "Contract",
    "CurveFit",
    "CustomCurve",
    "DistributionCost",
    "EmpiricalCosts",
    "Exponential",
    "ExponentialMixture",
    "ExponentialUtility",
    "FiniteTurnout",
    "FullInformation",
    "GeneralizationBound",
    "Infeasible",
    "InvalidInput",
    "LinearValuation",
    "LogarithmicValuation",
    "MarginContract",
    "MarginProblem",
    "Measurements",
    "ModelpactError",
    "MonotoneTabulated",
    "NashBargaining",
    "NotConverged",
    "Objective",
    "ObjectiveContract",
    "ObjectiveProblem",
    "Poisson",
    "Population",
    "PowerLaw",
    "PowerValuation",
    "Problem",
    "QualityContract",
    "QualityProblem",
    "Rawlsian",
    "Reservation",
    "Rewards",
    "RobustContract",
    "ScenarioContract",
    "ScenarioProblem",
    "Settlement",
    "Tabulated",
    "TasteContract",
    "TasteProblem",
    "TieredContract",
    "TieredProblem",
    "Turnout",
    "UncertainContract",
    "UncertainProblem",
    "Valuation",
    "Welfare",
    "WithinKullbackLeibler",
    "WithinTotalVariation",
    "attempt_contracts",
    "bootstrap_covariance",
    "choose",
    "compare_families",
    "confidence_region",
    "design_contract",
    "design_contracts",
    "design_for_choice",
    "fit_curve",
    "full_information",
    "full_informations",
    "generated_turnout",
    "read_measurements",
    "reservation",
    "reservations",
    "rewards",
    "sufficient_margin",
    "undetected_share",
    "verify",
]
