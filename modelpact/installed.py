"""Which version of the package computes, so that what is kept is not mixed with what another computed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version as installed; "" from a folder that was never installed."""
    try:
        return version("modelpact")
    except PackageNotFoundError:
        return ""
