"""Each kind of damage is found, named, and told apart from the others."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioplane.errors import UserError
from audioplane.subject import Subject, SubjectWriter
from audioplane.subject.check import ERROR, WARNING, check
from audioplane.subject.masks import mouth_opening
from audioplane.subject.pack import PackWriter
from audioplane.subject.sync import mouth_sound_sync
from tests.subject_cases import fill, make_case, write_case

CASE = make_case(frames=75)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("check") / "disc", CASE)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "disc"))


def edit_manifest(folder: Path, **changes: object) -> None:
    """Changes keys of the manifest."""
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def accept(folder: Path, part: str) -> None:
    """Makes the manifest agree with what now lies in `part`."""
    data = (folder / part).read_bytes()
    parts = json.loads((folder / "manifest.json").read_text())["parts"]
    edit_manifest(folder, parts=parts | {part: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}})


def rewrite_pack(folder: Path, name: str, images: list[np.ndarray]) -> None:
    (folder / name).unlink()
    writer = PackWriter(folder / name)
    for image in images:
        writer.add(image)
    writer.close()
    accept(folder, name)


def test_a_whole_subject_has_no_problems(whole: Path) -> None:
    assert Subject.open(whole).validate() == []


def cut(folder: Path) -> None:
    with open(folder / "frames.pack", "r+b") as file:
        file.truncate(2000)


def flip_byte(folder: Path) -> None:
    data = bytearray((folder / "frames.pack").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "frames.pack").write_bytes(bytes(data))


def missing_frames(folder: Path) -> None:
    rewrite_pack(folder, "frames.pack", list(CASE.frames[:70]))


def wrong_size(folder: Path) -> None:
    rewrite_pack(folder, "frames.pack", [*CASE.frames[:70], *CASE.frames[70:, :40]])


def strange_labels(folder: Path) -> None:
    rewrite_pack(folder, "labels.pack", [*CASE.labels[:70], *(CASE.labels[70:] + 3)])


def no_head(folder: Path) -> None:
    rewrite_pack(folder, "labels.pack", [np.zeros_like(CASE.labels[0]), *CASE.labels[1:]])


def short_audio(folder: Path) -> None:
    soundfile.write(folder / "audio.flac", CASE.audio[: -640 * 10], 16_000)
    accept(folder, "audio.flac")


def fast_audio(folder: Path) -> None:
    soundfile.write(folder / "audio.flac", np.repeat(CASE.audio, 3), 48_000)
    accept(folder, "audio.flac")


def stereo_audio(folder: Path) -> None:
    soundfile.write(folder / "audio.flac", np.stack([CASE.audio] * 2, 1), 16_000)
    accept(folder, "audio.flac")


def not_audio(folder: Path) -> None:
    (folder / "audio.flac").write_bytes(b"hello")
    accept(folder, "audio.flac")


def silence(folder: Path) -> None:
    soundfile.write(folder / "audio.flac", np.zeros(len(CASE.audio)), 16_000)
    accept(folder, "audio.flac")


def bad_pose(value: float, row: int = 0, column: int = 0) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        viewmats = CASE.viewmats.copy()
        viewmats[3:9, row, column] = value
        np.savez(folder / "cameras.npz", K=CASE.K, viewmats=viewmats)
        accept(folder, "cameras.npz")

    return damage


def lost_landmarks(folder: Path) -> None:
    landmarks = CASE.landmarks.copy()
    landmarks[[2, 4, 6, 8, 10, 12]] = np.nan
    np.save(folder / "landmarks.npy", landmarks)
    accept(folder, "landmarks.npy")


def late_phonemes(folder: Path) -> None:
    (folder / "phonemes.json").write_text('[{"ipa": "m", "start": 3.9, "end": 4.2}]')
    accept(folder, "phonemes.json")


def wild_blendshapes(folder: Path) -> None:
    np.save(folder / "blendshapes.npy", CASE.blendshapes * 2)
    accept(folder, "blendshapes.npy")


@pytest.mark.parametrize(
    ("damage", "severity", "part", "words"),
    [
        (cut, ERROR, "frames.pack", "cut short: 2000 bytes instead of"),
        (cut, ERROR, "frames.pack", "its index is missing"),
        (flip_byte, ERROR, "frames.pack", "not what the manifest's sha256 says"),
        (flip_byte, ERROR, "frames.pack", r"frame \d+ cannot be decoded"),
        (missing_frames, ERROR, "frames.pack", "70 pictures for 75 frames"),
        (
            wrong_size,
            ERROR,
            "frames.pack",
            r"frames 70, 71, 72, 73 and 1 more of another size .*\(48, 48, 3\)",
        ),
        (strange_labels, ERROR, "labels.pack", "frames 70, 71, 72, 73 and 1 more with labels beyond 0 to 4"),
        (no_head, WARNING, "labels.pack", "frame 0 without any head"),
        (short_audio, ERROR, "audio.flac", "the audio is 0.40 s shorter than the 3.00 s of video"),
        (fast_audio, ERROR, "audio.flac", r"48000 Hz and 1 channel\(s\), expected 16000 Hz mono"),
        (stereo_audio, ERROR, "audio.flac", r"16000 Hz and 2 channel\(s\)"),
        (not_audio, ERROR, "audio.flac", "cannot be read"),
        (silence, WARNING, "audio.flac", "silent"),
        (bad_pose(np.nan), ERROR, "cameras.npz", "NaN or infinite numbers in frames 3, 4, 5, 6 and 2 more"),
        (bad_pose(2.0), ERROR, "cameras.npz", "the pose is not a rotation"),
        (bad_pose(-1.0, 2, 3), ERROR, "cameras.npz", "the head lies behind the camera"),
        (lost_landmarks, WARNING, "landmarks.npy", "frames 2, 4, 6, 8 and 2 more without landmarks"),
        (late_phonemes, ERROR, "phonemes.json", "speech sounds outside the clip's 3.00 s"),
        (wild_blendshapes, ERROR, "blendshapes.npy", r"outside \[0, 1\]"),
        (lambda f: (f / "landmarks.npy").unlink(), ERROR, "landmarks.npy", "the file is missing"),
        (lambda f: edit_manifest(f, fps=30.0), ERROR, "fps", "30 frames per second, Subjects have 25"),
        (lambda f: edit_manifest(f, sample_rate=8000), ERROR, "sample_rate", "8000 Hz"),
        (
            lambda f: edit_manifest(f, split={"train": [0, 60], "test": [60, 90]}),
            ERROR,
            "split",
            r"test is \[60, 90\), but there are 75 frames",
        ),
        (
            lambda f: edit_manifest(f, split={"train": [0, 60], "test": [50, 75]}),
            ERROR,
            "split",
            "share 10 frames",
        ),
        (
            lambda f: edit_manifest(f, split={"train": [0, 75], "test": [75, 75]}),
            WARNING,
            "split",
            "no frames",
        ),
    ],
)
def test_damage_is_found_and_named(
    folder: Path, damage: Callable[[Path], None], severity: str, part: str, words: str
) -> None:
    import re

    damage(folder)
    problems = check(folder)
    found = [p for p in problems if p.severity == severity and p.part == part and re.search(words, p.what)]
    assert len(found) == 1, problems
    assert {p.part for p in problems} == {part}, problems  # and nothing else is blamed
    assert found[0].advice[0].isupper()
    assert str(found[0]).startswith(f"{severity}: {part}: ")


def test_what_is_not_a_subject_is_not_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a Subject"):
        check(tmp_path)


@pytest.mark.parametrize("lag", [-4, 0, 3])
def test_the_lag_between_mouth_and_sound_is_measured(lag: int) -> None:
    case = make_case(frames=150, lag=lag)
    sync = mouth_sound_sync(mouth_opening(case.landmarks), case.audio)
    assert sync is not None
    assert sync.lag == pytest.approx(lag, abs=0.35)
    assert sync.correlation > 0.7


def test_a_lag_is_a_warning_and_strangers_are_told(tmp_path: Path) -> None:
    late = write_case(tmp_path / "late", make_case(frames=150, lag=4))
    assert [(p.severity, p.part) for p in check(late)] == [(WARNING, "sync")]
    assert "frames (0.1" in check(late)[0].what
    assert "after the sound" in check(late)[0].what
    case = make_case(frames=150)
    other = case._replace(audio=np.random.default_rng(5).uniform(-0.5, 0.5, len(case.audio)).astype(np.float32))
    strangers = check(write_case(tmp_path / "strangers", other))
    assert "hardly correlate" in strangers[0].what


def test_a_still_picture_without_the_head_will_do(tmp_path: Path) -> None:
    with SubjectWriter(tmp_path / "x", "x", 48, 48) as writer:
        case = CASE._replace(without_head=np.array([None] * len(CASE.frames)))
        fill(writer, case)
        writer.set_without_head(CASE.without_head[0], "one frame")
    subject = Subject.open(tmp_path / "x")
    assert np.array_equal(subject.without_head(9), CASE.without_head[0])
    assert subject.manifest.without_head == "one frame"
    assert subject.validate() == []
