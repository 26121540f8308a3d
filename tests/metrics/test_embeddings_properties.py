"""The lip-sync network's codes, and mouths in metres: one of a batch is one alone, units and place do not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.errors import UserError
from audioplane.metrics.mouth import MOUTH, MouthFrame, opening
from audioplane.metrics.syncnet.network import COMPACT
from audioplane.metrics.syncnet.scorers import PIECE, Scorer
from tests.strategies import arrays, few, fewer, generators, in_any_layout, torch_generators


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.built_in()


@few
@given(arrays(st.integers(1, 6), 68, 2, high=200), generators, st.floats(0.2, 5), st.floats(-50, 50))
def test_mouths_in_metres_know_neither_the_pictures_size_nor_the_heads_place(landmarks, generator, size, shift):
    centres, scale = 100 * generator.random((len(landmarks), 2)), generator.uniform(300, 900, len(landmarks))
    place = MouthFrame(centres, scale)
    found = in_any_layout(place.to_metres, landmarks)
    other = MouthFrame(size * centres + shift, size * scale)
    np.testing.assert_allclose(other.to_metres(size * landmarks + shift), found, atol=1e-9)
    np.testing.assert_allclose(found * scale[:, None, None] + centres[:, None], landmarks[:, MOUTH])
    np.testing.assert_allclose(opening(found) * scale, opening(landmarks), rtol=1e-5)


@fewer
@given(torch_generators, st.integers(1, 5))
def test_codes_lie_on_the_sphere_and_each_window_is_its_own(scorer, generator, count):
    pictures = 255 * torch.rand(count, 1, 5, COMPACT.pixels, COMPACT.pixels, generator=generator)
    sounds = 10 * torch.randn(count, 1, 13, 20, generator=generator)
    with torch.no_grad():
        for embed, windows in ((scorer.network.embed_frames, pictures), (scorer.network.embed_audio, sounds)):
            codes = embed(windows)
            torch.testing.assert_close(codes.norm(dim=1), torch.ones(count))
            torch.testing.assert_close(embed(windows[-1:]), codes[-1:], atol=1e-5, rtol=1e-4)
            order = torch.randperm(count, generator=generator)
            torch.testing.assert_close(embed(windows[order]), codes[order], atol=1e-5, rtol=1e-4)
        brighter = scorer.network.embed_frames(0.5 * pictures + 40)
        assert (brighter * scorer.network.embed_frames(pictures)).sum(dim=1).min() > 0.95, "light hardly matters"


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, landmarks and sound of more windows than one batch holds."""
    generator, count = np.random.default_rng(0), PIECE + 12
    face = np.stack(np.meshgrid(np.linspace(20, 76, 17), np.linspace(30, 80, 4)), -1).reshape(68, 2)
    landmarks = face + generator.uniform(-1, 1, (count, 1, 2))
    return (
        generator.integers(0, 256, (count, 96, 96, 3)).astype(np.uint8),
        landmarks,
        generator.standard_normal(640 * count),
    )


def test_codes_of_a_clip_are_those_of_its_windows(scorer: Scorer, clip: tuple[np.ndarray, ...]) -> None:
    frames, landmarks, sound = clip
    codes = scorer.embed_frames(iter(frames), landmarks)
    assert codes.shape == (len(frames) - 4, COMPACT.code)
    heard = scorer.embed_audio(sound, 40)
    assert heard.shape == (40, COMPACT.code)
    later = scorer.embed_audio(sound[4 * 640 :], 30)
    np.testing.assert_allclose(later[1:], heard[5:34], atol=1e-4)  # a window moves with its sound, but for the start
    np.testing.assert_allclose(scorer.embed_audio(sound.astype(np.float32), 40), heard, atol=1e-4)
    with pytest.raises(UserError, match=r"the sound ends .* before the pictures"):
        scorer.embed_audio(sound, len(frames) + 10)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_clip_of_less_than_a_window_has_no_codes_and_is_told_short(
    scorer: Scorer, clip: tuple[np.ndarray, ...], count: int
) -> None:
    frames, landmarks, sound = clip
    codes = scorer.embed_frames(iter(frames[:count]), landmarks[:count])
    heard = scorer.embed_audio(sound, scorer.count(count, 640 * count))
    assert codes.shape == heard.shape == (0, COMPACT.code)
    with pytest.raises(UserError, match="a clip of 2 s or more"):
        scorer.score(codes, heard)
