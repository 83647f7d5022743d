"""The participants' samples: how many each of them has, and what that means for their types."""

from __future__ import annotations

import numpy as np

from contracts.problem.population import Population
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Record
from modelpact.scheme.tables import Seat


def held_by_each(scheme: Scheme, data: Record) -> np.ndarray:
    """How many samples each seat could label: those stated, and equal parts of the rest of the stock.

    Free-riders have none. Where more is stated than there is, nothing is left for the others.
    """
    stated = np.array([seat.samples for seat in scheme.seats], dtype=int)
    labelling = np.array([seat.behaviour != "free-riding" for seat in scheme.seats])
    open_ = labelling & (stated == 0)
    left = int(data.result["samples"]["stock"]) - int(stated[labelling].sum())
    share = max(left, 0) // max(int(open_.sum()), 1)
    return np.where(open_, share, np.where(labelling, stated, 0))


def possible_types(population: Population, seat: Seat) -> np.ndarray:
    """Which types a seat may turn out to be: the one named, that of nearest cost, or those of its group."""
    names = population.names or ()
    groups = population.groups or ("",) * population.types
    member = np.array([not seat.group or group == seat.group for group in groups])
    member &= population.probabilities > 0
    only = None
    if seat.type:
        only = names.index(seat.type)
    elif seat.cost is not None:
        quality = 1.0 if population.qualities is None else population.qualities
        only = int(np.argmin(np.where(member, np.abs(population.costs / quality - seat.cost), np.inf)))
    return member if only is None else np.arange(population.types) == only


def capacities(scheme: Scheme, data: Record) -> np.ndarray:
    """Usable samples that everybody who may be of a type has, shape (types,): no option may ask for more.

    A type that nobody can be has what the average participant has; where all ride free, all there is.
    """
    pairs = [
        (size, possible_types(scheme.population, seat))
        for size, seat in zip(held_by_each(scheme, data), scheme.seats, strict=True)
        if seat.behaviour != "free-riding"
    ]
    if not pairs:
        return np.full(scheme.population.types, float(data.result["samples"]["stock"]))
    sizes = np.array([np.where(may, size, np.inf) for size, may in pairs]).min(axis=0)
    return np.where(np.isfinite(sizes), sizes, np.mean([size for size, _ in pairs]))
