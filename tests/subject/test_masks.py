"""Filled hulls against half planes; what is seen between the lips."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.subject.masks import FACE, MOUTH, distance_to, fill_hull, inner_mouth_mask
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


def test_between_the_lips_is_the_mouth_in_the_hull_of_the_inner_lips():
    label = np.full((40, 40), FACE, np.uint8)
    label[20:30, 10:30] = MOUTH
    landmarks = np.full((68, 2), 5.0)
    landmarks[60:68] = [(12, 25), (16, 18), (20, 18), (24, 18), (28, 25), (24, 28), (20, 28), (16, 28)]
    mask = inner_mouth_mask(label, landmarks)
    assert np.array_equal(mask, inside_hull(landmarks[60:68], 40, 40) & (label == MOUTH))
    assert mask.any()
    assert not mask[:20].any(), "the hull reaches above the mouth's label"
    landmarks[62] = np.nan
    assert not inner_mouth_mask(label, landmarks).any()
    assert not inner_mouth_mask(label, None).any()


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_roots_of_whole_numbers(seed: int) -> None:
    """As OpenCV gives them, they differ in the last bit from one process to the next: a surface fitted to them too."""
    from scipy.ndimage import distance_transform_edt

    mask = np.random.default_rng(seed).random((150, 211)) > 0.9997
    mask[70, 90] = True
    np.testing.assert_array_equal(distance_to(mask), distance_transform_edt(~mask))
