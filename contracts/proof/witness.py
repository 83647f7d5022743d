"""What a proof of optimality consists of: prices and where they were taken, or a tree of cases with prices."""

from __future__ import annotations

import numpy as np

from contracts.records import frozen


@frozen
class Witness:
    """Numbers from which anybody can prove a bound on the optimum by weak duality (see `contracts.proof`).

    All in the user's units; rows are the distinct costs, falling.

    Attributes:
        rates, target_weights, value_weights: the losses as mixtures of exponentials, shape (terms,).
        excluded: number of leading rows held at zero contribution.
        contribution, utility: the point at which the Lagrangian is linearised, shape (rows,).
        feasibility_multipliers: price of t_i <= T_i, shape (rows,), >= 0.
        participation_multipliers: price of u_i >= f_i, shape (rows,), >= 0, first 0.
    """

    rates: np.ndarray
    target_weights: np.ndarray
    value_weights: np.ndarray
    excluded: int
    contribution: np.ndarray
    utility: np.ndarray
    feasibility_multipliers: np.ndarray
    participation_multipliers: np.ndarray


@frozen
class Tree:
    """A proof by cases that no contract is much better: each case bounds the contributions and has its prices.

    A case splits at a contribution of one row, first what lies below it, then what lies above; or it is a leaf,
    whose bound follows from its prices by weak duality, the true curve replaced, outcome by outcome, by its
    concave envelope on the data that the case can reach (see `contracts.proof.tree_check`). Rows are the
    distinct costs, falling.

    Attributes:
        row: the row split at, -1 for a leaf; cases in depth-first order, shape (cases,).
        threshold: the contribution split at (0 for a leaf), in data, shape (cases,).
        contribution: the point about which each leaf's envelopes are replaced by lines, shape (leaves, rows).
        feasibility_multipliers: prices of t_i <= T_i, shape (leaves, rows), >= 0.
        participation_multipliers: prices of u_i >= f_i, shape (leaves, rows), >= 0.
    """

    row: np.ndarray
    threshold: np.ndarray
    contribution: np.ndarray
    feasibility_multipliers: np.ndarray
    participation_multipliers: np.ndarray
