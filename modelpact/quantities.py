"""The quantities by which instances of the catalogue are recognised, and how each is computed.

>>> sorted(OF_PROBLEMS)[:3]
['contribution', 'full_information', 'objective']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, product
from math import prod
from typing import Any

import numpy as np

from contracts.problem import Problem
from equilibria.participation import ParticipationGame
from modelpact.sweep_file import SweepFile


def _contract(problem: Problem) -> Any:
    from contracts.contract.design import design_contract

    return design_contract(problem)


def _alone(problem: Problem) -> Any:
    from contracts.problem.reservation import outside_option
    from contracts.problem.standard_form import standard_form

    return outside_option(standard_form(problem))


def _known(problem: Problem) -> float:
    from contracts.contract.full_information import full_information

    return full_information(problem).objective


def _optimum(game: ParticipationGame) -> Any:
    from equilibria.welfare import welfare_optimum

    return welfare_optimum(game)


def _correlated(game: ParticipationGame) -> float:
    from equilibria.correlated import correlated_equilibrium

    return correlated_equilibrium(game).value


def _mixing(game: ParticipationGame) -> np.ndarray:
    """The probabilities strictly between 0 and 1 in symmetric equilibria, each once."""
    from equilibria.mixed import symmetric_equilibria

    found = np.concatenate([equilibrium.probabilities for equilibrium in symmetric_equilibria(game)])
    return np.unique(found[(found > 1e-9) & (found < 1.0 - 1e-9)].round(12))


def _corners(stated: SweepFile) -> list[float]:
    """The objective where every axis is at its first or last value, the last axis varying fastest."""
    from contracts.contract.batch import design_contracts
    from modelpact.axes import changed

    ends = [(axis.settings[0], axis.settings[-1]) for axis in stated.axes.values()]
    settings = [dict(chain.from_iterable(each.items() for each in corner)) for corner in product(*ends)]
    return [found.objective for found in design_contracts([changed(stated.problem, s) for s in settings])]


#: Of a contract-design problem: value of the trained model, menu, what each type gets alone, the benchmark.
OF_PROBLEMS: Mapping[str, Callable[[Problem], Any]] = {
    "objective": lambda problem: _contract(problem).objective,
    "contribution": lambda problem: _contract(problem).contribution,
    "types_left_out": lambda problem: _contract(problem).provenance.excluded,
    "reservation_utility": lambda problem: _alone(problem).utility,
    "reservation_contribution": lambda problem: _alone(problem).contribution,
    "full_information": _known,
}

#: Of a participation game, with everybody in unless the name says otherwise.
OF_GAMES: Mapping[str, Callable[[ParticipationGame], Any]] = {
    "standalone_contribution": lambda game: game.standalone_contribution,
    "standalone_loss": lambda game: game.standalone_loss,
    "cascade_sizes": lambda game: game.unravel().sizes,
    "equilibrium_sizes": lambda game: game.pure_equilibria().sizes,
    "total_surplus": lambda game: game.total_surplus(),
    "learning_error": lambda game: game.learning_error(),
    "contributions": lambda game: game.contributions(),
    "total_data": lambda game: game.contributions().sum(),
    "welfare": lambda game: _optimum(game).welfare,
    "correlated_surplus": _correlated,
    "mixing": _mixing,
}

#: Of a sweep: how many problems, and the objective at the corners of their grid.
OF_SWEEPS: Mapping[str, Callable[[SweepFile], Any]] = {
    "problems": lambda stated: prod(len(axis.labels) for axis in stated.axes.values()),
    "corner_objectives": _corners,
}
