"""The whole way from a file to a Subject, with a painted head in the place of a person and of the networks."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import clips
import fake_face
import numpy as np
import pytest
import soundfile
from fake_face import QUICK, refused

from audioplane import cli
from audioplane.errors import UserError
from audioplane.preprocess import bundle, prepare
from audioplane.preprocess.bundle import Poses
from audioplane.preprocess.face_mesh import Box, Face
from audioplane.preprocess.face_shape import GENERIC
from audioplane.preprocess.verdict import Facts
from audioplane.subject import Subject
from audioplane.subject.masks import HAIR, TORSO
from tests.media.films import ffmpeg


@pytest.fixture(autouse=True)
def faked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_face.install(monkeypatch.setattr)
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))


def run(tmp_path: Path, video: Path, **settings: object) -> tuple[Subject, Facts]:
    [(folder, facts)] = prepare(video, tmp_path / "subject", replace(QUICK, **settings))  # type: ignore[arg-type]
    return Subject.open(folder), facts


def test_a_video_becomes_a_subject(tmp_path: Path) -> None:
    video = fake_face.video(tmp_path / "talk.mkv")
    [(folder, facts)] = prepare(video, tmp_path / "subject", replace(fake_face.SETTINGS, train=2.0))
    subject = Subject.open(folder)
    assert [p for p in subject.validate() if p.severity == "error"] == []
    assert (subject.num_frames, subject.width) == (75, 64)
    assert (subject.train, subject.test) == (range(50), range(50, 75))
    assert facts.face_share == 1.0
    poses, opening = fake_face.moving(75), fake_face.babble(75)
    painted = fake_face.paint(poses, opening)
    for t in (0, 30, 74):
        np.testing.assert_array_equal(subject.frame(t), painted[t])
        brows, chin = (bundle.project(GENERIC[[k]], poses[[t]], fake_face.LENS)[0, 0] for k in (27, 8))
        nose, below = ((1.2 * brows - 0.2 * chin), 1.2 * chin - 0.2 * brows)
        assert subject.label(t)[int(nose[1]), int(nose[0])] >= HAIR
        assert subject.label(t)[60, 32] == TORSO
        assert subject.label(t)[4, 4] == 0
        assert below[1] < 64
        # behind the head the wall's colours are painted
        hidden = subject.without_head(t)[int(nose[1]), int(nose[0])].astype(int)
        assert np.abs(hidden - (45, 65, 195)).max() < 25
    assert "half" not in {path.name for path in tmp_path.iterdir()}


def test_the_head_stays_still_where_the_poses_are_taken_out(tmp_path: Path) -> None:
    subject, _ = run(tmp_path, fake_face.video(tmp_path / "talk.mkv"), skip=())
    truth, found = fake_face.moving(75), Poses.of(subject.viewmats)
    # across the picture the head goes where the truth goes (this finder cannot see it turn)
    centre = np.array([[0.0, 0.02, -0.08]])
    error = bundle.project(centre, found, fake_face.LENS) - bundle.project(centre, truth, fake_face.LENS)
    assert np.sqrt(((error - error.mean(0)) ** 2).sum(-1).mean()) < 2


def test_sound_that_comes_late_is_found_and_moved(tmp_path: Path) -> None:
    video = fake_face.video(tmp_path / "talk.mkv", 150, late=0.2)
    plain, facts = run(tmp_path, video)
    assert facts.sound["lag_frames"] == pytest.approx(-5, abs=0.7)
    assert facts.sound["lag_steady"]
    assert any("before the sound" in trouble for trouble in facts.troubles())
    [(folder, moved)] = prepare(video, tmp_path / "moved", replace(QUICK, shift_audio="auto"))
    assert moved.sound["shifted"] == pytest.approx(-0.2, abs=0.03)
    shifted = round(-moved.sound["shifted"] * 16000)
    a, b = Subject.open(folder).audio[4000:20000], plain.audio[4000 + shifted - 2 : 20000 + shifted + 2]
    assert max(np.corrcoef(a, b[k : k + 16000])[0, 1] for k in range(5)) > 0.99  # to the sample, but for rounding


def test_a_lag_that_changes_on_the_way_is_not_corrected(tmp_path: Path) -> None:
    opening = fake_face.babble(250)
    late, early = (fake_face.voice(opening, late=by) for by in (0.24, -0.12))
    sound = np.concatenate([late[:, : 6 * 16000], early[:, 6 * 16000 :]], 1)
    video = clips.write(tmp_path / "a.mkv", fake_face.paint(fake_face.moving(250), opening), sound=sound)
    _, facts = run(tmp_path, video, shift_audio="auto")
    assert abs(facts.sound["lag_frames"]) > 2
    assert not facts.sound["lag_steady"]
    assert facts.sound["shifted"] == 0
    assert any("but not all through it" in trouble for trouble in facts.troubles())


def test_two_faces_the_larger_is_taken_and_it_is_said(tmp_path: Path) -> None:
    frames = fake_face.paint(fake_face.moving(60), fake_face.babble(60), heads=2)
    video = clips.write(tmp_path / "two.mkv", frames, sound=fake_face.voice(fake_face.babble(60)))
    subject, facts = run(tmp_path, video)
    assert facts.other_faces > 0.5
    assert any("second face" in trouble for trouble in facts.troubles())
    columns = np.concatenate([np.nonzero(subject.head_mask(t))[1] for t in (0, 30)])
    assert columns.mean() < 32


@pytest.mark.parametrize(("face", "left"), [("left", True), ("right", False), ("2", False)])
def test_two_faces_the_one_that_is_asked_for_is_taken(tmp_path: Path, face: str, left: bool) -> None:
    frames = fake_face.paint(fake_face.moving(60), fake_face.babble(60), heads=2)
    video = clips.write(tmp_path / "two.mkv", frames, sound=fake_face.voice(fake_face.babble(60)))
    subject, facts = run(tmp_path, video, face=face)
    assert any(f"--face {face} was taken" in trouble for trouble in facts.troubles())
    x = np.nanmean(subject.landmarks[:, :, 0]) * facts.crop[2] / subject.width + facts.crop[0]
    assert (x < 32) == left
    refused(tmp_path, video, "--face is largest", face="nearest")


def test_all_times_are_those_of_the_film(tmp_path: Path) -> None:
    opening = fake_face.babble(150)
    frames = fake_face.paint(fake_face.moving(150), opening)
    frames[90:] = [np.roll(frame, 6, axis=1) for frame in frames[90:]]
    sound = fake_face.voice(opening)
    sound[:, 5 * 16_000 :] = 0
    video = clips.write(tmp_path / "a.mkv", frames, sound=sound)
    for number, start in enumerate((0.0, 1.2, 2.28)):
        [(_, facts)] = prepare(video, tmp_path / str(number), replace(QUICK, start=start))
        assert facts.cuts == [pytest.approx(3.6)]
        assert facts.silences == [] or facts.silences[0][0] == pytest.approx(5, abs=0.1)


def test_a_start_between_frames_takes_the_frame_that_is_shown(tmp_path: Path) -> None:
    frames = fake_face.paint(fake_face.moving(150), fake_face.babble(150))
    video = clips.write(tmp_path / "a.mkv", frames, sound=fake_face.voice(fake_face.babble(150)))
    subject, facts = run(tmp_path, video, start=2.28)
    assert facts.start == 2.28
    for t in (0, 1, 40):
        np.testing.assert_array_equal(subject.frame(t), frames[57 + t])


def test_of_several_tracks_the_one_that_goes_with_the_mouth_is_taken(tmp_path: Path) -> None:
    opening = fake_face.babble(150)
    frames = fake_face.paint(fake_face.moving(150), opening)
    music = 0.2 * np.sin(np.arange(6 * 16_000) / 9.0)[None].astype(np.float32)
    pieces = [clips.write(tmp_path / "a.mkv", frames, sound=music), tmp_path / "b.wav", tmp_path / "two.mkv"]
    soundfile.write(pieces[1], fake_face.voice(opening)[0], 16_000)
    ffmpeg("-i", pieces[0], "-i", pieces[1], "-map", "0", "-map", "1", "-c", "copy", pieces[2])
    subject, facts = run(tmp_path, pieces[2])
    assert facts.sound["track"] == 2
    assert any("goes with the mouth" in note for note in facts.notes)
    assert np.corrcoef(subject.audio[:90_000], fake_face.voice(opening)[0][:90_000])[0, 1] > 0.99
    [(folder, asked)] = prepare(pieces[2], tmp_path / "asked", replace(QUICK, audio_track=1))
    assert asked.sound["track"] == 1
    assert np.corrcoef(Subject.open(folder).audio[:90_000], music[0, :90_000])[0, 1] > 0.99
    refused(tmp_path, pieces[2], r"--audio-track 3: .*track 2", audio_track=3)


def test_a_full_disk_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    video = fake_face.video(tmp_path / "talk.mkv", 60)
    monkeypatch.setattr(np, "savez", full)
    refused(tmp_path, video, "no space left for")
    assert list((tmp_path / "cache").rglob("*.tmp")) == []


def test_a_face_that_leaves_the_longest_stretch_is_taken(tmp_path: Path) -> None:
    opening = fake_face.babble(200)
    frames = fake_face.paint(fake_face.moving(200), opening)
    empty = np.full((64, 64, 3), (40, 60, 200), np.uint8)
    frames[120:160] = [empty] * 40
    subject, facts = run(tmp_path, clips.write(tmp_path / "a.mkv", frames, sound=fake_face.voice(opening)))
    assert subject.num_frames == pytest.approx(120, abs=8)
    assert facts.start == 0
    [(left, back)] = facts.lost
    assert (left, back) == (pytest.approx(4.8, abs=0.32), pytest.approx(6.4, abs=0.32))
    [said] = [trouble for trouble in facts.troubles() if "the face is gone at" in trouble]
    assert f"at {left:g}-{back:g} s: of 8.0 s only the longest" in said
    assert facts.verdict() != "good"


def test_a_short_gap_is_bridged_and_has_no_head(tmp_path: Path) -> None:
    opening = fake_face.babble(75)
    frames = fake_face.paint(fake_face.moving(75), opening)
    frames[33:38] = [np.full((64, 64, 3), (40, 60, 200), np.uint8)] * 5
    subject, facts = run(tmp_path, clips.write(tmp_path / "a.mkv", frames, sound=fake_face.voice(opening)))
    assert subject.num_frames == 75
    assert facts.face_share == pytest.approx(70 / 75, abs=0.001)
    assert (facts.lost, facts.gone) == ([], [(1.32, 1.52)])
    assert any("7% of the frames have no face (at 1.32-1.52 s)" in trouble for trouble in facts.troubles())
    assert np.isnan(subject.landmarks[35]).all()
    assert not subject.head_mask(35).any()
    assert np.isfinite(subject.viewmats).all()


class Knowing(fake_face.Finder):
    """Knows where the face is though half of it is outside, as MediaPipe's mesh does."""

    def look(self, image: np.ndarray, box: Box) -> Face:
        face = super().look(image, box)
        shown = (np.abs(image.astype(int) - (220, 170, 140)).sum(2) < 60).any(0)
        cut = shown[-1] and not shown[0]
        return replace(face, points=face.points + np.array([14.0 * cut, 0, 0]))


def test_a_face_half_outside_of_the_picture_is_said_with_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_face.install(monkeypatch.setattr, Knowing)
    opening = fake_face.babble(100)
    frames = fake_face.paint(fake_face.moving(100), opening)
    for t in range(50, 75):
        frames[t] = np.concatenate([np.repeat(frames[t][:, :1], 22, 1), frames[t][:, :-22]], 1)
    subject, facts = run(tmp_path, clips.write(tmp_path / "a.mkv", frames, sound=fake_face.voice(opening)), start=0.4)
    assert subject.num_frames == 90
    assert facts.cut_share == pytest.approx(25 / 90, abs=0.03)
    [(first, last)] = facts.cut_off
    assert (first, last) == (pytest.approx(2.0, abs=0.09), pytest.approx(3.0, abs=0.09))
    [said] = [trouble for trouble in facts.troubles() if "cut off" in trouble]
    assert f"(at {first:g}-{last:g} s): leave them out" in said
    assert facts.verdict() == "poor"


def test_a_cut_is_said_and_splits(tmp_path: Path) -> None:
    opening = fake_face.babble(130)
    frames = fake_face.paint(fake_face.moving(130), opening)
    frames[70:] = [np.roll(frame, 6, axis=1) for frame in frames[70:]]
    video = clips.write(tmp_path / "a.mkv", frames, sound=fake_face.voice(opening))
    made = prepare(video, tmp_path / "pieces", QUICK, split=True)
    assert [folder.name for folder, _ in made] == ["01", "02"]
    assert [Subject.open(folder).num_frames for folder, _ in made] == [70, 60]
    _, facts = run(tmp_path, video)
    assert facts.cuts == [2.8]


def test_telephone_sound_works_and_is_said(tmp_path: Path) -> None:
    subject, facts = run(tmp_path, fake_face.video(tmp_path / "a.mkv", rate=8000))
    assert len(subject.audio) == 3 * 16000
    assert any("8 kHz" in trouble for trouble in facts.troubles())


def test_30_pictures_a_second_come_out_in_step(tmp_path: Path) -> None:
    count = 90
    opening = fake_face.babble(75)
    shown = np.minimum((np.arange(count) + 0.5) / 30 * 25, 74).astype(int)
    frames = fake_face.paint(fake_face.moving(75), opening)
    video = clips.write(tmp_path / "a.mkv", [frames[k] for k in shown], 30, sound=fake_face.voice(opening))
    subject, facts = run(tmp_path, video)
    assert subject.num_frames == 75
    assert facts.sound["lag_frames"] is None  # three seconds do not tell
    assert any("cannot be told" in trouble for trouble in facts.troubles())
    np.testing.assert_array_equal(subject.frame(50), frames[50])


class Blind(fake_face.Finder):
    def detect(self, image: np.ndarray, least: float = 0.5) -> list:
        return []


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = fake_face.babble(75)
    frames = fake_face.paint(fake_face.moving(75), opening)
    good = fake_face.video(tmp_path / "good.mkv", 60)
    refused(tmp_path, clips.write(tmp_path / "mute.mkv", frames[:60]), "no sound track")
    short = clips.write(tmp_path / "short.mkv", frames[:30], sound=fake_face.voice(opening[:30]))
    refused(tmp_path, short, "too short: it lasts 1.20 s")
    refused(tmp_path, good, "too short.*0.40 s are taken", start=2.0)
    refused(tmp_path, good, "--start and --end", start=2.0, end=1.0)
    refused(tmp_path, good, "--size", size=63)
    refused(tmp_path, good, "--landmarks", landmarks="dlib")
    refused(tmp_path, good, "--skip", skip=("brain",))
    refused(tmp_path, good, "--shift-audio", shift_audio="maybe")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 3])
    refused(tmp_path, cut, "too short")
    away = [np.full((64, 64, 3), (40, 60, 200), np.uint8)] * 45 + frames[45:75]
    refused(tmp_path, clips.write(tmp_path / "away.mkv", away, sound=fake_face.voice(opening)), "in only")
    monkeypatch.setattr("audioplane.preprocess.preparation.landmarker", lambda kind: Blind())
    refused(tmp_path, fake_face.video(tmp_path / "blind.mkv", 60), "no face was found")


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="exists already"):
        prepare(fake_face.video(tmp_path / "a.mkv", 60), tmp_path / "there", QUICK)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["thesis.tex"]


def test_a_missing_model_file_is_said_with_how_to_get_it(tmp_path: Path, empty_home: Path) -> None:
    from audioplane.preprocess.landmarks import landmarker

    for kind, command in (
        ("mediapipe", "audioplane fetch face-landmarker"),
        ("face-alignment", "audioplane fetch s3fd"),
    ):
        with pytest.raises(UserError, match=command):
            landmarker(kind)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = fake_face.video(tmp_path / "talk.mkv", 60)
    out = str(tmp_path / "made")
    skip = ["--skip", "refine", "--skip", "flow"]
    assert cli.main(["prepare", str(video), "--out", out, "--size", "64", *skip]) == 0
    said = capsys.readouterr().out
    assert "verdict   poor" in said
    assert "2 s are little" in said
    assert (tmp_path / "made.png").is_file()
    assert cli.main(["prepare", str(video), "--out", out]) == 2
    assert cli.main(["prepare", str(tmp_path / "none.mp4"), "--out", str(tmp_path / "x")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert cli.main(["prepare", str(video), "--out", str(tmp_path / "x"), "--shift-audio", "soon"]) == 2


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_at_any_step_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    video = fake_face.video(tmp_path / "talk.mkv", 60)
    script = str(Path(fake_face.__file__))

    def start(cache: str, out: str, *steps: str) -> None:
        root = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "AUDIOPLANE_CACHE": str(tmp_path / cache), "PYTHONPATH": root}
        command = [sys.executable, script, str(video), str(tmp_path / out), *steps]
        done = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stderr

    start("cache-a", "whole")
    start("cache-b", "resumed", *fake_face.STEPS, "write")
    kept = {path.name.split("-")[0] for path in (tmp_path / "cache-a").rglob("*.npz")}
    assert kept == set(fake_face.STEPS)
    assert contents(tmp_path / "whole") == contents(tmp_path / "resumed")
    left = [path.name for path in (tmp_path / "cache-b").rglob("*.tmp")]
    assert left == []


def test_what_stands_beside_a_subject_is_made_before_it_has_its_name(tmp_path: Path) -> None:
    """Killed between the two, the same command would find the Subject there and never make the rest."""
    video, out = fake_face.video(tmp_path / "a.mkv", 60), tmp_path / "made"

    def killed(folder: Path, name: Path) -> None:
        assert name == out
        assert not out.exists()
        assert Subject.open(folder).num_frames == 60
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(video, out, QUICK, before_naming=killed)
    assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "cache"}
    prepare(video, out, QUICK, before_naming=lambda folder, name: (tmp_path / "sheet").touch())
    assert out.exists()
    assert (tmp_path / "sheet").exists()


def test_all_pieces_or_none(tmp_path: Path) -> None:
    opening = fake_face.babble(130)
    frames = fake_face.paint(fake_face.moving(130), opening)
    frames[70:] = [np.roll(frame, 6, axis=1) for frame in frames[70:]]
    video = clips.write(tmp_path / "a.mkv", frames, sound=fake_face.voice(opening))

    def killed(folder: Path, name: Path) -> None:
        if name.name == "02":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(video, tmp_path / "pieces", QUICK, split=True, before_naming=killed)
    assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "cache"}
    made = prepare(video, tmp_path / "pieces", QUICK, split=True)
    assert [folder.name for folder, _ in made] == ["01", "02"]
