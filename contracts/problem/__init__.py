"""What is given: who takes part, what data give, what models are worth, and what everybody is due."""

from contracts.problem.problem import BELIEFS, TARGETS, Problem

__all__ = ["BELIEFS", "TARGETS", "Problem"]
