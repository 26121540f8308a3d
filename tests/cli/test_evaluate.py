"""`audioplane evaluate` on a run and on two films, as the command line calls it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from audioplane.cli import evaluate, train_av, train_sync
from audioplane.errors import UserError
from audioplane.evaluation import protocols
from audioplane.inference.talking_head import TalkingHead
from audioplane.media.writer import write_video
from audioplane.subject import Subject
from audioplane.training.trainer import Trainer
from tests.cli.commands import call
from tests.evaluation.ramps import film
from tests.subject_cases import make_case, write_case
from tests.tiny_run import TINY


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A trained head's folder and its Subject's."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_case(folder / "disc", make_case(frames=150))
    trainer = Trainer(TINY.replace(schedule__coarse=30, schedule__fine=20), Subject.open(folder / "disc"))
    trainer.run()
    TalkingHead.export(trainer, folder / "head.safetensors")
    return folder / "head.safetensors", folder / "disc"


@pytest.mark.parametrize("name", ["head over truth", "alone", "degstalk"])
def test_a_run_is_measured_under_its_protocol(made, name, tmp_path, capsys):
    head, subject = made
    assert call(evaluate, head, subject, "--protocol", name, "--json", tmp_path / "e.json") == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["protocol"] == json.loads(json.dumps(protocols.find(name).to_dict())) | {"expression": "none"}
    assert found["measures"]["protocol"] == name
    assert found["measures"]["psnr"] > 5
    assert found["speed"]["included"] == ["deformation", "rasterization", "compositing"]
    assert found["gaussians"] > 0
    printed = capsys.readouterr().out
    assert f"protocol '{name}'" in printed
    assert "head_psnr" in printed


def test_films_are_measured(tmp_path, capsys):
    write_video(tmp_path / "a.mp4", film(10), 25, quality=5)
    write_video(tmp_path / "b.mp4", film(10, step=3.5), 25, quality=5)
    files = ["--pred", tmp_path / "a.mp4", "--ref", tmp_path / "b.mp4"]
    assert call(evaluate, *files, "--json", tmp_path / "e.json") == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["frames"] == 10
    assert 20 < found["measures"]["psnr"] < 60
    assert "psnr" in capsys.readouterr().out
    same = ["--pred", tmp_path / "a.mp4", "--ref", tmp_path / "a.mp4"]
    assert call(evaluate, *same, "--json", tmp_path / "e.json") == 0
    assert json.loads((tmp_path / "e.json").read_text())["measures"]["psnr"] == "inf"


def test_what_lacks_weights_says_so(tmp_path, empty_home):
    write_video(tmp_path / "a.mp4", film(4), 25)
    files = ["--pred", tmp_path / "a.mp4", "--ref", tmp_path / "a.mp4", "--neural"]
    assert call(evaluate, *files, "--json", tmp_path / "e.json") == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert all("audioplane fetch" in text for text in found["neural"].values())
    assert "missing" in found["face"]


def test_mixtures_are_refused(made, tmp_path):
    head, subject = made
    for arguments in ([], ["--pred", "a.mp4"], [head, subject, "--pred", "a.mp4", "--ref", "b.mp4"]):
        with pytest.raises(UserError):
            call(evaluate, *arguments)
    with pytest.raises(UserError, match="no protocol"):
        call(evaluate, head, subject, "--protocol", "best")
    write_case(tmp_path / "short", make_case(frames=30))
    with pytest.raises(UserError, match="at least 20 training frames"):
        call(evaluate, head, tmp_path / "short")


@pytest.mark.parametrize("size", [32, 75, 96])
def test_a_subject_of_another_size_is_measured_at_the_heads(made, size, tmp_path, capsys):
    head, _ = made
    write_case(tmp_path / "other", make_case(frames=150, size=size))
    for name in ("head over truth", "alone", "mouth", "degstalk"):
        call(evaluate, head, tmp_path / "other", "--protocol", name, "--json", tmp_path / "e.json")
        found = json.loads((tmp_path / "e.json").read_text())
        assert (found["size"], found["subject_size"]) == ([48, 48], [size, size])
    assert f"measured at 48 x 48, the size that the head was trained at; the Subject's {size} x {size}" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("command", [train_sync, train_av])
def test_what_trains_networks_refuses_nonsense(tmp_path, command):
    for bad in (["--people", "1"], ["--steps", "0"], ["--steps", "10"], ["--seconds", "1"]):
        with pytest.raises(UserError, match=bad[0]):
            call(command, "--out", tmp_path / "w.safetensors", *bad)
    with pytest.raises(UserError, match="safetensors"):
        call(command, "--out", tmp_path / "w.pt")


def test_train_av_refuses_a_picture_that_it_cannot_write(tmp_path):
    with pytest.raises(UserError, match="--picture"):
        call(train_av, "--out", tmp_path / "w.safetensors", "--picture", tmp_path / "nowhere" / "x.png")


def test_numbers_json_does_not_know():
    found = evaluate._finite({"a": float("nan"), "b": [np.inf, 1.0], "c": "x"})
    assert found == {"a": None, "b": ["inf", 1.0], "c": "x"}


def test_a_record_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", film(4), 25)
    files = ["--pred", tmp_path / "a.mp4", "--ref", tmp_path / "a.mp4"]
    with pytest.raises(UserError, match="there is no folder"):
        call(evaluate, *files, "--json", tmp_path / "none" / "e.json")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"no space left for .*e\.json"):
        call(evaluate, *files, "--json", tmp_path / "e.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
