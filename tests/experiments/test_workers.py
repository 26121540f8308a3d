"""Jobs on a Ray of this machine: the same records, also when a worker is killed in the middle; and what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from audioplane import cli
from audioplane.errors import UserError
from audioplane.experiments import run_cache, runner, runs, workers
from audioplane.experiments.records import Record
from audioplane.experiments.run_cache import STATE
from audioplane.experiments.runs import Clip, Job
from audioplane.inference.talking_head import TalkingHead
from audioplane.runtime import cache
from audioplane.subject import Subject
from audioplane.training.trainer import Trainer
from tests.experiments.small_runs import TINY

pytestmark = pytest.mark.usefixtures("own_cache")

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'audioplane[ray]'")


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_one_sentence_says_what_to_install(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["reproduce", "table2", "--preset", "smoke", "--subject", str(folder), "--ray"]
    assert cli.main(arguments) == 2
    assert "pip install 'audioplane[ray]'" in capsys.readouterr().err
    assert not list(cache.folder("records").iterdir()), "nothing is left behind"


@pytest.mark.parametrize(
    ("address", "said"),
    [("127.0.0.1:1", "can be reached at '127.0.0.1:1'"), ("nowhere", "HOST:PORT"), ("ray://x:1", "HOST:PORT")],
)
def test_a_cluster_that_is_not_there_is_named(address: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        workers.Ray(address)


def test_a_worker_of_another_version_makes_no_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(Clip.of(folder), TINY)
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(cache.folder()))  # the worker sets it
    with pytest.raises(UserError, match="another version of audioplane"):
        workers.work_elsewhere(job, {}, "other code")
    assert not cache.folder("records").exists()


def test_the_record_of_a_machine_with_another_cache_is_kept_here_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere:
        def submit(self, job: Job, notes: Path) -> Future[Record]:
            done: Future[Record] = Future()
            done.set_result(_made_elsewhere(job))
            return done

        def stop(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(runner, "open_pool", lambda *_: Elsewhere())
    job = Job(Clip.of(folder), TINY)
    found, failed = runner.run_all({job.key: job}, quiet=True)
    assert runs.find(job) == found[job.key]
    assert not failed
    runner.time_alone([job], found)  # the head lies elsewhere, and is not trained again for its speed
    assert "fps" not in found[job.key].facts


def _made_elsewhere(job: Job) -> Record:
    config = json.loads(job.config.to_json())
    measures = dict.fromkeys(("head_psnr", "mouth_psnr", "opening_correlation"), 1.0) | {"protocol": "a test"}
    return Record(
        job.identity, job.key, job.code(), config, job.clip.to_dict(), None, {}, "GPU", "2026-01-01",
        {"train": 5.0, "judge": 1.0}, {}, measures, {},
    )  # fmt: skip


def test_heads_of_one_subject_are_trained_side_by_side_and_found_again(folder: Path) -> None:
    subject = Subject.open(folder)
    configs = [TINY.replace(seed=seed) for seed in (2, 3)]
    found = workers.train_all(subject, [*configs, configs[0]], count=2, quiet=True)
    assert found == [run_cache.place(subject.name, subject.digest, configs[k]) for k in (0, 1, 0)]
    heads = [(place / run_cache.HEAD).read_bytes() for place in found]
    assert heads[0] != heads[1]
    alone = Trainer(configs[0], subject)
    alone.run()
    loaded = TalkingHead.load(found[0], sparse=False).method.branch("head").state_dict()
    kept = alone.method.branch("head").state_dict()
    assert all(torch.equal(loaded[name], kept[name]) for name in loaded if name.startswith("params"))
    assert workers.train_all(subject, configs, quiet=True) == found[:2]
    assert (found[0] / run_cache.HEAD).read_bytes() == heads[0], "nothing is trained twice"


def test_in_this_process_a_head_is_the_same_and_torch_keeps_its_threads(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, heads = Subject.open(folder), []
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        heads.append((workers.train_all(subject, [TINY], 0, True)[0] / run_cache.HEAD).read_bytes())
        assert torch.get_num_threads() == 2
        monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "another"))
        torch.set_num_threads(1)  # as a job has: a head's file names it
        heads.append((run_cache.trained(subject, TINY) / run_cache.HEAD).read_bytes())
    finally:
        torch.set_num_threads(before)
    assert heads[0] == heads[1]


def test_jobs_in_this_process_make_records_and_tell_what_failed(folder: Path) -> None:
    job = Job(Clip.of(folder), TINY)
    wrong = replace(job, config=TINY.replace("schedule.size=4096"))
    found, failed = runner.run_all({one.key: one for one in (job, wrong)}, workers=0, quiet=True)
    assert found == {job.key: runs.find(job)}
    assert failed.keys() == {wrong.key}
    assert "far above the subject's" in failed[wrong.key]


@pytest.mark.parametrize("count", [0, 1])
def test_what_stops_a_training_beside_others_is_said(folder: Path, count: int) -> None:
    with pytest.raises(UserError, match="far above the subject's"):
        workers.train_all(Subject.open(folder), [TINY.replace("schedule.size=4096")], count=count, quiet=True)


@needs_ray
@pytest.mark.filterwarnings("default")  # Ray's own
def test_ray_gives_the_same_records_and_a_lost_worker_s_job_runs_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, two jobs; one worker is killed once its training has a checkpoint."""
    clip = Clip.of(folder)
    jobs = [Job(clip, TINY.replace(seed=seed, schedule__fine=40)) for seed in range(2)]
    by_key = {job.key: job for job in jobs}
    plain, failed = runner.run_all(by_key, workers=2, quiet=True)
    assert not failed
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "of ray"))
    killer = _Killer()
    monkeypatch.setattr(runner._Progress, "update", killer.look)
    spread, failed = runner.run_all(by_key, workers=2, quiet=True, ray=workers.STARTED_BY_US)
    assert killer.killed, "no worker was killed"
    assert not failed
    assert spread.keys() == plain.keys()
    for key, record in plain.items():
        ours, theirs = dict(_lasting(spread[key])), dict(_lasting(record))
        assert json.dumps(ours) == json.dumps(theirs), "in a text NaN equals NaN"
    assert not list(cache.folder("records").glob(".*")), "no locks are left"
    assert not _descendants("ray::"), "no worker is left"


class _Killer:
    """Kills the first worker that is found at a training with a checkpoint."""

    def __init__(self) -> None:
        self.killed = 0

    def look(self, _: object = None) -> None:
        if not self.killed and any(cache.folder("runs").glob(f"*/{STATE}")):
            self.killed = min(_descendants("ray::work_elsewhere"), default=0)
            if self.killed:
                os.kill(self.killed, signal.SIGKILL)


def _descendants(title: str) -> list[int]:
    """Processes below this one whose command line begins so."""
    parents, titles = {}, {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                parents[int(place.name)] = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
                titles[int(place.name)] = place.joinpath("cmdline").read_text()
            except OSError:  # it has ended
                continue
    found = []
    for process in titles:
        above = process
        while above > 1 and above != os.getpid():
            above = parents.get(above, 0)
        if above == os.getpid() and titles[process].startswith(title):
            found.append(process)
    return found


def _lasting(record: Record) -> Iterator[tuple[str, object]]:
    """Every number and text of a record by its place, without what may differ: timings and the machine."""

    def leaves(value: object, place: str) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict | list | tuple):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for name, own in pairs:
                yield from leaves(own, f"{place}.{name}")
        else:
            yield place, value

    return leaves(asdict(replace(record, seconds={}, device="", made="")), "record")
