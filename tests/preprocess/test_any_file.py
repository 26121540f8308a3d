"""Files and wishes of every sort: they work, or end in one sentence that leaves nothing behind."""

from __future__ import annotations

import math
from pathlib import Path

import clips
import cv2
import fake_face
import numpy as np
import pytest
from fake_face import QUICK, refused

from audioplane import cli
from audioplane.media.reader import MediaReader
from audioplane.preprocess import prepare
from audioplane.preprocess.survey import holes
from audioplane.preprocess.verdict import Facts
from audioplane.subject import Subject

COUNT = 60


@pytest.fixture(autouse=True)
def faked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_face.install(monkeypatch.setattr)
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))


def frames(width: int = 64, height: int = 64, side: int = 64) -> list[np.ndarray]:
    """The painted head, `side` pixels large, in the middle of blue pictures."""
    left, top = (width - side) // 2, (height - side) // 2
    shown = []
    for image in fake_face.paint(fake_face.moving(COUNT), fake_face.babble(COUNT)):
        picture = np.full((height, width, 3), (40, 60, 200), np.uint8)
        picture[top : top + side, left : left + side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST)
        shown.append(picture)
    return shown


def voice(rate: int = 16000, channels: int = 1) -> np.ndarray:
    return np.tile(fake_face.voice(fake_face.babble(COUNT), rate), (channels, 1))


def made(tmp_path: Path, video: Path) -> tuple[Subject, Facts]:
    [(folder, facts)] = prepare(video, tmp_path / "subject", QUICK)
    return Subject.open(folder), facts


@pytest.mark.parametrize(
    ("name", "width", "height", "codec", "sound_codec", "rate", "channels"),
    [
        ("portrait.mp4", 270, 480, "libx265", "aac", 48000, 1),
        ("grid.mpg", 352, 288, "mpeg1video", "mp2", 44100, 2),
        ("web.webm", 320, 256, "libvpx-vp9", "libopus", 48000, 1),
        ("Vidéo ü 1 (final).mkv", 257, 255, "ffv1", "pcm_s16le", 8000, 1),
    ],
)
def test_any_format_works(
    tmp_path: Path, name: str, width: int, height: int, codec: str, sound_codec: str, rate: int, channels: int
) -> None:
    try:
        video = clips.write(
            tmp_path / name,
            frames(width, height, 240),
            codec=codec,
            sound=voice(rate, channels),
            sound_rate=rate,
            sound_codec=sound_codec,
        )
    except ValueError as error:  # PyAV's word for an encoder that its FFmpeg lacks
        pytest.skip(f"this FFmpeg cannot write {codec} or {sound_codec}: {error}")
    subject, facts = made(tmp_path, video)
    assert (facts.width, facts.height, facts.frames) == (width, height, COUNT)
    assert facts.damaged == ""
    assert (facts.sound["rate"], facts.sound["channels"]) == (rate, channels)
    assert [p for p in subject.validate() if p.severity == "error"] == []
    assert subject.head_mask(30).any()


def test_what_has_no_voice_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, clips.write(tmp_path / "silent.mkv", frames(), sound=0 * voice()), "silent")
    refused(tmp_path, clips.write(tmp_path / "late.mkv", frames(), sound=voice(), sound_start=9.0), "silent")
    refused(tmp_path, clips.write(tmp_path / "none.mkv", frames(), sound=voice()[:, :0]), "sound track is empty")
    for name, format in (("photo.png", ".png"), ("photo.mp4", ".png"), ("photo.jpg", ".jpg")):
        (tmp_path / name).write_bytes(cv2.imencode(format, frames()[0])[1].tobytes())
        refused(tmp_path, tmp_path / name, "no sound track")


def test_sound_that_ends_before_the_pictures_is_said(tmp_path: Path) -> None:
    _, facts = made(tmp_path, clips.write(tmp_path / "a.mkv", frames(), sound=voice()[:, :8000]))
    assert facts.silences == [(pytest.approx(0.5, abs=0.05), pytest.approx(2.4, abs=0.05))]
    assert any("nobody speaks" in trouble for trouble in facts.troubles())


def test_what_is_spoilt_in_the_middle_is_refused_or_said(tmp_path: Path) -> None:
    coded = clips.write(tmp_path / "a.mp4", frames(256, 256, 256), codec="mpeg4", sound=voice()).read_bytes()
    (tmp_path / "index.mp4").write_bytes(coded.replace(b"moov", b"junk"))
    refused(tmp_path, tmp_path / "index.mp4", "damaged")
    whole = clips.write(tmp_path / "b.mkv", frames(), sound=voice())
    spoilt = bytearray(whole.read_bytes())
    a, b = int(0.3 * len(spoilt)), int(0.5 * len(spoilt))
    spoilt[a:b] = bytes(b - a)
    (tmp_path / "holed.mkv").write_bytes(spoilt)
    _, facts = made(tmp_path, tmp_path / "holed.mkv")
    assert "it has no pictures at" in facts.damaged
    assert facts.verdict() == "poor"
    (tmp_path / "ends.mkv").write_bytes(whole.read_bytes()[: int(0.6 * len(spoilt))])
    refused(tmp_path, tmp_path / "ends.mkv", r"it says 2.4 s but ends after 1")
    assert MediaReader.open(whole).timing().damaged == ""


def test_holes_are_where_no_camera_pauses() -> None:
    times = np.concatenate([np.arange(50) / 25, 3 + np.arange(25) / 12.5])
    assert holes(times, 0, 9) == [(1.96, 3.0)]
    assert holes(times, 3, 9) == []
    assert holes(np.arange(20) / 5.0, 0, 9) == []


def test_a_target_that_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = str(fake_face.video(tmp_path / "good.mkv", COUNT))
    skip = ["--size", "64", "--skip", "refine", "--skip", "flow"]
    assert cli.main(["prepare", video, "--out", video, *skip]) == 2
    assert cli.main(["prepare", video, "--out", video + "/inside", *skip]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in said if line.startswith("audioplane prepare:")]) == 2
    assert cli.main(["prepare", video, "--out", str(tmp_path / "new" / "folder"), *skip]) == 0


@pytest.mark.parametrize(
    ("wish", "value", "said"),
    [
        ("start", math.nan, "--start"),
        ("start", math.inf, "--start"),
        ("end", math.nan, "--end"),
        ("end", -1.0, "--end"),
        ("shift_audio", math.nan, "--shift-audio"),
        ("shift_audio", 100.0, "--shift-audio"),
        ("train", math.nan, "--train"),
        ("train", -3.0, "--train"),
        ("train", 2.4, "--train 2.4 leaves nothing"),
        ("focal", -1.0, "--focal"),
        ("focal", math.nan, "--focal"),
        ("focal", 1000.0, "--focal"),
        ("size", 100_000, "--size"),
    ],
)
def test_wishes_that_cannot_be_are_refused(tmp_path: Path, wish: str, value: float, said: str) -> None:
    refused(tmp_path, fake_face.video(tmp_path / "good.mkv", COUNT), said, **{wish: value})
