"""What stands around a head: codes' statistics, closed lips, faces put into frames, poses by name and turned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from audioplane.audio.codes import code_statistics, match_training_statistics
from audioplane.errors import UserError
from audioplane.inference.compositing import composite, composite_plain
from audioplane.inference.drawing import host
from audioplane.inference.export import rest_code
from audioplane.inference.expressions import filmed
from audioplane.inference.portrait import put_face
from audioplane.inference.poses import filmed_range, named, turned_about, typical, yaw_and_pitch
from audioplane.motion.own_range import OwnRange
from audioplane.subject import blendshapes
from tests.strategies import arrays, few, generators, in_any_layout, seeds, torch_generators


def views(generator: np.random.Generator, count: int) -> np.ndarray:
    """Camera-from-head poses (count, 4, 4) of a head that turns a little."""
    found = np.tile(np.eye(4), (count, 1, 1))
    found[:, :3, :3] = Rotation.from_rotvec(0.1 * generator.standard_normal((count, 3))).as_matrix()
    found[:, :3, 3] = [0, 0, 0.6] + 0.01 * generator.standard_normal((count, 3))
    return found.astype(np.float32)


def faces(generator: np.random.Generator, count: int) -> np.ndarray:
    """Landmarks (count, 68, 2) of one face whose lips open by what comes second, pixels."""
    face = np.tile(40 * generator.standard_normal((68, 2)), (count, 1, 1))
    face[:, [61, 62, 63]], face[:, [67, 66, 65]] = face[:, [61, 62, 63]], face[:, [61, 62, 63]]
    face[:, [67, 66, 65], 1] += generator.permutation(count)[:, None] + 1.0
    return face


# Codes


@few
@given(torch_generators, st.integers(2, 40), st.floats(0.2, 4), st.floats(-3, 3))
def test_statistics_of_codes_move_with_them_and_know_no_order(generator, count, size, shift):
    codes = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    mean, spread = code_statistics(codes)
    torch.testing.assert_close(code_statistics(size * codes + shift), torch.stack([size * mean + shift, size * spread]))
    order = torch.randperm(count, generator=generator)
    torch.testing.assert_close(code_statistics(codes[order]), torch.stack([mean, spread]))
    np.testing.assert_allclose(spread, codes.numpy().std(axis=0))
    own = match_training_statistics(codes, trained=torch.stack([mean, spread]))
    torch.testing.assert_close(own.mean(dim=0), mean, atol=1e-6, rtol=1e-6)  # its own voice is told as it was
    torch.testing.assert_close(own.std(dim=0, unbiased=False), spread, atol=1e-6, rtol=1e-6)


@few
@given(generators, torch_generators, st.integers(10, 60), st.floats(0.5, 3))
def test_the_code_of_closed_lips_is_of_the_frames_whose_lips_are_closest(generator, torch_generator, count, size):
    landmarks, codes = faces(generator, count), torch.randn(count, 4, generator=torch_generator)
    found = rest_code(codes, landmarks)
    assert found is not None
    gap = landmarks[:, 66, 1] - landmarks[:, 62, 1]
    closed = gap <= np.quantile(gap, 0.1)
    torch.testing.assert_close(found, codes[torch.from_numpy(closed)].mean(dim=0))
    turn = size * np.array([[0.8, -0.6], [0.6, 0.8]])
    again = rest_code(codes, landmarks @ turn.T + generator.standard_normal((count, 1, 2)))
    assert again is not None
    torch.testing.assert_close(again, found)
    assert rest_code(codes, np.full_like(landmarks, np.nan)) is None


# Pictures


@few
@given(generators, st.integers(1, 12), st.integers(1, 12))
def test_both_ways_to_lay_a_head_over_a_picture_agree(generator, height, width):
    alpha = generator.random((height, width, 1)).astype(np.float32)
    rgb = (alpha * generator.random((height, width, 3))).astype(np.float32)
    behind = generator.integers(0, 256, (height, width, 3)).astype(np.uint8)
    plain = composite_plain(*map(torch.from_numpy, (rgb, alpha, behind)))
    assert np.abs(composite(rgb, alpha, behind).astype(int) - plain.numpy()).max() <= 1  # a half may round either way
    nothing = composite_plain(torch.zeros(height, width, 3), torch.zeros(height, width, 1), torch.from_numpy(behind))
    assert np.array_equal(host(nothing), behind)
    assert host(behind) is behind


@few
@given(generators, st.integers(8, 40), st.sampled_from(["face", "mask"]), st.sampled_from([np.uint8, np.float32]))
def test_a_face_is_put_where_it_is_and_nowhere_else(generator, side, edge, dtype):
    top = 255 if dtype == np.uint8 else 1
    picture, frame = (top * generator.random((2, side, side, 3))).astype(dtype)
    region = generator.random((side, side)) < 0.5
    region[:, side // 2 :] = False
    made = in_any_layout(lambda *given: put_face(given[0], given[1], given[2], edge), picture, frame, region)
    assert made.dtype == dtype
    assert np.array_equal(made[:, side // 2 + 5 :], frame[:, side // 2 + 5 :])  # the edge's blur reaches no farther
    assert np.array_equal(put_face(picture, frame, np.zeros_like(region), edge), frame)
    for flip in (slice(None), slice(None, None, -1)):
        turned = [np.ascontiguousarray(x[flip]) for x in (picture, frame, region)]
        tolerance = 1 if dtype == np.uint8 else 1e-5
        np.testing.assert_allclose(put_face(*turned, edge).astype(float), made[flip].astype(float), atol=tolerance)  # type: ignore[arg-type]
    same = put_face(frame, frame, region, "mask")
    assert np.array_equal(same, frame)
    if edge == "mask":
        whole = put_face(picture, frame, np.ones_like(region), edge)
        np.testing.assert_allclose(whole.astype(float), picture.astype(float), atol=1e-6)
    else:
        assert np.array_equal(made[~region], frame[~region])


# Poses


@few
@given(generators, st.integers(2, 20), st.floats(-40, 40), st.floats(-25, 25))
def test_a_turned_pose_is_turned_by_that_about_the_heads_middle(generator, count, yaw, pitch):
    seen = views(generator, count)
    at = seen[typical(seen)]
    turned = in_any_layout(lambda x: turned_about(x, yaw), at)
    np.testing.assert_allclose(yaw_and_pitch(turned[None], seen)[0], [yaw, 0], atol=1e-3)
    np.testing.assert_allclose(yaw_and_pitch(turned_about(at, 0, pitch)[None], seen)[0], [0, pitch], atol=1e-3)
    np.testing.assert_allclose(turned_about(turned, -yaw), at, atol=1e-5)
    both = turned_about(at, yaw, pitch)
    np.testing.assert_allclose(both[:3, :3] @ both[:3, :3].T, np.eye(3), atol=1e-5)
    assert np.linalg.det(both[:3, :3]) > 0
    assert np.array_equal(both[:, 3], at[:, 3])
    angles = yaw_and_pitch(seen, seen)
    limits = filmed_range(seen)
    assert np.array_equal(limits, np.stack([angles.min(axis=0), angles.max(axis=0)], axis=1))
    assert np.array_equal(filmed_range(seen[generator.permutation(count)]), limits)
    assert ((limits[:, 0] <= 1e-4) & (limits[:, 1] >= -1e-4)).all()


@few
@given(generators, st.integers(1, 30), st.integers(1, 6), st.integers(1, 6), seeds, st.booleans())
def test_poses_by_name_are_as_many_as_asked_and_of_the_clip(generator, count, filmed_count, tested, seed, can_turn):
    seen, held_out = views(generator, filmed_count), views(generator, tested)
    for name in ("test", "still", "natural"):
        poses, torsos = named(name, count, 25.0, seed, seen, held_out, can_turn)
        assert poses.shape == (count, 4, 4)
        assert torsos.shape == (count,)
        again, _ = named(name, count, 25.0, seed, seen, held_out, can_turn)
        assert np.array_equal(again, poses)
        if name == "test":
            assert np.array_equal(poses, held_out[torsos - 1])
            assert (np.abs(np.diff(torsos)) <= 1).all()
        else:
            assert not torsos.any()
        if name == "still":
            assert np.array_equal(poses, np.tile(seen[typical(seen)], (count, 1, 1)))
    with pytest.raises(UserError, match="held-out clip"):
        named("test", count, 25.0, seed, seen, held_out[:0])
    with pytest.raises(UserError, match="test, still, natural"):
        named("wild", count, 25.0, seed, seen, held_out)


CONSTANT = np.array(
    [
        [0.42639901, 0.00217691, 0.38673857, 0.90741031],
        [0.43325252, 0.24372823, 0.98795883, 0.06885777],
        [0.94294377, 0.78023388, 0.02596965, 0.04053621],
    ]
)  # once the blink is taken out, a control is the same in every frame


@few
@example(CONSTANT, 25.0)
@given(arrays(st.integers(3, 30), 4), st.sampled_from([25.0, 30.0, 50.0]))
def test_the_filmed_expression_comes_back_in_its_columns(track, fps):
    names = ("eyeBlinkLeft", "browInnerUp", "eyeLookUpLeft", "eyeBlinkRight")
    own = OwnRange.fit(track, names)
    found = filmed(own, torch.from_numpy(track), fps, fps)
    columns = [blendshapes.index(name) for name in names]
    np.testing.assert_allclose(found[:, columns], track, atol=1e-9)
    assert found.shape == (len(track), blendshapes.COUNT)
    assert not np.delete(found, columns, axis=1).any()
    assert abs(len(filmed(own, torch.from_numpy(track), fps, 2 * fps)) - 2 * len(track)) <= 1
    still = OwnRange.fit(np.zeros_like(track), names)
    for head in ((None, torch.from_numpy(track)), (own, None), (still, torch.from_numpy(track))):
        with pytest.raises(UserError, match="trained without an expression"):
            filmed(*head, fps, fps)
