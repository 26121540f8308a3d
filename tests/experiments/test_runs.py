"""Runs on a small Subject: made once, found again, continued after an interruption, told when they fail."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from audioplane import cli
from audioplane.errors import UserError
from audioplane.evaluation import heads
from audioplane.evaluation.inspection import visibility
from audioplane.experiments import films, records, run_cache, runner, runs
from audioplane.experiments.runs import Clip, Job
from audioplane.experiments.tables import find, jobs
from audioplane.inference.talking_head import TalkingHead
from audioplane.runtime import cache
from audioplane.subject import Subject
from tests.experiments.small_runs import TINY

pytestmark = pytest.mark.usefixtures("own_cache")


class Stop:
    """Interrupts a training."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, trainer: object, report: object) -> None:
        if report.iteration == self.at:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    def close(self) -> None: ...


def test_a_run_is_made_once_and_measures_everything(folder, monkeypatch):
    job = Job(Clip.of(folder), TINY)
    assert runs.find(job) is None
    record = runs.run(job)
    for name in (
        "head_psnr",
        "mouth_psnr",
        "lip_error",
        "lse_c",
        "true_lse_c",
        "unrelated_lse_c",
        "shifted_correlation",
    ):
        assert np.isfinite(record.measures[name]), name
    assert {"head_psnr", "mouth_psnr", "sync_distance", "rest_motion"} <= record.series.keys()
    lpips = record.measures["lpips"]
    assert lpips == "weights missing: audioplane fetch lpips-alex" or 0 <= lpips < 1, "no folder of this machine"
    assert record.measures["rest_motion"] == pytest.approx(np.mean(record.series["rest_motion"]), rel=1e-4)
    assert len(record.series["head_psnr"]) == 55
    assert record.measures["head_psnr"] == pytest.approx(np.mean(record.series["head_psnr"]), rel=1e-4)
    assert 0 < record.facts["mouth_share"] < 1
    monkeypatch.setattr(runs, "_make", lambda *_: pytest.fail("it was made already"))
    assert runs.run(job) == record


def test_motion_at_rest_is_that_of_what_speech_should_not_move(folder, monkeypatch):
    """A head moved by hand: all of it by 2 mm to and fro, then only what is seen inside the mouth's region."""
    job = Job(Clip.of(folder), TINY)
    head = TalkingHead.load(run_cache.trained(job.clip.open(), TINY) / run_cache.HEAD, sparse=False)
    subject = job.clip.open()
    frames = len(subject.test)
    to_and_fro = torch.tensor([2.0, -2.0]).repeat(frames)[:frames, None, None]
    shown = visibility(head, subject.viewmats[subject.test[0]], subject.motion_mask(subject.test[0]))
    inside = shown / visibility(head, subject.viewmats[subject.test[0]]).clamp_min(1e-9)

    def moved(share: torch.Tensor):
        places = torch.cat([to_and_fro, torch.zeros(frames, 1, 2)], dim=2) * share[None, :, None]
        monkeypatch.setattr(runs, "movement", lambda *_: (places, None))
        return runs.rest_motion(head, subject)

    np.testing.assert_allclose(moved(torch.ones(len(head.cloud))), 2.0, rtol=0.03)
    assert moved((inside > 0.9).float()).mean() < 0.2
    assert moved((inside < 0.1).float()).mean() > 1.0


def test_speed_is_timed_after_all_runs_have_ended_and_without_reading_pictures(folder, monkeypatch):
    job = Job(Clip.of(folder), TINY)
    record = runs.run(job)
    assert "fps" not in record.facts, "a run beside others says nothing of speed"
    assert record.device.startswith("CPU, "), "where it was trained, whatever the machine has"
    order: list[str] = []
    monkeypatch.setattr(runner, "run_all", lambda *_: order.append("ran") or ({job.key: record}, {}))
    monkeypatch.setattr(runner, "jobs", lambda *_: {("Audio-Plane", "test set A", 0): job})
    measure = heads.measure

    def clocked(work, *args, **settings):
        order.append("timed")
        with monkeypatch.context() as patch:
            for reads in ("frame", "without_head", "label"):
                patch.setattr(Subject, reads, lambda *_: pytest.fail("a picture was read while the clock ran"))
            return measure(work, *args, **settings)

    monkeypatch.setattr(heads, "measure", clocked)
    for _ in range(2):  # the second time it is in the record
        found = runner.reproduce(["table5"], "smoke")["table5"].records[0]
        assert found.facts["fps"] > 0
        assert found.facts["fps_device"] == "CPU, 1 thread(s)"
        record = runs.find(job)
    assert order == ["ran", "timed", "ran"]
    runner.reproduce(["table2"], "smoke")
    assert order == ["ran", "timed", "ran", "ran"], "no column of Table II shows it"


def test_interrupted_and_started_again_it_ends_with_the_same_measures(folder):
    job = Job(Clip.of(folder), TINY)
    with pytest.raises(KeyboardInterrupt):
        runs.run(job, (Stop(25),))
    assert runs.find(job) is None
    continued = runs.run(job)
    runs.forget(job)
    assert runs.find(job) is None
    whole = runs.run(job)
    assert json.dumps(continued.measures) == json.dumps(whole.measures)
    assert continued.series == whole.series
    noted = next(run_cache.cache.folder("runs").glob("disc-*/scalars.jsonl")).read_text().splitlines()
    rows = [json.loads(line) for line in noted]
    assert [row["iteration"] for row in rows] == sorted({row["iteration"] for row in rows})


def test_another_version_of_the_code_is_another_answer(folder, monkeypatch):
    job = Job(Clip.of(folder), TINY)
    before = job.key
    monkeypatch.setattr(runs, "source_hash", lambda *_, **__: "other")
    assert job.key != before
    assert Job(job.clip, job.config).identity == job.identity


def test_all_runs_beside_each_other_and_a_failure_is_told(folder, capsys):
    clip = Clip.of(folder)
    good, bad = Job(clip, TINY), Job(replace(clip, folder=str(folder.parent / "gone")), TINY.replace(seed=1))
    found, failed = runner.run_all({"good": good, "bad": bad}, workers=2)
    assert found.keys() == {"good"}
    assert failed.keys() == {"bad"}
    assert "gone" in failed["bad"]
    assert "FAILED" in capsys.readouterr().err
    again, none = runner.run_all({"good": good}, workers=2)
    assert again == found
    assert not none


ORPHANS = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from audioplane.experiments.workers import start_worker

def beat(path):
    while True:
        with open(path, "a") as file:
            file.write(".")
        time.sleep(0.05)

if __name__ == "__main__":
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=start_worker) as pool:
        list(pool.map(beat, sys.argv[1:]))
"""


def test_workers_end_with_a_runner_that_was_killed(tmp_path):
    (tmp_path / "orphans.py").write_text(ORPHANS)
    beats = [tmp_path / "first", tmp_path / "second"]
    killed = subprocess.Popen([sys.executable, str(tmp_path / "orphans.py"), *map(str, beats)])
    try:
        _until(lambda: all(path.is_file() for path in beats))
    finally:
        killed.kill()
        killed.wait()
    seen: list[list[int]] = []

    def still() -> bool:
        seen.append([path.stat().st_size for path in beats])
        return len(seen) > 10 and seen[-1] == seen[-11]

    _until(still)


def _until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("this should have come true within a minute")


def test_kept_records_are_found_by_their_question(folder, tmp_path, monkeypatch):
    clip = Clip.of(folder)
    job = jobs(find("table2"), "smoke", 1, clip)["+ AP & SS", "test set A", 0]
    asked = json.loads(job.config.to_json())
    record = replace(runs.run(Job(clip, TINY)), identity=job.identity, config=asked)
    older = replace(record, key="0" * 12, code="older")
    older.save(tmp_path / "kept")
    result = runner._collect(
        find("table2"), "smoke", {("+ AP & SS", "test set A", 0): record.key}, {record.key: record}, {}, {}
    )
    assert runner.keep([result], tmp_path / "kept") == 1
    assert records.read_all(tmp_path / "kept") == {job.identity: record}, "the newer answer takes the older one's place"
    record.save(tmp_path / "kept")
    assert runner.keep([result], tmp_path / "kept") == 1
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [records.ARCHIVE]
    other = replace(record, key="1" * 12, config=json.loads(job.config.replace(seed=7).to_json()))
    other.save(tmp_path / "kept")
    assert runner.keep([result], tmp_path / "kept") == 1
    assert {one.key for one in records.read_all(tmp_path / "kept").values()} == {record.key, other.key}


def test_a_film_of_the_truth_is_the_best_method(folder, tmp_path):
    from audioplane.media.writer import write_video
    from audioplane.subject import Subject

    subject = Subject.open(folder)
    path = tmp_path / "films" / "Wav2Lip" / "A.mp4"
    write_video(path, (subject.frame(t) for t in subject.test), subject.fps, quality=1)
    clips = {("Audio-Plane", "test set A", 0): Clip.of(folder)}
    found = films.films_of(find("table5"), clips, tmp_path / "films")
    measured = found["Wav2Lip", "test set A"]
    assert measured["head_psnr"] > 25, "half the colours are lost on the way through yuv420p"
    assert measured["frames"] == len(subject.test)
    write_video(path, (subject.frame(t) for t in subject.test[:20]), subject.fps)
    with pytest.raises(UserError, match="has 20 frames"):
        films.films_of(find("table5"), clips, tmp_path / "films")
    path.parent.rename(tmp_path / "films" / "unknown")
    with pytest.raises(UserError, match="no method of Table V"):
        films.films_of(find("table5"), clips, tmp_path / "films")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table9"], "there is no table 'table9'"),
        (["table2", "--seeds", "0"], "--seeds lies between 1 and"),
        (["table1", "--subject", "x"], "not with table1"),
        (["table5", "--films", "nowhere"], "there is no folder nowhere"),
        (["table2", "--preset", "huge"], "no preset 'huge'"),
        (["table2", "--subject", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(arguments, said, capsys):
    assert cli.main(["reproduce", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_list_names_tables_and_notebooks(capsys):
    assert cli.main(["reproduce", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[:7] == [f"table{n}" for n in range(1, 8)]
    tables, notebooks = (list(own) for _, own in itertools.groupby(listed, lambda name: name.endswith(".ipynb")))
    assert {"synctalk_pp/table1", "degstalk/table2"} < set(tables)
    assert notebooks[0].endswith("00_meet_the_speakers.ipynb")


@pytest.mark.slow
def test_the_command_makes_a_table_of_a_prepared_video(folder, tmp_path, capsys):
    arguments = [
        "reproduce",
        "table2",
        "--preset",
        "smoke",
        "--subject",
        str(folder),
        "--out",
        str(tmp_path / "t"),
        "--keep",
        str(tmp_path / "kept"),
    ]
    assert cli.main(arguments) == 0
    first = (tmp_path / "t" / "table2.csv").read_text()
    assert len(list((tmp_path / "kept").iterdir())) == 5
    assert "5 have a record" not in capsys.readouterr().out
    assert cli.main(arguments) == 0
    assert "5 have a record" in capsys.readouterr().out
    assert (tmp_path / "t" / "table2.csv").read_text() == first
    assert {path.suffix for path in (tmp_path / "t").iterdir()} == {".csv", ".md", ".tex"}


def test_notes_of_progress_that_a_killed_run_left_are_removed():
    left = cache.make("records") / ".progress.1-0123abcd.tmp"
    left.mkdir()
    (left / "x.json").touch()
    first, second = runner._Progress({}, True), runner._Progress({}, True)
    assert not left.exists()
    assert first.folder != second.folder
    for one in (first, second):
        assert one.folder.is_dir()
        (one.folder / "y.json").touch()
        one.close()
    assert list(cache.folder("records").iterdir()) == []
    left.mkdir()  # of one that was killed when all its records were there
    assert runner.run_all({}, quiet=True) == ({}, {})
    assert not left.exists()
