"""What a run prints: the menu, who got what, and over many draws promises beside frequencies."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def show_run(out: Console, folder: Path, audit: dict[str, Any]) -> None:
    """Print the menu of a run and its audit."""
    options = json.loads((folder / "publish.json").read_bytes())["result"]["options"]
    if not audit["nothing_offered"]:
        out.print(_menu(options))
        out.print()
    out.print(_participants(audit, options))
    if audit["nothing_offered"]:  # there is no joint model to speak of
        for note in notes(audit):
            out.print(f"Note: {note}", markup=False)
        return
    refused = [row for row in audit["participants"] if not row["accepted"]]
    for row in refused:
        out.print(
            f"{row['name']} ({row['behaviour']}) receives no model: {row['refused_because']}", markup=False
        )
    if len(refused) < len(audit["participants"]):  # else nobody delivered, and nothing was trained
        _joint_model(out, audit)
    for note in notes(audit):
        out.print(f"Note: {note}", markup=False)
    if "baselines" in audit:
        out.print()
        out.print(_rules(audit))


def _joint_model(out: Console, audit: dict[str, Any]) -> None:
    assumed = audit["assumptions"]
    out.print(
        f"\nThe joint model: {assumed['trained_accuracy']:.3f} ± {assumed['sampling_error']:.3f} on test"
        f" samples, {assumed['trained_accuracy_on_validation']:.3f} on validation samples; the measured curve"
        f" foretold {assumed['expected_accuracy']:.3f} (from {assumed['interval'][0]:.3f} to"
        f" {assumed['interval'][1]:.3f}).",
        markup=False,
    )
    if proofs := audit.get("delivery"):
        stated = "; ".join(f"{name}: {verdict}" for name, verdict in proofs.items() if name != "method")
        out.print(f"Delivered by {proofs['method']}. {stated}.", markup=False)


def show_draws(out: Console, summary: dict[str, Any]) -> None:
    """Print frequencies and means over many draws."""
    promises, rational, assumed = summary["promises"], summary["rationality"], summary["assumptions"]
    out.print(f"\nOver {summary['draws']} draws (95 % intervals):", markup=False)
    rows = [
        (
            "all promises met",
            f"{promises['stated_share']:.0%} of draws",
            share(promises["draws_with_all_met"]),
        ),
        ("accuracy beyond what was promised", "0", mean(promises["accuracy_beyond_promise"], 4)),
        ("promise beyond what the menu said to expect", "0", mean(promises["promise_beyond_expectation"])),
        ("gain over being alone", mean(rational["promised_gain"]), mean(rational["gain"])),
        ("share worse than alone after the fact", "", mean(rational["share_worse_than_alone"], 2)),
        (
            "trained model is where the measured curve says",
            f"{promises['stated_share']:.0%} of draws",
            share(assumed["curve_kept"]),
        ),
        (
            "somebody honest is refused",
            f"{assumed['stated_share_with_honest_refused']:.0%} of draws",
            share(assumed["honest_refused"]),
        ),
        ("somebody dishonest is accepted", "", share(assumed["dishonest_data_accepted"])),
        ("trained beyond the measured curve", "0", mean(assumed["trained_beyond_expected"], 4)),
    ]
    out.print(_table(("", "promised", "found"), rows))
    out.print("\nWhat another choice would have gained (intervals hold for all of them together):", markup=False)
    out.print(
        _table(
            ("type", "instead", "promised", "found"),
            [(r["type"], r["option"], mean(r["promised_gain"]), mean(r["gain"])) for r in summary["switching"]],
        )
    )
    out.print("\nWhat cheating would have gained:", markup=False)
    cheats = [(r["kind"], mean(r["accepted"], 2), mean(r["gain"])) for r in summary["cheating"]]
    out.print(_table(("", "accepted", "gain"), cheats))
    if summary["baselines"]:
        out.print("\nOther rules on the same draws, honest participants:", markup=False)
        out.print(
            _table(
                ("rule", "data", "joint model", "best received", "mean gain", "worse than alone"),
                [
                    (
                        r["rule"],
                        mean(r["data"], 0),
                        mean(r["trained"], 3),
                        mean(r["best_accuracy"], 3),
                        mean(r["utility"]),
                        mean(r["share_worse_than_alone"], 2),
                    )
                    for r in summary["baselines"]
                ],
            )
        )
        free = mean(assumed["gain_of_riding_free_without_contract"])
        out.print(f"If everybody received everything, riding free would gain {free} each.", markup=False)


def failures(summary: dict[str, Any]) -> list[str]:
    """What was promised and does not hold, one sentence each; none if everything holds.

    Over several draws a statement fails only where its interval excludes what was promised.
    """
    promises, many = summary["promises"], summary["draws"] > 1
    nothing = summary["nothing_offered"]
    found = (
        [f"in {len(nothing)} of {summary['draws']} draws {nothing[0]}" if many else nothing[0]]
        if nothing
        else []
    )
    kept = promises["draws_with_all_met"]
    if kept["share"] is not None and (kept["high"] < promises["stated_share"] if many else kept["share"] < 1):
        found.append(
            f"promised accuracies are met in {kept['share']:.0%} of draws, fewer than the stated"
            f" {promises['stated_share']:.0%}"
            if many
            else "a promised accuracy is not met within its stated error on the test samples"
        )
    gain = summary["rationality"]["gain"]
    if gain["high"] is not None and gain["high"] < 0:
        found.append(f"participants are worse off than alone by {-gain['mean']:.3g} on average")
    for row in summary["switching"]:
        if row["gains"]:
            found.append(
                f"type {row['type']!r} would gain {row['gain']['mean']:.3g} by {row['option']!r} instead"
            )
    for row in summary["cheating"]:
        if row["gain"]["low"] is not None and row["gain"]["low"] > 0:
            found.append(f"{row['kind']} would gain {row['gain']['mean']:.3g}")
    return found


def notes(audit: dict[str, Any]) -> list[str]:
    """Where this draw was not what the theory assumes."""
    assumed = audit["assumptions"]
    found = [
        f"{name}.json was edited by hand: digest {before[:12]} as written, {after[:12]} as found"
        for name, (before, after) in audit.get("edited", {}).items()
    ]
    if audit.get("nothing_offered"):
        return found
    found.extend(_launched(audit.get("launch")))
    same = assumed["contributors"] == assumed["contributors_expected"]
    if not assumed.get("contributors_as_expected", same):
        found.append(
            f"{assumed['contributors']} participants contribute, the contract expects"
            f" {assumed['contributors_expected']}: promises follow what was accepted, expectations do not"
        )
    if not assumed["curve_kept"]:
        found.append("the trained model is not where the measured curve says: shares are of the model as it is")
    for who in assumed["dishonest_data_accepted"]:
        found.append(f"the data of {who}, who is not honest, were accepted")
    for who in assumed["honest_refused"]:
        found.append(f"{who}, who is honest, was refused")
    found.extend(attacked(audit))
    found.extend(worse_than_alone(audit))
    return found + [f"the measured curve: {text}" for text in assumed["objections"]]


def _launched(launch: dict[str, Any] | None) -> list[str]:
    """Whether a launch clause was met; nothing without one."""
    if not launch:
        return []
    signed, needed = f"{launch['signed']} signed", launch["needed"]
    if not launch["launched"]:
        return [f"released: {signed}, {needed} are needed; nothing is delivered, and no model is given"]
    some = f"; released: {', '.join(launch['released'])}" if launch["released"] else ""
    if launch["clause"] == "cut":
        return [f"launched: {signed}; contributions are cut to what the model pays for{some}"]
    return [f"launched: {signed}, {needed} are needed; amounts follow from the signatures{some}"]


def attacked(audit: dict[str, Any]) -> list[str]:
    """What attackers on updates did to the joint model; none if there were none."""
    attacks = audit.get("attacks")
    if not attacks:
        return []
    refused = [one["name"] for one in attacks["attackers"] if not one["accepted"]]
    sent = [f"{one['name']} ({one['attack']})" for one in attacks["attackers"] if one["accepted"]]
    found = [f"{name} meant to attack updates, and its data were refused: nothing of it was trained on"
             for name in refused]  # fmt: skip
    if sent:
        cost = attacks["accuracy_without_attack"] - attacks["accuracy"]
        found.append(
            f"updates of {', '.join(sent)} were attacks: under {attacks['aggregation']!r} the joint model has"
            f" {attacks['accuracy']:.3f}, without them {attacks['accuracy_without_attack']:.3f}"
            f" ({0.0 - cost:+.3f}); they moved its parameters by {attacks['moved']:.0%} of what training does."
            " Their data are good, so no check of data finds them, and they are paid"
        )
    return found


def worse_than_alone(audit: dict[str, Any]) -> list[str]:
    """Who honest did worse than alone on this draw, and why that can be; none if nobody did."""
    rows = [audit["participants"][k] for k in audit.get("honest", [])]
    worse = [row for row in rows if row["replayed"]["utility"] < row["alone"]["utility"] - 1e-9]
    if not worse:
        return []
    losses = ", ".join(f"{r['name']} by {r['alone']['utility'] - r['replayed']['utility']:.1f}" for r in worse)
    return [
        f"{len(worse)} of {len(rows)} honest participants did worse than alone ({losses}): the menu keeps"
        " everybody better off in expectation, over the luck of who comes and of which samples are drawn, and"
        " not on every draw; --draws shows how often"
    ]


def mean(figure: dict[str, Any], digits: int = 1) -> str:
    """A mean with its interval as text.

    >>> mean({"mean": 1.234, "low": 0.5, "high": 2.0, "draws": 3})
    '1.2 [0.5, 2.0]'
    """
    if figure["mean"] is None:
        return "-"
    if figure["low"] is None:
        return f"{figure['mean']:.{digits}f}"
    return f"{figure['mean']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def share(figure: dict[str, Any]) -> str:
    """A frequency with its interval as text.

    >>> share({"share": 0.95, "low": 0.7513, "high": 0.9987, "draws": 20})
    '95% [75%, 100%]'
    """
    if figure["share"] is None:
        return "-"
    return f"{figure['share']:.0%} [{figure['low']:.0%}, {figure['high']:.0%}]"


def _menu(options: Sequence[dict[str, Any]]) -> Table:
    rows = [
        (
            option["name"],
            f"{option['cost']:g}",
            str(option["data"]),
            "all" if option["share"] == 1.0 else f"{option['share']:.1%}",
            f"{option['expected_value']:.1f}",
            f"{option['expected_utility']:.1f}",
            f"{option['alone_utility']:.1f}",
        )
        for option in options
    ]
    return _table(("option for", "cost", "deliver", "share of the model", "value", "gain", "alone"), rows)


def _participants(audit: dict[str, Any], options: Sequence[dict[str, Any]]) -> Table:
    rows = []
    for row in audit["participants"]:
        promised = ("-", "") if not row["accepted"] else (_promise(row), f"{row['promised_utility']:.1f}")
        replayed = ("", "") if "alone" not in row else (f"{row['alone']['utility']:.1f}", f"{row['regret']:.1f}")
        signed = "-" if row["option"] is None else options[row["option"]]["name"]
        received = (promised[0], f"{row['accuracy']:.3f}", promised[1], f"{row['utility']:.1f}")
        rows.append((row["name"], row["behaviour"], signed, *received, *replayed))
    titles = ("", "behaviour", "option", "promised", "accuracy", "promised gain", "gain", "alone", "regret")
    return _table(titles, rows)


def _promise(row: dict[str, Any]) -> str:
    return f"{row['promised_accuracy']:.3f} ± {row['error']:.3f}"


def _rules(audit: dict[str, Any]) -> Table:
    honest = [audit["participants"][k] for k in audit["honest"]]
    alone = [row["alone"]["utility"] for row in honest]
    contract = {
        "data": [row["data"] for row in honest],
        "trained": audit["assumptions"]["trained_accuracy"],
        "accuracy": [row["replayed"]["accuracy"] for row in honest],
        "utility": [row["replayed"]["utility"] for row in honest],
    }
    rules = {"contract": contract, **audit["baselines"]}
    rows = [_rule(name, rule, alone) for name, rule in rules.items()]
    return _table(("rule", "data", "joint model", "best received", "mean gain", "worse than alone"), rows)


def _rule(name: str, rule: dict[str, Any], alone: Sequence[float]) -> tuple[str, ...]:
    worse = sum(got < had - 1e-9 for got, had in zip(rule["utility"], alone, strict=True))
    average = sum(rule["utility"]) / len(alone)
    joint = "-" if rule["trained"] is None else f"{rule['trained']:.3f}"
    received = f"{max(rule['accuracy']):.3f}"
    return (name, str(sum(rule["data"])), joint, received, f"{average:.1f}", f"{worse} of {len(alone)}")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for k, title in enumerate(titles):
        table.add_column(title, justify="left" if k == 0 or title in LEFT else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


LEFT = ("behaviour", "option", "instead")
