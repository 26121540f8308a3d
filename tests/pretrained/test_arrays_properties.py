"""Noise, windows, contrast and lags that the shipped networks are trained and examined with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.metrics.syncnet.mfcc import COEFFICIENTS
from audioplane.pretrained.phonetic.examine import noisy, noisy_mel
from audioplane.pretrained.phonetic.recordings import LONGEST_LAG, lag
from audioplane.pretrained.syncnet.examine import window_means
from audioplane.pretrained.syncnet.training import contrast, stack_columns, stack_windows
from tests.strategies import arrays, few, generators, in_any_layout, seeds, torch_generators


def decibels(power: float) -> float:
    return 10 * float(np.log10(power))


@few
@given(generators, st.integers(1000, 4000), st.floats(-10, 40), seeds)
def test_noise_lies_so_many_decibels_below_the_voice(generator, count, ratio, seed):
    voice = generator.standard_normal(count).astype(np.float32)
    got = in_any_layout(lambda x: noisy(x, ratio, np.random.default_rng(seed)), voice)
    noise = got.astype(np.float64) - voice
    assert decibels((voice.astype(np.float64) ** 2).mean() / noise.var()) == pytest.approx(ratio, abs=0.1)
    assert noise.mean() == pytest.approx(0, abs=1e-3 * (1 + noise.std()))
    low, high = (np.abs(np.fft.rfft(noise)[part]).mean() for part in (slice(1, 20), slice(-200, None)))
    assert low > high, "pink: more of it at low frequencies"
    assert noisy(voice, np.inf, np.random.default_rng(0)) is voice


@few
@given(arrays(st.integers(5, 40), 16, low=-60.0, high=0.0), st.floats(0, 40), seeds)
def test_noise_on_a_spectrogram_only_adds(mel, ratio, seed):
    got = in_any_layout(lambda x: noisy_mel(x, ratio, np.random.default_rng(seed)), mel)
    assert got.shape == mel.shape
    assert (got >= mel - 1e-3).all()
    power, added = 10 ** (mel / 10), 10 ** (got.astype(np.float64) / 10) - 10 ** (mel / 10)
    assert decibels(power.mean() / added.mean()) == pytest.approx(ratio, abs=0.2)
    np.testing.assert_allclose(noisy_mel(mel, np.inf, np.random.default_rng(0)), mel, rtol=1e-6)
    louder = noisy_mel(mel + 7, ratio, np.random.default_rng(seed))
    np.testing.assert_allclose(louder, got + 7, atol=1e-3)


@few
@given(arrays(st.integers(5, 60), 2), st.integers(5, 25))
def test_means_of_windows_are_the_loops(values, window):
    got = in_any_layout(lambda x: window_means(x, window), values)
    inside = window - 4
    wanted = [values[k : k + inside].mean(axis=0) for k in range(0, len(values), window) if k + inside <= len(values)]
    assert len(got) == len(wanted)
    if wanted:
        np.testing.assert_allclose(got, wanted)


@few
@given(st.integers(5, 12), st.integers(1, 4), seeds)
def test_windows_hold_five_crops_in_order(count, side, seed):
    crops = np.random.default_rng(seed).integers(0, 256, (count, side, side), np.uint8)
    got = in_any_layout(lambda x: stack_windows(x).numpy(), crops)
    assert got.shape == (count - 4, 1, 5, side, side)
    for n in range(count - 4):
        np.testing.assert_array_equal(got[n, 0], crops[n : n + 5])


@few
@given(st.integers(1, 8), seeds)
def test_columns_go_four_a_frame(count, seed):
    cepstra = np.random.default_rng(seed).standard_normal((4 * (count - 1) + 20, COEFFICIENTS))
    got = in_any_layout(lambda x: stack_columns(x, count).numpy(), cepstra)
    assert got.shape == (count, 1, COEFFICIENTS, 20)
    for n in range(count):
        np.testing.assert_allclose(got[n, 0], cepstra[4 * n : 4 * n + 20].T, rtol=1e-6)


def unit(generator: torch.Generator, count: int, width: int = 16) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, width, generator=generator), dim=1)


@few
@given(torch_generators, st.integers(1, 4), st.integers(2, 5), st.floats(1.0, 30.0))
def test_contrast_is_symmetric_and_least_for_the_right_pairs(generator, clips, windows, sharpness):
    visual, sounds = unit(generator, clips * windows), unit(generator, clips * windows)
    sharp = torch.tensor(sharpness)
    loss, hits = contrast(visual, sounds, sharp, windows)
    assert 0 <= hits <= 1
    assert float(loss) > 0
    other, _ = contrast(sounds, visual, sharp, windows)
    torch.testing.assert_close(other, loss, atol=1e-5, rtol=1e-4)
    right, found = contrast(visual, visual, sharp, windows)
    assert found == 1.0
    assert float(right) < float(loss) + 1e-6
    order = torch.randperm(clips, generator=generator)
    blocks = lambda x: x.view(clips, windows, -1)[order].reshape(clips * windows, -1)  # noqa: E731
    shuffled, same = contrast(blocks(visual), blocks(sounds), sharp, windows)
    torch.testing.assert_close(shuffled, loss, atol=1e-5, rtol=1e-4)
    assert same == pytest.approx(hits)
    limit, _ = contrast(visual, sounds, torch.tensor(100.0), windows)
    beyond, _ = contrast(visual, sounds, torch.tensor(1e6), windows)
    torch.testing.assert_close(beyond, limit)


@few
@given(generators, st.integers(-LONGEST_LAG, LONGEST_LAG), st.integers(1, 3))
def test_a_persons_lag_is_found_in_all_recordings_together(generator, steps, count):
    pairs = []
    for _ in range(count):
        opening = generator.standard_normal(6 * LONGEST_LAG + 80)
        predicted = np.roll(opening, -steps) + 0.3 * generator.standard_normal(len(opening))
        opening[generator.choice(len(opening), 10, replace=False)] = np.nan
        pairs.append((predicted, opening))
    assert lag(pairs) == steps
    assert lag([(generator.standard_normal(200), opening[:200] * np.nan) for _, opening in pairs]) == 0
    assert lag([]) == 0
