"""What a contract is, which one is best, and the proof."""

from contracts.contract import Contract, Settlement
from contracts.contract.batch import attempt_contracts, design_contracts
from contracts.contract.choice import Choice, choose, design_for_choice, sufficient_margin
from contracts.contract.design import design_contract
from contracts.contract.full_information import FullInformation, full_information, full_informations
from contracts.contract.rewards import Rewards, rewards
from contracts.contract.verify import Certificate, verify
from contracts.errors import BackendMissing, Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.extensions.confidence_region import ConfidenceRegion, bootstrap_covariance, confidence_region
from contracts.extensions.continuous import ContinuousContract, ContinuousProblem, EmpiricalCosts
from contracts.extensions.kullback_leibler import WithinKullbackLeibler
from contracts.extensions.margins import MarginContract, MarginProblem
from contracts.extensions.objectives import (
    DistributionCost,
    NashBargaining,
    Objective,
    ObjectiveContract,
    ObjectiveProblem,
    Rawlsian,
    Welfare,
)
from contracts.extensions.quality import QualityContract, QualityProblem, undetected_share
from contracts.extensions.robust_contract import Breach, RobustContract
from contracts.extensions.scenarios import ScenarioContract, ScenarioProblem
from contracts.extensions.tastes import TasteContract, TasteProblem
from contracts.extensions.tiers import TieredContract, TieredProblem
from contracts.extensions.total_variation import WithinTotalVariation
from contracts.extensions.uncertain_curve import UncertainContract, UncertainProblem
from contracts.measured.exponential_mixture import ExponentialMixture
from contracts.measured.learning_curves import CurveFit, compare_families, fit_curve
from contracts.measured.measurements import Measurements, read_measurements
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
from contracts.problem.participants import Binomial, FiniteTurnout, Poisson, Turnout, generated_turnout
from contracts.problem.population import Population
from contracts.problem.reservation import Reservation, reservation, reservations
from contracts.problem.valuation import (
    ExponentialUtility,
    LinearValuation,
    LogarithmicValuation,
    PowerValuation,
    Valuation,
)
from contracts.pytrees import register

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
    "register",
    "reservation",
    "reservations",
    "rewards",
    "sufficient_margin",
    "undetected_share",
    "verify",
]
