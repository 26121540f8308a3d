# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

import numpy as np
import pytest

from audioplane.audio.phonetic import BANDS, CLASSES
from audioplane.pretrained.phonetic import compare, examine


def test_the_best_path_prefers_the_word_that_was_said() -> None:
    a, b, c = (CLASSES.index(name) for name in ("b", "ɪ", "nɳ"))
    posteriors = np.full((12, len(CLASSES)), 0.001)
    for rows, number in ((slice(0, 3), a), (slice(3, 8), b), (slice(8, 12), c)):
        posteriors[rows, number] = 0.9
    right = examine.path_score(posteriors, [a, b, c])
    assert right == pytest.approx(np.log(0.9), abs=1e-4)
    assert right > examine.path_score(posteriors, [c, b, a])
    assert right > examine.path_score(posteriors, [a, b])
    assert examine.path_score(posteriors[:2], [a, b, c]) == -np.inf  # shorter than its sounds


def test_noise_lies_as_far_below_as_asked() -> None:
    rng = np.random.default_rng(0)
    voice = rng.standard_normal(64_000).astype(np.float32) * 0.1
    noise = examine.noisy(voice, 10.0, np.random.default_rng(1)).astype(np.float64) - voice
    assert 10 * np.log10((voice.astype(np.float64) ** 2).mean() / (noise**2).mean()) == pytest.approx(10, abs=0.01)
    assert examine.noisy(voice, np.inf, rng) is voice
    mel = rng.normal(-30, 10, (200, BANDS))
    added = 10 ** (examine.noisy_mel(mel, 10.0, rng) / 10) - 10 ** (mel / 10)
    assert 10 * np.log10((10 ** (mel / 10)).mean() / added.mean()) == pytest.approx(10, abs=0.1)


def test_words_of_an_alignment(tmp_path) -> None:
    (tmp_path / "x.align").write_text("0 15250 sil\n15250 21000 bin\n21000 25000 blue\n25000 30000 sp\n")
    assert examine.read_words(tmp_path / "x.align") == [("bin", 0.61, 0.84), ("blue", 0.84, 1.0)]


def test_agreement_finds_a_lag_and_a_control() -> None:
    rng = np.random.default_rng(0)
    truth = np.convolve(rng.standard_normal(500), np.ones(4), "same")
    truth[7] = np.nan
    predicted = np.roll(np.nan_to_num(truth), -2)
    found = compare.lagged_correlation(predicted, truth, 25.0)
    assert found["lag, frames"] == 2.0
    assert found["best r"] > 0.95
    assert abs(found["a second late"]) < 0.3
