"""A certificate of theorems: every promise and the gap, over balls, about the numbers in the file.

Missing evidence is a failure: what cannot be enclosed is said in one line and counts as not proved.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from contracts.problem.problem import Problem
from contracts.problem.standard_form import StandardForm, standard_form
from contracts.proof.certificate import Certificate
from contracts.proof.certify import _judged, _one_plain_world, mixtures_of
from contracts.proof.evidence import Proof
from contracts.proof.gaps import Bounded
from contracts.proof.intervals.ball import OPEN, NotRigorous, balls, precision
from contracts.proof.intervals.form_balls import FormBalls, form_balls
from contracts.proof.intervals.gap_balls import gaps, most_data
from contracts.proof.intervals.promise_balls import Given, Promised, _delivered, outside_balls, promised
from contracts.proof.reached import unit_of


def rigorously(
    certificate: Certificate, problem: Problem, given: Given, proof: Proof, gap: float
) -> Certificate:
    """Prove over balls what a certificate says.

    Args:
        certificate: what the ordinary check found; where that does not hold nothing is added.
        problem: the problem.
        given: the numbers of the contract.
        proof: its proof.
        gap: how much better another contract may be than one called optimal, relative to the largest target.
    """
    if not certificate.holds:
        return certificate
    form = standard_form(problem)
    with precision():
        try:
            exact = form_balls(form)
            outside = outside_balls(exact)
            mixtures = mixtures_of(proof, len(form.worlds))
            most = max(most_data(exact, outside), _brought(form, given))
            found = promised(exact, outside, given, mixtures, most)
        except NotRigorous as reason:
            return _unproved(certificate, [str(reason)])
        certificate = _with(certificate, found)
        if not certificate.holds:
            return dataclasses.replace(certificate, missing="a promise is broken or not proved")
        bounded = _bounded(exact, outside, proof, found, given)
    return _judged(certificate, bounded, proof, gap * unit_of(form))


def _brought(form: StandardForm, given: Given) -> float:
    """The most data that participants bring in the contract, about."""
    count = max(sum(law.most for law in world.laws) for world in form.worlds)
    return float((given.raw * form.effective).max()) * count * (1.0 + 1e-9)


def _bounded(exact: FormBalls, outside: np.ndarray, proof: Proof, found: Promised, given: Given) -> Bounded:
    form = exact.form
    plain = _one_plain_world(form)
    delivered = balls(_delivered(exact, given.raw))
    data = np.empty(form.rows, dtype=object)
    for row, amount in zip(form.row, delivered, strict=True):
        data[row] = amount
    return gaps(exact, outside, proof, found.reached, data, plain)


def _unproved(certificate: Certificate, lines: list[str]) -> Certificate:
    return dataclasses.replace(
        certificate,
        holds=False,
        optimal=False,
        gap=None,
        as_solved_gap=None,
        scope="",
        missing="promises are not proved rigorously",
        violations=(*certificate.violations, *lines),
    )


def _with(certificate: Certificate, found: Promised) -> Certificate:
    short = float(found.short.max(initial=0.0))
    lines = [*found.refuted, *(f"{OPEN}{line}" for line in found.open)]
    way = (
        "over all outcomes" if found.by_outcomes else "by the proof's mixture, enclosed between it and the curve"
    )
    statement = (
        f"proved with balls (Arb): every promise holds up to at most {short:.3g} in the type's own units;"
        f" expectations {way}"
    )
    about = (
        f"every promise holds up to at most {short:.3g}, and the gap is an upper end: theorems about the binary"
        " numbers in the file (probabilities divided by their sum)"
    )
    return dataclasses.replace(
        certificate,
        holds=not lines,
        optimal=False,
        gap=None,
        as_solved_gap=None,
        scope="",
        participation_slack=found.gain,
        envy=found.envy,
        feasibility_slack=found.feasible,
        independent_check=statement if not lines else "not everything is proved with balls (Arb)",
        violations=(*certificate.violations, *lines),
        about=(*certificate.about, about) if not lines else certificate.about,
        extended={**certificate.extended, "largest amount by which a promise may be broken": short},
    )
