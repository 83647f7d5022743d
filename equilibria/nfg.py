"""Exchange with Gambit and others: finite games as `.nfg` text, written in the payoff form, read in both forms.

The format is Gambit's (documentation, "Game representation formats", strategic games): a header, then payoffs
with the first player's action varying fastest; or a list of outcomes followed by one outcome number for each
profile. Texts and numbers are read as Gambit's own reader does (`src/games/file.cc`, which its documentation
leaves open): within quotes a backslash before a quote stands for the quote; before anything else it stands for
itself, and of several in a row all but the first count twice.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np

from contracts.checks import brief
from contracts.errors import InvalidInput
from equilibria.normal_form import NormalFormGame

#: Texts, braces, commas, numbers as Gambit cuts them, and whatever else.
_TOKEN = re.compile(
    r'\s*(?:"(?P<text>(?:[^"]|(?<=\\)")*)(?<!\\)"|(?P<mark>[{},])'
    r"|(?P<number>(?:[+-]?[0-9]+|[+-])(?:\.[0-9]*(?:[eE][+-]?[0-9]*)?|/[0-9]*|[eE][+-]?[0-9]*)?|\.[0-9]*)"
    r"|(?P<symbol>[^\s{},\"]+)|(?P<open>\"))",
    re.ASCII | re.DOTALL,
)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_RATIO = re.compile(r"([+-]?[0-9]+)/([0-9]+)", re.ASCII)
#: Most digits of the parts of a fraction.
DIGITS = 4000
#: Most players: a table has an axis for each, besides that of players.
PLAYERS = 63


def to_nfg(game: NormalFormGame, *, title: str | None = None, players: list[str] | None = None) -> str:
    """Write a game as `.nfg` text: every payoff to the last bit, with its title, comment and names.

    Args:
        game: the game.
        title: a title instead of the game's own.
        players: names of the players instead of the game's own.

    Raises:
        InvalidInput: the wrong number of names, something that is not text, or a text with backslashes that the
            format cannot hold.

    >>> print(to_nfg(NormalFormGame(payoffs=[[[1.0, 2.0]], [[3.0, 4.0]]], title="Example")))
    NFG 1 R "Example" { "1" "2" } { { "1" } { "1" "2" } } ""
    <BLANKLINE>
    1.0 3.0 2.0 4.0
    """
    names = list(game.player_names) if players is None else players
    if not isinstance(names, list) or len(names) != game.players:
        raise InvalidInput(f"players: expected a list of {game.players} names")
    heading = game.title if title is None else title
    if not all(isinstance(text, str) for text in (heading, *names)):
        raise InvalidInput("title, players: expected text")
    quoted = " ".join(_quote("players", name) for name in names)
    actions = " ".join(
        "{ " + " ".join(_quote("action_names", name) for name in own) + " }" for own in game.action_names
    )
    head = f"NFG 1 R {_quote('title', heading)} {{ {quoted} }} {{ {actions} }} {_quote('comment', game.comment)}"
    payoffs = game.payoffs.reshape(game.players, -1, order="F").T.ravel()
    return f"{head}\n\n{' '.join(map(repr, payoffs.tolist()))}\n"


def from_nfg(text: str) -> NormalFormGame:
    """Read `.nfg` text in payoff or outcome form; decimals and fractions are accepted, rounded to floats.

    Raises:
        InvalidInput: the text is not a game in this format; the message says where. Games in extensive form
            (`.efg`)
            are refused: Gambit's `gambit-convert` or its window write them in strategic form.

    >>> from_nfg('NFG 1 R "coin" { "a" "b" } { 2 2 } 1 -1 -1 1 -1 1 1 -1').payoffs[0]
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    tokens = _Tokens(text)
    first = tokens.next("NFG")
    if first == ("symbol", "EFG"):
        raise InvalidInput("nfg: this is a game in extensive form (.efg), expected one in strategic form (.nfg)")
    if first != ("symbol", "NFG") or tokens.next("version") != ("number", "1"):
        raise InvalidInput("nfg: expected text that begins with NFG 1 R")
    if tokens.next("R or D") not in (("symbol", "R"), ("symbol", "D")):
        raise InvalidInput("nfg: expected text that begins with NFG 1 R")
    title = tokens.text("title")
    players = tokens.texts("players")
    actions = _actions(tokens, len(players))
    sizes = [count for count, _ in actions]
    if len(players) > PLAYERS:
        raise InvalidInput(f"nfg: expected at most {PLAYERS} players, found {len(players)}")
    if len(players) < 2 or min(sizes) < 1:
        raise InvalidInput(f"nfg: expected actions of at least two players, found {len(players)} names, {sizes}")
    comment = tokens.text("comment") if tokens.peek()[0] == "text" else ""
    profiles = math.prod(sizes)
    if profiles > len(text):  # every profile takes a character: do not allocate for a header alone
        raise InvalidInput(f"nfg: expected {profiles} profiles of {len(players)} payoffs, the text is too short")
    body = _by_outcomes if tokens.peek() == ("mark", "{") else _by_payoffs
    numbers = body(tokens, profiles, len(players))
    if tokens.peek()[0] != "end":
        raise InvalidInput(f"nfg: expected the end after {profiles} profiles, found {tokens.peek()[1]}")
    return NormalFormGame(
        payoffs=numbers.T.reshape((len(players), *sizes), order="F"),
        title=title,
        comment=comment,
        player_names=players,
        action_names=[names for _, names in actions],
    )


def _actions(tokens: _Tokens, players: int) -> list[tuple[int, list[str] | None]]:
    """Number of each player's actions, and their names if they have any."""
    tokens.mark("{", "strategies")
    found: list[tuple[int, list[str] | None]] = []
    while tokens.peek() != ("mark", "}"):
        if tokens.peek() == ("mark", "{"):
            names = tokens.texts("strategies")
            found.append((len(names), names))
        else:
            found.append((tokens.count("actions"), None))
    tokens.mark("}", "strategies")
    if len(found) != players:
        raise InvalidInput(f"nfg: expected actions of {players} players, found {len(found)}")
    return found


def _by_payoffs(tokens: _Tokens, profiles: int, players: int) -> np.ndarray:
    values = [tokens.real(f"{profiles * players} payoffs") for _ in range(profiles * players)]
    return np.array(values).reshape(profiles, players)


def _by_outcomes(tokens: _Tokens, profiles: int, players: int) -> np.ndarray:
    outcomes = [[0.0] * players]
    tokens.mark("{", "outcomes")
    while tokens.peek() == ("mark", "{"):
        tokens.mark("{", "an outcome")
        tokens.text("outcome name")
        payoffs = []
        for _ in range(players):
            payoffs.append(tokens.real("payoffs of an outcome"))
            if tokens.peek() == ("mark", ","):
                tokens.next("a comma")
        tokens.mark("}", "an outcome")
        outcomes.append(payoffs)
    tokens.mark("}", "outcomes")
    chosen = [tokens.count("outcome numbers") for _ in range(profiles)]
    if max(chosen) >= len(outcomes):
        raise InvalidInput(f"nfg: expected {profiles} outcome numbers up to {len(outcomes) - 1}")
    return np.array([outcomes[index] for index in chosen])


def _quote(name: str, text: str) -> str:
    """Text in quotes such that Gambit reads it back: of a row of backslashes all but the first are read twice.

    Raises:
        InvalidInput: an even number of backslashes in a row or, before a quote, an odd one; or one at the end.
    """

    found = []
    for row in re.finditer(r"(\\*)([^\\]|\Z)", text, flags=re.DOTALL):
        slashes, follows = len(row[1]), row[2]
        if slashes and (not follows or (slashes % 2 == 1) == (follows == '"')):
            raise InvalidInput(
                f"{name} = {brief(text)}: expected text whose backslashes .nfg can hold, such as one"
            )
        count = slashes // 2 + 1 if follows == '"' else (slashes + 1) // 2
        found.append("\\" * count + follows)
    return f'"{"".join(found)}"'


def _unquote(text: str) -> str:
    """Text between quotes as Gambit's reader takes it."""
    if "\\" not in text:
        return text
    found, slash = [], False
    for letter in text:
        if slash:
            found.append(letter if letter == '"' else "\\" + letter)
        elif letter != "\\":
            found.append(letter)
        slash = letter == "\\"
    return "".join(found)


class _Tokens:
    """The tokens of a file as pairs of kind and text, consumed from the left."""

    def __init__(self, text: str):
        if not isinstance(text, str):
            raise InvalidInput("nfg: expected text")
        text = text.removeprefix("\ufeff")  # the mark some editors put before everything
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while found := _TOKEN.match(text, position):
            kind = str(found.lastgroup)
            if kind == "open":
                raise InvalidInput(f"nfg: the quote at character {found.start('open')} is not closed")
            self.tokens.append((kind, found[kind]))
            position = found.end()
        self.position = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "the end")

    def next(self, expected: str) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise InvalidInput(f"nfg: the text ends where {expected} was expected")
        self.position += 1
        return self.tokens[self.position - 1]

    def mark(self, mark: str, what: str) -> None:
        if (found := self.next(f"{what} in braces")) != ("mark", mark):
            raise InvalidInput(f"nfg: expected {what} in braces, {mark}, found {brief(found[1])}")

    def text(self, expected: str) -> str:
        kind, found = self.next(expected)
        if kind != "text":
            raise InvalidInput(f"nfg: expected {expected} in quotes, found {brief(found)}")
        return _unquote(found)

    def texts(self, expected: str) -> list[str]:
        """A list of texts in braces."""
        self.mark("{", expected)
        found = []
        while self.peek() != ("mark", "}"):
            found.append(self.text(expected))
        self.mark("}", expected)
        return found

    def real(self, expected: str) -> float:
        kind, found = self.next(expected)
        if kind == "number" and _DECIMAL.fullmatch(found):
            value = float(found)
            digits = re.split("[eE]", found)[0]
            if math.isfinite(value) and (value != 0.0 or not re.search("[1-9]", digits)):
                return value
        elif kind == "number" and (ratio := _RATIO.fullmatch(found)) and len(found) <= DIGITS:
            try:
                return float(Fraction(int(ratio[1]), int(ratio[2])))
            except (ZeroDivisionError, OverflowError):
                pass
        raise InvalidInput(f"nfg: expected {expected}, numbers that floats can hold, found {brief(found)}")

    def count(self, expected: str) -> int:
        kind, found = self.next(expected)
        if kind != "number" or not re.fullmatch("[0-9]{1,9}", found, flags=re.ASCII):
            raise InvalidInput(f"nfg: expected {expected}, whole numbers, found {brief(found)}")
        return int(found)
