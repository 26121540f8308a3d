"""The built-in scorer on a person it never met, and that it can be trained anew to the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane.metrics.sync import shift_distances
from audioplane.metrics.syncnet.scorers import Scorer
from audioplane.pretrained.syncnet import data, examine, training
from audioplane.subject.phonemes import sounds
from audioplane.synthetic.articulation_targets import target


@pytest.fixture(scope="module")
def stranger() -> data.Mouth:
    """Three seconds of a face, a voice and words that were held out."""
    return data.film(data.FIRST_FOR_TESTS + 77, data.shipped("english_drive", 4.0, 3.0))


def test_a_mouth_is_what_it_says(stranger):
    assert stranger.frames.shape == (75, data.PIXELS, data.PIXELS)
    assert stranger.audio.shape == (48_000,)
    assert stranger.frames.std() > 10
    assert np.ptp(stranger.landmarks[:, 66, 1] - stranger.landmarks[:, 62, 1]) > 1.0, "the mouth opens"
    lips = stranger.landmarks[:, 48:68]
    assert (lips > 0).all()
    assert (lips < data.PIXELS).all()


def test_the_built_in_scorer_tells_a_stranger_in_time_from_late(stranger):
    scorer = Scorer.built_in()
    count = scorer.count(len(stranger.frames), len(stranger.audio))
    frames = np.repeat(stranger.frames[..., None], 3, axis=3)
    visual, sounds = scorer.embed_frames(frames, stranger.landmarks)[:count], scorer.embed_audio(stranger.audio, count)
    found = scorer.score(visual, sounds)
    assert abs(found.offset) <= 1
    curve = np.array(found.curve)
    assert found.at_zero < curve[[10, 20]].min() - 0.1
    late = scorer.score(visual[:-4], sounds[4:])
    assert abs(late.offset - 4) <= 1
    noise = scorer.embed_audio(stranger.audio[::-1].copy(), count)
    assert shift_distances(visual, noise, 0).mean() > found.at_zero + 0.1


def test_training_learns_and_repeats_itself(stranger):
    settings = training.Settings(steps=6, clips=2, windows=8, rate=1e-3)
    first, second = (training.train([stranger], settings) for _ in range(2))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    other = training.train([stranger], training.Settings(steps=6, clips=2, windows=8, rate=1e-3, seed=1))
    assert not torch.equal(first.netfcaud[0].weight, other.netfcaud[0].weight)


def test_the_loss_prefers_the_right_partner():
    codes = torch.nn.functional.normalize(torch.randn(24, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    sharp = torch.tensor(20.0)
    right, hits = training.contrast(codes, codes, sharp, windows=8)
    wrong, misses = training.contrast(codes, codes.roll(1, 0), sharp, windows=8)
    assert right < 0.1 < 3.0 < wrong
    assert hits == 1.0
    assert misses == 0.0


def test_seconds_are_cut_apart():
    means = examine.window_means(np.arange(60.0)[:, None])
    assert means[:, 0].tolist() == [10.0, 35.0]


def test_voices_that_ship_are_never_learnt_from():
    from audioplane.synthetic.voice.make import RECIPES

    learnt = {
        f"{voice}+{variant}" for voices, _ in data.LANGUAGES.values() for voice in voices for variant in data.VARIANTS
    }
    assert not learnt & {recipe.espeak for recipe in RECIPES.values()}
    assert training.Settings().people < data.FIRST_FOR_TESTS


def test_every_sound_of_a_made_voice_has_an_articulation():
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed")
    # The first three are Scots, who say letters that no shipped voice has.
    for script in data._speak_all([16, 28, 54, 3], training.Settings().seconds):
        assert len(script.phonemes) > 10
        for phoneme in script.phonemes:
            for sound in sounds(phoneme):
                assert np.isfinite(target(sound)).all()


@pytest.mark.slow
def test_made_voices_are_the_same_every_time():
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed")
    first, second = (data._made("test", [3], lambda: [data.shipped("english_a", 0.0, 2.0)], 1, print) for _ in range(2))
    np.testing.assert_array_equal(first[0].frames, second[0].frames)
