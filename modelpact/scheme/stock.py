"""The participants' samples: how many there are for each."""

from __future__ import annotations

from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Record


def share_of_stock(scheme: Scheme, data: Record) -> int:
    """How many samples each participant could label: an equal part of the stock for all who label any."""
    labelling = sum(seat.behaviour != "free-riding" for seat in scheme.seats)
    return int(data.result["samples"]["stock"]) // max(labelling, 1)
