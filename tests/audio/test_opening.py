"""What lips lack for unseen speech: found on parts that an encoder has not learnt, given to the codes of a voice."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio.encoder import AudioEncoder
from audioplane.audio.opening import KNOTS, QUANTILES, OpeningMap, OpeningReader
from audioplane.audio.pretrain import LipShapes, pretrain
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.inference.talking_head import TalkingHead
from audioplane.training import checkpoint
from audioplane.training.trainer import Trainer
from tests.pretend_gpu import pretend_gpu
from tests.tiny_run import tiny
from tests.tiny_subject import TinySubject


def codes_and_opening(count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(count, 6)) @ rng.normal(size=(6, 6)) + 3.0
    return codes.astype(np.float32), 2.0 * codes[:, 0] - codes[:, 3] + 5.0


def fitted(guessed: np.ndarray, true: np.ndarray) -> OpeningMap:
    codes, opening = codes_and_opening()
    found = OpeningMap(6)
    found.fit(OpeningReader.fit(codes, opening), guessed, true)
    return found


def test_a_reader_finds_a_linear_opening_and_moves_codes_by_it() -> None:
    codes, opening = codes_and_opening()
    reader = OpeningReader.fit(codes, opening)
    read = reader(codes)
    assert abs(read.mean()) < 1e-3
    assert np.corrcoef(read, opening)[0, 1] > 0.999
    np.testing.assert_allclose(reader(codes + 0.7 * reader.direction) - read, 0.7, atol=1e-5)
    # the direction is how codes change with the opening: the regression of each of a code's numbers on what is read
    slopes = [np.polyfit(read, codes[:, k], 1)[0] for k in range(6)]
    np.testing.assert_allclose(reader.direction, slopes, rtol=1e-4)


def test_nothing_changes_before_it_is_fitted() -> None:
    codes = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    assert not OpeningMap(6).is_fitted
    assert torch.equal(OpeningMap(6)(codes.clone()), codes)


def test_guesses_get_the_spread_of_the_truth() -> None:
    codes, opening = codes_and_opening()
    rng = np.random.default_rng(1)
    true = rng.gamma(2.0, 1.0, 5000)  # lips are nearly closed for most of the time
    guessed = 0.5 * true + 0.3
    own = fitted(guessed, true)
    reader = OpeningReader.fit(codes, opening)
    at = np.linspace(-0.4, 1.2, 9) * guessed.std()
    unseen = torch.from_numpy(at[:, None] * reader.direction + reader.mean).float()
    assert own.is_fitted
    found = reader(own(unseen).numpy())
    expected = np.interp(
        at, np.quantile(guessed - guessed.mean(), QUANTILES), np.quantile(true - true.mean(), QUANTILES)
    )
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)


def test_beyond_what_was_measured_nothing_runs_away() -> None:
    rng = np.random.default_rng(2)
    own = fitted(rng.normal(size=900), 2.0 * rng.normal(size=900))
    reader = OpeningReader(*own.reader.double().numpy())
    far = torch.from_numpy(np.outer([-50.0, 50.0], reader.direction) + reader.mean).float()
    gained = reader(own(far.clone()).numpy()) - reader(far.numpy())
    np.testing.assert_allclose(gained, own.knots[1, [0, -1]].numpy(), atol=1e-3)


@pytest.mark.parametrize("values", [np.zeros(80), np.repeat([0.0, 1.0], 40)])
def test_openings_that_hardly_differ_leave_finite_codes(values: np.ndarray) -> None:
    own = fitted(values, np.linspace(0.0, 1.0, 80))
    assert (own.knots[0].diff() > 0).all()
    assert own.knots.shape == (2, KNOTS)
    assert torch.isfinite(own(torch.randn(20, 6, generator=torch.Generator().manual_seed(1)))).all()


def taught(
    settings: dict[str, int | float], noise: float, opening: np.ndarray | None = None
) -> tuple[AudioEncoder, torch.Tensor, np.ndarray]:
    """An encoder that learnt lips from a sound that tells them but for a noise, its windows, and the opening."""
    rng = np.random.default_rng(3)
    count = 600
    true = np.convolve(rng.normal(size=count), np.hanning(7), "same") if opening is None else opening
    heard = true + noise * np.convolve(rng.normal(size=count), np.hanning(7), "same")
    steps = np.repeat(heard, 2)
    places = np.clip(2 * np.arange(count)[:, None] + np.arange(-7, 9), 0, len(steps) - 1)
    windows = torch.from_numpy(steps[places][..., None] * np.ones(4)).float()
    values = {"channels": 16, "code": 6, "pretrain_steps": 150, "augment": 0.0, "dropout": 0.0} | settings
    config = AudioConfig(**values)  # type: ignore[arg-type]
    encoder = AudioEncoder(config, 4, torch.Generator().manual_seed(0))
    scores = ((true - true.mean()) / true.std()).astype(np.float32)
    shapes = LipShapes(scores[:400, None], np.ones(1), true[:400])
    pretrain(encoder, windows[:400], shapes, config, torch.Generator().manual_seed(0))
    return encoder, windows, true


def test_what_lips_lack_for_unseen_speech_is_given_back() -> None:
    encoder, windows, true = taught({"calibration_steps": 80}, noise=1.2)
    plain = taught({}, noise=1.2)[0]
    for name, weights in plain.state_dict().items():
        if not name.startswith("opening."):
            assert torch.equal(encoder.state_dict()[name], weights), "calibration leaves the encoder as it is"
    assert torch.equal(plain.opening.reader, torch.zeros(3, 6))
    with torch.no_grad():
        codes = encoder.all_codes(windows)[400:]
    reader = OpeningReader(*encoder.opening.reader.double().numpy())
    before, after = reader(codes.numpy()).std(), reader(encoder.opening(codes).numpy()).std()
    assert before < 0.9 * true[400:].std()
    assert abs(after / true[400:].std() - 1.0) < abs(before / true[400:].std() - 1.0)


@pytest.mark.parametrize("settings", [{"fine_rate": 1e-3}, {"calibration_steps": 0}])
def test_an_encoder_that_goes_on_learning_is_not_calibrated(settings: dict[str, float]) -> None:
    encoder = taught({"calibration_steps": 10, "pretrain_steps": 5} | settings, noise=0.5)[0]
    assert torch.equal(encoder.opening.reader, torch.zeros(3, 6))


def test_without_landmarks_nothing_is_calibrated() -> None:
    unseen = np.full(600, np.nan)
    encoder = taught({"calibration_steps": 10, "pretrain_steps": 5}, noise=0.5, opening=unseen)[0]
    assert torch.equal(encoder.opening.reader, torch.zeros(3, 6))


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibrated") / "head.safetensors"
    trainer = Trainer(tiny("audio_plane", "audio.calibration_steps=4", "schedule.coarse=4"), TinySubject(300))
    assert bool(trainer.method.encoder.opening.reader.any())
    TalkingHead.export(trainer, path)
    return path


def test_a_head_keeps_and_uses_it_on_either_device(head: Path) -> None:
    voice = TinySubject(300).audio
    loaded = TalkingHead.load(head)
    spoken = loaded.encode(voice)
    with pretend_gpu():
        torch.testing.assert_close(TalkingHead.load(head, device="cuda").encode(voice), spoken, atol=1e-4, rtol=1e-4)
    plain = copy.deepcopy(loaded)
    plain.opening = OpeningMap(loaded.config.audio.code)
    assert not torch.equal(plain.encode(voice), spoken)


def test_heads_from_before_speak_as_they_did(head: Path, tmp_path: Path) -> None:
    tensors, about = checkpoint.load(head)
    older = {name: tensor for name, tensor in tensors.items() if "encoder.opening" not in name}
    assert len(older) == len(tensors) - 2
    checkpoint.save(tmp_path / "head.safetensors", older, about)
    assert not TalkingHead.load(tmp_path / "head.safetensors").opening.reader.any()


def test_a_file_whose_openings_do_not_ascend_is_refused(head: Path, tmp_path: Path) -> None:
    tensors, about = checkpoint.load(head)
    tensors["model/encoder.opening.knots"] = tensors["model/encoder.opening.knots"].flip(1)
    checkpoint.save(tmp_path / "head.safetensors", tensors, about)
    with pytest.raises(UserError, match="do not ascend"):
        TalkingHead.load(tmp_path / "head.safetensors")
