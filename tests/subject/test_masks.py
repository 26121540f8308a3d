"""Filled hulls against half planes."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.subject.masks import fill_hull
from tests.reference.implementations import inside_hull


def test_a_square_has_the_pixels_of_its_area():
    square = np.array([[3, 4], [12, 4], [12, 13], [3, 13]], float)
    filled = fill_hull(square, 20, 20)
    assert filled.sum() == 81
    assert filled[4:13, 3:12].all()


@pytest.mark.parametrize("seed", range(20))
def test_a_hull_holds_the_pixels_whose_centre_lies_in_it(seed):
    corners = np.random.default_rng(seed).random((12, 2)) * [40, 30] - 3
    assert np.array_equal(fill_hull(corners, 30, 28), inside_hull(corners, 30, 28))
