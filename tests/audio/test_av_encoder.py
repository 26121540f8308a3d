"""The audio-visual encoder: its spectrogram against librosa, long voices against whole ones, damaged files."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from audioplane.audio import av_encoder, states
from audioplane.audio.features import Features, statistics_size
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.synthetic.voice import load_voice

SHIPPED = Path(av_encoder.__file__).with_name(av_encoder.FILE)


def voice(seconds: float, name: str = "english_drive") -> np.ndarray:
    return load_voice(name).audio[: int(seconds * 16_000)].copy()


def plain_window(samples: np.ndarray, step: int) -> np.ndarray:
    """The window of one step, column by column: (BANDS, COLUMNS)."""
    long = np.pad(samples.astype(np.float64), 4000)
    emphasised = np.append(long[0], long[1:] - 0.97 * long[:-1])
    filters = librosa.filters.mel(sr=16_000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    columns = []
    for place in range(16):
        middle = 4000 + 320 * step + round(200 * (place - 7.5))
        seen = emphasised[middle - 400 : middle + 400] * np.hanning(801)[:-1]
        decibels = 20 * np.log10(np.maximum(filters @ np.abs(np.fft.rfft(seen)), 1e-5)) - 20
        columns.append(np.clip(8 * (decibels + 100) / 100 - 4, -4, 4))
    return np.array(columns).T


@pytest.mark.parametrize("before", [0, 160])
def test_windows_are_those_of_the_plain_spectrogram(before: int) -> None:
    samples = voice(1.3)
    count = av_encoder.count_steps(len(samples) + before)
    found = av_encoder.spectrogram_windows(samples, 0, count, before)
    assert found.shape == (count, 80, 16)
    padded = np.pad(samples, (before, 0))
    for step in (0, 1, 7, 30, count - 2, count - 1):
        np.testing.assert_allclose(found[step].numpy(), plain_window(padded, step), atol=2e-4)
    torch.testing.assert_close(av_encoder.spectrogram_windows(samples, 20, 33, before), found[20:33])


def test_silence_is_the_floor() -> None:
    assert (av_encoder.spectrogram_windows(np.zeros(3200, np.float32), 0, 5) == -4).all()


@pytest.mark.parametrize("prior_only", [False, True])
def test_a_long_voice_in_pieces_has_the_features_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, prior_only: bool
) -> None:
    samples, before = voice(9.0), 160
    rng = np.random.default_rng(0)
    prior = (rng.normal(0, 1, 512).astype(np.float32), rng.uniform(0.5, 2, 512).astype(np.float32))
    whole, _ = av_encoder.extract(np.pad(samples, (before, 0)), None, prior, prior_only)
    monkeypatch.setattr(states, "PIECE", 150)
    monkeypatch.setattr(states, "KEPT", 1)
    steps = av_encoder.LongVoice(samples, None, prior, prior_only, before)
    assert len(steps) == len(whole) == 451
    for start, stop in ((0, 10), (0, 200), (140, 310), (449, 451), (100, 101)):
        np.testing.assert_allclose(steps[start:stop], whole[start:stop], atol=2e-3)


def test_features_of_a_frame_hardly_depend_on_what_is_far_away() -> None:
    samples = voice(4.0)
    own = Features.fit(AudioConfig(features="av", window=8), samples)
    whole = own(samples, 25.0, own_voice=True)
    assert whole.shape == (100, 8, 512)
    changed = samples.copy()
    changed[:16_000] = 0.0
    moved = own(changed, 25.0, own_voice=True)
    np.testing.assert_allclose(moved[40:], whole[40:], atol=1e-4)
    assert np.abs(moved[5:20] - whole[5:20]).max() > 0.5
    assert own.statistics is not None
    assert len(own.statistics[0]) == statistics_size(own.config, 512) == 512


def test_a_voice_is_heard_alike_at_other_levels() -> None:
    """Standardised by the voice, a quieter recording has similar codes; another moment's are far away."""
    samples = voice(8.0)
    loud, _ = av_encoder.extract(samples)
    quiet, _ = av_encoder.extract(0.4 * samples)
    alike = [float(np.corrcoef(loud[k], quiet[k])[0, 1]) for k in range(50, 350, 10)]
    apart = [float(np.corrcoef(loud[k], quiet[k + 40])[0, 1]) for k in range(50, 350, 10)]
    assert np.mean(alike) > np.mean(apart) + 0.4


@pytest.mark.parametrize("damage", ["missing", "shape", "scale", "nan", "empty"])
def test_other_files_end_in_a_sentence(damage: str, tmp_path: Path) -> None:
    path, stored = tmp_path / "av.safetensors", load_file(SHIPPED)
    name = "convolutions.3.weight"
    if damage == "missing":
        del stored["convolutions.5.bias"]
    elif damage == "shape":
        stored[name] = stored[name][:, :1].contiguous()
    elif damage == "scale":
        stored[f"{name}.scale"] = stored[f"{name}.scale"][:1].contiguous()
    elif damage == "nan":
        stored["convolutions.3.bias"][0] = float("nan")
    save_file(stored, path)
    if damage == "empty":
        path.write_bytes(b"")
    with pytest.raises(UserError, match="train-av") as caught:
        av_encoder.load(path)
    assert "\n" not in str(caught.value)
