"""`modelpact play game.toml`: will they come, and stay, under each rule.

A game file has the constants of the game, the types of the agents, and the rules to compare:

    loss_weight = 1.0
    complexity = 40.0
    exponent = 0.5
    cost = 3.125e-7
    types = [0.1, 0.2, 0.6]        # or a table: family = "harmonic" or "linear"

    [rules.pooled]
    [rules.full_information]
    [rules.verified]
    samples = 39441
    runs = 200                     # repeat verification this often, and count
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contracts.checks import choice, integer, number
from contracts.errors import InvalidInput
from contracts.storage import write_atomically
from equilibria.declared import DeclaredTypesRule
from equilibria.fixed_amounts import FixedAmountsRule
from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule, EqualShareRule, FixedShareRule, PooledRule
from equilibria.rule import Rule
from equilibria.unravelling import Unravelling
from equilibria.verification_trial import verification_trial
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule
from modelpact import terminal
from modelpact.groups import groups_form, groups_picture, groups_text, partition_record
from modelpact.play_tables import picture, show
from modelpact.tables import console
from modelpact.terminal import PICTURES, Flag, document, working, writable

RULES: dict[str, Callable[..., Rule]] = {
    "pooled": PooledRule,
    "fixed_share": FixedShareRule,
    "fixed_amounts": FixedAmountsRule,
    "club": ClubRule,
    "full_information": FullInformationRule,
    "declared": DeclaredTypesRule,
    "verified": VerifiedRule,
}
CONSTANTS = ("loss_weight", "complexity", "exponent", "cost", "costs", "capacities")
#: Beyond this many agents, equilibria of rules without a theorem are not enumerated.
ENUMERATED = 12


@dataclass(frozen=True, kw_only=True)
class GameFile:
    """What a game file says.

    Attributes:
        title: of the tables and the plot.
        game: the agents and constants, under the first rule.
        rules: the rules to compare, by name.
        runs: repetitions of verification for each verified rule, zero for none, by name.
    """

    title: str
    game: ParticipationGame
    rules: Mapping[str, Rule]
    runs: Mapping[str, int]


def read_game(path: Path) -> GameFile:
    """Read and check a game file.

    Raises:
        InvalidInput: the file cannot be read, is not TOML, or has a key or value that is not accepted; the
            message names it.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not TOML: {error}") from error
    return game_from_data(document, path.stem, path.name)


def game_from_data(document: Mapping[str, Any], title: str, where: str = "game") -> GameFile:
    """Check what a game file says.

    Args:
        document: the file's tables.
        title: what to call the game if the document does not say.
        where: what to call the file in errors.

    Raises:
        InvalidInput: a key or value is not accepted; the message names it.
    """
    _known(where, document, ("title", *CONSTANTS, "types", "rules"))
    price = "costs" if "costs" in document else "cost"
    missing = [key for key in (*CONSTANTS[:2], price, "types") if key not in document]
    if missing:
        raise InvalidInput(f"{where} lacks {', '.join(missing)}")
    title = document.get("title", title)
    if not isinstance(title, str):
        raise InvalidInput(f"title = {title!r}: expected text")
    tables = document.get("rules", {name: {} for name in ("pooled", "full_information", "club")})
    if not isinstance(tables, dict) or not tables:
        raise InvalidInput("rules: expected tables such as [rules.pooled]")
    rules, runs = {}, {}
    for name, table in tables.items():
        rules[name], runs[name] = _rule(name, table)
    game = ParticipationGame(
        types=_types(document["types"]),
        rule=next(iter(rules.values())),
        **{key: document[key] for key in CONSTANTS if key in document},
    )
    return GameFile(title=title, game=game, rules=rules, runs=runs)


def _known(where: str, table: Mapping[str, Any], accepted: tuple[str, ...]) -> None:
    unknown = [key for key in table if key not in accepted]
    if unknown:
        raise InvalidInput(f"{where}: unknown key {unknown[0]!r}: expected {', '.join(accepted) or 'none'}")


def _types(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    _known("types", value, ("family", "agents", "best", "worst", "spread"))
    family = choice("types.family", value.get("family"), ["harmonic", "linear"])
    agents = integer("types.agents", value.get("agents"), low=2, high=10_000_000)
    worst = number("types.worst", value.get("worst"), low=0.0, high=1.0)
    if family == "linear":
        return np.linspace(number("types.best", value.get("best"), low=0.0, high=worst), worst, agents)
    spread = number("types.spread", value.get("spread"), low=0.0)
    return (worst - spread * np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, agents))]))[::-1].copy()


def _rule(name: str, table: Any) -> tuple[Rule, int]:
    if not isinstance(table, dict):
        raise InvalidInput(f"rules.{name} = {table!r}: expected a table, [rules.{name}]")
    options = dict(table)
    kind = choice(f"rules.{name}.kind", options.pop("kind", name), list(RULES))
    runs = options.pop("runs", 0) if kind == "verified" else 0
    fields = tuple(field.name for field in dataclasses.fields(RULES[kind]))  # type: ignore[arg-type]
    _known(f"rules.{name}", options, fields)
    if kind in ("verified", "fixed_amounts") and "samples" not in options:
        raise InvalidInput(f"rules.{name} lacks samples")
    try:
        return RULES[kind](**options), integer(f"rules.{name}.runs", runs, high=1_000_000)
    except InvalidInput as error:
        raise InvalidInput(f"rules.{name}: {error}") from error


def analyse(
    file: GameFile, now: Callable[[str], None] = lambda _: None
) -> tuple[dict[str, Any], dict[str, Unravelling]]:
    """Cascade, equilibria and surplus of a game under each rule, as JSON-ready records, and the cascades.

    Args:
        file: what to play.
        now: told, rule by rule, what is computed.
    """
    game, cascades, records = file.game, {}, {}
    for name, rule in file.rules.items():
        now(f"playing {name}")
        cascades[name] = game.with_rule(rule).unravel()
        records[name] = _record(game.with_rule(rule), cascades[name], file.runs[name])
        if "partition" in records[name]:
            records[name]["partition"]["text"] = groups_text(name.replace("_", " "), records[name], game.players)
    report = {
        "title": file.title,
        "agents": game.players,
        **{key: _plain(getattr(game, key)) for key in CONSTANTS},
        "standalone_contribution": _plain(game.standalone_contributions),
        "standalone_loss": _plain(game.standalone_losses),
        "rules": records,
    }
    return report, cascades


def _record(game: ParticipationGame, cascade: Unravelling, runs: int) -> dict[str, Any]:
    given = game.contributions()
    record: dict[str, Any] = {
        "grand_coalition": {
            "epsilon": game.epsilon("all"),
            "total_surplus": float(cascade.total_surpluses[0]),
            "learning_error": _finite(cascade.learning_errors[0]),
            "samples": float(given.sum()),
            "contributors": int((given > 0).sum()),
        },
        "cascade": {
            "sizes": cascade.sizes.tolist(),
            "least_gains": [_finite(gain) for gain in cascade.least_gains],
            "learning_errors": [_finite(error) for error in cascade.learning_errors],
            "total_surpluses": cascade.total_surpluses.tolist(),
            "stays": np.flatnonzero(cascade.final).tolist() if game.players <= 1000 else None,
        },
        "equilibria": None,
    }
    if groups_form(game):
        record["partition"] = partition_record(game.partition())
    # Equilibria under verification depend on the estimates drawn, so a list of them would say little.
    drawn = isinstance(game.rule, VerifiedRule)
    theorem = isinstance(game.rule, EqualShareRule) and game.alike
    # Welfare of agents who differ takes about a second a coalition.
    slow = not game.alike and isinstance(game.rule, FullInformationRule | DeclaredTypesRule)
    if theorem or (game.players <= ENUMERATED and not drawn and not slow):
        found = game.pure_equilibria()
        record["equilibria"] = {
            "sizes": found.sizes.tolist(),
            "total_surpluses": found.total_surpluses.tolist(),
            "method": found.method,
        }
    if isinstance(game.rule, VerifiedRule):
        record["guarantee"] = str(game.rule.guarantee(game))
        if runs:
            trial = verification_trial(game, game.rule, runs=runs)
            record["trial"] = {
                "text": str(trial),
                "frequency": trial.frequency,
                "interval": list(trial.interval),
            }
    return record


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def play(
    game: Path,
    /,
    *,
    output: Path | None = None,
    plot: Path | None = None,
    groups: Path | None = None,
    json: Flag = False,
) -> int:
    """Show whether the agents of a game come, and stay, under each rule of its file.

    For each rule: the most that anybody gains by leaving the grand coalition, the surplus of all and the bound
    on the learning error while everybody stays, how many give data, how many stay in the end, and the sizes of
    all coalitions that are Nash equilibria. Then, round by round, who leaves; and which coalitions would form if
    there may be several.

    Parameters
    ----------
    game
        TOML file with the constants of the game (loss_weight, complexity, exponent, and cost, or costs and
        capacities by agent), the types of the agents (a list, or a table: family = "harmonic" or "linear",
        agents, worst, and spread or best) and a table for each rule to compare, such as [rules.pooled]: pooled,
        fixed_share (samples), fixed_amounts (samples), club (size), full_information, declared (reports),
        verified (samples, confidence, paid, slack_factor, runs, ...). Or a problem file, or a contract file:
        then all equilibria of its menu are shown, with a launch clause and without.
    output
        Where to write the results (JSON).
    plot
        Where to draw the cascades (.png, .pdf or .svg).
    groups
        Where to draw the coalitions that form under the first rule that has them (.png, .pdf or .svg).
    json
        Print the results as JSON instead of tables.
    """
    menu = _menu_file(Path(game))
    if menu is not None:
        if plot is not None or groups is not None:
            raise InvalidInput("--plot, --groups: expected a game file, contracts are shown as tables")
        return _play_menu(Path(game), menu, output, json)
    file = read_game(Path(game))
    writable(output, keep=Path(game))
    for path in (plot, groups):
        writable(path, PICTURES)
    grouped = next((rule for rule in file.rules.values() if groups_form(file.game.with_rule(rule))), None)
    if groups is not None and grouped is None:
        raise InvalidInput(
            "--groups: no rule of this file says which coalitions form, expected pooled or fixed_share with one"
            " cost for all and no capacities, or fixed_amounts"
        )
    with working("playing") as now:
        report, cascades = analyse(file, now)
    text = document("game", report)
    drawn = picture(cascades, file.title, plot.suffix[1:].lower()) if plot else None
    if output is not None:
        write_atomically(output, text)
    if plot is not None and drawn is not None:
        write_atomically(plot, drawn)
    if groups is not None and grouped is not None:
        write_atomically(groups, groups_picture(file.game.with_rule(grouped), groups.suffix[1:].lower()))
    if json:
        print(text, end="")
    else:
        show(report, cascades)
        for path in filter(None, (output, plot, groups)):
            console().print(f"Wrote {path}", markup=False)
    return 0


def _menu_file(path: Path) -> dict[str, Any] | None:
    """The tables of a problem file, none for a contract file; None if it is a game file."""
    if path.suffix.lower() == ".json":
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # whoever reads the game says what is wrong
    return document if "population" in document else None


def _play_menu(path: Path, document: dict[str, Any], output: Path | None, json: bool) -> int:
    from modelpact.play_contract import analyse_menus, read_contract, show_menus

    writable(output, keep=path)
    with working("designing"):
        contract = read_contract(path, document or None)
    with working("looking at every strategy"):
        report = {"title": path.stem, **analyse_menus(contract)}
    text = terminal.document("menu", report)
    if output is not None:
        write_atomically(output, text)
    if json:
        print(text, end="")
        return 0
    show_menus(path.stem, report)
    if output is not None:
        console().print(f"Wrote {output}", markup=False)
    return 0
