"""Signing in turn: publicly, irrevocably, one participant after the other.

Everybody sees who signed what before it decides, knows its own type, and expects those who follow to be drawn
from the types and to choose as well as they can. Backward induction gives the subgame-perfect outcome. With an
insured launch clause it is that all sign truthfully, whatever the order: whoever could make a launch impossible
by leaving would lose by that.

Source: ours.
"""

from __future__ import annotations

from math import comb

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.contract.profiles import profiles
from contracts.contract.terms import Terms
from contracts.errors import InvalidInput
from contracts.problem.participants import FixedTurnout
from contracts.records import frozen

OUT = -1
MOST_STATES = 200_000
TOLERANCE = 1e-9  # of what the best model is worth to each type: smaller differences are ties


@frozen
class SigningOutcome:
    """What comes of signing in turn, if everybody chooses as well as it can.

    Attributes:
        all_sign: the probability that everybody signs, truthfully.
        signatures: expected number of signatures.
        objective: expected value of the trained model.
        first: what each type does that moves first: the type for which the option was made, -1 for leaving,
            shape (types,).
        first_gain: what it expects to gain by that over staying out, in own units, shape (types,).
        states: how many positions were solved.
    """

    all_sign: float
    signatures: float
    objective: float
    first: np.ndarray
    first_gain: np.ndarray
    states: int


def sign_in_turn(contract: Contract, *, ties: str = "sign", scenario: int = 0) -> SigningOutcome:
    """The subgame-perfect outcome where participants sign one after the other.

    Args:
        contract: a contract for one group of a known number of participants.
        ties: what who is indifferent does: "sign" (its own option where that is among the best) or "leave".
        scenario: in which scenario, from 0.

    Raises:
        InvalidInput: a contract of another kind, or too many positions.

    >>> import dataclasses
    >>> from contracts import Menu, Population, design_contract
    >>> from contracts.testing import example_contract
    >>> problem = dataclasses.replace(
    ...     example_contract().problem,
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=4),
    ...     menu=Menu(assurance="count", participation_margin=0.01, preference_margin=0.01),
    ... )
    >>> sign_in_turn(design_contract(problem), ties="leave").all_sign
    1.0
    """
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract")
    checks.choice("ties", ties, ("sign", "leave"))
    terms = Terms.of(contract, scenario)
    law = terms.world.laws[0]
    if len(terms.world.laws) > 1 or not isinstance(law, FixedTurnout):
        raise InvalidInput("contract: expected one group of a known number of participants")
    size = comb(law.count + terms.options, terms.options)
    if size > MOST_STATES:
        raise InvalidInput(
            f"{law.count} participants with {terms.options} options make {size:,} positions: expected at most"
            f" {MOST_STATES:,}"
        )
    return _solved(terms, law.count, ties)


def _solved(terms: Terms, number: int, ties: str) -> SigningOutcome:
    """Backward induction over the counts of options signed, the last mover first."""
    options, listed = terms.options, profiles(terms.options, number)
    place = {counts: k for k, counts in enumerate(map(tuple, listed.tolist()))}
    after = np.array([[place.get(_with(counts, k), 0) for k in range(options)] for counts in place])
    total, everybody = listed.sum(axis=1), listed.sum(axis=1) == number
    outcome = terms.outcome(listed)
    # Expected in the end at each position: launch, worth, data of each option, value, signatures, truth.
    ahead = np.c_[
        outcome.launched, outcome.worth, outcome.data, terms.world.plain.value(outcome.total), total, everybody
    ].astype(float)
    gains, move = np.zeros((0, terms.own.size, options)), np.zeros((0, terms.own.size), dtype=int)
    for mover in range(number - 1, -1, -1):
        here = np.flatnonzero(total <= mover)
        gains = np.full((here.size, terms.own.size, options), -np.inf)
        for k in range(options):
            there = ahead[after[here, k]]
            parts = (there[:, n * options : (n + 1) * options] for n in range(3))
            gains[:, :, k] = np.where(terms.available()[:, k], terms.gain(*parts)[:, :, k], -np.inf)
        move = _choices(terms, gains, ties)
        following = np.zeros_like(ahead)
        for i, share in enumerate(terms.chance):
            signed = after[here, np.maximum(move[:, i], 0)]
            mine = ahead[np.where(move[:, i] == OUT, here, signed)].copy()
            mine[:, -1] *= move[:, i] == terms.own[i]
            following[here] += share * mine
        ahead = following
    start = place[(0,) * options]
    return SigningOutcome(
        all_sign=float(np.round(ahead[start, -1], 12)),
        signatures=float(ahead[start, -2]),
        objective=float(ahead[start, -3]),
        first=_named(terms, move[0]),
        first_gain=np.maximum(gains[0].max(axis=1, initial=-np.inf), 0.0),
        states=len(listed),
    )


def _with(counts: tuple[int, ...], k: int) -> tuple[int, ...]:
    return (*counts[:k], counts[k] + 1, *counts[k + 1 :])


def _choices(terms: Terms, gains: np.ndarray, ties: str) -> np.ndarray:
    """Each type's best move at each position; who is indifferent signs its own option, or leaves."""
    tolerated = TOLERANCE * terms.form.relative * terms.world.plain.largest_value
    most, types = gains.max(axis=-1, initial=-np.inf), np.arange(terms.own.size)
    own = np.where(terms.own >= 0, gains[:, types, np.maximum(terms.own, 0)], -np.inf)
    move = np.where(most > tolerated, gains.argmax(axis=-1), OUT)
    move = np.where(own >= np.maximum(most, 0.0) - tolerated, terms.own, move)
    return np.where(most <= tolerated, OUT, move) if ties == "leave" else move


def _named(terms: Terms, move: np.ndarray) -> np.ndarray:
    meant = [int(np.flatnonzero(terms.own == k)[0]) for k in range(terms.options)]
    types = np.arange(terms.own.size)
    return np.where(move == OUT, OUT, np.where(move == terms.own, types, np.array([*meant, OUT])[move]))
