"""Every coalition of a small game in one table, after asking whether the memory at hand can hold it."""

from __future__ import annotations

import os

import numpy as np

from contracts.errors import InvalidInput
from equilibria.coalition_game import CoalitionGame


def available_memory() -> int:
    """Bytes of memory free at this moment; 4 GiB where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 * 2**30


def require_memory(needed: int, purpose: str) -> None:
    """Raise unless half of the free memory holds `needed` bytes.

    Raises:
        InvalidInput: with both figures.

    >>> require_memory(2**80, "a table of 2^60 coalitions")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: a table of 2^60 coalitions needs 1.13e+15 GiB, ...
    """
    free = available_memory()
    if needed > free / 2:
        raise InvalidInput(
            f"{purpose} needs {needed / 2**30:.3g} GiB, half of the free memory is {free / 2**31:.3g} GiB: "
            "use fewer agents, or merge agents into classes of equal types"
        )


def all_coalitions(players: int) -> np.ndarray:
    """Every coalition as a mask, row i holding the agents whose bits are set in i, shape (2^players,
    players).

    >>> all_coalitions(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    require_memory(9 * players * 2**players, f"a table of all 2^{players} coalitions")
    return (np.arange(2**players)[:, None] >> np.arange(players)) & 1 == 1


def worth_table(game: CoalitionGame) -> tuple[np.ndarray, np.ndarray]:
    """All coalitions and, for each, what membership is worth to every agent, both shape (2^agents, agents).

    The worth of membership of an outsider is read from the row in which they are a member, so each
    coalition is solved once.
    """
    coalitions = all_coalitions(game.players)
    surpluses = np.stack([game.surpluses(members) for members in coalitions])
    rows = np.arange(len(coalitions))[:, None] | (1 << np.arange(game.players))
    return coalitions, surpluses[rows, np.arange(game.players)]
