"""What a proof must be made of."""

import numpy as np
import pytest

from contracts.proof.soundness import OUTSIDE, ProofRefused, inside, numbers, prices


@pytest.mark.parametrize("number", [-1e-300, -1.0, np.nan, np.inf])
def test_prices_are_finite_and_nowhere_negative(number):
    assert prices("a", [0.0, 1.0], (2,)).tolist() == [0.0, 1.0]
    with pytest.raises(ProofRefused):
        prices("a", [0.0, number], (2,))


def test_numbers_have_the_shape_that_is_asked_for():
    assert numbers("a", [[-1.0, 2.0]], (1, 2)).tolist() == [[-1.0, 2.0]]
    with pytest.raises(ProofRefused, match=r"a has shape \(2,\), not \(3,\)"):
        numbers("a", [1.0, 2.0], (3,))


@pytest.mark.parametrize(("share", "kept"), [(0.9, True), (1.1, False)])
def test_points_are_moved_into_their_range(share, kept):
    low, high = np.array([0.0, -2.0]), np.array([10.0, -1.0])
    for point in ([10.0 + 10.0 * share * OUTSIDE, -1.5], [5.0, -2.0 - 2.0 * share * OUTSIDE]):
        if kept:
            found = inside("a point", np.array(point), low, high)
            assert (found >= low).all()
            assert (found <= high).all()
        else:
            with pytest.raises(ProofRefused, match="a point of the proof lies outside"):
                inside("a point", np.array(point), low, high)
