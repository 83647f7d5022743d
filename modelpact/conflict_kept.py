"""What `modelpact conflict` keeps of finished sweeps, how it goes on from there, and how long the rest takes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mechanisms.coalitions import Coalition
from mechanisms.conflict import measure_conflict
from mechanisms.conflict_curves import MEASURES, ConflictCurves
from mechanisms.sample_file import digest, is_file
from modelpact.installed import installed_version
from modelpact.terminal import plain


def settings_of(sweep: Mapping[str, Any]) -> str:
    """A digest of all that decides a sweep: its arguments, its data and this version.

    A sweep that was measured with other settings is measured again.
    """
    coalition = sweep["coalition"]
    decided = {
        **{name: value for name, value in sweep.items() if name != "coalition"},
        "coalition": dataclasses.asdict(coalition),
        "data": digest(coalition.dataset) if is_file(coalition.dataset) else coalition.dataset,
        "version": installed_version(),
    }
    return hashlib.sha256(json.dumps(plain(decided), sort_keys=True).encode()).hexdigest()


def kept(path: Path) -> dict[str, ConflictCurves]:
    """The sweeps that a file of measurements holds, by their settings; none if it is no such file."""
    try:
        sweeps = json.loads(path.read_bytes())["sweeps"]
        return {str(one["settings"]): _curves(one) for one in sweeps}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _curves(one: Mapping[str, Any]) -> ConflictCurves:
    coalition = dict(one["coalition"])
    coalition["hidden"] = tuple(coalition["hidden"])
    arrays: dict[str, Any] = {name: np.array(one[name], dtype=float) for name in ("alone", *MEASURES)}
    shape = (len(one["rules"]), len(one["values"]), int(one["seeds"]))
    if arrays["alone"].shape != shape[1:] or any(arrays[name].shape != shape for name in MEASURES):
        raise ValueError("arrays of another shape")
    return ConflictCurves(
        coalition=Coalition(**coalition),
        knob=str(one["knob"]),
        values=tuple(map(float, one["values"])),
        rules=tuple(map(str, one["rules"])),
        attack=str(one["attack"]),
        seconds=float(one["seconds"]),
        **arrays,
    )


def expected_seconds(sweeps: Sequence[Mapping[str, Any]]) -> float:
    """About how long sweeps will take: one run of the first, timed twice, times the runs to come.

    The first time compiles; every rule is compiled anew.
    """
    first, taken = sweeps[0], []
    one = {**first, "rules": first["rules"][:1], "values": first["values"][:1], "seeds": 1}
    for _ in range(2):
        began = time.perf_counter()
        measure_conflict(**one)
        taken.append(time.perf_counter() - began)
    compiling = max(taken[0] - taken[1], 0.0)
    return sum(len(s["rules"]) * (compiling + len(s["values"]) * s["seeds"] * taken[1]) for s in sweeps)
