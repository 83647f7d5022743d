"""Will they come, and stay: games, equilibria, unravelling and verification."""

from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule, FixedShareRule, PooledRule
from equilibria.unravelling import Unravelling, unravel
from equilibria.welfare import FullInformationRule

__all__ = [
    "ClubRule",
    "FixedShareRule",
    "FullInformationRule",
    "ParticipationGame",
    "PooledRule",
    "Unravelling",
    "unravel",
]
