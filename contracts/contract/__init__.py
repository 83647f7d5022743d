"""The answer: a menu with its proof, and what one does with it."""

from contracts.contract.contract import Contract
from contracts.contract.provenance import Provenance
from contracts.contract.settlement import Settlement

__all__ = ["Contract", "Provenance", "Settlement"]
