"""A problem as stated, beside the plain one that its standard form may be, and how answers are read back."""

from __future__ import annotations

import dataclasses

import numpy as np

from contracts.contract.contract import Contract
from contracts.problem import Problem
from contracts.problem.reservation import Reservation, outside_utility
from contracts.problem.standard_form import StandardForm, standard_form
from contracts.records import frozen


@frozen
class Stated:
    """A problem with its standard form.

    Attributes:
        form: rows and worlds.
        outside: what each type gets by staying out, in its own units, shape (types,).
        due: what each row is due at least, in units of rows, shape (rows,).
    """

    form: StandardForm
    outside: np.ndarray
    due: np.ndarray

    @classmethod
    def of(cls, problem: Problem) -> Stated:
        """Compile a problem and find out what everybody gets by staying out."""
        form = standard_form(problem)
        outside = outside_utility(form)
        return cls(form=form, outside=outside, due=form.due(outside))

    @property
    def plain(self) -> Problem:
        """The plain problem that the standard form is, if `simple`."""
        return self.form.worlds[0].plain

    @property
    def reservation(self) -> Reservation:
        """What the types of the plain problem are due at least."""
        due = self.due[self.form.row]
        return Reservation(utility=due, contribution=np.zeros(due.size))

    @property
    def may_stay_out(self) -> bool:
        """Whether a contract may be better that some types do not sign.

        Where staying out means training alone on the same curve, "bring what you would use alone, get your own
        model" is always feasible, envied by nobody and adds data.
        """
        return not self.form.problem.outside.plain

    @property
    def simple(self) -> bool:
        """Whether the plain problem is all there is to solve."""
        return self.form.simple and not self.may_stay_out

    @property
    def divergence(self) -> bool:
        """Whether the probabilities are known up to a Kullback-Leibler divergence."""
        doubt = self.form.problem.population.doubt
        return doubt is not None and doubt.distance == "kullback-leibler"

    @property
    def beyond(self) -> list[str]:
        """What takes the problem beyond a plain one, in words."""
        problem = self.form.problem
        population = problem.population
        doubt = population.doubt
        parts = {
            "groups": population.groups is not None,
            "scenarios": len(problem.scenarios) > 1,
            "capacities": population.capacities is not None,
            "Kullback-Leibler doubt": doubt is not None and doubt.distance == "kullback-leibler",
            "outside options": self.may_stay_out,
            "menu limits": not problem.menu.free,
            "another objective": problem.objective is not None,
        }
        return [name for name, present in parts.items() if present]

    def read(self, found: Contract) -> Contract:
        """The contract that one of the plain problem stands for, in everybody's own units."""
        form, problem = self.form, self.form.problem
        return dataclasses.replace(
            found,
            problem=problem,
            contribution=found.contribution / form.effective,
            expected_reward=found.expected_reward * form.relative,
            reservation_utility=self.outside,
            expected_accuracy=found.expected_accuracy + problem.baseline,
            reached=found.reached + (0.0 if problem.target_is_value else problem.baseline),
        )
