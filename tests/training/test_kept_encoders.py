"""Encoders that were pre-trained before: the same as those that are pre-trained now, and never another run's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audioplane.training import conditions
from audioplane.training.trainer import Trainer
from tests.tiny_run import tiny
from tests.tiny_subject import TinySubject


def encoder(folder: Path | None, *settings: str, seed: int = 0) -> dict[str, torch.Tensor]:
    trainer = Trainer(tiny("audio_plane", *settings), TinySubject(seed=seed), encoders=folder)
    assert -1.0 <= trainer.facts["encoder_correlation"] <= 1.0
    return trainer.method.encoder.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_kept_encoder_is_the_one_that_is_pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, first = encoder(None), encoder(tmp_path / "encoders")
    assert same(plain, first)

    def nobody(*_: object) -> float:
        raise AssertionError("it was pre-trained again")

    monkeypatch.setattr(conditions, "pretrain", nobody)
    again = encoder(tmp_path / "encoders")
    assert same(plain, again)
    assert same(plain, encoder(tmp_path / "encoders", "method.field=tri_plane", "schedule.fine=12"))
    with pytest.raises(AssertionError, match="again"):
        encoder(None)


@pytest.mark.parametrize("setting", ["seed=3", "audio.pretrain_steps=5", "audio.augment=0.1", "audio.features=mel"])
def test_what_pretraining_depends_on_makes_another(setting: str, tmp_path: Path) -> None:
    first, other = encoder(tmp_path), encoder(tmp_path, setting)
    assert len(list(tmp_path.iterdir())) == 2
    assert {name: tensor.shape for name, tensor in first.items()} != {
        name: tensor.shape for name, tensor in other.items()
    } or not same(first, other)


def test_another_person_makes_another(tmp_path: Path) -> None:
    assert not same(encoder(tmp_path), encoder(tmp_path, seed=5))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"nothing", None])
def test_a_damaged_file_is_made_again(damage: bytes | None, tmp_path: Path) -> None:
    first = encoder(tmp_path)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-7] if damage is None else damage)
    assert same(first, encoder(tmp_path))
    assert file.read_bytes() == whole
