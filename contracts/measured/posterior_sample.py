"""What a posterior grid says of accuracies at other sizes: means, samples, and whole increasing curves."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from contracts.measured import curve_prior
from contracts.measured.measurements import Measurements
from contracts.measured.posterior_grid import PosteriorGrid

SAMPLE = 4000
GOLDEN = 0.6180339887498949
ROUNDING = 1e-8
RANKS = (np.arange(50) + 0.5) / 50


class Predictor:
    """Predictions of a posterior grid.

    Args:
        grid: the posterior.
        measured: the measurements it is given.
        baseline: the least accuracy.
    """

    def __init__(self, grid: PosteriorGrid, measured: Measurements, baseline: float):
        self.grid, self.data, self.accuracy, self.baseline = grid, measured.data, measured.accuracy, baseline
        shape = curve_prior.shapes(self.data, self.data[0], self.data[-1])
        # C^-1 applied to the measurements, to one and to the shapes: what kriging needs of each size.
        columns = np.column_stack([self.accuracy, np.ones(self.data.size), shape.T])
        self.solved = np.swapaxes(grid.whiten, 1, 2) @ (grid.whiten @ columns)

    def parts(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Accuracy at sizes is constant + A * by_asymptote - D * by_drop: each of shape (nodes, data)."""
        grid = self.grid
        kernel = curve_prior.correlation(data, self.data, self.data[-1])
        shape = curve_prior.shapes(data, self.data[0], self.data[-1])
        constant, level, drop = [], [], []
        for kappa, solved in zip(grid.discrepancy, self.solved, strict=True):
            pulled = kappa**2 * kernel @ solved
            constant.append(pulled[:, 0])
            level.append(1.0 - pulled[:, 1])
            drop.append(shape - pulled[:, 2:].T)
        return (
            np.array(constant)[grid.size],
            np.array(level)[grid.size],
            np.array(drop)[grid.size, grid.shape],
        )

    def left(self, data: np.ndarray) -> np.ndarray:
        """Covariance of the discrepancy at sizes that measurements leave, shape (sizes, data, data)."""
        last = self.data[-1]
        kernel, own = (curve_prior.correlation(data, to, last) for to in (self.data, data))
        found = []
        for kappa, whiten in zip(self.grid.discrepancy, self.grid.whiten, strict=True):
            white = whiten @ (kappa**2 * kernel.T)
            found.append(kappa**2 * own - white.T @ white)
        return np.array(found)

    def mean(self, data: np.ndarray) -> np.ndarray:
        """Posterior mean of the accuracy, within [baseline, 1], shape (data,)."""
        at = np.r_[data, self.data[-1]]
        constant, level, drop = self.parts(at)
        centre = constant + self.grid.asymptote[:, None] * level - truncated_mean(self.grid)[:, None] * drop
        usual = self.grid.weight @ np.clip(centre, self.baseline, 1.0)
        gains = curve_prior.surprises(data, self.data, self.accuracy, RANKS)
        other = np.clip(usual[-1] + gains * (1.0 - usual[-1]), self.baseline, 1.0).mean(axis=0)
        other = np.where(data > self.data[-1], other, usual[:-1])
        return usual[:-1] + curve_prior.surprise() * (other - usual[:-1])

    def sample(self, data: np.ndarray, *, surprises: bool = True) -> np.ndarray:
        """Accuracies at each size, drawn one by one, not to be joined to curves, shape (SAMPLE, data)."""
        at = np.r_[data, self.data[-1]]
        chosen, drop = self.drawn(SAMPLE, 0)
        constant, level, by_drop = (part[chosen] for part in self.parts(at))
        value = constant + self.grid.asymptote[chosen, None] * level - drop[:, None] * by_drop
        spread = np.sqrt(np.maximum(self._variance(at), 0.0))[self.grid.size[chosen]]
        noise = special.ndtri((np.arange(SAMPLE) * GOLDEN * GOLDEN + 0.5 / SAMPLE) % 1.0)
        value = np.clip(value + spread * noise[:, None], self.baseline, 1.0)
        return self._surprised(value, at, 1)[:, :-1] if surprises else value[:, :-1]

    def _surprised(self, value: np.ndarray, at: np.ndarray, seed: int) -> np.ndarray:
        """Some of the curves (rows) with what no shape foretells beyond the last size (in the last column)."""
        number = round(curve_prior.surprise() * len(value))
        random = np.random.default_rng([seed, 2])
        rows = np.floor((np.arange(number) + random.uniform()) * len(value) / max(number, 1)).astype(int)
        ranks = random.permutation((np.arange(number) + random.uniform()) / max(number, 1))
        room = 1.0 - value[rows, -1:]
        other = value[rows, -1:] + curve_prior.surprises(at, self.data, self.accuracy, ranks) * room
        beyond = at > self.data[-1]
        changed = value.copy()
        changed[rows] = np.where(beyond, np.clip(other, self.baseline, 1.0), value[rows])
        return changed

    def _variance(self, data: np.ndarray) -> np.ndarray:
        kernel = curve_prior.correlation(data, self.data, self.data[-1])
        growth = curve_prior.constants()["discrepancy"]["growth"]
        own = 1.0 + growth * np.maximum(np.log(data / self.data[-1]), 0.0)
        found = []
        for kappa, whiten in zip(self.grid.discrepancy, self.grid.whiten, strict=True):
            white = whiten @ (kappa**2 * kernel.T)
            found.append(kappa**2 * own - (white**2).sum(axis=0))
        return np.array(found)

    def drawn(self, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes by their weights, one in each of `number` equal parts, and a drop of each, drawn exactly."""
        random = np.random.default_rng(seed)
        grid = self.grid
        places = (np.arange(number) + random.uniform(size=number)) / number
        chosen = np.minimum(np.searchsorted(np.cumsum(grid.weight), places), grid.weight.size - 1)
        share = (random.permutation(number) + random.uniform(size=number)) / number
        return chosen, truncated(grid, chosen, share)

    def curves(self, data: np.ndarray, number: int, seed: int) -> np.ndarray:
        """Whole increasing curves, rows at rising sizes, shape (number, data)."""
        at = np.r_[data, self.data[-1]]
        chosen, drop = self.drawn(number, seed)
        constant, level, by_drop = (part[chosen] for part in self.parts(at))
        value = constant + self.grid.asymptote[chosen, None] * level - drop[:, None] * by_drop
        noise = np.random.default_rng([seed, 1]).standard_normal(value.shape)
        size = self.grid.size[chosen]
        for k, covariance in enumerate(self.left(at)):
            if (size == k).any() and self.grid.discrepancy[k] > 0.0:
                jitter = ROUNDING * max(float(np.diag(covariance).max()), 1e-12) * np.eye(at.size)
                value[size == k] += noise[size == k] @ np.linalg.cholesky(covariance + jitter).T
        value = self._surprised(np.clip(value, self.baseline, 1.0), at, seed)[:, :-1]
        rising = np.array([optimize.isotonic_regression(row).x for row in value])
        return np.clip(rising, self.baseline, 1.0)


def truncated(grid: PosteriorGrid, chosen: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Quantiles of the drops of nodes."""
    centre, spread = grid.centre[chosen], grid.spread[chosen]
    low, high = -centre / spread, (grid.most[chosen] - centre) / spread
    flip = low > 0.0  # the lower tail is the precise one
    below, above = special.ndtr(np.where(flip, -high, low)), special.ndtr(np.where(flip, -low, high))
    share = np.where(flip, 1.0 - share, share)
    at = special.ndtri(np.clip(below + share * (above - below), 1e-300, 1.0))
    return np.clip(centre + spread * np.where(flip, -at, at), 0.0, grid.most[chosen])


def truncated_mean(grid: PosteriorGrid) -> np.ndarray:
    """Mean drops of the nodes, shape (nodes,)."""
    low, high = -grid.centre / grid.spread, (grid.most - grid.centre) / grid.spread
    flip = low > 0.0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    mass = special.ndtr(b) - special.ndtr(a)
    density = (np.exp(-0.5 * a**2) - np.exp(-0.5 * b**2)) / np.sqrt(2.0 * np.pi)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(mass > 0.0, density / mass, b)
    found = grid.centre + grid.spread * np.where(flip, -shift, shift)
    return np.clip(found, 0.0, grid.most)
