"""Sixty games of two to five players, in both forms of `.nfg`: read as Gambit reads them, and solved.

The texts are written here by other code than the library's, numbers as fractions, decimals or with exponents;
what Gambit makes of names in quotes was taken from its reader (`GameFileLexer::GetNextToken`), letter by letter.
"""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from contracts.errors import InvalidInput
from equilibria.correlated import correlated_equilibrium
from equilibria.correlated_table import correlated_strategies
from equilibria.mixed_strategies import certify_mixed, mixed_equilibria
from equilibria.nfg import from_nfg, to_nfg
from equilibria.normal_form import NormalFormGame, tabulate
from equilibria.participation import ParticipationGame


def bimatrix(rows, columns):
    return np.array([rows, columns], dtype=float)


def zero_sum(rows):
    return bimatrix(rows, -np.array(rows))


def by_rule(actions, rule):
    """A table from each player's payoff as a function of the profile."""
    table = np.empty((len(actions), *actions))
    for profile in np.ndindex(*actions):
        table[(slice(None), *profile)] = rule(profile)
    return table


def minority(profile):
    ones = sum(profile)
    return [float((chosen == 1) == (ones < len(profile) / 2)) for chosen in profile]


def public_good(profile):
    return [1.5 * sum(profile) / len(profile) * 1.25 - chosen for chosen in profile]


def volunteer(profile):
    return [(2.0 if any(profile) else 0.0) - chosen for chosen in profile]


def pennies_in_a_ring(profile):
    """Jordan's game: each wants to match the next, the last to differ from the first."""
    last = len(profile) - 1
    wants = [profile[i] == profile[(i + 1) % len(profile)] for i in range(len(profile))]
    wants[last] = not wants[last]
    return [1.0 if want else -1.0 for want in wants]


def coordination(profile):
    return [float(profile[0] + 1) if len(set(profile)) == 1 else 0.0] * len(profile)


SHAPLEY = [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
SPOCK = [[(0 if i == j else 1 if (i - j) % 5 in (1, 3) else -1) for j in range(5)] for i in range(5)]
TEXTBOOK = {
    "matching pennies": zero_sum([[1, -1], [-1, 1]]),
    "rock, paper, scissors": zero_sum([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]),
    "with lizard and Spock": zero_sum(SPOCK),
    "prisoners' dilemma": bimatrix([[-1, -3], [0, -2]], [[-1, 0], [-3, -2]]),
    "battle of the sexes": bimatrix([[3, 0], [0, 2]], [[2, 0], [0, 3]]),
    "chicken": bimatrix([[0, 7], [2, 6]], [[0, 2], [7, 6]]),
    "stag hunt": bimatrix([[4, 0], [3, 3]], [[4, 3], [0, 3]]),
    "inspection": bimatrix([[-1, 0], [0, -2]], [[1, 2], [0, 3]]),
    "Shapley's": bimatrix(SHAPLEY, np.array(SHAPLEY).T),
    "all alike": bimatrix(np.zeros((3, 2)), np.zeros((3, 2))),
    "one choice": bimatrix([[1.0, 2.0]], [[0.0, 0.0]]),
    "one strategy each": bimatrix([[1.0]], [[-1.0]]),
    "duplicates": bimatrix([[1, 1], [1, 1], [0, 2]], [[0, 1], [0, 1], [2, 0]]),
    "weakly dominated": bimatrix([[1, 1], [1, 0]], [[1, 1], [1, 0]]),
    "Kohlberg and Mertens": bimatrix([[2, 2], [3, 0], [0, 1]], [[2, 2], [3, 0], [0, 1]]),
    "colonel Blotto": zero_sum([[4, 0], [1, 3], [-2, 2]]),
    "thirds": bimatrix(np.array([[1, -1], [-1, 1]]) / 3, np.array([[-1, 1], [1, -1]]) / 7),
    "minority of three": by_rule((2, 2, 2), minority),
    "minority of five": by_rule((2,) * 5, minority),
    "public good of three": by_rule((2, 2, 2), public_good),
    "public good of five": by_rule((2,) * 5, public_good),
    "volunteers, three": by_rule((2, 2, 2), volunteer),
    "volunteers, four": by_rule((2,) * 4, volunteer),
    "pennies in a ring of three": by_rule((2, 2, 2), pennies_in_a_ring),
    "coordination of three": by_rule((3, 3, 3), coordination),
    "three who do not care": np.zeros((3, 2, 2, 2)),
    "one decides": by_rule((2, 1, 1), lambda profile: [float(profile[0]), 0.0, 0.0]),
}


def drawn(number):
    rng = np.random.default_rng(number)
    players = 2 if number % 3 else int(rng.integers(3, 5))
    actions = tuple(
        int(n) for n in rng.integers(1 if number % 7 == 0 else 2, 5 if players == 2 else 3, size=players)
    )
    high = 2 if number % 2 else 9  # small whole numbers: many ties
    return rng.integers(-high, high + 1, size=(players, *actions)).astype(float)


GAMES = {**TEXTBOOK, **{f"drawn {number}": drawn(number) for number in range(60 - len(TEXTBOOK))}}
# What stands between quotes in the file, and what Gambit reads.
NAMES = [
    ("plain", "plain"),
    (r"a \"quoted\" name", 'a "quoted" name'),
    (r"back\slash", r"back\slash"),
    (r"two\\", None),
    (r"a\\b", r"a\\\b"),
    (r"C:\dir\sub", r"C:\dir\sub"),
    (r"\\\"x", '\\\\\\\\"x'),
    ("two\nlines", "two\nlines"),
    ("", ""),
    ("größer → ²", "größer → ²"),
    ("{ braces, 1 2 }", "{ braces, 1 2 }"),
]
READ = [(written, read) for written, read in NAMES if read is not None]


def written_number(value, kind):
    from fractions import Fraction

    if kind == 0:
        return str(Fraction(float(value)))
    return repr(float(value)) if kind == 1 else f"{float(value):.17e}"


def written(name, payoffs, number):
    """A game as text, alternately in payoff and in outcome form."""
    players, *actions = payoffs.shape
    texts = [READ[(number + k) % len(READ)][0] for k in range(players)]
    quoted = " ".join(f'"{text}"' for text in texts)
    title = name.replace("'", "")
    named = number % 4 < 2
    lists = " ".join("{ " + " ".join(f'"{chr(97 + k)}"' for k in range(n)) + " }" for n in actions)
    counts = lists if named else " ".join(map(str, actions))
    head = f'NFG 1 {"RD"[number % 2]} "{title}" {{ {quoted} }}\n{{ {counts} }}\n'
    profiles = [profile[::-1] for profile in itertools.product(*(range(n) for n in reversed(actions)))]
    rows = [[payoffs[(j, *profile)] for j in range(players)] for profile in profiles]
    if number % 2:
        return head + "\n".join(" ".join(written_number(v, number % 3) for v in row) for row in rows) + "\n"
    kinds = sorted({tuple(row) for row in rows if any(row)})
    listed = "\n".join(
        f'{{ "outcome {k}" {", ".join(written_number(v, number % 3) for v in kind)} }}'
        for k, kind in enumerate(kinds)
    )
    chosen = " ".join(str(kinds.index(tuple(row)) + 1) if any(row) else "0" for row in rows)
    return f'{head}"a \\"comment\\""\n{{\n{listed}\n}}\n{chosen}\n'


ALL = [(name, payoffs, number) for number, (name, payoffs) in enumerate(GAMES.items())]
each = pytest.mark.parametrize(("name", "payoffs", "number"), ALL, ids=[name for name, _, _ in ALL])


def test_there_are_sixty():
    assert len(ALL) == 60
    assert {payoffs.shape[0] for _, payoffs, _ in ALL} == {2, 3, 4, 5}


@each
def test_every_game_is_read_and_written_without_loss(name, payoffs, number):
    game = from_nfg(written(name, payoffs, number))
    assert np.array_equal(game.payoffs, payoffs)
    assert list(game.player_names) == [READ[(number + k) % len(READ)][1] for k in range(game.players)]
    assert game.comment == ("" if number % 2 else 'a "comment"')
    again = from_nfg("\ufeff" + to_nfg(game))
    assert np.array_equal(again.payoffs, payoffs)
    for field in ("title", "comment", "player_names", "action_names"):
        assert getattr(again, field) == getattr(game, field)


@pytest.mark.parametrize(("text", "read"), READ)
def test_names_are_read_letter_by_letter_as_gambit_does(text, read):
    game = from_nfg(f'NFG 1 R "{text}" {{ "A" "B" }} {{ 1 1 }} 1 2')
    assert game.title == read
    if "\\\\" not in read.replace('\\\\"', ""):
        assert from_nfg(to_nfg(game)).title == read


@settings(max_examples=60)
@given(text=st.text(alphabet='ab"\\ \n{}', max_size=12))
def test_any_text_comes_back_or_is_refused(text):
    game = NormalFormGame(payoffs=np.zeros((2, 1, 1)), title=text, player_names=["x", "y"])
    # Rows of backslashes: odd before anything but a quote, even before a quote, none at the end.
    rows = re.findall(r"(\\+)([^\\]|$)", text, flags=re.DOTALL)
    if all(follows and (len(slashes) % 2 == 0) == (follows == '"') for slashes, follows in rows):
        assert from_nfg(to_nfg(game)).title == text
    else:
        with pytest.raises(InvalidInput, match="backslashes"):
            to_nfg(game)


def test_long_numbers_take_no_time():
    import time

    start = time.process_time()
    game = from_nfg(f'NFG 1 R "t" {{ "A" "B" }} {{ 1 1 }} 0.{"3" * 300_000} 1e000000001')
    with pytest.raises(InvalidInput):
        from_nfg(f'NFG 1 R "t" {{ "A" "B" }} {{ 1 1 }} {"3" * 300_000} 1')
    with pytest.raises(InvalidInput):
        from_nfg(f'NFG 1 R "t" {{ "A" "B" }} {{ 1 1 }} {"3" * 300_000}/7 1')
    assert game.payoffs.ravel().tolist() == [1 / 3, 10.0]
    assert time.process_time() - start < 5


def best_reply_profiles(payoffs):
    found = []
    for profile in np.ndindex(*payoffs.shape[1:]):
        stays = True
        for player in range(payoffs.shape[0]):
            for action in range(payoffs.shape[player + 1]):
                other = (*profile[:player], action, *profile[player + 1 :])
                stays &= payoffs[(player, *other)] <= payoffs[(player, *profile)]
        if stays:
            found.append(list(profile))
    return found


@each
def test_pure_equilibria_by_brute_force(name, payoffs, number):
    assert NormalFormGame(payoffs=payoffs).pure_equilibria().tolist() == best_reply_profiles(payoffs)


def correlated_by_definition(payoffs, objective):
    """The program written constraint by constraint, and solved by another algorithm."""
    profiles = list(np.ndindex(*payoffs.shape[1:]))
    rows = []
    for player in range(payoffs.shape[0]):
        for told, other in itertools.permutations(range(payoffs.shape[player + 1]), 2):
            row = []
            for profile in profiles:
                changed = (*profile[:player], other, *profile[player + 1 :])
                row.append(
                    payoffs[(player, *changed)] - payoffs[(player, *profile)] if profile[player] == told else 0.0
                )
            rows.append(row)
    rows = rows or [[0.0] * len(profiles)]
    weights = np.array([objective(np.array(profile)) for profile in profiles])
    result = optimize.linprog(
        -weights,
        A_ub=rows,
        b_ub=np.zeros(len(rows)),
        A_eq=[[1.0] * len(profiles)],
        b_eq=[1.0],
        method="highs-ipm",
    )
    return -result.fun


@each
def test_correlated_values_equal_those_of_an_independent_program(name, payoffs, number):
    game = NormalFormGame(payoffs=payoffs)

    def welfare(profile):
        return float(payoffs[(slice(None), *profile)].sum())

    close = 1e-7 * max(1.0, np.abs(payoffs).max()) * game.players
    for sense, objective in (("best", welfare), ("worst", lambda profile: -welfare(profile))):
        found = correlated_strategies(game, sense=sense)
        expected = correlated_by_definition(payoffs, objective)
        assert np.isclose(found.value, expected if sense == "best" else -expected, atol=close)
        assert found.regrets.max() <= close
        assert abs(found.bound - found.value) <= close
        assert np.isclose(found.probabilities.sum(), 1.0)
        coarse = correlated_strategies(game, sense=sense, coarse=True)
        assert (coarse.value - found.value) * (1 if sense == "best" else -1) >= -close
    first = correlated_strategies(game, objective=payoffs[0])
    assert np.isclose(first.utilities[0], first.value, atol=close)


def test_participation_games_have_the_same_value_as_their_tables(worked):
    small = ParticipationGame(types=worked.types[3:9], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    table = tabulate(small)
    reserved = small.reservation_utilities.sum()
    assert np.isclose(
        correlated_equilibrium(table).value - reserved, correlated_equilibrium(small).value, atol=1e-7
    )


def test_an_objective_that_tells_equal_types_apart_is_not_merged(constants):
    game = ParticipationGame(types=[0.2, 0.2, 0.3], **constants)
    # Truth values cannot be subtracted: said in one line, not by a traceback.
    with pytest.raises(InvalidInput, match="objective fails for a coalition, given as a boolean array"):
        correlated_equilibrium(game, objective=lambda mask: mask[0] - mask[1])
    with pytest.raises(InvalidInput, match="merge=False"):
        correlated_equilibrium(game, objective=lambda mask: float(mask[0]) - float(mask[1]))
    apart = correlated_equilibrium(game, objective=lambda mask: float(mask[0]) - float(mask[1]), merge=False)
    assert apart.value <= apart.bound + 1e-9
    alike = correlated_equilibrium(game, objective=lambda mask: float(mask[0]) + float(mask[1]))
    assert np.isclose(
        alike.value,
        correlated_equilibrium(game, objective=lambda mask: float(mask[:2].sum()), merge=False).value,
    )
    many = ParticipationGame(types=[0.2] * 20, **constants)
    with pytest.raises(InvalidInput, match="cannot be checked"):
        correlated_equilibrium(many, objective=lambda mask: float(mask.sum()))


@pytest.mark.slow  # quantecon compiles
def test_at_least_one_certified_equilibrium_of_each():
    for name, payoffs, _ in ALL:
        game = NormalFormGame(payoffs=payoffs)
        found = mixed_equilibria(game)
        if game.players == 2:
            assert all(answer.holds for answer in found), name
        spread = np.ptp(payoffs.reshape(game.players, -1), axis=1)
        for answer in found:
            assert (answer.regrets <= 1e-5 * spread + 1e-12).all(), name
            # Regrets once more, by definition.
            for player in range(game.players):
                for action in range(game.actions[player]):
                    mixes = list(answer.strategies)
                    mixes[player] = np.eye(game.actions[player])[action]
                    worth = certify_mixed(game, mixes).utilities[player]
                    assert worth - answer.utilities[player] <= answer.regrets[player] + 1e-9
        pure = {tuple(row) for row in game.pure_equilibria()}
        listed = {
            tuple(int(np.argmax(mix)) for mix in answer.strategies)
            for answer in found
            if all(np.isclose(mix.max(), 1.0) for mix in answer.strategies)
        }
        assert pure <= listed, name
    assert len(mixed_equilibria(NormalFormGame(payoffs=GAMES["battle of the sexes"]))) == 3
    assert len(mixed_equilibria(NormalFormGame(payoffs=GAMES["chicken"]), count="one")) == 1


def shifted_by_others(payoffs, size):
    """The same game: each player gets something more by what the others do."""
    moved = payoffs.copy()
    for player in range(payoffs.shape[0]):
        extra = size * np.arange(payoffs.shape[1 + (player == 0)])
        shape = [1] * (payoffs.ndim - 1)
        shape[int(player == 0)] = -1
        moved[player] += extra.reshape(shape)
    return moved


def test_what_others_change_hides_no_regret():
    pennies = NormalFormGame(payoffs=shifted_by_others(GAMES["matching pennies"], 1e9))
    right = certify_mixed(pennies, [[0.5, 0.5], [0.5, 0.5]])
    assert right.holds
    assert right.regrets.tolist() == [0.0, 0.0]
    wrong = certify_mixed(pennies, [[0.5, 0.5], [0.5 + 1e-8, 0.5 - 1e-8]])
    assert not wrong.holds
    assert np.isclose(wrong.regrets[0], 2e-8, rtol=1e-3)
    found = correlated_strategies(pennies, objective=lambda profile: float(profile[0]))
    assert found.regrets.max() < 1e-9
    assert np.allclose(found.probabilities, 0.25)


@pytest.mark.slow  # quantecon compiles
def test_equilibria_are_found_beside_large_payoffs_that_others_decide():
    for name in ("matching pennies", "battle of the sexes", "chicken", "pennies in a ring of three"):
        game = NormalFormGame(payoffs=shifted_by_others(GAMES[name], 1e11))
        plain = mixed_equilibria(NormalFormGame(payoffs=GAMES[name]))
        found = mixed_equilibria(game)
        assert len(found) == len(plain), name
        for one, other in zip(found, plain, strict=True):
            assert np.allclose(np.concatenate(one.strategies), np.concatenate(other.strategies), atol=1e-4), name


def test_an_objective_in_small_units_that_tells_equal_types_apart_is_not_merged_either(constants):
    game = ParticipationGame(types=[0.2, 0.2, 0.3], **constants)
    with pytest.raises(InvalidInput, match="merge=False"):
        correlated_equilibrium(game, objective=lambda mask: 1e-14 * (float(mask[0]) - float(mask[1])))
    with pytest.raises(InvalidInput, match="merge = 'no'"):
        correlated_equilibrium(game, merge="no")


@pytest.mark.parametrize(
    "act",
    [
        lambda game: NormalFormGame(payoffs=1e307 * game.payoffs),
        lambda _: from_nfg('NFG 1 R "t" { ' + '"a" ' * 64 + "} { " + "1 " * 64 + "} " + "1 " * 64),
        lambda game: certify_mixed(game, [[0.5, 0.5]]),
        lambda game: certify_mixed(game, [[0.5, 0.6], [1.0, 0.0]]),
        lambda game: certify_mixed(game, [[0.5, 0.5, 0.0], [1.0, 0.0]]),
        lambda game: certify_mixed(game, "ab"),
        lambda game: mixed_equilibria(game, count="some"),
        lambda game: mixed_equilibria(game, accuracy=0.0),
        lambda game: correlated_strategies(game, objective=[1.0]),
        lambda game: correlated_strategies(game, objective=lambda _: np.nan),
        lambda game: correlated_strategies(game, sense="middling"),
        lambda _: correlated_equilibrium("game"),
        lambda game: NormalFormGame(payoffs=game.payoffs, tolerances=-1.0),
        lambda game: NormalFormGame(payoffs=game.payoffs, player_names=["a"]),
        lambda game: NormalFormGame(payoffs=game.payoffs, action_names=[["a", "b"], ["a"]]),
        lambda game: NormalFormGame(payoffs=game.payoffs, title=3),
        lambda game: to_nfg(NormalFormGame(payoffs=game.payoffs, title="ends in \\")),
    ],
)
def test_bad_input(act):
    with pytest.raises(InvalidInput) as caught:
        act(NormalFormGame(payoffs=GAMES["chicken"]))
    assert "\n" not in str(caught.value)


def test_nothing_is_printed(capfd):
    from equilibria.extremal import extremal_equilibrium

    extremal_equilibrium(NormalFormGame(payoffs=GAMES["stag hunt"]))
    correlated_strategies(NormalFormGame(payoffs=GAMES["stag hunt"]))
    shown = capfd.readouterr()
    assert shown.out == shown.err == ""
