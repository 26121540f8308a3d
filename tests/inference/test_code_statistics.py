"""A head speaks with codes that have the mean and spread of those that it was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio.codes import FAMILIAR, code_statistics, match_training_statistics, spoken_codes
from audioplane.audio.features import SAMPLE_RATE, voice_digest
from audioplane.audio.opening import OpeningMap
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.evaluation.heads import SHIFT, codes_late
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY, tiny
from tests.tiny_subject import TinySubject


def exported(run: Trainer, tmp_path: Path) -> TalkingHead:
    path = tmp_path / "head.safetensors"
    return TalkingHead.export(run, path)


def drifted(encoder: torch.nn.Module) -> None:
    """As an encoder that learned with the field leaves its codes: far from mean 0 and spread 1."""
    with torch.no_grad():
        encoder.get_parameter("code.weight").mul_(3.0)
        encoder.get_parameter("code.bias").add_(2.0)


@pytest.mark.parametrize("settings", [("audio.fine_rate=1e-3",), ("audio.pretrain_steps=0",), ()])
def test_the_training_voice_is_spoken_as_it_was_learned(settings: tuple[str, ...], tmp_path: Path) -> None:
    run = Trainer(tiny("audio_plane", "audio.emphasis=1", *settings), TinySubject())
    if settings:
        drifted(run.method.encoder)
    with torch.no_grad():
        learned = run.method.encoder.all_codes(run.conditions.windows)[: len(run.subject.train)]
    voice = run.subject.audio[: round(len(run.subject.train) * SAMPLE_RATE / run.subject.fps)]
    spoken = exported(run, tmp_path).encode(voice)
    spread = learned.std(dim=0)
    assert float(((spoken.mean(dim=0) - learned.mean(dim=0)).abs() / spread).max()) < 0.35
    assert float((spoken.std(dim=0) / spread - 1.0).abs().max()) < 0.35


def test_statistics_that_a_head_keeps_are_those_of_its_last_codes(tmp_path: Path) -> None:
    run = Trainer(tiny("audio_plane", "audio.fine_rate=1e-2"), TinySubject())
    run.run()
    kept = exported(run, tmp_path).extras["code_statistics"]
    with torch.no_grad():
        learned = run.method.encoder.all_codes(run.conditions.windows)[: len(run.subject.train)]
    torch.testing.assert_close(kept, code_statistics(learned))
    assert float((kept[1] - 1.0).abs().max()) > 0.01, "the encoder moved"


def test_matching_in_the_training_codes_units_is_matching_standardised_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    codes, trained = torch.randn(400, 5, generator=generator), torch.tensor([[1.0] * 5, [0.3, 1, 2, 4, 8]])
    found = match_training_statistics(trained[0] + trained[1] * codes, None, trained, 1.15)
    expected = trained[0] + 1.15 * trained[1] * match_training_statistics(codes)
    torch.testing.assert_close(found, expected)
    twice = match_training_statistics(trained[0] + trained[1] * (0.6 * codes + 0.4), None, trained)
    own = 400 / (400 + FAMILIAR)
    shrunk = ((1 - own) + own * 0.36) ** 0.5
    torch.testing.assert_close(twice.std(0), trained[1] * 0.6 / shrunk, rtol=0.1, atol=0)


def test_spoken_codes_are_matched_and_then_given_what_their_opening_lacks() -> None:
    generator = torch.Generator().manual_seed(0)
    codes, speech = 0.6 * torch.randn(400, 5, generator=generator) + 0.4, np.arange(400) < 300
    opening = OpeningMap(5)
    found = spoken_codes(codes.clone(), AudioConfig(emphasis=1.15), opening, speech)
    assert torch.equal(found, match_training_statistics(codes, speech, emphasis=1.15))
    for as_they_are in (AudioConfig(normalise="subject"), AudioConfig(features="live")):
        assert torch.equal(spoken_codes(codes.clone(), as_they_are, opening, speech), codes)
    opening.reader[1:, 0] = 1.0
    opening.knots[1] = 0.5
    more = spoken_codes(codes.clone(), AudioConfig(emphasis=1.15), opening, speech)
    matched = match_training_statistics(codes, speech)  # what is lacking takes the place of the emphasis
    torch.testing.assert_close(more - matched, 0.5 * torch.eye(5)[:1].expand(400, 5))


@pytest.fixture
def deepspeech(tmp_path: Path) -> tuple[TinySubject, TalkingHead]:
    subject, path = TinySubject(), tmp_path / "aud_ds.npy"
    np.save(path, np.random.default_rng(0).standard_normal((subject.num_frames, 16, 29)).astype(np.float32))
    config = TINY.replace(audio__features="deepspeech", audio__model=str(path))
    return subject, exported(Trainer(config, subject), tmp_path)


def test_a_voice_is_known_by_every_sample() -> None:
    voice = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    other = voice.copy()
    other[1234] = np.nextafter(other[1234], np.float32(9))
    assert voice_digest(voice) == voice_digest(np.stack([voice, voice], axis=1)[:, 0]) != voice_digest(other)


def test_features_in_a_file_are_of_one_voice(deepspeech: tuple[TinySubject, TalkingHead], tmp_path: Path) -> None:
    subject, head = deepspeech
    assert len(head.encode(subject.audio)) == subject.num_frames
    with pytest.raises(UserError, match="give this sound's own"):
        head.encode(np.roll(subject.audio, SAMPLE_RATE))
    np.save(tmp_path / "other.npy", np.ones((40, 16, 29), np.float32))
    assert len(head.encode(np.roll(subject.audio, SAMPLE_RATE), str(tmp_path / "other.npy"))) == subject.num_frames
    np.save(tmp_path / "narrow.npy", np.ones((40, 16, 28), np.float32))
    with pytest.raises(UserError, match="have 28 channels, this head was trained on 29"):
        head.encode(subject.audio, str(tmp_path / "narrow.npy"))


def test_a_second_late_is_late_for_features_in_a_file(deepspeech: tuple[TinySubject, TalkingHead]) -> None:
    subject, head = deepspeech
    own, late = codes_late(head, subject, 0.0), codes_late(head, subject, SHIFT)
    assert torch.equal(late[25:], own[:-25])
    assert not torch.equal(late, own)
