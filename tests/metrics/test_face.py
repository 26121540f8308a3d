"""Face measures in closed form, on made faces and on adversarial ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from audioplane.metrics.face import aue, closure, deformation, iou, lip_vertex_error, lmd
from audioplane.subject import Phoneme, blendshapes


@pytest.fixture
def face() -> np.ndarray:
    points = np.random.default_rng(0).uniform(0, 100, (6, 68, 2))
    points[:, 36], points[:, 45] = (20.0, 30.0), (70.0, 30.0)
    return points


def test_lmd_in_closed_form(face):
    assert lmd(face, face) == lmd(face, face, "face") == 0.0
    assert lmd(face + np.array([7.0, -3.0]), face) == pytest.approx(0.0, abs=1e-12), "a shifted mouth is the same mouth"
    wide = face.copy()
    wide[:, 48:68, 0] += np.where(np.arange(20) < 10, 1.0, -1.0)  # a zero-mean change of one pixel each
    assert lmd(wide, face) == pytest.approx(100 * 1.0 / 50.0)
    assert lmd(2 * wide, 2 * face) == pytest.approx(lmd(wide, face)), "twice the size, the same number"
    assert 0 < lmd(wide, face, "face") < lmd(wide, face)


def test_lmd_leaves_unknown_frames_out(face):
    holes = face.copy()
    holes[2] = np.nan
    assert lmd(holes, face) == 0.0
    with pytest.raises(ValueError, match="both know the face"):
        lmd(face * np.nan, face)
    with pytest.raises(ValueError, match=r"\(T, 68, 2\)"):
        lmd(face[:, :20], face[:, :20])
    with pytest.raises(ValueError, match="region"):
        lmd(face, face, "nose")


def test_aue_parts_add_up():
    generator = np.random.default_rng(0)
    a, b = generator.random((2, 9, 52))
    assert aue(a, a) == 0.0
    assert aue(a, b, "lower") + aue(a, b, "upper") == pytest.approx(aue(a, b, "all"))
    assert aue(a, b, "all") == pytest.approx(((a - b) ** 2).sum() / 9)
    jaw = a.copy()
    jaw[:, blendshapes.index("jawOpen")] += 0.5
    assert aue(jaw, a) == pytest.approx(0.25)
    assert aue(jaw, a, "upper") == 0.0
    with pytest.raises(ValueError, match="52"):
        aue(a[:, :51], b[:, :51])


def test_closure_needs_both_kinds():
    fps, sounds = 25.0, [Phoneme("m", 0.2, 0.3), Phoneme("a", 0.4, 0.6), Phoneme("p", 0.8, 0.95, 0, 0.9)]
    times = (np.arange(40) + 0.5) / fps
    right = np.where((times > 0.38) & (times < 0.62), 9.0, 0.5)
    found = closure(right, sounds, fps)
    assert (found.closed, found.opened, found.accuracy, found.bilabials, found.vowels) == (1.0, 1.0, 1.0, 2, 1)
    shut, open_ = closure(np.zeros(40), sounds, fps), closure(np.full(40, 9.0), sounds, fps)
    assert shut.accuracy == open_.accuracy == 0.5
    assert (shut.closed, shut.opened, open_.closed, open_.opened) == (1.0, 0.0, 0.0, 1.0)
    assert closure(right[::-1], sounds, fps).accuracy < 1.0
    assert closure(right, sounds[:1], fps) is None
    late = [Phoneme(p.ipa, p.start + 3, p.end + 3) for p in sounds]
    assert closure(right, late, fps, first=3.0) is not None
    assert closure(right, late, fps) is None, "sounds outside the clip do not count"


def test_lip_vertex_error_is_the_largest():
    truth = np.zeros((4, 5, 3))
    moved = truth.copy()
    moved[:, 2, 1], moved[:, 3, 0] = 0.003, 0.001
    assert lip_vertex_error(truth, truth) == 0.0
    assert lip_vertex_error(moved, truth) == pytest.approx(3.0)
    with pytest.raises(ValueError, match=r"\(T, V, 3\)"):
        lip_vertex_error(moved, truth[:, :4])


def test_deformation_of_gaussians_on_the_skin():
    generator = np.random.default_rng(0)
    skin = generator.uniform(-0.03, 0.03, (300, 3)) * [1, 1, 0.1]
    opening = np.sin(np.arange(20))[:, None]
    true = np.repeat(skin[None], 20, 0)
    true[:, :, 1] += 0.004 * opening * (skin[:, 1] > 0)
    lips = np.flatnonzero(skin[:, 1] > 0.01)
    weights = np.ones(300)
    right = deformation(true, weights, true, lips)
    assert right.error == pytest.approx(0.0, abs=1e-9)
    assert right.covered == 1.0
    assert right.gaussians == (skin[:, 1] > 0).sum()
    still = deformation(np.repeat(skin[None], 20, 0), weights, true, lips)
    mean = 4.0 * np.abs(opening - opening.mean()).mean()
    assert still.error == pytest.approx(still.standing_still) == pytest.approx(mean, rel=1e-6)
    assert still.lips == pytest.approx(still.lips_still) == pytest.approx(mean, rel=1e-6)
    half = skin + 0.5 * (true - skin)
    assert deformation(half, weights, true, lips).error == pytest.approx(mean / 2, rel=1e-6)
    inverted = skin - (true - skin)
    assert deformation(inverted, weights, true, lips).error == pytest.approx(2 * mean, rel=1e-6)
    assert (right.lips_gain, still.lips_gain) == (pytest.approx(1.0), pytest.approx(0.0))
    assert right.across_still == pytest.approx(mean, rel=1e-6)
    assert right.along_still == pytest.approx(0.0, abs=1e-9)
    deep = true + [0, 0, 0.001] * np.cos(np.arange(20) * np.pi)[:, None, None]  # a tremble no camera in front sees
    found = deformation(deep, weights, true, lips)
    assert found.across == pytest.approx(0.0, abs=1e-9)
    assert found.along == found.error == pytest.approx(1.0, rel=1e-6)
    assert found.lips_gain == pytest.approx(1.0)
    both = np.where(skin[:, 1:2] > 0, deep, true)  # the skin itself moves in the plane and in depth
    moving = deformation(both, weights, both, lips)
    assert (moving.across_still, moving.along_still) == (pytest.approx(mean, rel=1e-6), pytest.approx(1.0, rel=1e-6))
    assert moving.standing_still > mean + 0.1
    with pytest.raises(ValueError, match="within 4 mm"):
        deformation(true + 1.0, weights, true, lips)
    turn = Rotation.from_rotvec([0, 0.3, 0]).as_matrix()
    assert deformation(half @ turn, weights, true @ turn, lips).error == pytest.approx(mean / 2, rel=1e-6)


def test_iou():
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    assert iou(mask, mask) == 1.0
    assert iou(~mask, mask) == 0.0
    assert iou(np.zeros_like(mask), np.zeros_like(mask)) == 1.0
    assert iou(np.full((4, 4), 0.5), mask) == 0.5
    assert iou(mask * 0.49, mask) == 0.0
    with pytest.raises(ValueError, match="one shape"):
        iou(mask, mask[:3])
