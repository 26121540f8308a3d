"""The linear probe recovers from a code what is in it, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane import plots
from audioplane.audio import phonetic
from audioplane.evaluation import audio_probe
from audioplane.metrics.mouth import correlation
from audioplane.subject import sounds


def test_a_linear_opening_is_predicted_from_the_code_and_noise_is_not():
    codes = torch.randn(800, 12, generator=torch.Generator().manual_seed(0))
    opening = 4.0 + codes.numpy() @ np.linspace(-1, 1, 12)
    probe = audio_probe.LinearProbe(codes[:400], opening[:400])
    own = audio_probe.agreement(probe(codes[400:]), opening[400:], 25)
    assert own["r"] > 0.999
    assert own["amplitude"] == pytest.approx(1, abs=0.05)
    assert abs(own["r, a second late"]) < 0.2
    unrelated = np.random.default_rng(1).normal(size=800)
    blind = audio_probe.LinearProbe(codes[:400], unrelated[:400])
    assert abs(audio_probe.agreement(blind(codes[400:]), unrelated[400:], 25)["r"]) < 0.2


def test_one_face_performs_any_voice():
    own, other = (
        audio_probe.reference_performance("adam", 4.0),
        audio_probe.reference_performance("adam", 4.0, "french_drive"),
    )
    for performance in (own, other):
        assert len(performance.opening) == performance.num_frames == 100
        spoken = sounds.sounds(performance)
        assert len(spoken) == 100
        means = audio_probe.opening_by_sound(performance.opening, performance.opening, spoken)
        assert set(means) == set(spoken)
        assert means[next(name for name in sounds.CLASSES if name.startswith("a"))][0] > means["p b m"][0], (
            "the truth itself opens at vowels"
        )
    assert not np.array_equal(own.audio, other.audio)


def test_figures_of_the_audio_name_what_they_show():
    generator = np.random.default_rng(0)
    opening = generator.random(100) * 5
    performance = audio_probe.reference_performance("adam", 4.0)
    figure = plots.audio_code(
        performance.audio,
        16_000,
        performance.phonemes,
        generator.normal(size=(200, 20)),
        generator.normal(size=(100, 32)),
        opening,
        25.0,
        1.0,
        3.0,
    )
    assert [axes.get_ylabel() for axes in figure.axes] == ["voice", "features", "code $a$, 32 numbers", "lips, mm"]
    curves = plots.predicted_opening(
        {"own": (opening, opening), "other": (opening, opening)}, {"own": (1, 0), "other": (0.5, 0)}, 25
    )
    assert "correlation 0.50" in curves.axes[1].get_title(loc="left")
    dots = plots.opening_by_sound({"own": {"p b m": (1.0, 0.2)}, "other": {"silence": (0.5, 0.0), "p b m": (1.0, 1.0)}})
    assert [tick.get_text() for tick in dots.axes[0].get_yticklabels()] == ["p b m", "silence"]


def test_the_phonetic_network_predicts_what_the_mouth_does():
    performance = audio_probe.reference_performance("adam", 6.0, "german_drive")
    output = phonetic.extract(performance.audio)[0]
    groups, moves = audio_probe.viseme_probabilities(output), audio_probe.track_pairs(output, performance)
    assert list(groups) == list(phonetic.VISEMES)
    np.testing.assert_allclose(sum(groups.values()), 1.0, atol=1e-4)
    assert groups["p b m"][moves["closure"][1] < 0.1].mean() < 0.1
    predicted, done = moves["aperture"]
    assert 8.0 < done.max() < 25.0, "millimetres, not units of a track"
    assert correlation(predicted, done) > 0.8
    assert abs(correlation(np.roll(predicted, 50), done)) < 0.5
    shown = {name: moves[name] for name in ("jaw", "aperture")}
    figure = plots.phonetic_output(performance.audio, 16_000, performance.phonemes, groups, shown, 1.0, 3.0)
    assert [axes.get_ylabel() for axes in figure.axes] == ["voice", "predicted", "jaw", "aperture"]
    assert [tick.get_text() for tick in figure.axes[1].get_yticklabels()] == list(groups)
