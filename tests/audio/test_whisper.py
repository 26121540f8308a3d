from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio import states, whisper
from audioplane.audio.features import Features, count_frames
from audioplane.audio.whisper import Attention, WhisperEncoder, WhisperFeatures, level, whisper_mel
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.synthetic.voice import load_voice

OWN = AudioConfig(features="whisper")


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 16_000)
    knots = np.arange(0, count + 2000, 2000)
    loud = np.maximum(np.interp(np.arange(count), knots, rng.normal(0.3, 1, len(knots))), 0.02)
    return (0.1 * loud * rng.standard_normal(count)).astype(np.float32)


def random_encoder(width: int = 128, blocks: int = 2) -> WhisperEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return WhisperEncoder(80, width, blocks).eval().requires_grad_(False)


def test_log_mel_is_whispers() -> None:
    """By the formula of openai/whisper's `log_mel_spectrogram`, frame by frame."""
    import librosa

    samples = voice(1.0)
    padded = np.pad(samples.astype(np.float64), 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([padded[160 * i : 160 * i + 400] * window for i in range(100)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    log = np.log10(np.maximum(power @ librosa.filters.mel(sr=16_000, n_fft=400, n_mels=80).T, 1e-10))
    expected = (np.maximum(log, log.max() - 8.0) + 4.0) / 4.0
    found = whisper_mel(samples)
    assert found.shape == (100, 80)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_log_mel_in_pieces_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = voice(3.01)
    whole = whisper_mel(samples)
    monkeypatch.setattr(whisper, "MEL_PIECE", 70)
    np.testing.assert_allclose(whisper_mel(samples), whole, atol=1e-5)


def test_attention_is_the_softmax_of_scaled_products() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = Attention(128).requires_grad_(False)
    states = torch.randn(1, 9, 128, generator=torch.Generator().manual_seed(2))
    mixed = []
    for head in range(2):
        part = slice(64 * head, 64 * head + 64)
        query, key, value = (of(states)[0, :, part] for of in (layer.query, layer.key, layer.value))
        mixed.append((query @ key.T / 8.0).softmax(dim=1) @ value)
    torch.testing.assert_close(layer(states)[0], layer.out(torch.cat(mixed, dim=1)), atol=1e-5, rtol=1e-4)


def test_the_encoder_is_transformers(tmp_path: Path) -> None:
    """Random weights in Hugging Face's own implementation, saved to a folder, and read by `audio.model`."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {"d_model": 128, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 512}
    config = transformers.WhisperConfig(**sizes, decoder_layers=1, decoder_attention_heads=2, vocab_size=60_000)
    theirs = transformers.WhisperModel(config).eval()
    theirs.save_pretrained(tmp_path)
    mel = torch.from_numpy(whisper_mel(voice(30.0)))[None]
    with torch.no_grad():
        states = theirs.encoder(mel.transpose(1, 2), output_hidden_states=True).hidden_states
        found = whisper.load(str(tmp_path), 2).encoder(mel)
    torch.testing.assert_close(found, states[2], atol=1e-4, rtol=1e-3)
    own = AudioConfig(features="whisper", model=str(tmp_path), block=3)
    assert Features.fit(own, voice(1.5))(voice(1.5), 25.0).shape == (38, 16, 128)


def test_what_ships_is_small() -> None:
    path = Path(whisper.__file__).with_name(whisper.FILE)
    assert path.stat().st_size < 6_000_000
    assert whisper.load() is whisper.load()
    with pytest.raises(UserError, match="2 blocks"):
        whisper.load("", 3)


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    whisper.load.__wrapped__()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("samples", [1, 300, 8_000, 40_123])
def test_any_length_gives_finite_windows(samples: int) -> None:
    own = voice(3.0)[:samples]
    windows = Features.fit(OWN, own)(own, 25.0, own_voice=True)
    assert windows.shape == (count_frames(np.zeros(samples), 25.0), 16, 128)
    assert windows.dtype == np.float32
    assert np.isfinite(windows).all()


def test_loudness_leaves_no_trace() -> None:
    quiet, loud = (whisper.load()(gain * voice(3.0)) for gain in (0.3, 1.0))
    np.testing.assert_allclose(quiet, loud, atol=0.02)


def test_features_hardly_depend_on_where_pieces_begin() -> None:
    """Half a second more of silence before a voice changes what each piece holds, and where in it."""
    samples = load_voice("english_b").audio[: 40 * 16_000]
    features, delay = whisper.load(), 173  # steps

    def moved_by(own: WhisperFeatures) -> float:
        first = own(samples)
        late = own(np.concatenate([np.zeros(delay * 320, np.float32), samples]).astype(np.float32))[delay:]
        inner = slice(100, 1900)
        return float((first - late)[inner].std() / first[inner].std(axis=0).mean())

    assert moved_by(features) < 0.2
    assert moved_by(WhisperFeatures(features.encoder)) > 0.3, "without the projection they do"


def test_a_sound_is_where_it_is() -> None:
    """What comes later changes nothing far before it, and most in the state at its own time."""
    mel = np.full((600, 80), -0.5, np.float32)
    struck = mel.copy()
    struck[400] = 1.0
    change = np.abs(whisper.load().of_mel(struck) - whisper.load().of_mel(mel)).mean(axis=1)
    assert abs(int(change.argmax()) - 200) <= 1


def test_pieces_are_faded_into_each_other() -> None:
    features = WhisperFeatures(random_encoder())
    mel = level(whisper_mel(voice(32.0)))
    whole = features.of_mel(mel)
    assert whole.shape == (1600, 128)
    steps = np.abs(np.diff(whole, axis=0)).mean(axis=1)
    joints = [k for k in range(1, 4) for k in (500 * k, 500 * k + 250)]
    assert max(steps[k - 1] for k in joints if k < 1590) < 2 * np.quantile(steps, 0.95)


def test_short_recordings_are_standardised_by_the_subject_too() -> None:
    states = np.random.default_rng(0).normal(2.0, 3.0, (400, 5)).astype(np.float32)
    prior = (np.zeros(5), np.ones(5))
    every = np.ones(400, bool)
    own, (mean, spread) = whisper.standardise_states(states, every)
    np.testing.assert_allclose(own.std(axis=0), 1.0, atol=1e-3)
    np.testing.assert_allclose(whisper.standardise_states(states, every, prior)[1][0], 0.8 * mean, rtol=1e-5)
    np.testing.assert_array_equal(whisper.standardise_states(states, every, prior, True)[0], states)
    np.testing.assert_array_equal(whisper.standardise_states(states, ~every, prior)[0], states)
    assert spread.shape == (5,)


@pytest.mark.parametrize("prior_only", [False, True])
def test_a_long_voice_in_pieces_has_the_features_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, prior_only: bool
) -> None:
    samples, before = voice(33.33), 160
    rng = np.random.default_rng(0)
    prior = (rng.normal(0, 1, 128).astype(np.float32), rng.uniform(0.5, 2, 128).astype(np.float32))
    whole, _ = whisper.extract(np.pad(samples, (before, 0)), None, prior, prior_only)
    monkeypatch.setattr(whisper, "MEL_PIECE", 1100)
    monkeypatch.setattr(states, "PIECE", 500)
    monkeypatch.setattr(states, "KEPT", 1)
    steps = whisper.WhisperSteps(samples, whisper.load(), prior, prior_only, before)
    assert len(steps) == len(whole)
    for start, stop in ((0, 10), (0, 600), (490, 1010), (1200, len(whole)), (100, 101), (1499, 1501)):
        found = steps[start:stop]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, whole[start:stop], atol=2e-3)
    assert len(steps._states) <= 3, "not all pieces are kept"
