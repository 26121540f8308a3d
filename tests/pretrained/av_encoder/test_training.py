"""Eq. 1 to 3 of SyncTalk++ against plain sums, and that the encoder's training learns and repeats itself."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from audioplane.audio import av_encoder
from audioplane.pretrained.av_encoder import examine, training
from audioplane.pretrained.av_encoder.networks import FaceGenerator
from audioplane.pretrained.syncnet import data

QUICK = training.Settings(steps=6, clips=2, frames=6, rate=1e-3)


@pytest.fixture(scope="module")
def stranger() -> training.Film:
    """Three seconds of a face, a voice and words that were held out."""
    return training.Film.of(data.film(data.FIRST_FOR_TESTS + 77, data.shipped("english_drive", 4.0, 3.0)))


def test_similarity_and_sync_loss_are_the_papers() -> None:
    generator = torch.Generator().manual_seed(0)
    faces, sounds = torch.randn(8, 5, generator=generator), torch.randn(8, 5, generator=generator)
    truth = torch.tensor([1.0, 0.0] * 4)
    cosines = [float(f @ s / (f.norm() * s.norm())) for f, s in zip(faces, sounds, strict=True)]
    found = training.similarity(faces, sounds)
    np.testing.assert_allclose(found.numpy(), cosines, atol=1e-6)
    shares = [(1 + c) / 2 for c in cosines]
    expected = -np.mean([np.log(p) if y else np.log(1 - p) for p, y in zip(shares, truth, strict=True)])
    assert float(training.sync_loss(found, truth)) == pytest.approx(expected, rel=1e-5)


def test_true_negatives_push_codes_apart() -> None:
    """What does not belong together raises the loss the more, the more alike it is."""
    alike = torch.tensor([0.9, 0.0, -0.9])
    together = [float(training.sync_loss(a[None], torch.ones(1))) for a in alike]
    apart = [float(training.sync_loss(a[None], torch.zeros(1))) for a in alike]
    assert together == sorted(together)
    assert apart == sorted(apart, reverse=True)


def test_restoration_loss_is_the_mean_absolute_difference() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 4, 4, generator=generator), torch.rand(2, 1, 4, 4, generator=generator)
    assert float(training.restoration_loss(a, b)) == pytest.approx(np.abs(a.numpy() - b.numpy()).mean(), rel=1e-6)


def test_windows_of_five_are_in_order() -> None:
    frames = torch.arange(2 * 7, dtype=torch.float32).view(14, 1, 1, 1).expand(14, 1, 2, 2)
    found = training.fives(frames, 7) / 255
    assert found.shape == (2 * 3, 1, 5, 2, 2)
    assert found[:, 0, :, 0, 0].round().tolist() == [[k + j for j in range(5)] for k in (0, 1, 2, 7, 8, 9)]


def test_sounds_of_another_time_are_of_another_time(stranger: training.Film) -> None:
    settings = training.Settings(clips=4, frames=6)
    for step in range(6):
        batch = training.draw([stranger], settings, step)
        assert batch.own.shape == batch.foreign.shape == (4 * 2, 1, 13, 20)
        assert batch.windows.shape == (24, av_encoder.BANDS, av_encoder.COLUMNS)
        assert batch.frames.shape == batch.references.shape == (24, 1, 48, 48)
        assert all(not torch.equal(a, b) for a, b in zip(batch.own, batch.foreign, strict=True))
        for clip in batch.references.view(4, 6, -1):
            assert torch.equal(clip, clip[:1].expand_as(clip)), "one reference a clip"


def test_a_frames_sound_lies_about_its_middle() -> None:
    """A click in the middle of frame 5 is heard most in that frame's window, and there in its middle."""
    samples = np.zeros(640 * 12, np.float32)
    samples[640 * 5 + 320] = 1.0
    windows = training.frame_windows(samples, 2, 8)
    loud = windows.sum(dim=1)
    assert loud.shape == (8, 16)
    here = loud[3]
    assert float(here[7]) == pytest.approx(float(here[8]), rel=0.02)
    assert float(here[7:9].min()) > float(here[:4].max())


def test_training_learns_and_repeats_itself(stranger: training.Film) -> None:
    first, second = (training.train([stranger], QUICK) for _ in range(2))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    start = FaceGenerator().eval()
    batch = training.draw([stranger], QUICK, 100)
    longer = training.train([stranger], training.Settings(steps=40, clips=2, frames=6, rate=2e-3))
    with torch.no_grad():
        before, after = (
            training.restoration_loss(batch.frames, model(batch.windows, batch.references)) for model in (start, longer)
        )
    assert after < 0.7 * before


def test_what_ships_computes_what_was_trained(stranger: training.Film, tmp_path: Path) -> None:
    generator = training.train([stranger], QUICK)
    batch = training.draw([stranger], QUICK, 0)
    folded = training.convolutions(generator)
    expected = generator.sound(batch.windows)
    torch.testing.assert_close(folded(batch.windows), expected, atol=1e-4, rtol=1e-4)
    training.save(folded, tmp_path / "av.safetensors", {"settings": "{}"})
    assert (tmp_path / "av.safetensors").stat().st_size < 600_000
    found = av_encoder.load(tmp_path / "av.safetensors")(batch.windows)
    error = (found - expected).square().mean() / expected.var()
    assert error < 1e-3, "8 bits cost little"


def test_restored_mouths_are_drawn_and_measured(stranger: training.Film, tmp_path: Path) -> None:
    generator = training.train([stranger], QUICK)
    half = training.Film(stranger.audio[: 640 * 60], stranger.crops[:60])
    found = examine.measure(generator, [stranger, half])
    assert found.keys() >= {"own", "foreign", "still", "distance_own", "distance_truth"}
    assert all(np.isfinite(value) for value in found.values())
    assert found["distance_truth"] < 1.2, "the scorer knows what belongs together"
    examine.picture(generator, [half], tmp_path / "fig3.png", count=2)
    assert cv2.imread(str(tmp_path / "fig3.png")).shape == (2 * 2 * 48, 2 * 2 * 48, 3)
