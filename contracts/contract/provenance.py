"""How a contract was found."""

from __future__ import annotations

from contracts.records import frozen


@frozen
class Provenance:
    """How a contract was found.

    Attributes:
        solver: "interior-point", "compiled", "conic", "branch and bound" (where no program's answer was as
            good) or "closed form".
        expectation: how expectations were taken: "mixture of exponentials", "Gauss rule" or over "outcomes".
        excluded: how many distinct costs, from the dearest down, contribute nothing by design.
        iterations: iterations of the solver.
        seconds: time spent.
        fit_error: largest relative error of the mixture against the loss, on the range that matters.
    """

    solver: str
    expectation: str
    excluded: int
    iterations: int
    seconds: float
    fit_error: float
