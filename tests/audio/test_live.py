"""A voice while it is spoken: what a stream gives, and how far ahead it looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane.audio import live, whisper
from audioplane.audio.activity import RunningActivity
from audioplane.audio.features import Features, last_steps, window_places
from audioplane.audio.live import (
    LOOK_AHEAD,
    WHISPER_AHEAD,
    LiveSteps,
    WhisperStream,
    loudest_so_far,
    spectrogram,
    whisper_states,
)
from audioplane.config import AudioConfig
from audioplane.synthetic.voice import load_voice
from tests.audio.test_whisper import voice

OWN = AudioConfig(features="live")


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of .4 s, so that tests are quick."""
    monkeypatch.setattr(live, "PIECE", 20)


def streamed(stream: WhisperStream | LiveSteps, samples: np.ndarray, piece: int) -> np.ndarray:
    parts = [stream.push(samples[at : at + piece]) for at in range(0, len(samples), piece)]
    return np.concatenate([*parts, stream.end()])


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.23])
@pytest.mark.parametrize("piece", [640, 137, 100_000])
def test_a_stream_gives_what_the_whole_spectrogram_gives(short_pieces, seconds: float, piece: int) -> None:
    samples = voice(seconds)
    padded = np.pad(samples, (0, max(0, 400 - len(samples))))
    mel = spectrogram(padded, 80)
    found = streamed(WhisperStream(whisper.load()), samples, piece)
    np.testing.assert_allclose(found, whisper_states(mel, whisper.load()), atol=2e-4)
    assert len(found) == -(-(len(padded) // 160) // 2)


def test_its_states_are_the_encoders_for_that_piece(short_pieces) -> None:
    """The plain way: each chunk's piece is cut out, levelled and given to the whole encoder by itself."""
    samples = voice(1.0)
    features, mel = whisper.load(), spectrogram(samples, 80)
    found = whisper_states(mel, features)
    for chunk in (0, 3, 12, 24):
        stop = 2 * (2 * chunk + live.CHUNK + live.AHEAD)
        piece = torch.full((2 * live.PIECE, 80), live.NOTHING)
        known = mel[max(0, stop - 2 * live.PIECE) : stop]
        first = max(0, 2 * live.PIECE - stop)
        piece[first : first + len(known)] = known
        loudest = max(float(mel[:stop].max()), live.FIRST_LOUDEST)
        levelled = (piece + min(whisper.LOUDEST - loudest, whisper.MOST_GAIN)).clamp_min(whisper.LOUDEST - 2.0)
        states = features.encoder(levelled[None])[0, -live.AHEAD - live.CHUNK : -live.AHEAD]
        assert features.projection is not None
        expected = torch.nn.functional.linear(states, *features.projection)
        np.testing.assert_allclose(found[2 * chunk : 2 * chunk + 2], expected.numpy(), atol=2e-4)


def test_what_comes_later_changes_nothing_before_the_look_ahead(short_pieces) -> None:
    assert max(WHISPER_AHEAD, LOOK_AHEAD) <= 0.12
    samples = voice(2.0)
    features = Features.fit(OWN, samples)
    for cut in (16_000, 16_133, 16_320, 16_500):
        changed = samples.copy()
        changed[cut:] = 3.0 * voice(2.0, seed=5)[cut:]
        one, other = (streamed(LiveSteps(features), some, 100_000) for some in (samples, changed))
        same = int((cut / 16_000 - LOOK_AHEAD) * 50)
        np.testing.assert_allclose(one[:same], other[:same], atol=1e-4)
        assert np.abs(one[same + 6 :] - other[same + 6 :]).max() > 0.1


def test_a_stream_answers_within_the_look_ahead(short_pieces) -> None:
    samples = voice(2.0)
    stream, given = LiveSteps(Features.fit(OWN, samples)), 0
    for k in range(50):
        given += len(stream.push(samples[640 * k : 640 * (k + 1)]))
        complete = int((640 * (k + 1) / 16_000 - LOOK_AHEAD) * 50 + 1e-9) + 1 if k > 2 else 0
        assert given >= complete - complete % live.CHUNK


def test_features_of_a_whole_voice_are_those_of_a_stream(short_pieces) -> None:
    samples = voice(1.5)
    features = Features.fit(OWN, samples)
    steps = streamed(LiveSteps(features), samples, 640)
    places = window_places(len(steps), 38, 25.0, OWN.window, 0.0, trailing=True)
    np.testing.assert_allclose(features(samples, 25.0), steps[places], atol=1e-3)


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 60.0])
def test_a_window_of_a_live_voice_ends_at_its_frame(fps: float) -> None:
    places = window_places(1000, 200, fps, 16, 0.0, trailing=True)
    assert (last_steps(np.arange(200), fps) == places[:, -1]).all()
    late = (np.arange(200) + 0.5) / fps - places[:, -1] * 0.02
    assert late.min() > -1e-6
    assert late.max() < 0.02
    assert (places[40] == np.arange(places[40, -1] - 15, places[40, -1] + 1)).all()


def test_loudness_so_far_is_a_running_maximum() -> None:
    mel = torch.tensor([[0.0, 0.2], [1.4, 0.1], [0.3, 0.9]])
    assert loudest_so_far(mel, 1.0).tolist() == pytest.approx([1.0, 1.4, 1.4])


def test_some_steps_of_a_spectrogram_are_those_of_the_whole() -> None:
    samples = voice(1.0)
    whole = whisper.log_mel_steps(samples, 80, 0, 100)
    np.testing.assert_allclose(whisper.log_mel_steps(samples, 80, 30, 47), whole[30:47], atol=1e-4)
    np.testing.assert_allclose(spectrogram(samples, 80, 30, 47), (whole[30:47] + 4.0) / 4.0, atol=1e-4)
    loudest = float(whole.max())
    known = np.maximum(whole.numpy(), loudest - 8.0)
    np.testing.assert_allclose(4.0 * whisper.whisper_mel(samples) - 4.0, known, atol=1e-3)


def test_a_live_voice_resembles_the_whole_one() -> None:
    """With one second of past the states are nearly those that look at everything."""
    samples = load_voice("english_a").audio[: 16_000 * 4]
    whole = whisper.load()(samples)
    mel = spectrogram(samples, 80)
    now = whisper_states(mel, whisper.load())
    alike = [np.corrcoef(whole[50:, k], now[50:, k])[0, 1] for k in range(32)]
    assert np.mean(alike) > 0.8


def test_activity_so_far_hears_a_voice_and_no_silence() -> None:
    loud = 0.1 * np.sin(np.arange(16_000))
    samples = np.concatenate([np.zeros(16_000), loud, 1e-3 * loud, np.zeros(16_000)]).astype(np.float32)
    whole, parts = RunningActivity(), RunningActivity()
    whole.push(samples)
    for at in range(0, len(samples), 137):
        parts.push(samples[at : at + 137])
    for one in (whole, parts):
        one.end()
        assert one.known == 201
    np.testing.assert_array_equal(whole.voiced, parts.voiced)
    assert not whole.is_speech(0, 48)
    assert whole.is_speech(48, 52)
    assert whole.voiced[52:99].all()
    assert not whole.is_speech(102, 500)
    assert not whole.is_speech(-30, -1)


def test_augmented_copies_differ_and_follow_from_the_seed(short_pieces) -> None:
    samples = load_voice("english_a").audio[:16_000]
    one, again = (live.augmented_states(samples, whisper.load(), 2, 0.5, 3, None) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert one.shape == (2, 50, whisper.load().channels)
    assert np.abs(one[0] - one[1]).max() > 0.5
    plain = live.augmented_states(samples, whisper.load(), 1, 0.0, 3, None)[0]
    mel = spectrogram(samples, 80)
    states = whisper_states(mel, whisper.load())
    alike = [np.corrcoef(plain[:, k], states[:, k])[0, 1] for k in range(32)]
    assert min(alike) > 0.95, "a copy that is not changed is the voice"
    given = (np.full(states.shape[1], 2.0), np.full(states.shape[1], 3.0))
    scaled = live.augmented_states(samples, whisper.load(), 1, 0.0, 3, given)[0]
    alike = [np.corrcoef(plain[:, k], scaled[:, k])[0, 1] for k in range(32)]
    assert min(alike) > 0.999
    assert np.abs(scaled.mean(axis=0) * 3.0 + 2.0 - states.mean(axis=0)).max() < 0.5, "by what is given"
