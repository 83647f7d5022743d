"""What a measurement of the conflict between robustness and learning found, and what it allows to say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from contracts.checks import choice, number
from mechanisms.coalitions import Coalition

MEASURES = ("gain", "success", "clean_rate", "attacked_rate", "clean_group", "attacked_group", "lost")


@dataclass(frozen=True, kw_only=True, eq=False)
class ConflictCurves:
    """What was measured, per rule, knob value and seed.

    Attributes:
        coalition: the coalition, its knob at its default.
        knob: which of `mechanisms.conflict.KNOBS` was turned.
        values: what it was set to.
        rules: names of the rules.
        attack: name of the attack.
        first_seed: the seeds are this and the following ones.
        alone: test accuracy of the victim alone, shape (values, seeds).
        gain: learning gain, in accuracy, shape (rules, values, seeds) like all that follow.
        success: attack success: for attacks that want a label the attacked less the clean rate, else `lost`.
        clean_rate: fraction of the target group that gets the attacker's label undisturbed.
        attacked_rate: the same under attack.
        clean_group: accuracy on the target group undisturbed.
        attacked_group: the same under attack.
        lost: test accuracy lost to the attack.
        seconds: wall-clock time.
    """

    coalition: Coalition
    knob: str
    values: tuple[float, ...]
    rules: tuple[str, ...]
    attack: str
    first_seed: int = 0
    alone: Float[np.ndarray, "values seeds"]
    gain: Float[np.ndarray, "rules values seeds"]
    success: Float[np.ndarray, "rules values seeds"]
    clean_rate: Float[np.ndarray, "rules values seeds"]
    attacked_rate: Float[np.ndarray, "rules values seeds"]
    clean_group: Float[np.ndarray, "rules values seeds"]
    attacked_group: Float[np.ndarray, "rules values seeds"]
    lost: Float[np.ndarray, "rules values seeds"]
    seconds: float

    def interval(self, measure: str, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Student's confidence interval of a measure's mean over seeds.

        Args:
            measure: "alone" or one of `MEASURES`.
            level: coverage, in (0, 1).

        Returns:
            Lower and upper ends, of the measure's shape without its last axis; infinite for a single seed.
        """
        samples = getattr(self, choice("measure", measure, ["alone", *MEASURES]))
        seeds = samples.shape[-1]
        center = samples.mean(axis=-1)
        if seeds == 1:
            return np.full_like(center, -np.inf), np.full_like(center, np.inf)
        spread = samples.std(axis=-1, ddof=1) / np.sqrt(seeds)
        quantile = student.ppf(
            (1 + number("level", level, low=0, high=1, open_low=True, open_high=True)) / 2, seeds - 1
        )
        return center - quantile * spread, center + quantile * spread

    def verdict(self, *, gain: float = 0.1, success: float = 0.1, level: float = 0.95) -> np.ndarray:
        """Whether each setting is both useful and safe, as the intervals allow to say.

        Args:
            gain: the least useful learning gain.
            success: the largest attack success that counts as safe.
            level: of the intervals.

        Returns:
            Words, shape (rules, values): "both" if the interval of the gain lies above `gain` and that of the
            success below `success`; "useless" or "unsafe" if one of them is ruled out ("neither" for both);
            "open" if the seeds do not tell.
        """
        gain_low, gain_high = self.interval("gain", level=level)
        success_low, success_high = self.interval("success", level=level)
        useless, unsafe = gain_high < gain, success_low > success
        words = np.where(
            useless & unsafe, "neither", np.where(useless, "useless", np.where(unsafe, "unsafe", "open"))
        )
        return np.where((gain_low >= gain) & (success_high <= success), "both", words)

    def safe_and_useful(self, *, gain: float = 0.1, success: float = 0.1) -> list[tuple[str, float]]:
        """The settings (rule, knob value) that are both, by `verdict`; an empty list is the conflict."""
        where = np.argwhere(self.verdict(gain=gain, success=success) == "both")
        return [(self.rules[i], self.values[j]) for i, j in where]

    def __repr__(self) -> str:
        title = f"{self.knob} {list(self.values)} under {self.attack!r}, {self.alone.shape[-1]} seeds"
        return "\n".join([f"{title}; mean gain / attack success", *self._lines()])

    def _lines(self) -> list[str]:
        width = max(map(len, self.rules))
        rows = zip(self.rules, self.gain.mean(axis=-1), self.success.mean(axis=-1), strict=True)
        return [
            f"{rule:{width}}  " + "  ".join(f"{g:+.2f}/{s:+.2f}" for g, s in zip(gains, successes, strict=True))
            for rule, gains, successes in rows
        ]
