"""`audioplane subject check | show | import`, and the contact sheet."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audioplane.cli import subject as command
from audioplane.errors import UserError
from audioplane.plots.contact_sheet import choose_frames
from audioplane.subject import Subject
from tests.subject_cases import make_case, write_case


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("command") / "disc", make_case(frames=150))


def test_check_says_so_by_words_and_by_status(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", str(folder)) == 0
    assert capsys.readouterr().out == "disc: 150 frames of 48x48: all is well\n"


def test_check_lists_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_case(tmp_path / "x", make_case())
    (folder / "landmarks.npy").unlink()
    assert run("check", str(folder)) == 1
    out = capsys.readouterr().out
    assert "error: landmarks.npy: the file is missing. Copy it again" in out
    assert "1 error(s), 0 warning(s)" in out


def test_check_of_something_else_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a Subject"):
        run("check", str(tmp_path))


def test_show_draws_a_picture(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheets" / "disc.png"
    assert run("show", str(folder), "--out", str(out), "--columns", "4") == 0
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[0] > 900
    assert pixels.shape[1] > 700
    assert pixels.std() > 30
    assert [p.name for p in out.parent.iterdir()] == ["disc.png"]
    with pytest.raises(UserError, match="--columns must be 1 to 20"):
        run("show", str(folder), "--columns", "0")


def test_show_works_without_truths_and_not_square(tmp_path: Path) -> None:
    case = make_case(frames=30)
    from audioplane.plots.contact_sheet import save
    from audioplane.subject import SubjectWriter

    with SubjectWriter(tmp_path / "x", "plain", 48, 40) as writer:
        writer.set_background(case.background[:40])
        for t in range(30):
            writer.add_frame(case.frames[t, :40], case.labels[t, :40], case.without_head[t, :40])
        writer.set_audio(case.audio)
        writer.set_cameras(case.K, case.viewmats)
        writer.set_landmarks(np.full((30, 68, 2), np.nan))
    with Image.open(save(Subject.open(tmp_path / "x"), tmp_path / "x.png", 3)) as image:
        assert image.size[1] > 500


def test_the_sheet_shows_telling_sounds(folder: Path) -> None:
    subject = Subject.open(folder)
    chosen = choose_frames(subject, 5)
    assert len(chosen) == 5
    assert [t for t, _ in chosen] == sorted({t for t, _ in chosen})
    ((t, _),) = [pair for pair in chosen if "[m]" in pair[1]]
    assert subject.phonemes is not None
    assert any(p.ipa == "m" and p.start <= (t + 0.5) / 25 <= p.end for p in subject.phonemes)


def test_import(tmp_path: Path) -> None:
    (tmp_path / "nerf").mkdir()
    with pytest.raises(UserError, match="not a folder in AD-NeRF's layout"):
        run("import", str(tmp_path / "nerf"), "--out", str(tmp_path / "out"))
