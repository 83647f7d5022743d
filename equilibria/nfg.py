"""Exchange with Gambit and others: finite games as `.nfg` text, written in the payoff form, read in both
forms.

The format is Gambit's (documentation, "Game representation formats", strategic games): a header, then payoffs
with the first player's action varying fastest; or a list of outcomes followed by one outcome number for each
profile.
"""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from contracts.errors import InvalidInput
from equilibria.normal_form import NormalFormGame

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]|[^\s{},"]+')


def to_nfg(game: NormalFormGame, *, title: str = "", players: list[str] | None = None) -> str:
    """Write a game as `.nfg` text, every payoff to the last bit.

    Args:
        game: the game.
        title: a title, any text.
        players: one name for each player; numbers when omitted.

    Raises:
        InvalidInput: the wrong number of names, or something that is not text.

    >>> print(to_nfg(NormalFormGame(payoffs=[[[1.0, 2.0]], [[3.0, 4.0]]]), title="Example"))
    NFG 1 R "Example" { "1" "2" } { 1 2 }
    <BLANKLINE>
    1.0 3.0 2.0 4.0
    """
    names = [str(number + 1) for number in range(game.players)] if players is None else players
    if not isinstance(names, list) or len(names) != game.players:
        raise InvalidInput(f"players: expected a list of {game.players} names")
    if not all(isinstance(text, str) for text in (title, *names)):
        raise InvalidInput("title, players: expected text")
    quoted = " ".join(_quote(name) for name in names)
    sizes = " ".join(map(str, game.actions))
    payoffs = game.payoffs.reshape(game.players, -1, order="F").T.ravel()
    return f"NFG 1 R {_quote(title)} {{ {quoted} }} {{ {sizes} }}\n\n{' '.join(map(repr, payoffs.tolist()))}\n"


def from_nfg(text: str) -> NormalFormGame:
    """Read `.nfg` text in payoff or outcome form; decimals and fractions are accepted.

    Raises:
        InvalidInput: the text is not a game in this format; the message says where.

    >>> from_nfg('NFG 1 R "coin" { "a" "b" } { 2 2 } 1 -1 -1 1 -1 1 1 -1').payoffs[0]
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    tokens = _Tokens(text)
    if tokens.next("NFG") != "NFG" or tokens.next("version") != "1" or tokens.next("R or D") not in ("R", "D"):
        raise InvalidInput("nfg: expected text that begins with NFG 1 R")
    tokens.string("title")
    players = len(tokens.block("players"))
    strategies = tokens.block("strategies")
    sizes = [len(s) if isinstance(s, list) else tokens.count(s) for s in strategies]
    if players < 2 or len(sizes) != players or min(sizes) < 1:
        raise InvalidInput(f"nfg: expected actions of at least two players, found {players} names, {sizes}")
    if tokens.peek().startswith('"'):
        tokens.next("comment")
    profiles = int(np.prod(sizes, dtype=object))
    if profiles * players > len(text):  # every number takes a character: do not allocate for a header alone
        raise InvalidInput(f"nfg: expected {profiles} profiles of {players} payoffs, the text is too short")
    if tokens.peek() == "{":
        outcomes = [[0.0] * players]
        for outcome in tokens.block("outcomes"):
            outcomes.append([tokens.real(value) for value in outcome if not _is_string(value)])
        chosen = [tokens.count(token) for token in tokens.rest()]
        if len(chosen) != profiles or max(chosen) >= len(outcomes) or {len(o) for o in outcomes} != {players}:
            raise InvalidInput(f"nfg: expected {profiles} outcome numbers up to {len(outcomes) - 1}")
        numbers = np.array([outcomes[index] for index in chosen])
    else:
        values = [tokens.real(token) for token in tokens.rest()]
        if len(values) != profiles * players:
            raise InvalidInput(f"nfg: expected {profiles * players} payoffs, found {len(values)}")
        numbers = np.array(values).reshape(profiles, players)
    return NormalFormGame(payoffs=numbers.T.reshape((players, *sizes), order="F"))


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_string(token) -> bool:
    return isinstance(token, str) and token.startswith('"')


class _Tokens:
    """The tokens of a file, consumed from the left."""

    def __init__(self, text: str):
        if not isinstance(text, str):
            raise InvalidInput("nfg: expected text")
        self.tokens = _TOKEN.findall(text)
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def next(self, expected: str) -> str:
        if self.position >= len(self.tokens):
            raise InvalidInput(f"nfg: the text ends where {expected} was expected")
        self.position += 1
        return self.tokens[self.position - 1]

    def string(self, expected: str) -> str:
        token = self.next(expected)
        if not _is_string(token):
            raise InvalidInput(f"nfg: expected {expected} in quotes, found {token}")
        return token

    def block(self, expected: str) -> list:
        """A braced list; inner braces become lists."""
        if self.next(expected) != "{":
            raise InvalidInput(f"nfg: expected {expected} in braces")
        stack: list[list] = [[]]
        while stack:
            token = self.next("}")
            if token == "{":
                stack.append([])
            elif token == "}":
                closed = stack.pop()
                if not stack:
                    return closed
                stack[-1].append(closed)
            else:
                stack[-1].append(token)
        raise AssertionError

    def rest(self) -> list[str]:
        remaining, self.position = self.tokens[self.position :], len(self.tokens)
        return remaining

    @staticmethod
    def real(token) -> float:
        try:
            value = float(Fraction(token))
        except (ValueError, ZeroDivisionError, TypeError, OverflowError):
            raise InvalidInput(f"nfg: expected a number, found {token}") from None
        return value

    @staticmethod
    def count(token) -> int:
        if not (isinstance(token, str) and token.isdigit()):
            raise InvalidInput(f"nfg: expected a whole number, found {token}")
        return int(token)
