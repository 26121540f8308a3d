"""What records say: means and spreads, the paper beside them, verdicts, and texts to print and to cite."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from audioplane.config import preset
from audioplane.experiments import paper, records
from audioplane.experiments.records import Record
from audioplane.experiments.results import Result
from audioplane.experiments.runs import Clip, Job
from audioplane.experiments.tables import MEASURES, TABLES, Claim, find, jobs

FRAMES = 100


def record(job: Job, level: float, seed: int = 0, **measures: object) -> Record:
    """As a run would leave it, with a mouth that is `level` dB good and as many hundredths from its sound."""
    noise = np.random.default_rng([seed, len(job.identity)]).normal(0, 0.01, FRAMES)
    summary = {
        "head_psnr": level,
        "head_ssim": 0.9,
        "mouth_psnr": level,
        "lip_error": 1.0,
        "opening_correlation": 0.8,
        "opening_amplitude": 0.9,
        "shifted_correlation": 0.0,
        "lpips": "weights missing",
        "lse_c": 0.5,
        "true_lse_c": 0.7,
        "sync": "audioplane-sync",
        "protocol": "head over truth",
        **measures,
    }
    return Record(
        identity=job.identity,
        key=f"{job.identity[:8]}{seed:04}",
        code="c",
        config=json.loads(job.config.to_json()),
        clip=job.clip.to_dict(),
        driven=job.driven and job.driven.to_dict(),
        versions={},
        device="CPU",
        made="",
        seconds={"train": 60.0, "judge": 1.0},
        facts={"mouth_share": 0.2, "fps": 50.0},
        measures=summary,
        series={
            "head_psnr": records.rounded(level + noise),
            "mouth_psnr": records.rounded(level + noise),
            "sync_distance": records.rounded(1 - level / 100 + noise),
            "sync_unrelated": records.rounded(1 + noise),
        },
    )


def result(name: str, levels: dict[str, float], seeds: int = 2) -> Result:
    """A table whose rows are so many dB good, on every column."""
    table, cells = find(name), {}
    for (row, column, seed), job in jobs(table, "smoke", seeds).items():
        if row in levels:
            cells.setdefault((row, column), []).append(record(job, levels[row] + 0.001 * seed, seed))
    return Result(table, "smoke", cells, {}, {})


def test_a_difference_is_found_and_named_as_the_paper_claims_it_or_not():
    found = result("table2", {"w/o AP & SS": 30.0, "+ SS": 30.5, "+ AP": 29.5, "+ AP & SS": 29.5})
    verdicts = {one.claim.text: one for one in found.judged()}
    one = verdicts["saliency splatting alone improves the baseline (PSNR)"]
    assert one.verdict == "reproduced"
    assert one.difference is not None
    assert one.difference.mean == pytest.approx(0.5, abs=0.01)
    assert one.paper == pytest.approx(0.08)
    assert verdicts["saliency splatting alone improves the baseline (lip sync)"].verdict == "reproduced", (
        "lower is better"
    )
    assert verdicts["the Audio-Plane alone improves the baseline (PSNR)"].verdict == "not reproduced"
    assert verdicts["saliency splatting improves the Audio-Plane (PSNR)"].verdict == "not distinguishable"


def test_a_claim_without_a_run_has_no_verdict():
    found = result("table2", {"+ SS": 30.0})
    assert {one.verdict for one in found.judged()} == {"no run"}


def test_own_sound_against_unrelated_sound_and_other_voices():
    found = result("table7", {"English (M)": 30.0})
    follows = [one for one in found.judged() if "never heard" in one.claim.text and one.seeds]
    assert {one.verdict for one in follows} == {"reproduced"}
    assert len(follows) == 4
    others = [one for one in found.judged() if "own voice" in one.claim.text and one.seeds]
    assert {one.verdict for one in others} == {"not distinguishable"}


def test_cells_hold_mean_deviation_and_the_papers_number():
    found = result("table4", {"0.1": 30.0, "0.2": 31.0}, seeds=3)
    tidy = found.tidy().set_index(["row", "measure"])
    cell = tidy.loc[("0.2", "head_psnr")]
    assert cell["ours"] == pytest.approx(31.001)
    assert cell["sd"] == pytest.approx(0.001)
    assert cell["seeds"] == 3
    assert cell["paper"] == 31.95
    assert cell["difference"] == pytest.approx(31.001 - 31.95)
    assert np.isnan(tidy.loc[("0.2", "lse_c")]["difference"]), "two scorers have two scales"
    assert tidy.loc[("0.2", "lpips")]["note"] == "weights missing"
    assert found.shown().loc["0.2", "head PSNR"] == "31.00 ± 0.00 | 31.95"
    assert found.shown().loc["0.3", "head PSNR"] == "- | 32.2", "what did not run shows the paper alone"
    assert found.shown().loc["truth", "LSE-C"] == "0.700 | 6.915"
    assert found.shown().loc["0.2", "Gaussians at the mouth"].startswith("0.200")


def test_a_failed_run_is_shown_as_failed():
    found = replace(result("table2", {"+ SS": 30.0}), failed={("+ AP", "test set A", 0): "ValueError: no"})
    assert found.shown().loc["+ AP", "head PSNR"] == "failed | 31.54"


def test_texts_have_every_row_and_say_how_they_were_made():
    found = result("table5", {"Audio-Plane": 30.0, "tri-plane + audio": 29.0})
    text, latex = found.markdown(), found.latex()
    for name in ("Audio-Plane", "tri-plane + audio", "ATVG", "TalkingGaussian", "truth"):
        assert name in text
        assert name in latex
    for said in ("preset smoke", "2 seed(s)", "head over truth", "audioplane-sync"):
        assert said in found.caption()
    rows = [line for line in latex.splitlines() if line.endswith("\\\\") and "multicolumn" not in line]
    assert len({line.replace("\\&", "").count("&") for line in rows}) == 1, "each row has as many cells"
    widths = {line.count(" | ") for line in text.split("\n\n")[1].splitlines()}
    assert len(widths) == 1


def test_every_number_of_the_papers_tables_is_reached():
    """No row's name differs from the paper's data by a letter: each number of the file is shown in some cell."""
    shown = {
        (table.data, value)
        for table in TABLES.values()
        for row in table.rows
        for column in table.columns
        for value in table.paper(row, column).values()
    }
    for table in TABLES.values():
        assert _leaves(paper.numbers()[table.data]["rows"]) == {value for data, value in shown if data == table.data}


def _leaves(data: object) -> set[float]:
    if isinstance(data, dict):
        return set().union(*map(_leaves, data.values()))
    if isinstance(data, list):
        return set().union(*map(_leaves, data))
    return set() if data is None else {data}  # type: ignore[arg-type]


def test_claims_name_cells_that_are_there():
    for table in TABLES.values():
        rows, columns = {row.name for row in table.rows}, {column.name for column in table.columns}
        assert table.claims
        for claim in table.claims:
            for row, column in (claim.first, claim.second):
                assert row in rows
                assert column in columns
        assert set(table.measures) <= set(MEASURES)


def test_shared_cells_are_one_run():
    """The full model of Table II is Table IV's margin 0.2, Table V's method and Table VII's first cell."""
    same = [
        ("table2", "+ AP & SS", "test set A"),
        ("table4", "0.2", "test set A"),
        ("table5", "Audio-Plane", "test set A"),
        ("table7", "English (M)", "same identity"),
    ]
    assert len({jobs(find(table), "demo", 1)[row, column, 0].identity for table, row, column in same}) == 1


def test_a_row_differs_from_the_preset_only_in_what_it_names():
    base = json.loads(preset("demo").to_json())
    for (row, _, _), job in jobs(find("table3"), "demo", 1).items():
        config = json.loads(job.config.to_json())
        changed = {
            key
            for group in base
            if isinstance(base[group], dict)
            for key in base[group]
            if config[group][key] != base[group][key]
        }
        assert changed - {"size", "early_size"} <= {"scores", "fusion"}
        assert (config["method"]["scores"], config["method"]["fusion"]) == tuple(row.split(" / "))


def test_identity_is_of_the_question_and_not_of_the_place():
    clip = Clip("a", folder="/here", digest="1", seconds=2, size=64)
    job = Job(clip, preset("smoke"))
    assert job.identity == Job(replace(clip, folder="/there"), preset("smoke")).identity
    assert job.identity != Job(replace(clip, digest="2"), preset("smoke")).identity
    assert job.identity != Job(clip, preset("smoke").replace(seed=1)).identity
    assert job.identity != Job(clip, preset("smoke"), replace(clip, voice="b")).identity


def test_a_record_comes_back_as_it_was_written(tmp_path):
    one = record(next(iter(jobs(find("table2"), "smoke", 1).values())), 30.0)
    path = one.save(tmp_path)
    assert Record.load(path) == one
    assert [p.name for p in tmp_path.iterdir()] == [f"{one.key}.json"]
    (tmp_path / "older.json").write_text('{"config": {}}')
    (tmp_path / "broken.json").write_text('{"config"')
    assert records.read_all(tmp_path) == {one.identity: one}
    with pytest.raises(ValueError, match="no record of this version"):
        Record.load(tmp_path / "older.json")


def test_a_claim_knows_which_way_is_better():
    cell = ("a", "b")
    assert Claim("", cell, cell, "head_psnr").higher_is_better
    assert not Claim("", cell, cell, "sync_distance").higher_is_better
