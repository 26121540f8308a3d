"""`audioplane export`: a run as a .ply."""

from pathlib import Path

import pytest
import yaml

from audioplane.cli import main
from audioplane.inference.talking_head import TalkingHead
from audioplane.splat.ply import load_ply
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject


def test_a_run_becomes_a_ply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(TINY.replace(schedule__coarse=2, schedule__fine=1), TinySubject())
    trainer.run()
    (tmp_path / "run").mkdir()
    head = TalkingHead.export(trainer, tmp_path / "run" / "head.safetensors")
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "head.ply")]) == 0
    assert f"{len(head.cloud)} Gaussians" in capsys.readouterr().out
    assert len(load_ply(tmp_path / "head.ply")) == len(head.cloud)
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "head.obj")]) == 2
    assert ".ply" in capsys.readouterr().err
    assert not (tmp_path / "head.obj").exists()


def test_a_run_becomes_a_packed_head_with_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(TINY.replace(schedule__coarse=2, schedule__fine=1), TinySubject())
    trainer.run()
    whole, packed, card = (tmp_path / name for name in ("head.safetensors", "small.safetensors", "README.md"))
    TalkingHead.export(trainer, whole)
    assert main(["export", str(whole), "--packed", str(packed), "--card", str(card)]) == 0
    assert TalkingHead.load(packed).is_packed
    front, text = card.read_text().removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(front)["library_name"] == "audioplane"
    assert f"{len(TalkingHead.load(whole).cloud)} 3D Gaussians" in text
    assert "consent" in text
    assert main(["export", str(whole)]) == 2
    assert main(["export", str(whole), "--card", str(tmp_path / "card.txt")]) == 2
    assert not (tmp_path / "card.txt").exists()
