"""Hypothesis strategies and assertions, for this suite and for yours.

>>> from hypothesis import given, settings
>>> from contracts import design_contract
>>> @settings(max_examples=5, deadline=None)
... @given(problems(types=(2, 3), families=("power-law",)))
... def test_nobody_loses(problem):
...     assert_individually_rational(design_contract(problem))
>>> test_nobody_loses()

`problems(ingredients=("groups", "capacities"))` draws problems that have these ingredients, and
`problems(ingredients=ANY)` all combinations that go together; by default problems are the published ones.
Assertions take a contract of any problem, compare with a tolerance relative to the value of the best possible
model to whoever is concerned, and say who breaks what by how much.
"""

from contracts.errors import BackendMissing

try:
    import hypothesis as _hypothesis  # noqa: F401
except ImportError as missing:
    raise BackendMissing("hypothesis", "contracts.testing") from missing

from contracts.testing.assertions import (
    TOLERANCE,
    assert_feasible,
    assert_holds,
    assert_incentive_compatible,
    assert_individually_rational,
    example_contract,
)
from contracts.testing.ingredients import (
    ANY,
    INGREDIENTS,
    KINDS,
    alternatives,
    contracts,
    laws,
    parts,
    problems,
    refusal,
)
from contracts.testing.strategies import curves, plain_problems, populations, valuations

__all__ = [
    "ANY",
    "INGREDIENTS",
    "KINDS",
    "TOLERANCE",
    "alternatives",
    "assert_feasible",
    "assert_holds",
    "assert_incentive_compatible",
    "assert_individually_rational",
    "contracts",
    "curves",
    "example_contract",
    "laws",
    "parts",
    "plain_problems",
    "populations",
    "problems",
    "refusal",
    "valuations",
]
