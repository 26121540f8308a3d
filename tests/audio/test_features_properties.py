"""Mel, windows, augmentation and the encoder on whatever is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audioplane.audio.augmentation import augment_spectrogram, mask_spectrogram, stretch
from audioplane.audio.encoder import AudioEncoder, Dropout, augment_windows, correlation, pad, smoothness
from audioplane.audio.features import SAMPLE_RATE, count_frames, cut_windows, half_step, window_places
from audioplane.audio.mel import ACTIVE_DB, RANGE_DB, STEP, log_mel, standardise, standardise_by
from audioplane.audio.phonetic import RunningStandardiser
from audioplane.audio.pretrain import RIGID, lip_shapes
from audioplane.config import AudioConfig
from tests.strategies import arrays, few, fewer, generators, in_any_layout, rotation, torch_generators

spectrograms = arrays(st.integers(2, 30), 12, low=-70.0, high=0.0, dtype=np.float32)

# Log-mel


@fewer
@given(st.integers(1, 8000), st.floats(0.05, 0.9))
def test_log_mel_counts_its_steps_and_knows_levels_in_decibels(samples, gain):
    voice = 0.5 * np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    steps = in_any_layout(lambda x: log_mel(x, 20), voice)
    assert steps.dtype == np.float32
    assert steps.shape == (max(samples, 512) // STEP + 1, 20)
    quieter = log_mel((gain * voice).astype(np.float32), 20)
    loud = steps > -60
    np.testing.assert_allclose((quieter - steps)[loud], 20 * math.log10(gain), atol=0.02)


def test_a_step_is_centred_at_its_sample():
    click = np.zeros(6400, np.float32)
    click[10 * STEP] = 1.0
    steps = log_mel(click, 16).mean(axis=1)
    assert int(steps.argmax()) == 10
    assert steps[9] == pytest.approx(steps[11], abs=0.5)


def test_a_tone_lies_in_its_band():
    times = np.arange(16_000) / 16_000
    loudest = [int(log_mel(np.sin(2 * np.pi * hertz * times), 40)[20].argmax()) for hertz in (200, 800, 2000, 5000)]
    assert loudest == sorted(set(loudest))


@few
@given(spectrograms, st.floats(-30, 30))
def test_standardised_speech_knows_neither_level_nor_colour(steps, gain):
    (first, own), (second, _) = standardise(steps), standardise(steps + np.float32(gain))
    np.testing.assert_allclose(second, first, atol=1e-3)
    colour = np.linspace(-0.5, 0.5, 12, dtype=np.float32)
    assert first.shape == steps.shape
    loud = steps.mean(axis=1)
    active = np.maximum(steps, steps.max() - RANGE_DB)[loud > loud.max() - ACTIVE_DB]
    np.testing.assert_allclose(own[0], active.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(own[1], np.maximum(active.std(axis=0), 2.0), rtol=1e-5)
    np.testing.assert_allclose(standardise_by(steps, own), first, atol=1e-6)
    tinted = standardise(steps + colour)[0]
    assert np.abs(tinted - first).max() < 0.2


@few
@given(spectrograms, spectrograms)
def test_a_prior_pulls_the_less_the_longer_the_recording(own, other):
    prior = standardise(other)[1]
    means = [standardise(np.tile(own, (times, 1)), prior)[1][0] for times in (1, 10, 100)]
    alone = standardise(own)[1][0]
    distance = [np.abs(mean - alone).max() for mean in means]
    assert distance[0] + 1e-3 >= distance[1]
    assert distance[1] + 1e-3 >= distance[2]
    assert (means[0] >= np.minimum(prior[0], alone) - 1e-3).all()
    assert (means[0] <= np.maximum(prior[0], alone) + 1e-3).all()


@few
@given(spectrograms, arrays(2, 12, low=1.0, high=9.0), st.lists(st.integers(0, 8), max_size=6))
def test_a_running_standardiser_does_not_look_ahead(steps, usual, pieces):
    whole = RunningStandardiser(usual)(steps)
    running, parts, at = RunningStandardiser(usual), [], 0
    for length in [*pieces, len(steps)]:
        parts.append(running(steps[at : at + length]))
        at += length
    np.testing.assert_allclose(np.concatenate(parts)[: len(steps)], whole, atol=1e-4)
    changed = steps.copy()
    changed[-1] += 20
    np.testing.assert_array_equal(RunningStandardiser(usual)(changed)[:-1], whole[:-1])


# Windows


@few
@given(st.integers(0, 100_000), st.sampled_from([24.0, 25.0, 29.97, 30.0, 50.0]))
def test_frames_cover_the_samples(samples, fps):
    frames = count_frames(np.zeros(samples, np.float32), fps)
    assert frames >= 1
    assert frames * SAMPLE_RATE / fps >= samples - 1e-3 * SAMPLE_RATE / fps
    if frames > 1:
        assert (frames - 1) * SAMPLE_RATE / fps < samples


@few
@given(st.integers(1, 60), st.integers(1, 20), st.sampled_from([25.0, 30.0]), st.integers(1, 12))
def test_a_window_lies_around_the_middle_of_its_frame(steps, frames, fps, window):
    places = window_places(steps, frames, fps, window, 0.0)
    assert places.shape == (frames, window)
    assert 0 <= places.min() <= places.max() < steps
    for t in range(frames):
        middle = (t + 0.5) * 50 / fps
        inside = (places[t] > 0) & (places[t] < steps - 1)
        if inside.all():
            assert (np.diff(places[t]) == 1).all()
            assert abs(places[t].mean() - middle) <= 0.5 + 1e-9
    values = np.random.default_rng(0).random((steps, 3))
    cut = in_any_layout(lambda x: cut_windows(x, frames, fps, window, 0.0), values)
    np.testing.assert_array_equal(cut, values[places])


@pytest.mark.parametrize("window", range(1, 17))
def test_at_25_frames_a_second_windows_are_centred_exactly(window):
    """With the half step of silence in front, at 25 frames a second, where steps are 20 ms."""
    places = window_places(1000, 40, 25.0, window, -half_step(window) / STEP)
    centres = places * 0.02 - half_step(window) / SAMPLE_RATE  # seconds of the voice
    expected = (np.arange(40) + 0.5) / 25
    inside = slice(10, None)
    np.testing.assert_allclose(centres.mean(axis=1)[inside], expected[inside], atol=1e-9)


# Augmentation


@few
@given(torch_generators, st.integers(1, 4), st.integers(2, 9), st.integers(2, 16))
def test_stretching_by_one_changes_nothing_and_reads_between_bands(generator, batch, steps, bands):
    mel = torch.randn(batch, steps, bands, generator=generator)
    assert torch.equal(stretch(mel, torch.ones(batch)), mel)
    factor = 0.8 + 0.4 * torch.rand(batch, generator=generator)
    got = stretch(mel, factor).double().numpy()
    for b in range(batch):
        at = np.minimum(np.arange(bands) * float(factor[b]), bands - 1)
        for t in range(steps):
            wanted = np.interp(at, np.arange(bands), mel[b, t].double().numpy())
            np.testing.assert_allclose(got[b, t], wanted, atol=1e-4)
    flat = torch.full((batch, steps, bands), 3.0)
    torch.testing.assert_close(stretch(flat, factor), flat)


@few
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(30, 70))
def test_augmented_speech_is_seeded_bounded_and_as_long(seed, batch, steps):
    mel = 30 * torch.rand(batch, steps, 40, generator=torch.Generator().manual_seed(seed)) - 60
    before = mel.clone()
    first, again, other = (augment_spectrogram(mel, 1.0, torch.Generator().manual_seed(k)) for k in (1, 1, 2))
    assert torch.equal(mel, before)
    assert first.shape == mel.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert bool(torch.isfinite(first).all())
    assert float(first.max()) <= 0.01
    assert float(first.min()) >= -95.01
    assert augment_spectrogram(mel, 0.0, torch.Generator().manual_seed(1)) is mel


@few
@given(torch_generators, st.integers(1, 3), st.integers(60, 150))
def test_masks_hide_few_bands_and_short_times(generator, batch, steps):
    mel = 1 + torch.rand(batch, steps, 40, generator=generator)
    got = mask_spectrogram(mel, generator)
    hidden = got == 0
    assert torch.equal(got[~hidden], mel[~hidden])
    bands, times = hidden.all(dim=1), hidden.all(dim=2)
    assert torch.equal(hidden, bands[:, None, :] | times[:, :, None]), "whole bands and whole steps"
    assert int(bands.sum(dim=1).max()) <= 2 * 9
    assert int(times.sum(dim=1).max()) <= (steps // 60) * 6


@few
@given(st.integers(0, 1000), st.booleans())
def test_augmented_windows_are_seeded_and_untouched_at_strength_zero(seed, spectral):
    windows = torch.randn(3, 5, 8, 20, generator=torch.Generator().manual_seed(seed))
    draws = [augment_windows(windows, 0.5, torch.Generator().manual_seed(k), spectral) for k in (0, 0, 1)]
    assert draws[0].shape == windows.shape
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(augment_windows(windows, 0.0, torch.Generator(), spectral), windows)
    small = augment_windows(windows, 1e-4, torch.Generator().manual_seed(0), False)
    torch.testing.assert_close(small, windows, atol=1e-3, rtol=0)


# The encoder's parts


@few
@given(arrays(st.integers(3, 20), 3, low=-5.0))
def test_smoothness_is_the_second_difference(codes):
    tensor = torch.from_numpy(codes)
    expected = (np.diff(codes, 2, axis=0) ** 2).mean()
    assert float(smoothness(tensor)) == pytest.approx(expected, rel=1e-9)
    slope = torch.arange(len(codes), dtype=torch.float64)[:, None] * torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert float(smoothness(tensor + slope + 7)) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert float(smoothness(3 * tensor)) == pytest.approx(9 * expected, rel=1e-9)
    assert float(smoothness(tensor.flip(0))) == pytest.approx(expected, rel=1e-9)


@few
@given(arrays(2, st.integers(3, 20), 4, low=-5.0), st.floats(0.1, 9), st.floats(-5, 5))
def test_correlations_of_columns_are_scipys(pair, slope, shift):
    a, b = (torch.from_numpy(one) for one in pair)
    got = correlation(a, b)
    wanted = [stats.pearsonr(x, y).statistic for x, y in zip(pair[0].T, pair[1].T, strict=True)]
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-9)
    torch.testing.assert_close(correlation(slope * a + shift, b), got)
    torch.testing.assert_close(correlation(-a, b), -got)
    assert float(correlation(torch.ones_like(a), b).abs().max()) < 1e-6


@few
@given(torch_generators, st.integers(1, 9), st.integers(0, 8), st.integers(0, 8))
def test_padding_continues_the_ends(generator, count, before, after):
    windows = torch.randn(count, 4, 3, generator=generator)
    got = pad(windows, before, after)
    assert len(got) == before + count + after
    assert torch.equal(got[before : before + count], windows)
    assert all(torch.equal(row, windows[0]) for row in got[:before])
    assert all(torch.equal(row, windows[-1]) for row in got[before + count :])


@fewer
@given(torch_generators, st.integers(1, 30), st.integers(1, 40))
def test_codes_do_not_depend_on_the_pieces_they_are_made_in(generator, count, piece):
    config = AudioConfig(window=8, code=5, channels=6, filter=7)
    encoder = AudioEncoder(config, 10, generator)
    windows = torch.randn(count, 8, 10, generator=generator)
    with torch.no_grad():
        whole = encoder.all_codes(windows)
        assert whole.shape == (count, 5)
        torch.testing.assert_close(encoder.all_codes(windows, piece), whole, atol=1e-5, rtol=1e-4)
        direct = encoder(pad(windows, 3, 3))
        torch.testing.assert_close(direct, whole, atol=1e-5, rtol=1e-4)
        if count > 1:
            encoder.standardise_over(windows)
            codes = encoder.all_codes(windows)
            torch.testing.assert_close(codes.mean(0), torch.zeros(5), atol=1e-3, rtol=0)
            assert float(codes.std(0).max()) <= 1.01
        constant = windows[:1].expand(count, 8, 10)
        same = encoder.all_codes(constant)
        torch.testing.assert_close(same, same[:1].expand_as(same), atol=1e-5, rtol=1e-4)


@fewer
@given(st.integers(0, 1000), st.floats(0.05, 0.9))
def test_dropout_keeps_the_mean_and_is_off_without_a_generator(seed, share):
    layer, ones = Dropout(share), torch.ones(20_000)
    assert layer(ones) is ones
    layer.generator = torch.Generator().manual_seed(seed)
    dropped = layer(ones)
    assert float((dropped == 0).float().mean()) == pytest.approx(share, abs=0.03)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.1)
    layer.generator = torch.Generator().manual_seed(seed)
    assert torch.equal(layer(ones), dropped)


# Lip shapes


def faces(generator: np.random.Generator, count: int = 30) -> np.ndarray:
    """Landmarks of a still head whose lips move in two ways."""
    rest = generator.uniform(20, 80, (68, 2))
    opening, width = generator.standard_normal((2, count, 1))
    points = np.repeat(rest[None], count, 0)
    points[:, 48:68, 1] += 3 * opening * np.linspace(-1, 1, 20)
    points[:, 48:68, 0] += 1 * width * np.sin(np.arange(20))
    return points


@few
@given(generators, st.floats(0.3, 3))
def test_lip_shapes_do_not_see_the_heads_motion(generator, size):
    landmarks = faces(generator)
    still = lip_shapes(landmarks, 4)
    turned = np.stack([size * points @ rotation(generator, 2) + generator.random(2) for points in landmarks])
    moved = lip_shapes(turned, 4)
    np.testing.assert_allclose(moved.share, still.share, atol=1e-6)
    np.testing.assert_allclose(np.abs(moved.scores[:, :2]), np.abs(still.scores[:, :2]), atol=2e-2)
    np.testing.assert_allclose(moved.opening, still.opening, rtol=1e-4)
    assert still.share[:2].sum() == pytest.approx(1.0), "two ways to move, two components"
    assert (np.diff(still.share) <= 1e-9).all()
    np.testing.assert_allclose(still.scores[:, :2].std(axis=0), 1.0, atol=1e-3)
    assert set(RIGID).isdisjoint(range(48, 68))


@few
@given(generators)
def test_frames_without_landmarks_have_no_lip_shape(generator):
    landmarks = faces(generator)
    holes = landmarks.copy()
    holes[[3, 7]] = np.nan
    found = lip_shapes(holes, 3)
    assert np.isnan(found.scores[[3, 7]]).all()
    assert np.isnan(found.opening[[3, 7]]).all()
    rest = [t for t in range(30) if t not in (3, 7)]
    alone = lip_shapes(landmarks[rest], 3)
    np.testing.assert_allclose(found.scores[rest][:, :2], alone.scores[:, :2], atol=1e-4)
    nobody = lip_shapes(landmarks * np.nan, 3)
    assert np.isnan(nobody.scores).all()
    assert (nobody.share == 0).all()
