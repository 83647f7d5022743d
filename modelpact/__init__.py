"""The front door: command line, whole-scheme runs, sweeps, report."""

from typing import Any


def __getattr__(name: str) -> Any:
    """What loads much, only when it is asked for."""
    if name == "sweep":
        from modelpact.sweeps import sweep

        return sweep
    if name == "report":
        from modelpact.reports import report

        return report
    raise AttributeError(f"module 'modelpact' has no attribute {name!r}")
