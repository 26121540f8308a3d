"""`audioplane train` and `audioplane speak`, as the command line calls them."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from audioplane.cli import speak, train
from audioplane.config import Config, preset
from audioplane.errors import UserError
from audioplane.inference.talking_head import TalkingHead
from audioplane.subject import Subject
from audioplane.training.trainer import Trainer
from tests.cli.commands import call
from tests.subject_cases import make_case, write_case
from tests.tiny_run import TINY, awaken


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subjects") / "disc"
    write_case(folder, make_case())
    return folder


@pytest.fixture(scope="module")
def settings() -> list[str]:
    changes = {path: value for path, (value, _) in TINY.differences(preset("smoke")).items()}
    return ["--set", *(f"{path}={value}" for path, value in changes.items())]


@pytest.fixture(scope="module")
def run(subject: Path, settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "disc"
    extra = ["--set", "schedule.preview_every=13"]
    assert call(train, str(subject), "--out", str(folder), "--preset", "smoke", *settings, *extra, "--seed", "3") == 0
    return folder


def test_a_run_leaves_what_it_says(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        "config.json",
        "head.safetensors",
        "state.safetensors",
        "scalars.jsonl",
        "previews",
    }
    assert Config.from_json((run / "config.json").read_text()).seed == 3
    assert len(list((run / "previews").iterdir())) >= 2


def test_a_run_is_not_overwritten_and_can_be_resumed(run: Path, subject: Path) -> None:
    with pytest.raises(UserError, match="--resume"):
        call(train, str(subject), "--out", str(run))
    before = (run / "head.safetensors").read_bytes()
    assert call(train, str(subject), "--out", str(run), "--resume") == 0
    assert (run / "head.safetensors").read_bytes() == before


def test_bad_arguments_are_refused(subject: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"method\.margin"):
        call(train, str(subject), "--out", str(tmp_path / "x"), "--set", "method.margn=0.1")
    with pytest.raises(UserError, match="smoke, demo, paper"):
        call(train, str(subject), "--out", str(tmp_path / "x"), "--preset", "fast")
    with pytest.raises(UserError):
        call(train, str(tmp_path), "--out", str(tmp_path / "x"))
    with pytest.raises(UserError, match="nothing to resume"):
        call(train, str(subject), "--out", str(tmp_path / "x"), "--resume")
    assert not (tmp_path / "x").exists()


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--settings"])
    assert "method.margin\n    tolerance between" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "rate", "channels"), [(1.0, 8000, 1), (0.5, 44_100, 2)])
def test_it_speaks(run: Path, tmp_path: Path, seconds: float, rate: int, channels: int) -> None:
    import av
    import soundfile

    samples = 0.1 * np.random.default_rng(0).standard_normal((int(seconds * rate), channels))
    soundfile.write(tmp_path / "voice.wav", samples, rate)
    film = tmp_path / "talk.mp4"
    told = [str(run), str(tmp_path / "voice.wav"), "--out", str(film), "--poses", "natural", "--size", "96"]
    assert call(speak, *told, "--sample", str(tmp_path / "voice.wav")) == 0
    with av.open(str(film)) as made:
        assert made.streams.video[0].width == 96
        assert abs(sum(1 for _ in made.decode(video=0)) / 25 - seconds) <= 1 / 25


def test_bad_voices_and_poses_are_refused(run: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "x.mp4")
    with pytest.raises(UserError, match="no sound file"):
        call(speak, str(run), str(tmp_path / "none.wav"), "--out", out)
    with pytest.raises(UserError, match="test, still, natural"):
        call(speak, str(run), str(tmp_path / "none.wav"), "--out", out, "--poses", "wild")
    with pytest.raises(UserError, match="--size"):
        call(speak, str(run), str(tmp_path / "none.wav"), "--out", out, "--size", "-3")


def test_it_speaks_with_every_expression(subject: Path, tmp_path: Path) -> None:
    """Natural by default, none, captures of other rates, another run, brows by the voice; each makes another film."""
    import soundfile

    folder, voice = tmp_path / "blinking", tmp_path / "voice.wav"
    trainer = Trainer(TINY.replace("method.expression=true"), Subject.open(subject), folder)
    trainer.run()
    awaken(trainer)
    TalkingHead.export(trainer, folder / "head.safetensors")
    soundfile.write(voice, 0.1 * np.random.default_rng(0).standard_normal(32_000), 16_000)
    weights = np.random.default_rng(1).random((40, 52))
    np.save(tmp_path / "take.npy", weights)
    ways = {
        "default": [],
        "natural": ["--expression", "natural"],
        "none": ["--expression", "none"],
        "array": ["--expression", str(tmp_path / "take.npy"), "--expression-fps", "30"],
        "run": ["--expression", str(folder)],
        "voice": ["--expression", "voice"],
    }
    films = {}
    for name, told in ways.items():
        film = tmp_path / f"{name}.mp4"
        assert call(speak, str(folder), str(voice), "--out", str(film), "--poses", "still", "--dense", *told) == 0
        films[name] = film.read_bytes()
    assert films["default"] == films["natural"]
    assert len(set(films.values())) == 5


def test_bad_expressions_are_refused(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "take.npy", np.zeros((40, 51)))
    np.save(tmp_path / "good.npy", np.zeros((40, 52)))
    told = [str(run), "english_drive", "--out", str(tmp_path / "x.mp4"), "--expression"]
    for how, words in {
        "wild": "natural, voice, none, a capture or a run",
        str(tmp_path / "take.npy"): "expected",
        str(tmp_path / "good.npy"): "trained without an expression",
        str(run): "trained without an expression",
        "voice": "trained without an expression",
    }.items():
        with pytest.raises(UserError, match=words):
            call(speak, *told, how)
    with pytest.raises(UserError, match="--expression-fps"):
        call(speak, *told, str(tmp_path / "good.npy"), "--expression-fps", "-1")
    assert not (tmp_path / "x.mp4").exists()


def test_a_large_run_says_its_cost_first() -> None:
    from types import SimpleNamespace
    from typing import Any, cast

    from audioplane.cli.train import cost
    from audioplane.config import preset

    subject = cast(Any, SimpleNamespace(width=256, height=256))
    assert cost(preset("demo"), subject, "cpu") is None
    said = cost(preset("paper"), subject, "cpu")
    assert said is not None
    own = preset("paper").schedule
    assert f"{own.coarse + own.fine:,} iterations" in said
    assert "made for a GPU" in said
    assert "made for a GPU" not in (cost(preset("paper"), subject, "cuda") or "")
