"""`audioplane demo`, and the habits that all commands share: JSON, completion, exit statuses in the help."""

import json
from pathlib import Path

import numpy as np
import pytest

from audioplane import TalkingHead
from audioplane.cli import COMMANDS, main
from audioplane.cli import demo as command
from audioplane.inference import shipped
from audioplane.synthetic.specs import SPEAKERS


def test_the_head_that_ships_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SECONDS", 0.4)
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--no-open"]) == 0
    assert (tmp_path / "audioplane-demo.mp4").stat().st_size > 5000
    assert main(["demo", "--no-open", "--browser", "--out", "head.html"]) == 0
    page = (tmp_path / "head.html").read_text(encoding="utf-8")
    assert "adam speaks (synthetic)" in page
    assert "http" not in page.split("<script", 1)[0], "it needs no network"


def test_the_mark_stays_on() -> None:
    head = TalkingHead.load("adam")
    voice = np.zeros(1280, np.float32)
    marked, bare = (next(iter(head.frames(voice, mark=mark))) for mark in (True, False))
    changed = np.argwhere((marked != bare).any(axis=2))
    assert len(changed) > 100
    assert changed.min(axis=0).tolist() > [200, 150], "in the corner below on the right"


def test_what_cannot_be_shown_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (("--head", "nobody"), f"--head is one of {', '.join(shipped.names())}"),
        (("--browser", "--out", str(tmp_path / "a.mp4")), "must end in .html"),
        (("--out", str(tmp_path / "a.html")), "a.html"),
        (("--voice", "nobody"), "no voice is named 'nobody'"),
    ):
        assert main(["demo", "--no-open", *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_listed_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speakers", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == list(SPEAKERS)
    assert main(["fetch", "--json"]) == 0
    assert "syncnet_v2" in json.loads(capsys.readouterr().out)


def test_every_command_is_completed(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "--portrait-edge" in script


def test_the_help_tells_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "exit status: 0 it is done; 1 it failed" in told
    assert "AUDIOPLANE_LOG" in told
