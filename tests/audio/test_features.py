from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio import features, mel
from audioplane.audio.features import (
    Features,
    count_frames,
    cut_windows,
    half_step,
    load_audio,
    load_deepspeech,
    statistics_size,
)
from audioplane.audio.mel import log_mel
from audioplane.config import AudioConfig
from audioplane.errors import UserError


def tone(seconds: float, rate: int = 16_000, pitch: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int) -> Path:
    import soundfile

    soundfile.write(path, samples, rate)
    return path


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16_000, 2), (44_100, 1), (48_000, 2)])
def test_any_rate_and_channels_are_the_same_sound(rate: int, channels: int, tmp_path: Path) -> None:
    samples = np.stack([tone(0.5, rate)] * channels, axis=1)
    got = load_audio(write(tmp_path / "x.wav", samples, rate))
    assert got.dtype == np.float32
    assert abs(len(got) - 8000) <= 1
    middle = slice(1000, 7000)
    assert np.abs(got[middle] - tone(0.5)[: len(got)][middle]).max() < 0.01


def test_bad_sounds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sound file"):
        load_audio(tmp_path / "none.wav")
    with pytest.raises(UserError, match="empty"):
        load_audio(write(tmp_path / "empty.wav", np.zeros(0, np.float32), 16_000))
    broken = tone(0.1)
    broken[7] = np.nan
    import soundfile

    soundfile.write(tmp_path / "nan.wav", broken, 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match="NaN"):
        load_audio(tmp_path / "nan.wav")
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(UserError, match="cannot be read"):
        load_audio(tmp_path / "text.wav")


def test_frames_cover_the_whole_voice() -> None:
    assert [count_frames(np.zeros(n), 25.0) for n in (1, 640, 641, 16_000, 16_001)] == [1, 1, 2, 25, 26]


@pytest.mark.parametrize("samples", [1, 300, 16_000, 40_123])
def test_every_frame_has_a_finite_window(samples: int) -> None:
    voice = tone(samples / 16_000)[:samples]
    windows = Features.fit(AudioConfig(features="mel"), voice)(voice, 25.0)
    assert windows.shape == (count_frames(np.zeros(samples), 25.0), 16, 64)
    assert np.isfinite(windows).all()


@pytest.mark.parametrize("window", [1, 2, 15, 16])
@pytest.mark.parametrize("fps", [25.0, 24_000 / 1001, 30.0])
def test_windows_lie_around_their_frame(window: int, fps: float) -> None:
    first = -half_step(window) / 320
    times = 0.02 * (np.arange(400) + first)[:, None]
    windows = cut_windows(times, 100, fps, window, first)[20:90, :, 0]
    late = windows.mean(axis=1) - (np.arange(20, 90) + 0.5) / fps
    assert np.abs(late).max() < (1e-9 if fps == 25.0 else 0.01 + 1e-9), "at most half a step off, at 25 fps not at all"
    assert cut_windows(times, 300, fps, window, first).max() == times[-1, 0], "the ends are continued"


class ClickFinder:
    """Stands in for wav2vec2: each state says how large the samples are that it sees, those in its middle most."""

    def __call__(self, samples: torch.Tensor) -> object:
        seen = samples[0].abs().unfold(0, 400, 320) * torch.hann_window(400, periodic=False)
        return type("Answer", (), {"last_hidden_state": seen.sum(dim=1)[None, :, None]})()


@pytest.mark.parametrize("window", [15, 16])
@pytest.mark.parametrize("kind", ["mel", "hubert"])
def test_a_click_in_the_middle_of_a_frame_is_in_the_middle_of_its_window(kind: str, window: int) -> None:
    """What comes as long before the frame as after it must stand as far before the window's middle as after it."""
    frame = 30
    samples = np.zeros(32_000, np.float32)
    for apart in (0, 900):
        samples[round((frame + 0.5) * 640) + apart] = samples[round((frame + 0.5) * 640) - apart] = 1.0
    features = Features.fit(AudioConfig(features=kind, window=window), samples)
    features._network = ClickFinder()
    seen = features(samples, 25.0)[frame].mean(axis=1)
    np.testing.assert_allclose(seen, seen[::-1], atol=0.03 * np.ptp(seen))


def test_deepspeech_steps_lie_around_their_frame(tmp_path: Path) -> None:
    """Step i of its window of 25 ms is centred at i x 20 ms + 12.5 ms."""
    times = 0.02 * np.arange(200, dtype=np.float32)[:, None] + 0.0125
    np.save(tmp_path / "steps.npy", times)
    windows = load_deepspeech(str(tmp_path / "steps.npy"), 90, 16)
    late = windows[20:80].mean(axis=(1, 2)) - (np.arange(20, 80) + 0.5) / 25
    assert np.abs(late).max() < 0.003


def test_a_click_is_seen_where_it_is() -> None:
    samples = np.zeros(32_000, np.float32)
    samples[16_000] = 1.0
    assert abs(int(log_mel(samples, 64).mean(axis=1).argmax()) - 50) <= 1


def test_loudness_leaves_no_trace() -> None:
    generator = np.random.default_rng(0)
    voice = generator.standard_normal(32_000).astype(np.float32) * (1 + np.sin(np.arange(32_000) / 900)).astype(
        np.float32
    )
    config = AudioConfig(features="mel")
    quiet, quieter = (Features.fit(config, level * voice)(level * voice, 25.0) for level in (0.1, 0.01))
    np.testing.assert_allclose(quieter, quiet, atol=0.02)


@pytest.mark.parametrize("normalise", ["voice", "subject"])
@pytest.mark.parametrize("kind", ["mel", "phonetic", "phonetic-causal", "whisper", "whisper-phonetic", "live"])
def test_features_do_not_depend_on_the_order_of_calls(kind: str, normalise: str) -> None:
    config, own = AudioConfig(features=kind, normalise=normalise), tone(2.0)
    others = [tone(1.0, pitch=pitch) for pitch in (200.0, 900.0)]
    forth, back = Features.fit(config, own), Features.fit(config, own)
    first = [forth(voice, 25.0) for voice in (*others, own)]
    second = [back(voice, 25.0) for voice in (own, *others[::-1])]
    for a, b in zip(first, second[::-1][:2] + second[:1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["mel", "phonetic", "whisper", "whisper-phonetic", "live"])
def test_features_that_were_not_fitted_refuse_to_guess(kind: str) -> None:
    with pytest.raises(ValueError, match=r"Features\.fit"):
        Features(AudioConfig(features=kind))(tone(1.0), 25.0)


@pytest.mark.parametrize("kind", ["mel", "phonetic"])
def test_a_subjects_statistics_are_kept(kind: str) -> None:
    features = Features.fit(AudioConfig(features=kind, normalise="subject"), tone(2.0))
    first = features(tone(2.0), 25.0)
    np.testing.assert_array_equal(first, features(tone(2.0), 25.0, own_voice=True))
    np.testing.assert_array_equal(first, Features(features.config, features.statistics)(tone(2.0), 25.0))
    assert features.statistics is not None
    louder = features(10.0 * tone(2.0), 25.0)  # not judged by itself: its log-mel is 20 dB up
    active = louder[..., :64].max(axis=-1) > 1.0
    assert active.any()
    spread = features.statistics[1]
    np.testing.assert_allclose((louder - first)[active][:, :64].max(), (20.0 / spread).max(), rtol=0.05)


@pytest.mark.parametrize("name", ["ACTIVE_DB", "RANGE_DB"])
def test_every_threshold_of_the_spectrogram_has_an_effect(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    steps = generator.uniform(-90.0, 0.0, (200, 8)) * np.linspace(0, 1, 200)[:, None]
    before = mel.standardise(steps)[0]
    monkeypatch.setattr(mel, name, 0.5 * getattr(mel, name))
    assert np.abs(mel.standardise(steps)[0] - before).max() > 0.01
    assert not hasattr(mel, "FLOOR_DB"), "it had none"


@pytest.mark.parametrize("normalise", ["voice", "subject"])
def test_features_beside_each_other_are_those_that_they_are_alone(normalise: str) -> None:
    own, other = tone(2.0), tone(1.3, pitch=250.0)
    both, *alone = (
        Features.fit(AudioConfig(features=kind, normalise=normalise), own)
        for kind in ("whisper-phonetic", "whisper", "phonetic")
    )
    for voice, is_own in ((own, True), (other, False)):
        first, second = (features(voice, 25.0, own_voice=is_own) for features in alone)
        np.testing.assert_array_equal(both(voice, 25.0, own_voice=is_own), np.concatenate([first, second], axis=2))
    again = Features(both.config, both.statistics)
    np.testing.assert_array_equal(both(other, 25.0), again(other, 25.0))
    assert both.statistics is not None
    assert statistics_size(both.config, both(other, 25.0).shape[-1]) == len(both.statistics[0])


@pytest.mark.parametrize("kind", ["whisper", "whisper-phonetic", "phonetic"])
def test_windows_of_a_long_voice_are_those_of_a_call(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from audioplane.audio import features as module

    voice = (0.1 * np.random.default_rng(0).standard_normal(60_123)).astype(np.float32)
    features = Features.fit(AudioConfig(features=kind), tone(2.0))
    whole = features(voice, 25.0)
    monkeypatch.setattr(module, "LONG", 50)
    lazy = features.windows(voice, 25.0)
    assert isinstance(lazy, module.LazyWindows)
    assert len(lazy) == len(whole)
    for frames in (torch.arange(len(whole)), torch.tensor([3, 4, 5]), torch.tensor([len(whole) - 1])):
        np.testing.assert_allclose(lazy[frames].numpy(), whole[frames.numpy()], atol=1e-4)


def test_deepspeech_files(tmp_path: Path) -> None:
    windows = np.random.default_rng(0).standard_normal((10, 16, 29)).astype(np.float32)
    np.save(tmp_path / "aud_ds.npy", windows)
    got = load_deepspeech(str(tmp_path / "aud_ds.npy"), 12, 16)
    assert got.shape == (12, 16, 29)
    np.testing.assert_array_equal(got[:10], windows)
    np.testing.assert_array_equal(got[11], windows[9])
    np.save(tmp_path / "flat.npy", windows[:, 0])
    assert load_deepspeech(str(tmp_path / "flat.npy"), 5, 16).shape == (5, 16, 29)
    np.save(tmp_path / "odd.npy", windows[:, :7])
    with pytest.raises(UserError, match=r"\(T, 16, C\)"):
        load_deepspeech(str(tmp_path / "odd.npy"), 5, 16)
    with pytest.raises(UserError, match=r"audio\.model"):
        load_deepspeech("", 5, 16)


@pytest.mark.parametrize("seconds", [0.03, 1.0, 45.3])
def test_networks_are_run_in_pieces_that_join(seconds: float) -> None:
    """A stand-in that answers each 20 ms with its mean: pieces must join to what one pass gives."""

    class Network:
        def __call__(self, samples: torch.Tensor) -> object:
            steps = samples.shape[1] // 320
            states = torch.arange(steps, dtype=torch.float32)[None, :, None].expand(1, steps, 3)
            return type("Answer", (), {"last_hidden_state": states})()

    features = Features(AudioConfig(features="hubert"))
    features._network = Network()
    windows = features(np.random.default_rng(0).standard_normal(int(seconds * 16_000)).astype(np.float32), 25.0)
    assert windows.shape == (count_frames(np.zeros(int(seconds * 16_000)), 25.0), 16, 3)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_a_tiny_network_from_a_folder(kind: str, tmp_path: Path) -> None:
    """The path that real weights take, with random ones: saved, loaded by audio.model, 20 ms a step."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "conv_dim": (8,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    }
    family = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}[kind]
    config = getattr(transformers, f"{family}Config")(**sizes)
    getattr(transformers, f"{family}Model")(config).save_pretrained(tmp_path / kind)
    windows = Features(AudioConfig(features=kind, model=str(tmp_path / kind)))(tone(1.5), 25.0)
    assert windows.shape == (38, 16, 16)
    assert np.isfinite(windows).all()


def test_missing_transformers_is_said() -> None:
    try:
        import transformers  # type: ignore[import-not-found] # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="pip install transformers"):
            Features(AudioConfig(features="wav2vec2"))(tone(0.5), 25.0)


@pytest.mark.parametrize("normalise", ["voice", "subject"])
@pytest.mark.parametrize("kind", ["mel", "phonetic", "whisper", "whisper-phonetic"])
def test_windows_of_a_long_voice_are_cut_when_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, kind: str, normalise: str
) -> None:
    rng = np.random.default_rng(1)
    loud = np.interp(np.arange(12 * 16_000), np.arange(0, 13 * 16_000, 3000), np.abs(rng.normal(0.1, 0.2, 70)))
    samples = (loud * rng.standard_normal(len(loud))).clip(-1, 1).astype(np.float32)
    own = Features.fit(AudioConfig(features=kind, normalise=normalise), samples[: 5 * 16_000])
    whole = own(samples, 25.0)
    monkeypatch.setattr(features, "LONG", 300)
    found = own.windows(samples, 25.0)
    assert isinstance(found, features.LazyWindows)
    assert len(found) == len(whole)
    for frames in (torch.arange(300), torch.arange(137, 290), torch.tensor([0, 0, 1])):
        np.testing.assert_allclose(found[frames].numpy(), whole[frames.numpy()], atol=5e-3)
