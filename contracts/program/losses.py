r"""The losses of every world as mixtures of exponentials on common rates: as solved, and as bounds.

As solved, a mixture is the loss itself above the curve's floor (`first_moment.mixtures`), or nowhere below it
where the loss is no mixture (arctan, tables): promises made by it can be kept, as models are at least as good.
As a bound, it is above the true loss by next to nothing, which proofs allow for. What lies between shows as the
gap of the proof.

Source: ours; the linear programs are solved by HiGHS.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from contracts.problem import Problem
from contracts.problem.shape import concave_from
from contracts.problem.standard_form import StandardForm
from contracts.program.exponential_sum import UNFITTED, ExponentialSum, Loss, Losses, on_common_rates
from contracts.program.first_moment import MIXTURE_ERROR, mixtures
from contracts.program.relaxation import FAINT, minorant
from contracts.program.worlds import Worlds, counts_of
from contracts.proof.evidence import Mixtures
from contracts.records import Keyed, frozen

WORST = 60  # cells of a grid that are looked at closely
FULL = 1e-3  # of the largest loss: what data must remove to count
SLACK = 1e-7  # of the largest loss: by how much a bound may lie above, which its proof allows for


@frozen
class WorldLosses:
    """What all expectations of a form are taken by.

    Attributes:
        solved: the mixtures of the program as solved.
        true: whether these are the losses themselves, so that its optimum is the problem's.
        fitted: whether `solved` are the losses themselves above the curves' floors.
        knee: the data from which on they are in every world.
        relaxed: mixtures above the losses by `SLACK` at most; None where `true`.
    """

    solved: Mixtures
    true: bool
    fitted: bool
    knee: float
    relaxed: Mixtures | None


def losses_of(form: StandardForm, least_due: float = 0.0) -> WorldLosses:
    """Fit the losses of all worlds.

    Args:
        form: the standard form.
        least_due: the least that any row is due, in units of rows: where it is negative more may be contributed
            than models are worth.
    """
    solved, relaxed, fitted, knee = [], [], True, 0.0
    most = max(_most_data(world.plain, least_due) for world in form.worlds)
    for world in form.worlds:
        fits, exact = _as_solved(world.plain, most)
        start = concave_from(world.plain)
        solved.append(fits)
        fitted = fitted and exact
        knee = max(knee, start)
        relaxed.append((world.plain, start))
    true = fitted and knee == 0.0
    below = None if true else _relaxed(relaxed, most)
    return WorldLosses(
        solved=common_mixtures(solved),
        true=true,
        fitted=fitted,
        knee=knee,
        relaxed=None if below is None else common_mixtures(below),
    )


def worlds_of(form: StandardForm, mixtures: Mixtures, units: tuple[float, float, float]) -> Worlds:
    """The worlds of a form in a program's units (data, value, target); targets carry the worlds' weights."""
    data, value, target = units
    weight = np.array([world.weight for world in form.worlds])
    laws = tuple(world.laws for world in form.worlds)
    return Worlds(
        group=form.group,
        probabilities=np.array([world.probabilities for world in form.worlds]),
        laws=laws,
        others=tuple(tuple(law.others() for law in each) for each in laws),
        counts=counts_of(laws),
        rates=mixtures.rates * data,
        target_weights=weight[:, None] * mixtures.target_weights / target,
        value_weights=mixtures.value_weights / value,
        weight=weight,
        top_target=np.array([world.plain.largest_target for world in form.worlds]) / target,
        top_value=np.array([world.plain.largest_value for world in form.worlds]) / value,
        belief=form.problem.belief,
    )


def common_mixtures(losses: list[Losses]) -> Mixtures:
    """All mixtures on the rates of any."""
    rates = losses[0].rates
    for one in losses[1:]:
        rates = np.union1d(rates, one.rates)
    target, value = np.zeros((2, len(losses), rates.size))
    for w, one in enumerate(losses):
        place = np.searchsorted(rates, one.rates)
        target[w, place], value[w, place] = one.target_weights, one.value_weights
    return Mixtures(rates=rates, target_weights=target, value_weights=value)


def majorant(loss: Loss, low: float, high: float) -> ExponentialSum:
    """The best mixture of exponentials above a loss on [low, high], by linear programming.

    Args:
        loss: decreasing, vectorised.
        low: start of the range; 0, or a floor below which the loss is flat.
        high: its end.

    Returns:
        The mixture; its `relative_error` is how far it lies above, relative to the largest loss.
    """
    from scipy.optimize import linprog

    top = float(loss(np.array([low]))[0])
    start = low if low > 0.0 else _where_it_falls(loss, top, high)
    x = np.union1d(np.linspace(low, 4.0 * start, 100), np.geomspace(start, high, 240))
    rates = np.geomspace(1e-3 / high, 25.0 / start, int(6 * np.log10(25e3 * high / start)))
    true = loss(x)
    size = true + FAINT * top
    matrix = np.exp(-np.multiply.outer(x, rates))
    weight = np.gradient(np.log(x + start)) / size
    scale = (matrix / size[:, None]).max(axis=0)
    answer = linprog(
        (weight @ matrix) / scale, A_ub=-matrix / scale / size[:, None], b_ub=-true / size, method="highs"
    )
    weights = np.maximum(answer.x, 0.0) / scale if answer.x is not None else np.r_[top, np.zeros(rates.size - 1)]
    kept = weights > 0
    mixture = ExponentialSum(weights=weights[kept], rates=rates[kept], low=low, high=high, relative_error=np.inf)
    # The program's grid is coarse: raise until nothing sticks out on a fine one, by as little as that takes.
    fine = np.union1d(np.linspace(low, 8.0 * start, 4000), np.geomspace(start, high, 8000))
    worst = np.argsort((mixture(fine) - loss(fine))[:-1])[:WORST]
    finer = np.concatenate([np.linspace(fine[k - 1] if k else low, fine[k + 1], 300) for k in worst])
    short = float(np.max(loss(finer) - mixture(finer), initial=0.0)) * (1.0 + 1e-6) + 1e-12 * top
    rates, weights = mixture.rates, mixture.weights
    # A constant, which decays too slowly to matter.
    rates, weights = np.r_[1e-6 / high, rates], np.r_[short * (1.0 + 1e-5), weights]
    raised = ExponentialSum(weights=weights, rates=rates, low=low, high=high, relative_error=np.inf)
    error = float(np.max(raised(fine) - loss(fine))) / top
    return ExponentialSum(weights=weights, rates=rates, low=low, high=high, relative_error=error)


def _most_data(plain: Problem, least_due: float) -> float:
    return plain.most_data * max(1.0, 1.0 - least_due / plain.largest_value)


def _as_solved(plain: Problem, most: float) -> tuple[Losses, bool]:
    fits = mixtures(plain, most)
    exact = [one.relative_error <= MIXTURE_ERROR for one in (fits.target, fits.value)]
    if all(exact):
        return fits, True
    key = (*plain.family, np.ceil(np.log10(most)))
    above = _majorants(Keyed(key, plain))
    shortfall, top = plain.accuracy.shortfall, float(plain.accuracy.optimum)
    losses: tuple[Loss, Loss] = (lambda x: np.minimum(shortfall(x, np), top), plain.value_loss)
    if plain.target_is_value:
        losses = (plain.value_loss, plain.value_loss)
    pairs = zip((fits.target, fits.value), (above.target, above.value), losses, exact, strict=True)
    target, value = (own if good else _tighter(own, other, loss) for own, other, loss, good in pairs)
    return on_common_rates(target, value), False


def _tighter(fit: ExponentialSum, above: ExponentialSum, loss: Loss) -> ExponentialSum:
    """The tighter of a majorant and of a fit raised until it is one."""
    data = np.geomspace(above.low if above.low > 0.0 else 1e-9 * above.high, above.high, 4000)
    true = loss(data)
    faint = UNFITTED * float(true[0])
    seen = true > faint
    factor = float((true / np.maximum(fit(data), 1e-300))[seen].max()) * (1.0 + 1e-6)
    # Where the loss is too faint to be fitted, a constant covers it.
    rates, weights = np.r_[1e-6 / above.high, fit.rates], np.r_[faint * (1.0 + 1e-5), factor * fit.weights]
    raised = dataclasses.replace(fit, rates=rates, weights=weights)
    return min((raised, above), key=lambda one: float((one(data) - true).max()))


@lru_cache(maxsize=256)
def _majorants(keyed: Keyed) -> Losses:
    plain, high = keyed.value, 10.0 ** keyed.key[-1]
    low = float(plain.accuracy.floor)
    of_value = majorant(plain.value_loss, low, high)
    if plain.target_is_value:
        return on_common_rates(of_value, of_value)
    top = float(plain.accuracy.optimum)
    of_target = majorant(lambda x: np.minimum(plain.accuracy.shortfall(x, np), top), low, high)
    return on_common_rates(of_target, of_value)


def _relaxed(plains: list[tuple[Problem, float]], most: float) -> list[Losses]:
    found = []
    for plain, knee in plains:
        high = 10.0 ** float(np.ceil(np.log10(most)))
        found.append(_minorants(Keyed((*plain.family, knee, high), (plain, knee, high))))
    return found


@lru_cache(maxsize=256)
def _minorants(keyed: Keyed) -> Losses:
    plain, knee, high = keyed.value
    fits = mixtures(plain, high)
    if knee == 0.0 and max(fits.target.relative_error, fits.value.relative_error) <= MIXTURE_ERROR:
        return fits
    floor, top = float(plain.accuracy.floor), float(plain.accuracy.optimum)

    def of_value(x: np.ndarray) -> np.ndarray:
        return plain.value_loss(np.maximum(x, floor))

    def of_target(x: np.ndarray) -> np.ndarray:
        return np.minimum(plain.accuracy.shortfall(np.maximum(x, floor), np), top)

    knee = knee if knee > 0.0 else _where_it_falls(of_value, plain.largest_value, high)
    value = minorant(of_value, knee, high, SLACK)
    target = value if plain.target_is_value else minorant(of_target, knee, high, SLACK)
    return on_common_rates(target, value)


def _where_it_falls(loss: Loss, top: float, high: float) -> float:
    """The data at which a loss without a floor begins to fall: the smallest scale that matters."""
    x = np.geomspace(1e-9 * high, high, 400)
    fallen = np.flatnonzero(loss(x) < (1.0 - FULL) * top)
    return float(x[fallen[0]]) if fallen.size else high
