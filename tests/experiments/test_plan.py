"""What would run and how long it may take, from recorded timings; nothing is written while it is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audioplane import cli
from audioplane.experiments import plan, runner, tables
from audioplane.experiments.records import Record
from audioplane.experiments.runs import Clip, Job
from audioplane.runtime import cache

pytestmark = pytest.mark.usefixtures("own_cache")

NAME, FIRST = "table2", "+ AP & SS"


def record_of(job: Job, train: float, judge: float, device: str = "CPU, 1 thread(s)") -> Record:
    """A record of a job that took so long."""
    config = json.loads(job.config.to_json())
    clip, driven = job.clip.to_dict(), job.driven and job.driven.to_dict()
    seconds, measures = {"train": train, "judge": judge}, {"protocol": "a test"}
    return Record(
        job.identity, job.key, job.code(), config, clip, driven, {}, device, "2026-01-01", seconds, {}, measures, {}
    )


def cells(seeds: int = 2, clip: Clip | None = None) -> dict[tuple[str, str, int], Job]:
    return tables.jobs(tables.find(NAME), "smoke", seeds, clip)


def test_nothing_is_written_and_what_has_no_timing_is_said(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reproduce", NAME, "--preset", "smoke", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.count(f"would run; {plan.UNKNOWN}") == len(cells(1))
    assert said.splitlines()[-1].endswith(f"; {plan.UNKNOWN}")
    assert not own_cache.exists()


def test_a_run_takes_as_long_as_those_of_its_settings_did(own_cache: Path) -> None:
    own = cells()
    folder = cache.make("records")
    record_of(own[FIRST, "test set A", 0], 100.0, 10.0).save(folder)
    shown = sorted(path.name for path in own_cache.rglob("*"))
    found = plan.make([NAME], "smoke", seeds=2, workers=2)
    assert sorted(path.name for path in own_cache.rglob("*")) == shown, "it only reads"
    steps = {(step.rows[0], step.seed): step for step in found.steps}
    assert steps[FIRST, 0].recorded
    assert (steps[FIRST, 1].train, steps[FIRST, 1].judge) == (100.0, 10.0)
    assert steps[FIRST, 1].timed_on == ("CPU, 1 thread(s)",)
    assert {step.seconds for key, step in steps.items() if key[0] != FIRST} == {None}
    assert found.seconds() == found.elapsed() == 110.0
    assert found.unknown == len(own) - 2
    record_of(own[FIRST, "test set A", 1], 200.0, 20.0, "another GPU").save(folder)
    anew = plan.make([NAME], "smoke", seeds=2, workers=2, fresh=True)
    assert not any(step.recorded for step in anew.steps)
    assert anew.seconds() == 220.0, "a GPU's time says nothing of this machine, where its own is known"
    told = json.loads(found.to_json())
    assert (told["seconds"], told["elapsed_seconds"], told["without_timing"]) == (110.0, 110.0, len(own) - 2)
    assert told["steps"][0]["recorded"]


def test_a_head_is_trained_once_however_many_voices_drive_it() -> None:
    name = "table7"
    own = list(tables.jobs(tables.find(name), "smoke", 1).values())
    for number, job in enumerate(own):  # the first took the training upon it
        record_of(job, 0.0 if number else 60.0, 6.0).save(cache.make("records"))
    found = plan.make([name], "smoke", 1, 1, fresh=True)
    heads = {job.training for job in own}
    assert sum(bool(step.train) for step in found.missing) == len(heads) < len(found.steps)
    assert found.seconds() == pytest.approx(60.0 * len(heads) + 6.0 * len(own))
    assert found.elapsed(len(own)) == 66.0
    assert found.elapsed(3) >= found.seconds() / 3


def test_parts_cover_all_runs_once_and_keep_a_head_on_one_machine() -> None:
    by_key = {job.key: job for job in tables.jobs(tables.find("table7"), "smoke", 1).values()}
    parts = [runner.shard(by_key, number, 3) for number in (1, 2, 3)]
    assert sorted(key for part in parts for key in part) == sorted(by_key)
    heads = [{job.training for job in part.values()} for part in parts]
    assert sum(map(len, heads)) == len(set().union(*heads))
    assert all(heads)
    assert len(plan.make(["table7"], "smoke", 1, shard=(2, 3)).steps) == len(parts[1])


def test_a_part_makes_its_records_and_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Job]] = []
    monkeypatch.setattr(runner, "run_all", lambda own, *_, **__: asked.append(own) or ({}, {}))
    monkeypatch.setattr(runner, "reproduce", lambda *_, **__: pytest.fail("a table was made"))
    arguments = ["reproduce", NAME, "--preset", "smoke", "--seeds", "2", "--shard"]
    assert [cli.main([*arguments, part]) for part in ("1/2", "2/2")] == [0, 0]
    assert asked[0].keys() | asked[1].keys() == {job.key for job in cells().values()}
    assert not asked[0].keys() & asked[1].keys()
    assert "part 1 of 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shard", "3/2"], "--shard is K/N"),
        (["--shard", "0/2"], "--shard is K/N"),
        (["--shard", "half"], "--shard is K/N"),
        (["--shard", "1/2", "--keep", "x"], "--shard writes no tables"),
        (["--notebooks", "x", "--shard", "1/2"], "leave the notebooks"),
        (["--json"], "give --dry-run too"),
        (["--ray", "10.0.0.1:6379", "--jobs", "2"], "--jobs does not go with"),
    ],
)
def test_what_does_not_go_together_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], own_cache: Path
) -> None:
    assert cli.main(["reproduce", NAME, "--preset", "smoke", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not own_cache.exists()
