"""Pictures show the contract's own numbers, whatever its size, and are images of the format asked for."""

import numpy as np
import pytest

from contracts import GeneralizationBound, LinearValuation, Population, Problem, design_contract
from contracts.contract.plots import draw_contract, draw_contributions, draw_menu, draw_rewards, encode
from contracts.errors import InvalidInput
from contracts.testing import example_contract

DRAWINGS = [draw_contract, draw_rewards, draw_contributions, draw_menu]


def many_types(types: int):
    return design_contract(
        Problem(
            population=Population(
                costs=np.geomspace(0.01, 0.5, types), probabilities=np.full(types, 1 / types), participants=30
            ),
            accuracy=GeneralizationBound(),
            valuation=LinearValuation(scale=100.0),
        )
    )


def null_contract():
    population = Population(costs=[1.0, 0.9], probabilities=[0.5, 0.5], participants=2)
    valuation = LinearValuation(scale=100.0)
    return design_contract(Problem(population=population, accuracy=GeneralizationBound(), valuation=valuation))


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize("contract", [example_contract(), many_types(1), many_types(20), null_contract()])
def test_every_contract_can_be_drawn(draw, contract):
    assert encode(draw(contract)).startswith(b"\x89PNG")


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")])
def test_pictures_have_the_format_asked_for(suffix, start):
    assert encode(draw_menu(example_contract()), suffix).startswith(start)


def test_bars_are_the_contributions_from_the_dearest_type_to_the_cheapest():
    contract = example_contract()
    heights = [bar.get_height() for bar in draw_contributions(contract).axes[0].patches]
    order = np.argsort(-contract.problem.population.costs)
    assert heights[5:] == pytest.approx(contract.contribution[order])


def test_indifference_lines_run_through_the_options():
    contract = example_contract()
    lines = [line for line in draw_menu(contract).axes[0].lines if len(line.get_xdata()) > 100][1:]
    for line, i in zip(lines, np.argsort(-contract.problem.population.costs), strict=True):
        at_option = np.interp(contract.contribution[i], line.get_xdata(), line.get_ydata())
        assert at_option == pytest.approx(contract.expected_reward[i], rel=1e-9)


def test_another_format_is_refused():
    with pytest.raises(InvalidInput, match=r"suffix = '\.jpeg': expected one of '\.png'"):
        encode(draw_menu(example_contract()), ".jpeg")
