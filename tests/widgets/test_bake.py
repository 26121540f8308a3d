"""What a head sends to the browser: how dense its cloud is, and a voice that comes back as it went."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from audioplane.audio.features import SAMPLE_RATE
from audioplane.widgets.bake import NEIGHBOURS, density, encode_sound


def test_density_counts_neighbours_in_a_ball():
    ring = 0.01 * np.array([[np.cos(a), np.sin(a), 0] for a in np.linspace(0, 2 * np.pi, NEIGHBOURS, endpoint=False)])
    alone = np.concatenate([[[0.0, 0.0, 0.0]], ring])
    assert density(alone)[0] == pytest.approx(NEIGHBOURS / (4 / 3 * np.pi)), "eight within a centimetre"
    points = np.random.default_rng(0).random((400, 3)) * 0.02
    far = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, NEIGHBOURS]
    np.testing.assert_allclose(density(points), NEIGHBOURS / (4 / 3 * np.pi * (100 * far) ** 3), rtol=1e-5)
    np.testing.assert_allclose(density(2 * points), density(points) / 8, rtol=1e-5)


def test_density_of_an_even_cloud_is_how_many_it_has_a_cubic_centimetre():
    points = np.random.default_rng(1).random((20_000, 3)) * 0.04  # 64 cm^3
    inner = (np.abs(points - 0.02) < 0.015).all(axis=1)
    assert np.median(density(points)[inner]) == pytest.approx(20_000 / 64, rel=0.1)


def test_density_of_few_or_equal_points_is_finite():
    assert np.isfinite(density(np.zeros((3, 3)))).all()
    assert density(np.eye(3))[0] > 0


@pytest.mark.parametrize("seconds", [0.4, 2.5])
def test_a_voice_comes_back_without_delay_and_of_the_same_length(seconds):
    count = int(seconds * SAMPLE_RATE)
    times = np.arange(count) / SAMPLE_RATE
    voice = 0.3 * np.sin(2 * np.pi * (200 * times + 150 * times**2)) * (1 + np.sin(2 * np.pi * 3 * times)) / 2
    data = encode_sound(voice.astype(np.float32)).tobytes()
    assert data[:4] == b"OggS"
    assert len(data) < 2 * count / 4
    back, rate = soundfile.read(io.BytesIO(data))
    if rate != SAMPLE_RATE:
        back = back[:: rate // SAMPLE_RATE]
    assert len(back) == pytest.approx(count, abs=SAMPLE_RATE // 100)
    n = min(count, len(back)) - 800
    lags = range(-80, 81)
    match = [np.corrcoef(back[400 + lag : n + lag], voice[400:n])[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 8, "half a millisecond"
    assert max(match) > 0.98


def test_a_voice_that_is_too_loud_is_clipped_not_wrapped():
    loud = (3 * np.sin(2 * np.pi * 100 * np.arange(8000) / SAMPLE_RATE)).astype(np.float32)
    back, _ = soundfile.read(io.BytesIO(encode_sound(loud).tobytes()))
    n = min(len(back), 8000)
    assert np.corrcoef(back[200:n], np.clip(loud, -1, 1)[200:n])[0, 1] > 0.95
