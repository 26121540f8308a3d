"""`audioplane export`: a run as a .ply."""

from pathlib import Path

import pytest

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
