"""The README's commands one after the other with nothing but defaults, on Subjects whose size is not the preset's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioplane import cli, config
from audioplane.media import videos
from tests.subject_cases import make_case, write_case
from tests.tiny_run import TINY

SIZE = 48  # of the preset's pictures here


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default preset trains for a moment, at a size of its own."""
    tiny = TINY.replace(schedule__size=SIZE, schedule__early_size=0)
    monkeypatch.setattr(config, "preset", lambda *_: tiny)


def run(*words: object) -> None:
    assert cli.main([str(word) for word in words]) == 0


@pytest.mark.parametrize("size", [SIZE, 90, 128, 45])
def test_train_evaluate_and_speak_with_nothing_but_defaults(
    quick: None, tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(tmp_path / "subject", make_case(frames=150, size=size))
    soundfile.write(tmp_path / "voice.wav", 0.2 * np.sin(np.arange(16_000) / 20), 16_000)
    run("train", tmp_path / "subject", "--out", tmp_path / "run")
    run("evaluate", tmp_path / "run", tmp_path / "subject", "--json", tmp_path / "e.json")
    run("speak", tmp_path / "run", tmp_path / "voice.wav", "--out", tmp_path / "talk.mp4")
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["size"] == [SIZE, SIZE]
    assert found.get("subject_size", [SIZE, SIZE]) == [size, size]
    assert found["measures"]["head_psnr"] > 5
    assert ("the Subject's" in capsys.readouterr().out) == (size != SIZE)
    film = videos.look(tmp_path / "talk.mp4")
    assert (film.width, film.height, len(film.times)) == (SIZE, SIZE, 25)


@pytest.mark.slow
def test_the_readmes_four_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the true parts, on an embedded speaker; only the preset is the shortest there is."""
    smoke = config.preset("smoke")
    monkeypatch.setattr(config, "preset", lambda *_: smoke)
    soundfile.write(tmp_path / "voice.wav", 0.2 * np.sin(np.arange(16_000) / 20), 16_000)
    run("speakers", "make", "adam", "--out", tmp_path / "adam", "--seconds", 12, "--size", 128)
    run("train", tmp_path / "adam", "--out", tmp_path / "run")
    run("evaluate", tmp_path / "run", tmp_path / "adam", "--json", tmp_path / "e.json")
    run("speak", tmp_path / "run", tmp_path / "voice.wav", "--out", tmp_path / "talk.mp4")
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["subject_size"] == [128, 128]
    assert found["measures"]["head_psnr"] > 10
