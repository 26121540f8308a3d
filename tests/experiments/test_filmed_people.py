"""Tables on a filmed person, and heads that learn an embedded speaker with found poses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.experiments import results, runner, runs
from audioplane.experiments.runs import Clip, Job
from audioplane.experiments.tables import find, jobs
from audioplane.subject import Subject
from tests.experiments.small_runs import TINY, write_disc

HER = Clip("her", folder="/here", digest="1", seconds=57, size=192)


def test_several_speakers_become_one_and_each_claim_is_made_once():
    whole, table = find("synctalk_pp/table1"), find("synctalk_pp/table1", HER)
    assert [column.name for column in table.columns] == ["her"]
    assert table.rows == whole.rows
    assert len(table.claims) == len(whole.claims) / len(whole.columns)
    assert {column for claim in table.claims for _, column in (claim.first, claim.second)} == {"her"}
    assert all("her" in claim.text and "test set" not in claim.text for claim in table.claims)
    made = jobs(table, "demo", 1, HER)
    assert {job.clip for job in made.values()} == {HER}
    assert {column for _, column, _ in made} == {"her"}


def test_other_voices_and_choices_stay_columns():
    voices = find("synctalk_pp/table3", HER)
    assert [column.name for column in voices.columns] == ["test audio A", "test audio B"]
    assert all(job.driven and job.driven.folder == "/here" for job in jobs(voices, "demo", 1, HER).values())
    study = find("why_so_level")
    assert len(study.on(HER).columns) == len({(one.settings, one.times) for one in study.columns})


def test_rows_of_found_poses_and_of_certain_speakers_are_left_out():
    table = find("synctalk_pp/table6")
    own = table.on(HER)
    assert {row.poses for row in table.rows} > {""} == {row.poses for row in own.rows}
    names = {row.name for row in own.rows}
    assert all(claim.first[0] in names and claim.second[0] in names for claim in own.claims)
    assert len(own.claims) == sum(claim.first[0] in names for claim in table.claims)
    with pytest.raises(UserError, match="its rows are embedded speakers"):
        find("table7", HER)


def test_true_poses_are_no_part_of_a_clips_identity():
    clip = Clip("adam", size=64, seconds=4)
    assert "poses" not in clip.to_dict()
    found = replace(clip, poses="stabilized")
    assert Clip(**found.to_dict()) == found
    assert Job(found, TINY).identity != Job(clip, TINY).identity
    assert Job(found, TINY).code() != Job(clip, TINY).code()


def test_a_row_of_found_poses_learns_and_is_judged_with_them(own_cache: object):
    cells = jobs(find("synctalk_pp/table6"), "smoke", 1)
    ways = {row: job.clip.poses for (row, _, _), job in cells.items() if job.clip.poses}
    assert sorted(ways.values()) == ["prepared", "stabilized", "unstabilized", "unweighted"]
    true = Clip("adam", size=48, seconds=3)
    found = replace(true, poses="unstabilized").open()
    assert np.abs(found.viewmats - true.open().viewmats).max() > 1e-3
    assert found.digest != true.open().digest


def test_a_filmed_person_under_another_voice_is_judged_without_a_truth(folder, own_cache: object):
    clip = Clip.of(folder)
    own, other = (Job(clip, TINY, replace(clip, voice=voice, seconds=3)) for voice in ("english_drive", "german_drive"))
    first, second = runs.run(own), runs.run(other)
    known = set(first.measures)
    assert {"lse_c", "lse_d", "opening_correlation", "shifted_correlation", "protocol"} <= known
    assert not known & {"head_psnr", "mouth_psnr", "lip_error", "true_lse_c"}
    frames = min(len(Subject.open(folder).test), 75)
    assert len(first.series["opening"]) == len(first.series["opening_true"]) == frames
    assert np.isfinite(first.series["sync_distance"]).all()
    assert first.series["opening"] != second.series["opening"], "both voices moved the lips alike"
    assert first.series["opening_true"] != second.series["opening_true"]


def test_too_short_for_the_scorer_is_said(tmp_path: Path, own_cache: object):
    clip = Clip.of(write_disc(tmp_path / "disc", learnt=105))
    record = runs.run(Job(clip, TINY, replace(clip, voice="english_drive", seconds=3)))
    assert record.measures["sync"].startswith("missing: ")
    assert "lse_c" not in record.measures
    assert len(record.series["opening"]) == 25


def test_what_needs_a_truth_is_named_as_not_measured(folder, own_cache: object):
    clip = Clip.of(folder)
    table = find("table6", clip)
    made = jobs(table, "smoke", 1, clip)
    found = runs.run(Job(clip, TINY, replace(clip, voice="english_drive", seconds=3)))
    cells = {(row, column): [found] for row, column, _ in made}
    judged = {one.claim.measure: one.verdict for one in results.Result(table, "smoke", cells, {}, {}).judged()}
    assert judged["mouth_psnr"] == judged["lip_error"] == results.NOT_MEASURED
    assert judged["sync_distance"] == results.OPEN
    assert runner.find_table("table6", clip) == table
