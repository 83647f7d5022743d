r"""The posterior over learning curves, by integration on a grid: no optimiser, nothing that can fail to
converge.

Measurements y_k at x_k with standard errors s_k:

    y_k = A - D S(x_k) + delta(x_k) + e_k,    e_k ~ N(0, s_k^2),

with the asymptote A in [b, 1] (b: the baseline), the drop 0 <= D <= A - b, one of 121 shapes S and a Gaussian
process delta of one of six sizes. Given S, the size of delta and A, the drop is normal, truncated at both ends:
its evidence and its moments are exact. A is integrated by a midpoint rule whose cells have their exact prior
mass, and whose points lie where the likelihood is: around the best A with a free drop, with none, and with the
whole drop.

Source: ours; the discrepancy is that of Kennedy and O'Hagan, J. R. Stat. Soc. B 2001.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from contracts.measured import curve_prior
from contracts.records import frozen

NODES = (16, 10, 8)  # of A: around the best with a free drop, with none, and with the whole one
REACH = 18.0  # -2 ln likelihood, relative to the best, up to which nodes reach
NEGLIGIBLE = 1e-7  # of the largest weight


@frozen
class PosteriorGrid:
    """Nodes of positive weight; given a node the drop is a truncated normal.

    Attributes:
        weight: of the nodes, sums to one, shape (nodes,).
        size: which size of the discrepancy (and standard error, if unknown), shape (nodes,).
        shape: which shape, shape (nodes,).
        asymptote: A, shape (nodes,).
        centre, spread: of the normal of which the drop is the part in [0, most], shape (nodes,).
        most: shape (nodes,).
        evidence: ln of the probability density of the measurements.
        discrepancy: sizes of the discrepancy, shape (sizes,).
        whiten: inverses of the Cholesky factors of the measurements' covariances, shape (sizes, data, data).
    """

    weight: np.ndarray
    size: np.ndarray
    shape: np.ndarray
    asymptote: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    most: np.ndarray
    evidence: float
    discrepancy: np.ndarray
    whiten: np.ndarray


def integrate(
    data: np.ndarray,
    accuracy: np.ndarray,
    errors: list[np.ndarray],
    *,
    baseline: float,
    discrepant: bool,
) -> PosteriorGrid:
    """The posterior given measurements.

    Args:
        data, accuracy: as measured, shape (data,).
        errors: standard errors that there may be, each of shape (data,), as likely as one another.
        baseline: the least accuracy that a curve may have, in [0, 1).
        discrepant: whether curves may deviate from the shapes.
    """
    sizes, prior = curve_prior.discrepancies(accuracy) if discrepant else (np.zeros(1), np.zeros(1))
    kernel = curve_prior.correlation(data, data, data[-1])
    shape = curve_prior.shapes(data, data[0], data[-1])
    cases = [(kappa, weight, error) for error in errors for kappa, weight in zip(sizes, prior, strict=True)]
    factor = np.array([np.linalg.cholesky(np.diag(e**2) + k**2 * kernel) for k, _, e in cases])
    columns = np.column_stack([accuracy, np.ones(data.size), shape.T])
    # LAPACK's triangular solver starts threads for 24 x 24 numbers: a thousand times slower on a busy machine.
    whiten = np.linalg.inv(factor)
    white = whiten @ columns
    y, one, s = white[:, :, 0], white[:, :, 1], white[:, :, 2:]
    log_size = np.array([weight for _, weight, _ in cases]) - np.log(len(errors))
    log_size -= np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1) + 0.5 * data.size * np.log(2 * np.pi)
    spread = curve_prior.constants()["drop"]["spread"]
    products = _Products(y, one, s, spread)
    nodes = products.nodes(baseline)
    edges = 0.5 * (nodes[..., 1:] + nodes[..., :-1])
    ends = np.full((*nodes.shape[:-1], 1), baseline), np.ones((*nodes.shape[:-1], 1))
    mass = curve_prior.asymptote_mass(np.concatenate([ends[0], edges, ends[1]], axis=-1), baseline)
    fit, centre, deviation = products.at(nodes)
    most = nodes - baseline
    inside = _log_mass(-centre / deviation, (most - centre) / deviation)
    with np.errstate(divide="ignore"):
        log_weight = np.log(mass) + fit + inside + np.log(2.0 * deviation / spread)
    log_weight += log_size[:, None, None] + curve_prior.shape_weights()[:, None]
    top = log_weight.max()
    keep = np.nonzero(log_weight > top + np.log(NEGLIGIBLE))
    weight = np.exp(log_weight[keep] - top)
    return PosteriorGrid(
        weight=weight / weight.sum(),
        size=keep[0],
        shape=keep[1],
        asymptote=nodes[keep],
        centre=centre[keep],
        spread=np.broadcast_to(deviation, nodes.shape)[keep],
        most=most[keep],
        evidence=float(top + np.log(weight.sum())),
        discrepancy=np.array([kappa for kappa, _, _ in cases]),
        whiten=whiten,
    )


class _Products:
    """Inner products of whitened columns; arrays are (sizes, shapes) or (sizes, shapes, nodes)."""

    def __init__(self, y: np.ndarray, one: np.ndarray, s: np.ndarray, spread: float):
        self.yy, self.y1, self.one = ((a * b).sum(axis=1)[:, None] for a, b in ((y, y), (y, one), (one, one)))
        self.sy, self.s1 = np.einsum("ikj,ik->ij", s, y), np.einsum("ikj,ik->ij", s, one)
        self.ss = np.einsum("ikj,ikj->ij", s, s)
        self.precision = self.ss + 1.0 / spread**2

    def nodes(self, baseline: float) -> np.ndarray:
        """Asymptotes at which the likelihood is looked at, rising."""
        free = self.one - self.s1**2 / self.precision
        centres = [
            ((self.y1 - self.s1 * self.sy / self.precision) / np.maximum(free, 1e-300), free),
            (np.broadcast_to(self.y1 / self.one, free.shape), np.broadcast_to(self.one, free.shape)),
        ]
        whole = self.one - 2.0 * self.s1 + self.ss
        reduced = self.y1 - self.sy - baseline * (self.s1 - self.ss)
        centres.append((reduced / np.maximum(whole, 1e-300), whole))
        found = [
            _around(mean, precision, baseline, number)
            for (mean, precision), number in zip(centres, NODES, strict=True)
        ]
        return np.sort(np.concatenate(found, axis=-1), axis=-1)

    def at(self, asymptote: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the drop given A: ln of the likelihood at its best, and its centre and spread."""
        g = self.precision[..., None]
        slope = asymptote * self.s1[..., None] - self.sy[..., None]
        squares = self.yy[..., None] - 2.0 * asymptote * self.y1[..., None] + asymptote**2 * self.one[..., None]
        return -0.5 * (squares - slope**2 / g), slope / g, 1.0 / np.sqrt(g)


def _around(mean: np.ndarray, precision: np.ndarray, baseline: float, number: int) -> np.ndarray:
    """Evenly spaced points of [baseline, 1] where a normal density is not negligible beside its most there."""
    root = np.sqrt(np.maximum(precision, 1e-12))
    mode = np.clip(mean, baseline, 1.0)
    outside = np.minimum(np.abs(mean - mode) * root, 1e100)
    reach = REACH / (np.hypot(outside, np.sqrt(REACH)) + outside) / root
    low, high = np.maximum(mode - reach, baseline), np.minimum(mode + reach, 1.0)
    return low[..., None] + (high - low)[..., None] * (np.arange(number) + 0.5) / number


def _log_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """ln of the standard normal probability of [low, high], precise far out in either tail."""
    flip = low > 0.0
    upper = special.log_ndtr(np.where(flip, -low, high))
    lower = special.log_ndtr(np.where(flip, -high, low))
    with np.errstate(divide="ignore"):
        return upper + np.log(-np.expm1(np.minimum(lower - upper, -1e-300)))
