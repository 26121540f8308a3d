"""Crops of faces follow the face: moved, scaled or turned landmarks move, scale or turn what is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audioplane.metrics.syncnet.crops import (
    MEAN_FACE,
    RIGID,
    check_landmarks,
    cut_face,
    cut_mouth,
    face_boxes,
    mouth_warps,
)
from tests.strategies import arrays, few, generators, in_any_layout

faces = arrays(st.integers(13, 20), 68, 2, low=20.0, high=90.0)


@few
@given(faces, generators)
def test_unknown_frames_are_filled_from_their_neighbours(landmarks, generator):
    np.testing.assert_array_equal(in_any_layout(check_landmarks, landmarks), landmarks)
    holes = landmarks.copy()
    holes[generator.random(len(holes)) < 0.5, 3, 1] = np.nan
    holes[len(holes) // 2] = landmarks[len(holes) // 2]
    filled, known = check_landmarks(holes), np.isfinite(holes).all(axis=(1, 2))
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[known], landmarks[known])
    lowest, highest = landmarks[known].min(axis=0), landmarks[known].max(axis=0)
    assert (filled >= lowest - 1e-9).all(), "a filled frame lies between known ones"
    assert (filled <= highest + 1e-9).all()
    ramp = landmarks[:1] + np.arange(len(landmarks))[:, None, None]
    gone = ramp.copy()
    gone[3:6] = np.nan
    np.testing.assert_allclose(check_landmarks(gone), ramp)


@few
@given(faces, st.floats(0.3, 3), st.floats(-1, 1), st.floats(-50, 50), st.sampled_from([0.0, 1.0]))
def test_warps_follow_the_face(landmarks, size, turn, shift, smooth):
    similarity = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    before = in_any_layout(lambda x: mouth_warps(x, smooth), landmarks)
    after = mouth_warps(landmarks @ similarity.T + [shift, -shift], smooth)
    np.testing.assert_allclose(after[:, :, :2], similarity @ before[:, :, :2], atol=1e-9)
    moved = before[:, :, 2] @ similarity.T + [shift, -shift]
    np.testing.assert_allclose(after[:, :, 2], moved, atol=1e-7)


@few
@given(generators, st.floats(0.3, 3), st.floats(-1, 1))
def test_the_warp_is_the_best_similarity(generator, size, turn):
    """Least squares: no similarity nearby fits the eleven points better."""
    landmarks = 60 + 10 * generator.standard_normal((1, 68, 2))
    landmarks[0, RIGID] = size * MEAN_FACE + 5 * generator.standard_normal((11, 2))
    warp = mouth_warps(landmarks, smooth=0.0)[0]

    def misfit(matrix: np.ndarray) -> float:
        return float(((MEAN_FACE @ matrix[:, :2].T + matrix[:, 2] - landmarks[0, RIGID]) ** 2).sum())

    for _ in range(5):
        a, b, x, y = 0.01 * generator.standard_normal(4)
        assert misfit(warp) <= misfit(warp + np.array([[a, -b, x], [b, a, y]])) + 1e-9


@few
@given(arrays(30, 40, high=255.0, dtype=np.uint8), st.integers(-4, 4), st.integers(-4, 4))
def test_a_moved_picture_with_a_moved_warp_is_the_same_crop(middle, down, right):
    warp = np.array([[0.15, 0.0, 60.0], [0.0, 0.15, 40.0]])
    still, moved = np.zeros((2, 90, 120), np.uint8)
    still[35:65, 40:80] = middle
    moved[35 + down : 65 + down, 40 + right : 80 + right] = middle
    other = warp + np.array([[0, 0, right], [0, 0, down]])
    first = in_any_layout(lambda p, w: cut_mouth(p, w, pixels=12), still, warp)
    np.testing.assert_array_equal(cut_mouth(moved, other, pixels=12), first)
    colour = np.repeat(still[..., None], 3, axis=2)
    assert np.abs(cut_mouth(colour, warp, pixels=12).astype(int) - first).max() <= 1
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(cut_mouth(still, warp, identity, 12), first)


@few
@given(st.integers(0, 255), st.sampled_from([8, 13, 48]))
def test_a_flat_picture_gives_a_flat_crop(grey, pixels):
    crop = cut_mouth(np.full((20, 25), grey, np.uint8), np.array([[2.0, 0.3, -40], [-0.3, 2, 9]]), pixels=pixels)
    assert crop.shape == (pixels, pixels)
    assert (crop == grey).all()


@pytest.mark.parametrize("size", [1.0, 2.0, 4.0])
def test_fine_stripes_of_a_large_face_come_out_gray(size):
    """Pixels finer than the crop's are averaged, not picked."""
    stripes = np.zeros((600, 600), np.uint8)
    stripes[::2] = 255
    warp = np.array([[size, 0, 300.0], [0, size, 300.0 - 73 * size]])
    for pixels in (12, 25):
        for picture in (stripes, stripes.T):
            crop = cut_mouth(picture, warp, pixels=pixels)
            assert np.abs(crop.astype(int) - 127).max() <= 8


@few
@given(faces, st.floats(0.2, 5), st.floats(-9, 9))
def test_boxes_follow_the_face(landmarks, size, shift):
    before = in_any_layout(face_boxes, landmarks)
    middle = slice(6, len(landmarks) - 6)  # beyond the ends there are zeros
    after = face_boxes(size * landmarks)
    np.testing.assert_allclose(after, size * before)
    moved = face_boxes(landmarks + shift)
    np.testing.assert_allclose(moved[middle], before[middle] + [shift, shift, 0])


def test_a_still_face_fits_its_box():
    points = np.random.default_rng(0).uniform(20, 80, (68, 2))
    x, y, half = face_boxes(np.repeat(points[None], 20, 0))[10]
    low, high = points.min(axis=0), points.max(axis=0)
    brow = low[1] - 0.25 * (high[1] - low[1])
    assert (x, y) == pytest.approx(((low[0] + high[0]) / 2, (brow + high[1]) / 2))
    assert 2 * half == pytest.approx(max(high[0] - low[0], high[1] - brow))
    with pytest.raises(ValueError, match="13 frames"):
        face_boxes(np.repeat(points[None], 12, 0))


@few
@given(st.integers(0, 255), st.floats(4, 20), st.one_of(st.floats(-10, 60), st.sampled_from([-1e9, -80.0, 200.0, 1e9])))
@example(0, 4.0, 57.0)  # the face's edge fell on the picture's, and one column of it was seen
def test_beyond_the_picture_a_face_is_grey(light, half, x):
    crop = in_any_layout(lambda p, b: cut_face(p, b), np.full((40, 50, 3), light, np.uint8), np.array([x, 20.0, half]))
    assert crop.shape == (224, 224, 3)
    assert crop.min() >= min(light, 110)
    assert crop.max() <= max(light, 110)
    inside = x - 1.4 * half >= 0 and x + 1.4 * half <= 50 and 20 - half >= 0 and 20 + 1.8 * half <= 40
    if inside:
        assert (crop == light).all()
    elif not -1.5 * half - 1 < x < 51 + 1.5 * half:
        assert (crop == 110).all()
