"""What a head draws and is told, on random voices, poses and expressions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.inference.talking_head import TalkingHead
from audioplane.motion.own_range import CONTROLS
from tests.strategies import fewer, generators, in_any_layout, layouts, seeds
from tests.tiny_run import awaken, trained


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> TalkingHead:
    trainer = trained("audio_plane", "method.expression=true")
    awaken(trainer)
    return TalkingHead.export(trainer, tmp_path_factory.mktemp("run") / "head.safetensors")


def view_of(head: TalkingHead, generator: np.random.Generator) -> np.ndarray:
    view = head.viewmats[int(generator.integers(len(head.viewmats)))].numpy().copy()
    view[:3, 3] += 0.005 * generator.standard_normal(3).astype(np.float32)
    return view


def code_of(head: TalkingHead, generator: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(generator.standard_normal(head.extras["codes"].shape[1]).astype(np.float32))


def face_of(head: TalkingHead, generator: np.random.Generator) -> np.ndarray:
    """Weights, some of them beyond what the person does."""
    return generator.uniform(-0.5, 1.5, len(head.expression_names)).astype(np.float32)


@fewer
@given(generators, st.integers(12, 60))
def test_a_picture_is_the_head_and_what_is_left_of_the_ground(head, generator, size):
    """It is affine in what lies behind: light that is let through, between none and all; in any layout."""
    code, view, face = code_of(head, generator), view_of(head, generator), face_of(head, generator)
    black = head.render(
        code, view, size=size, expression=face, behind=np.zeros(head.render(code, view, size=size).shape, np.uint8)
    )
    white = head.render(code, view, np.full_like(black, 255), size, expression=face)
    let_through = white.astype(int) - black
    assert let_through.min() >= 0
    behind = generator.integers(0, 256, black.shape, dtype=np.uint8)
    shown = head.render(code, view, behind, size, expression=face)
    assert np.abs(shown - (black + let_through / 255 * behind)).max() <= 1.51  # two numbers were rounded
    for other in layouts(behind):
        assert np.array_equal(head.render(code, view, other, size, expression=face), shown)
    assert np.array_equal(in_any_layout(lambda v: head.render(code, v, behind, size, expression=face), view), shown)


@fewer
@given(generators)
def test_an_expression_beyond_the_person_is_the_farthest_they_go(head, generator):
    face, code = face_of(head, generator), code_of(head, generator)
    own = head.own_range
    assert torch.equal(head.condition(code, 0.0, face).expression, head.condition(code, 0.0, own.clip(face)).expression)
    assert torch.equal(head.condition(code).expression, head.condition(code, 0.0, own.rest).expression)
    moved, same = head.deform(code, 0.0, face), head.deform(code, 0.0, own.clip(face).tolist())
    assert torch.equal(moved.pack(), same.pack())


@fewer
@given(generators, seeds, st.integers(1600, 12_000))
def test_frames_are_renders_of_the_codes_in_order(head, generator, seed, samples):
    voice = (0.1 * generator.standard_normal(samples)).astype(np.float32)
    codes = head.encode(voice)
    count = -(-samples * round(head.fps) // 16_000)
    assert codes.shape == (count, head.extras["codes"].shape[1])
    poses = np.stack([view_of(head, generator) for _ in range(count)])
    faces = head.expressions(voice, "natural", seed, poses)
    assert faces.shape == (count, len(head.expression_names))
    film = list(head.frames(voice, poses, seed=seed, mark=False))
    assert len(film) == count
    for t in (0, count - 1):
        alone = head.render(codes[t], poses[t], time=t / max(count - 1, 1), expression=faces[t])
        assert np.array_equal(film[t], alone)


@fewer
@given(generators, seeds, st.lists(st.floats(-1, 1), min_size=len(CONTROLS), max_size=len(CONTROLS)))
def test_expressions_stay_within_the_person_and_come_back_with_their_seed(head, generator, seed, steer):
    voice = (0.1 * generator.standard_normal(16_000)).astype(np.float32)
    own = head.own_range
    for kind in ("natural", "voice", "none", generator.random((40, 52))):
        found = head.expressions(voice, kind, seed, None, steer)
        assert (found >= own.low - 1e-9).all()
        assert (found <= own.high + 1e-9).all()
        assert np.array_equal(found, head.expressions(voice, kind, seed, None, steer))
    still = head.expressions(voice, "none", seed)
    np.testing.assert_allclose(still, np.tile(own.rest, (len(still), 1)))


@fewer
@given(generators)
def test_the_cloud_of_a_frame_is_finite_and_whole(head, generator):
    cloud = head.deform(code_of(head, generator), float(generator.random()), face_of(head, generator))
    assert len(cloud) == len(head.cloud)
    assert cloud.is_finite()
    assert 0 <= head.moving <= len(cloud)
