"""Speech and silence, voices' digests, and the networks of the audio room: one of a batch is one alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.audio import phonetic, whisper
from audioplane.audio.activity import PAUSE, SILENT_DB, speech_frames, speech_steps
from audioplane.audio.encoder import AudioEncoder, Convolution
from audioplane.audio.features import voice_digest
from audioplane.audio.mel import STEP
from audioplane.audio.whisper_files import count_blocks
from audioplane.config import preset
from tests.strategies import arrays, few, fewer, in_any_layout, seeds, torch_generators

NOISE = arrays(st.integers(3200, 9600), low=-0.5, high=0.5, dtype=np.float32)
CONFIG = preset("smoke").replace("audio.channels=4", "audio.code=3", "audio.window=6", "audio.filter=4").audio


def random_phonetic(seed: int, variant: str) -> phonetic.PhoneticNetwork:
    """The network with random weights: what its layers do does not hang on what they learned."""
    torch.manual_seed(seed)
    return phonetic.PhoneticNetwork(variant).eval().requires_grad_(False)


def random_whisper(seed: int, bands: int = 80) -> whisper.WhisperEncoder:
    torch.manual_seed(seed)
    return whisper.WhisperEncoder(bands, 128, 2).eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def _numbers_of_torch_are_as_before():
    with torch.random.fork_rng():
        yield


# Speech


@few
@given(NOISE, st.floats(0.02, 1.9), st.integers(0, 40))
def test_speech_goes_with_the_recording_and_not_with_its_level(samples, gain, late):
    count = len(samples) // STEP
    steps = in_any_layout(lambda x: speech_steps(x, count), samples)
    assert np.array_equal(speech_steps((gain * samples).astype(np.float32), count), steps)
    silence = np.zeros(late * STEP, np.float32)
    later = np.concatenate([silence, samples])
    assert np.array_equal(speech_steps(samples, count + late, late * STEP), speech_steps(later, count + late))
    assert speech_steps(samples, 0).shape == (0,)


@few
@given(seeds, st.integers(60, 200), st.integers(60, 200))
def test_speech_ends_a_pause_after_the_voice(seed, before, voiced):
    generator = np.random.default_rng(seed)
    parts = [np.zeros(before * STEP), 0.3 * generator.standard_normal(voiced * STEP), np.zeros(before * STEP)]
    samples = np.concatenate(parts).astype(np.float32)
    found = np.flatnonzero(speech_steps(samples, 2 * before + voiced))
    assert abs(found[0] - (before - PAUSE)) <= 1
    assert abs(found[-1] - (before + voiced + PAUSE - 1)) <= 1
    assert len(found) == found[-1] - found[0] + 1
    faint = samples * np.float32(10 ** (SILENT_DB / 20) / 4)
    assert not speech_steps(faint, 2 * before + voiced).any()


@few
@given(NOISE, st.sampled_from([24.0, 25.0, 30.0, 50.0]))
def test_a_frame_shows_speech_where_its_middle_lies_in_some(samples, fps):
    samples[len(samples) // 2 :] = 0
    count = int(len(samples) / 16_000 * fps)
    steps = speech_steps(samples, len(samples) // STEP + 2)
    frames = speech_frames(samples, fps, count)
    for t in range(count):
        near = steps[int((t + 0.5) / fps * 50) : int((t + 0.5) / fps * 50) + 2]
        assert frames[t] in near


@few
@given(NOISE, st.integers(0, 3000))
def test_a_digest_is_of_the_values_alone(samples, at):
    digest = in_any_layout(voice_digest, samples)
    assert voice_digest(samples.astype(np.float64)) == digest
    other = samples.copy()
    other[at] = np.nextafter(other[at], np.float32(2))
    assert voice_digest(other) != digest
    assert voice_digest(samples[:-1]) != digest


# The encoder


@few
@given(torch_generators, st.integers(1, 3), st.integers(5, 12))
def test_a_convolution_is_torchs(generator, stride, steps):
    layer = Convolution(5, 4, stride, generator)
    values = torch.randn(2, steps, 5, generator=generator)
    kernel = layer.weight.view(4, 3, 5).permute(0, 2, 1)
    expected = torch.nn.functional.conv1d(values.transpose(1, 2), kernel, layer.bias, stride, 1).transpose(1, 2)
    torch.testing.assert_close(layer(values), expected)


@fewer
@given(torch_generators, st.integers(1, 3), st.integers(4, 12), st.integers(0, 3))
def test_codes_of_a_batch_are_those_of_each_and_time_moves_them(generator, batch, frames, late):
    encoder = AudioEncoder(CONFIG, 5, generator)
    windows = torch.randn(batch, frames + late, 6, 5, generator=generator)
    with torch.no_grad():
        encoder.attend[2].get_parameter("weight").normal_(generator=generator)
        codes = encoder(windows)
        assert codes.shape == (batch, frames + late - CONFIG.filter + 1, CONFIG.code)
        for one, expected in zip(windows, codes, strict=True):
            torch.testing.assert_close(encoder(one), expected)
        torch.testing.assert_close(encoder(windows[:, late:]), codes[:, late:])
        own = encoder.encode(windows)
        assert codes.amax() <= own.amax() + 1e-5, "the filter is a mean of neighbours"
        assert codes.amin() >= own.amin() - 1e-5
        encoder.standardise_over(windows[0])
        fixed = encoder.all_codes(windows[0])
    torch.testing.assert_close(fixed.mean(dim=0), torch.zeros(CONFIG.code), atol=1e-4, rtol=0)
    torch.testing.assert_close(encoder(windows), (codes - encoder.shift) / encoder.spread)


# The phonetic network


@fewer
@given(torch_generators, st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(4, 14))
def test_a_temporal_convolution_is_torchs(generator, taps, dilation, ahead, steps):
    layer = phonetic.TemporalConvolution(5, 4, taps, dilation, min(ahead, (taps - 1) * dilation))
    values = torch.randn(2, steps, 5, generator=generator)
    span = (taps - 1) * dilation
    padded = torch.nn.functional.pad(values, (0, 0, span - layer.ahead, layer.ahead)).transpose(1, 2)
    kernel = layer.linear.weight.view(4, taps, 5).permute(0, 2, 1)
    expected = torch.nn.functional.conv1d(padded, kernel, layer.linear.bias, dilation=dilation).transpose(1, 2)
    torch.testing.assert_close(layer(values), expected)


@fewer
@given(seeds, st.sampled_from(phonetic.VARIANTS), st.integers(1, 90))
def test_sounds_are_probabilities_and_one_of_a_batch_is_one_alone(seed, variant, steps):
    network = random_phonetic(seed, variant)
    mel = np.random.default_rng(seed).standard_normal((2, steps, phonetic.BANDS)).astype(np.float32)
    found = network.predict(mel[0])
    np.testing.assert_allclose(found.posteriors.sum(axis=1), 1, rtol=1e-5)
    assert found.posteriors.min() >= 0
    code, logits, tracks = network(torch.from_numpy(mel))
    np.testing.assert_allclose(found.embedding, code[0], atol=1e-5)
    np.testing.assert_allclose(found.posteriors, logits[0].softmax(dim=-1), atol=1e-6)
    sizes = np.array(list(phonetic.TRACKS.values()))
    np.testing.assert_allclose(found.tracks, tracks[0].numpy() * sizes, atol=1e-5)
    np.testing.assert_allclose(found.features[:, -len(sizes) :], tracks[0], atol=1e-5)
    torch.testing.assert_close(code.mean(dim=2), torch.zeros(2, steps), atol=1e-5, rtol=0)


@fewer
@given(seeds, st.integers(0, 60))
def test_the_causal_network_does_not_look_ahead_by_more_than_it_says(seed, at):
    network, ahead = random_phonetic(seed, "causal"), phonetic.AHEAD["causal"]
    mel = np.random.default_rng(seed).standard_normal((80, phonetic.BANDS)).astype(np.float32)
    before = network.predict(mel).embedding
    mel[at] += 1.0
    changed = np.abs(network.predict(mel).embedding - before).max(axis=1) > 1e-6
    first, last = np.flatnonzero(changed)[[0, -1]]
    assert max(at - ahead, 0) <= first <= at
    assert at <= last <= at + phonetic.PAST


@fewer
@given(seeds, st.integers(4000, 12_000), st.data())
def test_a_stream_in_any_pieces_is_the_whole(seed, count, data):
    network = random_phonetic(seed, "causal")
    voice = (0.1 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=5)))
    stream = phonetic.Stream(network)
    pieces = [stream.push(piece) for piece in np.split(voice, cuts)] + [stream.end()]
    whole, statistics = phonetic.extract(voice, "causal", network=network)
    assert statistics is None
    for name in ("mel", "embedding", "posteriors", "tracks"):
        joined = np.concatenate([getattr(piece, name) for piece in pieces])
        np.testing.assert_allclose(joined, getattr(whole, name), atol=2e-3, err_msg=name)


# Whisper


@fewer
@given(NOISE, st.sampled_from([80, 128]), st.floats(0.1, 1.9))
def test_whispers_spectrogram_knows_levels_as_its_logarithm(samples, bands, gain):
    mel = in_any_layout(lambda x: whisper.whisper_mel(x, bands), samples)
    assert mel.shape == (len(samples) // 160, bands)
    assert mel.dtype == np.float32
    assert mel.max() - mel.min() <= 2.0 + 1e-6
    assert np.array_equal(whisper.whisper_mel(samples.astype(np.float64), bands), mel)  # type: ignore[arg-type]
    louder = whisper.whisper_mel((gain * samples).astype(np.float32), bands)
    np.testing.assert_allclose(louder, mel + 2 * np.log10(gain) / 4, atol=2e-4)
    np.testing.assert_allclose(whisper.level(louder), whisper.level(mel), atol=2e-4)


@fewer
@given(seeds, st.integers(2, 20))
def test_attention_is_the_formula_and_knows_no_order(seed, steps):
    torch.manual_seed(seed)
    layer = whisper.Attention(128).requires_grad_(False)
    states = torch.randn(2, steps, 128)
    found = layer(states)
    expected = []
    for head in range(2):
        own = slice(64 * head, 64 * head + 64)
        query, key, value = (part(states)[..., own] for part in (layer.query, layer.key, layer.value))
        expected.append((query @ key.transpose(1, 2) / 8).softmax(dim=-1) @ value)
    torch.testing.assert_close(found, layer.out(torch.cat(expected, dim=2)), atol=1e-5, rtol=1e-4)
    order = torch.randperm(steps)
    torch.testing.assert_close(layer(states[:, order]), found[:, order], atol=1e-5, rtol=1e-4)
    block = whisper.Block(128).requires_grad_(False)
    torch.testing.assert_close(block(states[:, order]), block(states)[:, order], atol=1e-5, rtol=1e-4)


@fewer
@given(seeds, st.integers(1, 40))
def test_short_recordings_are_one_piece_and_projected_states_a_line(seed, count):
    encoder, generator = random_whisper(seed), torch.Generator().manual_seed(seed)
    mel = np.random.default_rng(seed).random((2 * count, 80)).astype(np.float32)
    states = encoder(torch.from_numpy(mel)[None])[0].numpy()
    np.testing.assert_allclose(whisper.WhisperFeatures(encoder).of_mel(mel), states, atol=1e-5)
    projection = torch.randn(3, 128, generator=generator), torch.randn(3, generator=generator)
    kept = whisper.WhisperFeatures(encoder, projection)
    assert kept.channels == 3
    expected = states @ projection[0].numpy().T + projection[1].numpy()
    np.testing.assert_allclose(kept.of_mel(mel), expected, atol=1e-4)
    np.testing.assert_allclose(kept.of_mel(mel[:-1]), kept.of_mel(np.concatenate([mel[:-1], mel[-2:-1]])), atol=1e-5)
    assert count_blocks(encoder.state_dict()) == 2


@few
@given(arrays(st.integers(4, 30), 3, low=-2, high=3), seeds, st.floats(0.2, 5), st.floats(-3, 3))
def test_standardised_states_know_no_units_and_a_prior_alone_is_a_line(states, seed, size, shift):
    speech = np.random.default_rng(seed).random(len(states)) < 0.6
    found, (mean, _) = in_any_layout(lambda x: whisper.standardise_states(x, speech), states)
    if speech.sum() > 1:
        np.testing.assert_allclose(found[speech].mean(axis=0), 0, atol=1e-4)
        moved, _ = whisper.standardise_states(size * states + shift, speech)
        np.testing.assert_allclose(moved, found, atol=1e-3)
    prior = (np.full(3, 2.0), np.full(3, 0.5))
    alone, used = whisper.standardise_states(states, speech, prior, prior_only=True)
    np.testing.assert_allclose(alone, (states - 2.0) / 0.5, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.stack(used), np.stack(prior))
    both = whisper.standardise_states(states, speech, prior)[1][0]
    low, high = np.minimum(mean, prior[0]), np.maximum(mean, prior[0])
    assert ((both >= low - 1e-9) & (both <= high + 1e-9)).all()
