"""The proof that a contract carries: data from which anybody can bound what other contracts reach."""

from __future__ import annotations

import numpy as np

from contracts.proof.witness import Tree, Witness
from contracts.records import frozen

LEAF, BOUNDS, LINK, REACH, SERVICE, PAIR, IDLE = -1, 0, 1, 2, 3, 4, 5  # kinds of splits


@frozen
class Mixtures:
    """The losses of all worlds as mixtures of exponentials, in the units of rows and data.

    Attributes:
        rates: shape (terms,), per datum.
        target_weights, value_weights: of the loss of the target and of value, shape (worlds, terms).
    """

    rates: np.ndarray
    target_weights: np.ndarray
    value_weights: np.ndarray


@frozen
class Cases:
    """A proof by cases (`contracts.problem.cases`), each with prices that bound the objective in it.

    Splits are listed depth first, the first branch of each first. A split of BOUNDS at row `index` asks for
    x <= threshold, then for x >= threshold; of a LINK for SHARED, then for APART; of a REACH for REACHABLE, then
    for BLOCKED; of SERVICE for SERVED, then for STAYS; of a PAIR of rows a < b of two groups (index a * rows
    + b) for sharing an option, then for not sharing one; of IDLE for a row that brings nothing and gets nothing,
    then for one that has an option.

    Attributes:
        mixtures: by which expectations are taken; None where they are over all outcomes, with lines above the
            curves.
        kind: LEAF, BOUNDS, LINK, REACH, SERVICE, PAIR or IDLE, shape (cases,).
        index: the row, link or pair split at (0 for leaves), shape (cases,).
        threshold: of splits of BOUNDS, in data, shape (cases,).
        contribution, utility: the points at which each leaf's Lagrangian is linearised, shape (points, rows).
        level: the level z there, shape (points,); 0 where the objective has none.
        feasibility: prices of t_i <= T_i in each world, >= 0, shape (points, worlds, rows).
        leaf: whose the points are, rising, shape (points,); None where each leaf has one.
        share: what each point's linearised objective counts, >= 0, shape (points,); None with `leaf`.
        linear: prices of each leaf's linear constraints, in the order of `linear_constraints`, >= 0.
    """

    mixtures: Mixtures | None
    kind: np.ndarray
    index: np.ndarray
    threshold: np.ndarray
    contribution: np.ndarray
    utility: np.ndarray
    level: np.ndarray
    feasibility: np.ndarray
    linear: tuple[np.ndarray, ...]
    leaf: np.ndarray | None = None
    share: np.ndarray | None = None


@frozen
class Proof:
    """What a contract carries to prove its optimality; whatever is missing is not proved.

    Attributes:
        witness: prices for the published program as solved (the curve continued below its floor).
        global_witness: prices for a relaxation that bounds the true curve.
        tree: a proof by cases over outcomes for the true curve.
        cases: a proof by cases for problems with other ingredients, on the program as solved.
        global_cases: the same on a relaxation that bounds the true curve.
        member: for doubt by Kullback-Leibler divergence the probabilities, shape (types,), at which the others
            bound every contract.
        curves: for uncertain curves, one for each world: where in its region is the curve at which the others
            bound every contract, a direction of length <= 1, shape (parameters,); empty where it is known.
        launch: for insured menus the prices of chain, then cover, one row for each menu, shape (menus, rows);
            the
            others are then about menus without a clause.
    """

    witness: Witness | None = None
    global_witness: Witness | None = None
    tree: Tree | None = None
    cases: Cases | None = None
    global_cases: Cases | None = None
    member: np.ndarray | None = None
    curves: tuple[np.ndarray, ...] | None = None
    launch: np.ndarray | None = None
