"""How much effective data may be missing undetected where quality is estimated."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts import checks


def undetected_share(qualities: Any, radius: float) -> float:
    """The largest share of effective data that may be missing where quality is estimated with a radius.

    A claimed quality is accepted if the estimate is no further from it than the radius, so that honest
    participants always pass; since the estimate may be as far from the truth again, a quality of `quality - 2 *
    radius` may pass for `quality`.

    Args:
        qualities: claimed qualities, in (0, 1], shape (types,).
        radius: how far an estimate of quality may be from the truth, >= 0, such as the radius of
            `mechanisms.estimate_types` (whose discrepancy is 1 - quality).

    Returns:
        max_i min(1, 2 radius / q_i).

    Raises:
        InvalidInput: a quality outside (0, 1] or a negative radius.

    >>> undetected_share([1.0, 0.5], 0.025)
    0.1
    """
    quality = checks.array("qualities", qualities, low=0.0, high=1.0, open_low=True)
    return float(np.minimum(1.0, 2.0 * checks.number("radius", radius, low=0.0) / quality).max())
