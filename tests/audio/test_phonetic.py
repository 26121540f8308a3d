import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio import phonetic
from audioplane.audio.augmentation import augment_spectrogram, mask_spectrogram, stretch
from audioplane.audio.features import Features, count_frames, load_audio
from audioplane.audio.mel import log_mel
from audioplane.audio.phonetic import (
    AHEAD,
    BANDS,
    CLASSES,
    LOOK_AHEAD,
    REACH,
    TRACKS,
    VISEMES,
    PhoneticNetwork,
    Stream,
)
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.metrics.mouth import correlation

KINDS = ("phonetic", "phonetic-causal")
CHANNELS = BANDS + phonetic.EMBEDDING + len(TRACKS)


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes, nearly to silence: all a network needs to be busy."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 16_000)
    knots = np.arange(0, count + 2000, 2000)
    level = np.maximum(np.interp(np.arange(count), knots, rng.normal(0.3, 1, len(knots))), 0.02)
    return (0.1 * level * rng.standard_normal(count)).astype(np.float32)


def network(variant: str) -> PhoneticNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = PhoneticNetwork(variant).eval().requires_grad_(False)
    made.usual[0], made.usual[1] = -10.0, 12.0
    return made


def test_the_file_that_ships_is_small_and_holds_both() -> None:
    path = Path(phonetic.__file__).with_name(phonetic.FILE)
    assert path.stat().st_size < 4_000_000
    assert set(phonetic.shipped()) == {"centred", "causal"}
    assert phonetic.shipped() is phonetic.shipped()


def test_every_class_has_one_viseme() -> None:
    grouped = [name for group in VISEMES.values() for name in group]
    assert sorted(grouped) == sorted(CLASSES)
    letters = "".join(CLASSES)
    assert len(set(letters)) == len(letters)


def own_windows(kind: str, samples: np.ndarray) -> np.ndarray:
    """Features of a voice by its own statistics."""
    return Features.fit(AudioConfig(features=kind), samples)(samples, 25.0, own_voice=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 300, 8_000, 40_123])
def test_any_length_gives_finite_windows(kind: str, samples: int) -> None:
    windows = own_windows(kind, voice(3.0)[:samples])
    assert windows.shape == (count_frames(np.zeros(samples), 25.0), 16, CHANNELS)
    assert windows.dtype == np.float32
    assert np.isfinite(windows).all()


@pytest.mark.parametrize("kind", KINDS)
def test_silence_gives_finite_features(kind: str) -> None:
    windows = own_windows(kind, np.zeros(16_000, np.float32))
    assert np.isfinite(windows).all()


@pytest.mark.parametrize("kind", KINDS)
def test_loudness_leaves_no_trace(kind: str) -> None:
    quiet, loud = (own_windows(kind, gain * voice(3.0)) for gain in (0.2, 1.0))
    np.testing.assert_allclose(quiet, loud, atol=0.05)


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_other_sample_rates(rate: int, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "x.wav", voice(3.0)[: 2 * rate], rate)
    found, _ = phonetic.extract(load_audio(tmp_path / "x.wav"))
    np.testing.assert_allclose(found.posteriors.sum(axis=1), 1.0, atol=1e-4)


def test_log_mel_comes_first_and_is_the_one_of_mel() -> None:
    found, with_mel = (own_windows(kind, voice(2.0)) for kind in ("phonetic", "mel"))
    np.testing.assert_array_equal(found[..., :BANDS], with_mel)


@pytest.mark.parametrize("variant", ["centred", "causal"])
def test_no_network_sees_further_ahead_than_it_says(variant: str) -> None:
    own, mel = network(variant), torch.randn(200, BANDS, generator=torch.Generator().manual_seed(0)).numpy()
    changed = mel.copy()
    changed[120] += 3.0
    one, other = own.predict(mel).embedding, own.predict(changed).embedding
    found = np.flatnonzero(np.abs(one - other).max(axis=1) > 1e-6)
    assert found[0] == 120 - AHEAD[variant]
    assert found[-1] <= 120 + (REACH if variant == "centred" else phonetic.PAST)


def test_what_comes_later_changes_nothing_before_the_look_ahead() -> None:
    assert LOOK_AHEAD <= 0.12
    samples = voice(3.0)
    changed = samples.copy()
    changed[32_000:] = 3.0 * voice(3.0, seed=5)[32_000:]
    one, other = (phonetic.extract(s, network=network("causal"))[0].features for s in (samples, changed))
    same = int((32_000 / 16_000 - LOOK_AHEAD) * 50)
    np.testing.assert_array_equal(one[:same], other[:same])
    assert np.abs(one[same + 2 :] - other[same + 2 :]).max() > 0.1


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.0, 4.77])
@pytest.mark.parametrize("piece", [640, 137, 5000])
def test_a_stream_gives_what_the_whole_recording_gives(seconds: float, piece: int) -> None:
    own, samples = network("causal"), voice(seconds)
    stream = Stream(own)
    parts = [stream.push(samples[at : at + piece]) for at in range(0, len(samples), piece)]
    whole = phonetic.extract(samples, network=own)[0]
    parts.append(stream.end())
    for name in ("mel", "embedding", "posteriors", "tracks"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(joined, getattr(whole, name), atol=2e-4, rtol=1e-3)


def test_a_stream_answers_within_the_look_ahead() -> None:
    stream, given = Stream(network("causal")), 0
    for k in range(60):
        given += len(stream.push(voice(3.0)[640 * k : 640 * (k + 1)]).mel)
        complete = int((640 * (k + 1) / 16_000 - LOOK_AHEAD) * 50 + 1e-9) + 1 if k > 2 else 0
        assert given >= complete


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name in ("other", "text", "none"):
        with pytest.raises(UserError, match="train-phonetic"):
            phonetic.load(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize("variant", ["centred", "causal"])
def test_a_voice_that_was_not_trained_on(variant: str) -> None:
    """Ten seconds of an embedded speaker: the sounds and the opening of the lips, far above chance."""
    from audioplane.pretrained.phonetic.data import labels
    from audioplane.synthetic.articulation import articulate
    from audioplane.synthetic.voice import load_voice

    ship = load_voice("english_b")
    samples, spoken = ship.audio[:160_000], [p for p in ship.phonemes if p.end <= 10.0]
    found = phonetic.extract(samples, variant)[0]
    moved = articulate(spoken, samples, 16_000, 10.0)
    truth = moved.aperture[:: moved.rate // 50][:500]
    assert correlation(found.tracks[:500, list(TRACKS).index("aperture")].astype(np.float64), truth) > 0.7
    assert (found.posteriors[:500].argmax(axis=1) == labels(spoken, 500)).mean() > 0.4


def test_augmentation_depends_on_the_generator_alone_and_keeps_the_time() -> None:
    mel = torch.from_numpy(log_mel(voice(4.0), BANDS))[None].repeat(3, 1, 1)
    drawn = [augment_spectrogram(mel, 1.0, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert all(torch.isfinite(one).all() and one.shape == mel.shape for one in drawn)
    assert torch.equal(augment_spectrogram(mel, 0.0, torch.Generator()), mel)
    loudness = [correlation(one[0].mean(dim=1).double().numpy(), mel[0].mean(dim=1).double().numpy()) for one in drawn]
    assert min(loudness) > 0.3


def test_stretching_moves_a_band() -> None:
    mel = torch.zeros(2, 5, BANDS)
    mel[..., 30] = 1.0
    moved = stretch(mel, torch.tensor([1.0, 1.5]))
    assert moved[0].argmax(dim=1).unique().tolist() == [30]
    assert moved[1].argmax(dim=1).unique().tolist() == [20]


def test_masking_hides_something_but_not_all() -> None:
    hidden = mask_spectrogram(torch.ones(4, 300, BANDS), torch.Generator().manual_seed(0)) == 0.0
    assert 0.02 < hidden.float().mean() < 0.6


@pytest.mark.parametrize("kind", ["phonetic", "whisper", "whisper-phonetic"])
def test_augmented_copies_differ_and_fit_the_windows(kind: str) -> None:
    own = dataclasses.replace(AudioConfig(), features=kind)
    samples = voice(2.0)
    features = Features.fit(own, samples)
    windows = features(samples, 25.0, 50)
    copies = features.augmented_copies(samples, 25.0, 50, seed=0)
    assert copies is not None
    again = features.augmented_copies(samples, 25.0, 50, seed=0)
    assert again is not None
    np.testing.assert_array_equal(copies.steps, again.steps)
    assert copies.steps[0][copies.places].shape == windows.shape
    assert np.abs(copies.steps[0] - copies.steps[1]).max() > 0.1
    for none in (AudioConfig(features="mel"), dataclasses.replace(own, augment=0.0)):
        assert Features(none).augmented_copies(samples, 25.0, 50, seed=0) is None


def test_an_encoder_learns_from_augmented_copies_at_the_right_frames() -> None:
    """Only the copies depend on the lips, and each frame's windows on the lips of that frame."""
    from audioplane.audio.encoder import AudioEncoder
    from audioplane.audio.features import AugmentedCopies, window_places
    from audioplane.audio.pretrain import LipShapes, pretrain

    opening = np.sin(np.arange(400) / 7.0).astype(np.float32)
    steps = np.repeat(opening, 2)[None, :, None] * np.ones((3, 1, 4), np.float32)
    places = window_places(800, 400, 25.0, 16, -0.5)
    shapes = LipShapes(opening[100:350, None], np.ones(1), opening[100:350])
    config = AudioConfig(channels=16, code=6, pretrain_steps=150, augment=0.0, dropout=0.0, features="phonetic")
    encoder = AudioEncoder(config, 4, torch.Generator().manual_seed(0))
    mute = torch.zeros(400, 16, 4)
    copies = AugmentedCopies(steps, places[100:350])
    pretrain(encoder, mute[100:350], shapes, config, torch.Generator().manual_seed(0), copies)
    with torch.no_grad():
        codes = encoder.all_codes(torch.from_numpy(steps[0][places])).double().numpy()
    design = np.concatenate([codes, np.ones((400, 1))], axis=1)[100:350]
    read = design @ np.linalg.lstsq(design, opening[100:350], rcond=None)[0]
    assert correlation(read, opening[100:350].astype(np.float64)) > 0.95


@pytest.mark.parametrize("variant", ["centred", "causal"])
def test_features_in_pieces_are_those_at_once(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from audioplane.audio import mel, phonetic

    rng = np.random.default_rng(0)
    loud = np.repeat(rng.uniform(0, 0.3, 40), 4000)
    voice = (loud * rng.standard_normal(len(loud))).clip(-1, 1).astype(np.float32)
    whole = phonetic.FeatureSteps(voice, variant, before=160)
    wanted = whole[slice(0, len(whole))]
    for module in (mel, phonetic):
        monkeypatch.setattr(module, "LONG", 200)
        monkeypatch.setattr(module, "PIECE", 130)
    found = phonetic.FeatureSteps(voice, variant, before=160)
    assert len(found) == len(whole)
    for piece in (slice(0, len(whole)), slice(125, 270), slice(3, 4), slice(len(whole) - 1, len(whole))):
        np.testing.assert_allclose(found[piece], wanted[piece], atol=2e-3)


def test_features_of_a_long_voice_keep_no_spectrogram(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hours of sound nothing may grow with their length but what is there for every step: here its loudness."""
    import tracemalloc

    from audioplane.audio import mel, phonetic

    for module in (mel, phonetic):
        monkeypatch.setattr(module, "LONG", 500)
        monkeypatch.setattr(module, "PIECE", 1000)
    minute = (0.1 * np.random.default_rng(0).standard_normal(60 * 16_000)).astype(np.float32)

    def peak(voice: np.ndarray) -> int:
        tracemalloc.start()
        steps = phonetic.FeatureSteps(voice, "centred", before=160)
        for start in range(0, len(steps), 500):
            steps[start : start + 500]
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    short, long = np.tile(minute, 2), np.tile(minute, 5)
    peak(short)  # what is read and imported once
    spectrogram = 3 * 60 * 50 * phonetic.BANDS * 4  # bytes, of the three further minutes
    assert peak(long) - peak(short) < 0.2 * spectrogram
