"""Many draws of a scheme, each a whole run of its own: what the theory promised against how often it came true.

Every draw cuts the data anew, measures its own pilot and publishes its own menu, so frequencies count the luck
of the pilot as well as that of who came. Participants of one draw share a model, a menu and test samples; so
means are taken within draws first, and intervals over draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from contracts.checks import integer
from mechanisms.fairness import over_runs
from modelpact.scheme.preflight import Preflight
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Stage
from modelpact.scheme.timeline import run_scheme

CONFIDENCE = 0.95


def run_draws(
    scheme: Scheme,
    folder: str | Path,
    *,
    draws: int,
    on_stage: Callable[[int, Stage, bool], None] | None = None,
    on_preflight: Callable[[Preflight], None] | None = None,
) -> list[dict[str, Any]]:
    """Carry out several draws and return their audits.

    Args:
        scheme: the first draw is the scheme as it is, the others have seeds of their own.
        folder: of the first draw; the others' are `draws/001`, `draws/002`, ... in it.
        draws: how many, at least one.
        on_stage: called before each stage with the draw and whether the stage has been done already.
        on_preflight: called once, before anything is trained in the first draw.

    Raises:
        InvalidInput: as `run_scheme`.
    """
    place, audits = Path(folder), []
    for k in range(integer("draws", draws, low=1, high=10_000)):
        where = place
        if k:
            (place / "draws").mkdir(exist_ok=True)
            where = place / "draws" / f"{k:03d}"

        def report(stage: Stage, done: bool, k: int = k) -> None:
            if on_stage is not None:
                on_stage(k, stage, done)

        first = None if k else on_preflight
        one = scheme.at_seed(seed_of(scheme.seed, k))
        audits.append(run_scheme(one, where, on_stage=report, on_preflight=first)["audit"].result)
    return audits


def seed_of(seed: int, draw: int) -> int:
    """The seed of a draw; of the first the scheme's own.

    >>> seed_of(7, 0)
    7
    """
    return int(np.random.SeedSequence([seed, draw]).generate_state(1)[0]) if draw else seed


def summarise(scheme: Scheme, audits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Frequencies and means over draws, with intervals, beside what was promised.

    Args:
        scheme: the scheme.
        audits: of its draws.

    Returns:
        Plain values: `nothing_offered` (why, of each draw without a menu), `promises`, `rationality`,
        `switching` (by type and option), `cheating`, `baselines`, `assumptions`. Intervals are at 95 %; those of
        `switching` hold for all pairs together.
    """
    return {
        "draws": len(audits),
        "nothing_offered": [audit["nothing_offered"] for audit in audits if audit["nothing_offered"]],
        "promises": _promises(scheme, audits),
        "rationality": _rationality(audits),
        "switching": _switching(scheme, audits),
        "cheating": _cheating(audits),
        "baselines": _baselines(audits),
        "assumptions": {
            "stated_share_with_honest_refused": 1.0 - scheme.verification.confidence,
            **_assumptions(audits),
        },
    }


def _promises(scheme: Scheme, audits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    kept = [audit["promises_met"] for audit in audits]
    received = {"chosen": lambda row: row["accepted"]}  # the others were promised nothing in the end
    short = _by_draw(audits, lambda row: row["accuracy"] - row["promised_accuracy"], **received)
    return {
        "stated_share": scheme.measuring.confidence,
        "draws_with_all_met": _share(kept),
        "accuracy_beyond_promise": _mean(short),
        "value_beyond_promise": _mean(
            _by_draw(audits, lambda row: row["value"] - row["promised_value"], **received)
        ),
        # what was promised once it was known who came, against what the menu said to expect before
        "promise_beyond_expectation": _mean(
            _by_draw(audits, lambda row: row["promised_utility"] - row["expected_utility"], **received)
        ),
    }


def _rationality(audits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Utility over what the same participants had alone, on the average and how often."""
    gains = _by_draw(audits, lambda row: row["replayed"]["utility"] - row["alone"]["utility"])
    promised = _by_draw(audits, lambda row: -row["promised_gain_by_option"]["alone"])
    worse = _by_draw(audits, lambda row: row["replayed"]["utility"] < row["alone"]["utility"])
    return {"gain": _mean(gains), "promised_gain": _mean(promised), "share_worse_than_alone": _mean_share(worse)}


def _switching(scheme: Scheme, audits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What another option, or staying alone, would have gained, by type."""
    names = scheme.population.names or ()
    pairs = sorted(
        {(row["type"], option) for audit in audits for row in _honest(audit) for option in row["gain_by_option"]}
    )
    found = []
    for kind, option in pairs:

        def chosen(row: dict[str, Any], kind: int = kind, option: str = option) -> bool:
            return row["type"] == kind and option in row["gain_by_option"]

        gains = _by_draw(audits, lambda row, option=option: row["gain_by_option"][option], chosen)
        promised = _by_draw(audits, lambda row, option=option: row["promised_gain_by_option"][option], chosen)
        interval = _mean(gains, confidence=1.0 - (1.0 - CONFIDENCE) / len(pairs))
        found.append(
            {
                "type": names[kind],
                "option": option,
                "gain": interval,
                "promised_gain": _mean(promised),
                "gains": bool(interval["low"] is not None and interval["low"] > 0.0),
            }
        )
    return found


def _cheating(audits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds = sorted({kind for audit in audits for row in _honest(audit) for kind in row["gain_by_cheating"]})
    found = []
    for kind in kinds:
        gains = _by_draw(audits, lambda row, kind=kind: row["gain_by_cheating"][kind])
        passed = _by_draw(audits, lambda row, kind=kind: row["cheating"][kind]["accepted"])
        found.append({"kind": kind, "gain": _mean(gains), "accepted": _mean_share(passed)})
    return found


def _baselines(audits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules side by side: data, accuracy and utility of the honest participants."""
    with_rules = [audit for audit in audits if "baselines" in audit]
    if not with_rules:
        return []
    rows = [_rule("contract", with_rules, _contract)]
    for name in with_rules[0]["baselines"]:
        rows.append(_rule(name, with_rules, lambda audit, name=name: audit["baselines"][name]))
    return rows


def _contract(audit: dict[str, Any]) -> dict[str, Any]:
    rows = _honest(audit)
    return {
        "data": [row["data"] for row in rows],
        "trained": audit["assumptions"]["trained_accuracy"],
        "accuracy": [row["replayed"]["accuracy"] for row in rows],
        "utility": [row["replayed"]["utility"] for row in rows],
    }


def _rule(name: str, audits: Sequence[dict[str, Any]], read: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    figures = [read(audit) for audit in audits]
    alone = [np.array([row["alone"]["utility"] for row in _honest(audit)]) for audit in audits]
    # on an equal footing: "alone" is the same replay, so nobody is worse off by rounding
    worse = [np.mean(np.array(f["utility"]) < a - 1e-9) for f, a in zip(figures, alone, strict=True)]
    return {
        "rule": name,
        "data": _mean([float(np.sum(f["data"])) for f in figures]),
        "accuracy": _mean([float(np.mean(f["accuracy"])) for f in figures]),
        "trained": _mean([float(f["trained"]) for f in figures if f["trained"] is not None]),
        "best_accuracy": _mean([float(np.max(f["accuracy"])) for f in figures]),
        "utility": _mean([float(np.mean(f["utility"])) for f in figures]),
        "share_worse_than_alone": _mean_share([float(w) for w in worse]),
    }


def _assumptions(audits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often reality was not what the theory assumes."""
    found = [audit["assumptions"] for audit in audits]
    free = [np.mean(a["gain_of_riding_free_without_contract"]) for a in audits if "baselines" in a]
    return {
        "curve_kept": _share([one["curve_kept"] for one in found]),
        "trained_beyond_expected": _mean([one["trained_accuracy"] - one["expected_accuracy"] for one in found]),
        "contributors_as_expected": _share([one["contributors_as_expected"] for one in found]),
        "dishonest_data_accepted": _share([bool(one["dishonest_data_accepted"]) for one in found]),
        "honest_refused": _share([bool(one["honest_refused"]) for one in found]),
        "gain_of_riding_free_without_contract": _mean([float(gain) for gain in free]),
    }


def _honest(audit: dict[str, Any]) -> list[dict[str, Any]]:
    return [audit["participants"][k] for k in audit["honest"]]


def _by_draw(
    audits: Sequence[dict[str, Any]],
    figure: Callable[[dict[str, Any]], float],
    chosen: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> list[float]:
    """The mean of a figure over the honest participants of each draw in which there are any."""
    rows = [[float(figure(row)) for row in _honest(audit) if chosen(row)] for audit in audits]
    return [float(np.mean(row)) for row in rows if row]


def _mean(figures: Sequence[float], confidence: float = CONFIDENCE) -> dict[str, Any]:
    """A mean with its interval; without one for fewer than two figures."""
    if len(figures) < 2:
        value = float(figures[0]) if figures else None
        return {"mean": value, "low": None, "high": None, "draws": len(figures)}
    found = over_runs(figures, confidence=confidence)
    return {
        "mean": float(found.mean),
        "low": float(found.low),
        "high": float(found.high),
        "draws": len(figures),
    }


def _mean_share(shares: Sequence[float], confidence: float = CONFIDENCE) -> dict[str, Any]:
    """The mean of shares with an interval inside [0, 1]; without one for fewer than two.

    It is the exact binomial interval with the sum of the shares for the number of successes: of all variables in
    [0, 1] with the same mean those that are 0 or 1 vary most.
    """
    count, total = len(shares), float(np.sum(shares))
    if count < 2:
        return {"mean": total if count else None, "low": None, "high": None, "draws": count}
    tail = (1.0 - confidence) / 2.0
    low = float(stats.beta.ppf(tail, total, count - total + 1.0)) if total > 0 else 0.0
    high = float(stats.beta.isf(tail, total + 1.0, count - total)) if total < count else 1.0
    return {"mean": total / count, "low": low, "high": high, "draws": count}


def _share(events: Sequence[bool]) -> dict[str, Any]:
    """A frequency with its exact binomial interval."""
    if not events:
        return {"share": None, "low": None, "high": None, "draws": 0}
    interval = stats.binomtest(int(sum(events)), len(events)).proportion_ci(CONFIDENCE, method="exact")
    return {
        "share": float(np.mean(events)),
        "low": float(interval.low),
        "high": float(interval.high),
        "draws": len(events),
    }
