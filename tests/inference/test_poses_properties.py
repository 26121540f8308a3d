"""Poses for a new voice, codes of another voice, and compositing, for any clip."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from audioplane.audio.codes import FAMILIAR, close_lips, match_training_statistics
from audioplane.inference.compositing import composite
from audioplane.inference.poses import back_and_forth, natural_poses, typical, yaw_and_pitch
from audioplane.subject.parts import crooked
from tests.strategies import arrays, few, generators, in_any_layout, seeds, torch_generators


def clip(generator: np.random.Generator, count: int) -> np.ndarray:
    views = np.tile(np.eye(4), (count, 1, 1))
    views[:, :3, :3] = Rotation.from_rotvec(0.1 * generator.standard_normal((count, 3))).as_matrix()
    views[:, :3, 3] = [0, 0, 1] + 0.02 * generator.standard_normal((count, 3))
    return views.astype(np.float32)


@few
@given(st.integers(0, 100), st.integers(1, 20))
def test_back_and_forth_goes_step_by_step(count, length):
    found = back_and_forth(count, length)
    assert len(found) == count
    assert ((found >= 0) & (found < length)).all()
    if count > 1:
        assert (np.abs(np.diff(found)) == (length > 1)).all()
    assert list(found[:length]) == list(range(min(count, length))) or length == 1
    if count >= 2 * length - 1:
        assert set(found) == set(range(length))


@few
@given(generators, st.integers(3, 12))  # of two, each is as near their mean
def test_the_typical_pose_is_one_of_the_clips_whatever_their_order(generator, count):
    views = clip(generator, count)
    at = in_any_layout(typical, views)
    assert 0 <= at < count
    order = generator.permutation(count)
    np.testing.assert_allclose(views[order][typical(views[order])], views[at])
    odd = np.concatenate([np.repeat(views[:1], 9, 0), views[1:2]])
    assert typical(odd) < 9, "not the one that strays"


@few
@given(generators, st.integers(2, 30), st.integers(1, 60), seeds, st.floats(0.1, 1.0))
def test_natural_poses_are_rigid_seeded_and_within_the_clips_spread(generator, count, wanted, seed, extent):
    views = clip(generator, count)
    poses = in_any_layout(lambda x: natural_poses(x, wanted, 25.0, seed, extent), views)
    assert poses.shape == (wanted, 4, 4)
    assert poses.dtype == np.float32
    turns = poses[:, :3, :3].astype(np.float64)
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (wanted, 1, 1)), atol=1e-5)
    np.testing.assert_array_equal(poses[:, 3], np.tile([0, 0, 0, 1], (wanted, 1)))
    middle = views[typical(views)].astype(np.float64)
    shift = np.abs(poses[:, :3, 3] - middle[:3, 3])
    assert (shift <= 2 * extent * views[:, :3, 3].std(axis=0) + 1e-5).all()
    np.testing.assert_array_equal(natural_poses(views, wanted, 25.0, seed, extent), poses)
    longer = natural_poses(views, wanted + 5, 25.0, seed, extent)
    np.testing.assert_allclose(longer[:wanted], poses, atol=1e-6)
    still = natural_poses(np.repeat(views[:1], 4, 0), wanted, 25.0, seed)
    np.testing.assert_allclose(still, np.tile(views[0], (wanted, 1, 1)), atol=1e-5)


@few
@given(generators, st.integers(2, 9), st.floats(-20, 20), st.floats(-20, 20))
def test_yaw_and_pitch_are_told_from_the_typical_pose(generator, count, yaw, pitch):
    views = clip(generator, count)
    middle = views[typical(views)]
    np.testing.assert_allclose(yaw_and_pitch(middle[None], views), 0, atol=1e-4)
    turned = middle.astype(np.float64).copy()
    turned[:3, :3] = Rotation.from_rotvec(np.radians([-pitch, -yaw, 0])).as_matrix() @ turned[:3, :3]
    np.testing.assert_allclose(yaw_and_pitch(turned[None], views), [[yaw, pitch]], atol=1e-3)


@few
@given(generators, st.integers(1, 9))
def test_poses_that_are_no_rotation_are_crooked(generator, count):
    views = clip(generator, count)
    assert not in_any_layout(crooked, views).any()
    at = int(generator.integers(count))
    for change in (
        lambda m: m * np.array([1.1, 1, 1, 1])[:, None],
        lambda m: m * np.array([-1, 1, 1, 1])[:, None],
        lambda m: m + np.eye(4)[3][:, None] * 0.5,
        lambda m: m * np.nan,
    ):
        wrong = views.copy()
        wrong[at] = change(views[at])
        np.testing.assert_array_equal(crooked(wrong), np.arange(count) == at)


@few
@given(torch_generators, st.integers(1, 60))
def test_lips_close_where_nobody_speaks_and_nowhere_else(generator, count):
    codes, rest = torch.randn(count, 4, generator=generator), torch.randn(4, generator=generator)
    spoken = np.ones(count, bool)
    assert close_lips(codes, spoken, rest) is codes
    assert close_lips(codes, ~spoken, None) is codes
    torch.testing.assert_close(close_lips(codes, ~spoken, rest), rest.expand(count, 4))
    speech = np.arange(count) < count // 2
    got = close_lips(codes, speech, rest)
    low, high = torch.minimum(codes, rest), torch.maximum(codes, rest)
    assert bool(((got >= low - 1e-5) & (got <= high + 1e-5)).all())
    if count >= 40:
        assert torch.equal(got[:8], codes[:8])
        torch.testing.assert_close(got[-8:], rest.expand(8, 4))


@few
@given(torch_generators, st.integers(1, 400), st.floats(0.2, 3), st.floats(-2, 2))
def test_codes_of_another_voice_are_moved_by_a_line(generator, count, size, shift):
    codes = size * torch.randn(count, 5, generator=generator, dtype=torch.float64) + shift
    got = match_training_statistics(codes)
    assert got.shape == codes.shape
    assert bool(torch.isfinite(got).all())
    before, after = codes.mean(dim=0).abs(), got.mean(dim=0).abs()
    assert bool((after <= 2 * before + 1e-9).all()), "no code is stretched more than twofold"
    if count >= FAMILIAR:
        assert bool((after <= before + 1e-9).all()), "the mean moves towards 0"
    if count > 5:
        order = codes[:, 0].argsort()
        assert bool((got[order, 0].diff() >= -1e-9).all()), "a line: order stays"
        ratio = got.std(dim=0) / codes.std(dim=0)
        torch.testing.assert_close((codes - codes.mean(0)) * ratio, got - got.mean(0), atol=1e-6, rtol=1e-6)


@few
@given(generators, st.integers(1, 9), st.integers(1, 9))
def test_compositing_is_the_formula_rounded(generator, height, width):
    alpha = generator.random((height, width, 1), np.float32)
    rgb = (alpha * generator.random((height, width, 3), np.float32)).astype(np.float32)
    behind = generator.integers(0, 256, (height, width, 3), np.uint8)
    got = in_any_layout(composite, rgb, alpha, behind)
    exact = 255 * rgb.astype(np.float64) + (1 - alpha.astype(np.float64)) * behind
    assert np.abs(got - exact).max() <= 0.5 + 1e-3
    np.testing.assert_array_equal(composite(rgb, alpha[..., 0], behind), got)
    opaque = composite(np.zeros_like(rgb), np.ones_like(alpha), behind)
    assert (opaque == 0).all()
    assert composite(rgb[:0], alpha[:0], behind[:0]).shape == (0, width, 3)


@few
@given(arrays(4, 5, 3, dtype=np.float32))
def test_compositing_nothing_changes_nothing_in_place(rgb):
    behind = np.full((4, 5, 3), 7, np.uint8)
    nothing = np.zeros_like(rgb)
    got = composite(nothing, nothing[..., :1], behind)
    np.testing.assert_array_equal(got, behind)
    assert not np.shares_memory(got, behind)
