"""What is exported, and from where: imported on first use."""

from .contract import Contract as Contract
from .contract import Settlement as Settlement
from .contract.batch import attempt_contracts as attempt_contracts
from .contract.batch import design_contracts as design_contracts
from .contract.choice import (
    Choice as Choice,
)
from .contract.choice import (
    choose as choose,
)
from .contract.choice import (
    design_for_choice as design_for_choice,
)
from .contract.choice import (
    sufficient_margin as sufficient_margin,
)
from .contract.continuous import ContinuousContract as ContinuousContract
from .contract.continuous_design import design_continuous as design_continuous
from .contract.design import design_contract as design_contract
from .contract.full_information import (
    FullInformation as FullInformation,
)
from .contract.full_information import (
    full_information as full_information,
)
from .contract.full_information import (
    full_informations as full_informations,
)
from .contract.rewards import Rewards as Rewards
from .contract.rewards import rewards as rewards
from .contract.verify import verify as verify
from .errors import (
    BackendMissing as BackendMissing,
)
from .errors import (
    Infeasible as Infeasible,
)
from .errors import (
    InvalidInput as InvalidInput,
)
from .errors import (
    ModelpactError as ModelpactError,
)
from .errors import (
    NotConverged as NotConverged,
)
from .measured.confidence_region import (
    ConfidenceRegion as ConfidenceRegion,
)
from .measured.confidence_region import (
    bootstrap_covariance as bootstrap_covariance,
)
from .measured.confidence_region import (
    confidence_region as confidence_region,
)
from .measured.exponential_mixture import ExponentialMixture as ExponentialMixture
from .measured.learning_curves import (
    CurveFit as CurveFit,
)
from .measured.learning_curves import (
    compare_families as compare_families,
)
from .measured.learning_curves import (
    fit_curve as fit_curve,
)
from .measured.measurements import Measurements as Measurements
from .measured.measurements import read_measurements as read_measurements
from .measured.uncertain_curve import UncertainCurve as UncertainCurve
from .problem import Problem as Problem
from .problem.accuracy import (
    AccuracyCurve as AccuracyCurve,
)
from .problem.accuracy import (
    Arctan as Arctan,
)
from .problem.accuracy import (
    CustomCurve as CustomCurve,
)
from .problem.accuracy import (
    Exponential as Exponential,
)
from .problem.accuracy import (
    GeneralizationBound as GeneralizationBound,
)
from .problem.accuracy import (
    MonotoneTabulated as MonotoneTabulated,
)
from .problem.accuracy import (
    PowerLaw as PowerLaw,
)
from .problem.accuracy import (
    Tabulated as Tabulated,
)
from .problem.continuous import ContinuousProblem as ContinuousProblem
from .problem.continuous import EmpiricalCosts as EmpiricalCosts
from .problem.doubt import Doubt as Doubt
from .problem.generating_functions import generated_turnout as generated_turnout
from .problem.menu import Menu as Menu
from .problem.objective import (
    DistributionCost as DistributionCost,
)
from .problem.objective import (
    NashBargaining as NashBargaining,
)
from .problem.objective import (
    Objective as Objective,
)
from .problem.objective import (
    Rawlsian as Rawlsian,
)
from .problem.objective import (
    Welfare as Welfare,
)
from .problem.outside import Outside as Outside
from .problem.participants import (
    Binomial as Binomial,
)
from .problem.participants import (
    FiniteTurnout as FiniteTurnout,
)
from .problem.participants import (
    Poisson as Poisson,
)
from .problem.participants import (
    Turnout as Turnout,
)
from .problem.population import Population as Population
from .problem.reservation import (
    Reservation as Reservation,
)
from .problem.reservation import (
    reservation as reservation,
)
from .problem.reservation import (
    reservations as reservations,
)
from .problem.scenario import Scenario as Scenario
from .problem.shading import undetected_share as undetected_share
from .problem.valuation import (
    ExponentialUtility as ExponentialUtility,
)
from .problem.valuation import (
    LinearValuation as LinearValuation,
)
from .problem.valuation import (
    LogarithmicValuation as LogarithmicValuation,
)
from .problem.valuation import (
    PowerValuation as PowerValuation,
)
from .problem.valuation import (
    Valuation as Valuation,
)
from .proof.certificate import Certificate as Certificate
from .pytrees import register as register
