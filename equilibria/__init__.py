"""Will they come, and stay: games, equilibria, unravelling and verification."""

from equilibria.bayesian import ThresholdEquilibrium, bayesian_thresholds
from equilibria.blocking import BlockingCertificate, blocking_coalition
from equilibria.contribution import ContributionGame, StandardFederatedRule
from equilibria.correlated import CorrelatedEquilibrium, correlated_equilibrium
from equilibria.correlated_table import CorrelatedStrategies, correlated_strategies
from equilibria.declared import DeclaredTypesRule, ReportingGame
from equilibria.dynamics import BestResponsePath, best_response_dynamics
from equilibria.environment import Environment
from equilibria.extremal import ExtremalEquilibrium, extremal_equilibrium
from equilibria.fixed_amounts import FixedAmountsRule
from equilibria.game import BestResponses, Game, NashCertificate
from equilibria.guarantee import Guarantee
from equilibria.menu import ContractMenu, MenuCertificate, contract_menu
from equilibria.menu_equilibria import MenuEquilibria, MenuEquilibrium, menu_equilibria
from equilibria.mixed import MixedEquilibrium, mixed_gains, mixed_profile, symmetric_equilibria
from equilibria.mixed_strategies import MixedStrategies, certify_mixed, mixed_equilibria
from equilibria.nfg import from_nfg, to_nfg
from equilibria.normal_form import NormalFormGame, tabulate
from equilibria.participation import ParticipationGame
from equilibria.partition import StablePartition
from equilibria.phase import PhaseDiagram, phase_diagram
from equilibria.pooled import ClubRule, EqualShareRule, FixedShareRule, PooledRule
from equilibria.pure import PureEquilibria, PureEquilibrium, pure_equilibria
from equilibria.rule import Rule
from equilibria.signing import SigningOutcome, sign_in_turn
from equilibria.unravelling import Unravelling, UnravellingStep, unravel
from equilibria.verification_trial import VerificationTrial, verification_trial
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule, WelfareOptimum, welfare_optimum

__all__ = [
    "BestResponsePath",
    "BestResponses",
    "BlockingCertificate",
    "ClubRule",
    "ContractMenu",
    "ContributionGame",
    "CorrelatedEquilibrium",
    "CorrelatedStrategies",
    "DeclaredTypesRule",
    "Environment",
    "EqualShareRule",
    "ExtremalEquilibrium",
    "FixedAmountsRule",
    "FixedShareRule",
    "FullInformationRule",
    "Game",
    "Guarantee",
    "MenuCertificate",
    "MenuEquilibria",
    "MenuEquilibrium",
    "MixedEquilibrium",
    "MixedStrategies",
    "NashCertificate",
    "NormalFormGame",
    "ParticipationGame",
    "PhaseDiagram",
    "PooledRule",
    "PureEquilibria",
    "PureEquilibrium",
    "ReportingGame",
    "Rule",
    "SigningOutcome",
    "StablePartition",
    "StandardFederatedRule",
    "ThresholdEquilibrium",
    "Unravelling",
    "UnravellingStep",
    "VerificationTrial",
    "VerifiedRule",
    "WelfareOptimum",
    "bayesian_thresholds",
    "best_response_dynamics",
    "blocking_coalition",
    "certify_mixed",
    "contract_menu",
    "correlated_equilibrium",
    "correlated_strategies",
    "extremal_equilibrium",
    "from_nfg",
    "menu_equilibria",
    "mixed_equilibria",
    "mixed_gains",
    "mixed_profile",
    "phase_diagram",
    "pure_equilibria",
    "sign_in_turn",
    "symmetric_equilibria",
    "tabulate",
    "to_nfg",
    "unravel",
    "verification_trial",
    "welfare_optimum",
]
