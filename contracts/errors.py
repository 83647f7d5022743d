"""What can go wrong, as few kinds of error as their handling differs.

Every error the project raises on purpose is a `ModelpactError`; its message is one line that names the
argument, the index, the value that was found and what is accepted.
"""

from __future__ import annotations

from typing import Any


class ModelpactError(Exception):
    """Root of all errors raised on purpose by contracts, mechanisms, equilibria and modelpact."""


class InvalidInput(ModelpactError, ValueError):
    """An argument, a file or a key is not what is accepted; the message says which and what is."""


class Infeasible(ModelpactError):
    """No answer satisfies the constraints; the message names those in conflict and what would relax them."""


class NotConverged(ModelpactError):
    """A solver stopped before its tolerance.

    Attributes:
        best: the best iterate found, in the form the solver would have returned.
    """

    def __init__(self, message: str, best: Any = None):
        super().__init__(message)
        self.best = best


class BackendMissing(ModelpactError, ImportError):
    """An optional library is not installed; the message carries the command that installs it."""

    def __init__(self, library: str, purpose: str, extra: str | None = None):
        target = f"'modelpact[{extra}]'" if extra else library
        super().__init__(f"{purpose} needs {library}, which is not installed: pip install {target}")
