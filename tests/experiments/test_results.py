"""What records say: means and spreads, the paper beside them, verdicts, and texts to print and to cite."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audioplane import registry as methods
from audioplane.config import preset
from audioplane.experiments import records, runner
from audioplane.experiments.records import Record
from audioplane.experiments.results import Result
from audioplane.experiments.runs import Clip, Job
from audioplane.experiments.tables import BASE, Claim, find, jobs
from audioplane.methods.audio_plane.paper.tables import TABLES
from audioplane.metrics import registry
from audioplane.metrics.statistics import holm
from audioplane.runtime import clone

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
    one = verdicts["saliency splatting alone improves the baseline (mouth PSNR; the paper: PSNR)"]
    assert one.verdict == "reproduced"
    assert one.difference is not None
    assert one.difference.mean == pytest.approx(0.5, abs=0.01)
    assert one.paper == pytest.approx(0.08)
    sync = verdicts["saliency splatting alone improves the baseline (distance to the sound; the paper: SyncNet)"]
    assert sync.verdict == "reproduced", "lower is better"
    assert sync.claim.beside
    psnr = "(mouth PSNR; the paper: PSNR)"
    assert verdicts[f"the Audio-Plane alone improves the baseline {psnr}"].verdict == "not reproduced"
    assert verdicts[f"saliency splatting improves the Audio-Plane {psnr}"].verdict == "not distinguishable"
    assert one.over_seeds.endswith("2 of 2")


def test_what_stands_beside_does_not_count_among_the_claims():
    """Holm's correction of the verdicts is over the verdicts; what stands beside has one of its own."""
    found = result("table2", {"w/o AP & SS": 30.0, "+ SS": 30.002, "+ AP": 29.999, "+ AP & SS": 30.001})
    judged = found.judged()
    for beside in (False, True):
        family = [one for one in judged if one.claim.beside == beside and one.difference is not None]
        raw = [found._difference(one.claim)[0] for one in family]
        assert [one.difference.p for one in family] == [one.p for one in holm(raw)]
    assert {one.claim.measure for one in judged if not one.claim.beside} == {"mouth_psnr", "lip_error", "rest_motion"}
    assert {one.claim.measure for one in judged if one.claim.beside} == {"head_psnr", "sync_distance"}
    frame = found.verdicts()
    assert list(frame["role"]) == ["beside" if one.claim.beside else "verdict" for one in judged]


def test_seeds_alone_are_students_t_over_pairs():
    found = result("table2", {"w/o AP & SS": 30.0, "+ SS": 30.5}, seeds=4)
    one = next(one for one in found.judged() if one.claim.measure == "mouth_psnr" and one.seeds)
    pairs = [
        [np.mean(record.series["mouth_psnr"]) for record in found.cells[row, "test set A"]]
        for row in ("+ SS", "w/o AP & SS")
    ]
    each = np.subtract(*pairs)
    half = stats.t.ppf(0.975, 3) * each.std(ddof=1) / 2
    assert one.over_seeds == f"[{each.mean() - half:+.3f}, {each.mean() + half:+.3f}], 4 of 4"


def test_a_table_of_which_nothing_ran_can_be_shown():
    empty = Result(find("why_so_level"), "smoke", {}, {}, {})
    assert empty.frame().empty
    assert empty.shown().to_html()
    assert empty.caption().endswith("no run")
    assert "no run" in empty.markdown()
    assert empty.latex()


def test_rows_without_a_run_are_named():
    found = result("table2", {"+ AP": 30.0, "+ AP & SS": 31.0})
    assert "no run yet of static, w/o AP & SS, + SS, with expression (ours): to be run" in found.caption()


def test_runs_of_a_gpu_and_of_a_processor_share_no_mean():
    table = find("table4")
    cells = {cell: job for cell, job in jobs(table, "smoke", 3).items() if cell[0] == "0.2"}
    made = [replace(record(job, 30.0, seed), key=str(seed)) for (_, _, seed), job in cells.items()]
    made[1] = replace(made[1], device="NVIDIA of some kind")
    keys = {cell: str(cell[2]) for cell in cells}
    found = runner._collect(table, "smoke", keys, {one.key: one for one in made}, {}, {})
    assert [one.device for one in found.cells["0.2", "test set A"]] == ["CPU", "CPU"]


def test_a_study_changes_one_choice_of_all_rows():
    study = find("why_so_level")
    cells = jobs(study, "demo", 0)
    assert len(cells) == 4 * len(study.columns) * 5
    plain = cells["+ AP & SS", "as demo", 3].config
    assert cells["+ AP & SS", "narrow mask", 3].config.differences(plain) == {"loss.motion_mask": ("narrow", "wide")}
    longer = cells["+ AP", "10 times as long", 0].config.schedule
    assert (longer.coarse, longer.fine) == (10 * plain.schedule.coarse, 10 * plain.schedule.fine)
    assert {job.config.schedule.size for job in cells.values()} == {96}


def test_the_study_of_expressions_shares_its_runs_with_the_tables():
    study = jobs(find("expression"), "demo", 1)
    assert len(study) == 4
    for name, column in (("table2", "test set A"), ("table5", "test set B")):
        table = jobs(find(name), "demo", 1)
        full = {"table2": "+ AP & SS", "table5": "Audio-Plane"}[name]
        told = "with expression (ours)" if name == "table2" else "Audio-Plane with expression (ours)"
        assert study["voice alone", column, 0].key == table[full, column, 0].key
        assert study["with expression (ours)", column, 0].key == table[told, column, 0].key


def test_people_who_were_filmed_have_a_table_of_their_own():
    if clone.find() is None:
        pytest.skip("not in a clone")
    found = runner.committed_people("expression")
    assert list(found) == ["dfrf_cnn2", "dfrf_french"]
    for speaker, result in found.items():
        assert {cell: len(records) for cell, records in result.cells.items()} == {
            ("voice alone", speaker): 3,
            ("with expression (ours)", speaker): 3,
        }
        assert {record.clip["speaker"] for record in result.records} == {speaker}
        eyes = {row: np.mean(result.values(row, speaker, "eyes_psnr")) for row, _ in result.cells}
        assert eyes["with expression (ours)"] > eyes["voice alone"] + 1.0
        assert "256 px" in result.caption()  # of a film of 512


@pytest.mark.parametrize("name", ["table5", "table6"])
def test_every_method_learnt_a_filmed_person_from_three_seeds(name):
    if clone.find() is None:
        pytest.skip("not in a clone")
    result = runner.committed_people(name)["dfrf_cnn2"]
    clip = Clip(**result.records[0].clip)
    asked = set(jobs(find(name, clip), "demo", 3, clip))
    assert {(*cell, record.seed) for cell, records in result.cells.items() for record in records} == asked


def test_a_film_is_not_learned_larger_than_it_is():
    for width, expected in ((256, 256), (1024, 512)):
        job = find("table2").job(
            find("table2").rows[1], find("table2").columns[0], "paper", 0, Clip("her", "", 60, width)
        )
        assert job is not None
        assert job.config.schedule.size == expected


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
    assert cell["better"] == "higher"
    for unlike in ("head_psnr", "head_ssim", "lse_c"):
        assert tidy.loc[("0.2", unlike)]["difference"] is None, "another region, size or scorer"
    assert tidy.loc[("0.2", "lpips")]["note"] == "weights missing"
    frame = found.frame()
    assert list(frame.loc["0.2", "head PSNR, dB ↑"]) == ["31.00 ± 0.00", "31.95"]
    assert list(frame.loc["0.3", "head PSNR, dB ↑"]) == ["", "32.2"], "what did not run shows the paper alone"
    assert list(frame.loc["truth", "LSE-C ↑"]) == ["0.700", "6.915"]
    assert frame.loc["0.2", ("Gaussians at the mouth", "ours")].startswith("0.200")
    assert "LPIPS: weights missing" in found.caption()
    assert list(frame.columns.get_level_values(0)[:2]) == ["head PSNR, dB ↑"] * 2, "the order of the table's measures"


def test_a_failed_run_is_shown_as_failed():
    found = replace(result("table2", {"+ SS": 30.0}), failed={("+ AP", "test set A", 0): "ValueError: no"})
    assert list(found.frame().loc["+ AP", "head PSNR, dB ↑"]) == ["failed", "31.54"]


def test_the_best_of_each_column_is_bold_by_its_direction():
    found = result("table4", {"0.1": 30.0, "0.2": 31.0})
    for records_, error in zip(found.cells.values(), (0.4, 0.9), strict=True):
        records_[:] = [replace(one, measures=one.measures | {"lip_error": error}) for one in records_]
    bold = {(cell.row, cell.heading, cell.kind) for cell in found.layout() if cell.bold}
    assert {("0.2", "head PSNR, dB ↑", "ours"), ("0.3", "head PSNR, dB ↑", "paper")} <= bold
    assert ("0.1", "lip error, mm ↓", "ours") in bold
    assert ("0.2", "lip error, mm ↓", "ours") not in bold
    assert not any(heading.startswith(("amplitude", "r, 1 s late")) for _, heading, _ in bold), "no better, no best"
    text = found.markdown()
    assert "**31.00 ± 0.00**" in text
    assert r"\bfseries 31.00 $\pm$ 0.00" in found.latex()
    assert "font-weight: bold" in found.shown().to_html()
    assert found.shown().to_html() == found.shown().to_html(), "a notebook run twice is the same"
    assert not any(cell.bold for cell in result("table7", {"English (M)": 1.0, "Chinese (M)": 2.0}).layout())


def test_letters_that_mean_something_to_latex_are_escaped():
    found = result("table4", {"0.1": 30.0, "0.2": 31.0})
    strange = r"take#2_50%~^$&{}\|"
    for own in found.cells.values():
        own[:] = [replace(one, clip=one.clip | {"speaker": strange}) for one in own]
    rows = (replace(found.table.rows[1], name=strange), *found.table.rows[2:])
    cells = {(strange if row == "0.1" else row, column): own for (row, column), own in found.cells.items()}
    found = replace(found, table=replace(found.table, rows=rows, claims=()), cells=cells)
    latex = re.sub(r"\\text(backslash|ascii\w+)", "", found.latex())
    assert latex.count(r"take\#2\_50\%") == 2, "in the caption and in a row"
    assert not re.search(r"(?<!\\)[#%]", latex), "a bare one would end the line or the table"
    assert not re.search(r"[~^]", latex)
    assert len(re.findall(r"(?<!\\)\$", latex)) % 2 == 0
    assert strange.replace("|", r"\|") in found.markdown()


def test_no_table_is_wider_than_its_page():
    wide, narrow = (result(name, {row: -30.0}).latex() for name, row in (("table2", "+ SS"), ("table7", "English (M)")))
    assert wide.startswith(r"\begin{sidewaystable}")
    assert narrow.startswith(r"\begin{table}")
    for text in (wide, narrow):
        scaled = re.search(r"\\begin\{adjustbox\}\{max width=\\linewidth\}\n(.*)\n\\end\{adjustbox\}", text, re.DOTALL)
        assert scaled
        assert scaled[1].startswith(r"\begin{tabular}")
        assert scaled[1].endswith(r"\end{tabular}")
    assert "& $-$30.00" in wide


def test_speed_that_was_timed_beside_other_runs_is_left_out():
    found = result("table5", {"Audio-Plane": 30.0})
    assert "FPS: timed beside other runs" in found.caption()
    for own in found.cells.values():
        own[:] = [replace(one, facts=one.facts | {"fps_device": "CPU, 1 thread(s)"}) for one in own]
    assert found.frame().loc[("test set A", "Audio-Plane"), ("FPS ↑", "ours")] == "50 ± 0"
    assert not found.tidy().query("measure == 'fps'")["comparable"].any(), "a CPU is no 3090 Ti"


def test_verdicts_are_corrected_for_the_number_of_claims():
    levels = {"w/o AP & SS": 30.0, "+ SS": 30.01, "+ AP": 30.0, "+ AP & SS": 30.0}
    found = result("table2", levels, seeds=3)
    generator = np.random.default_rng(3)
    for own in found.cells.values():  # a difference that one claim alone would show
        for k, one in enumerate(own):
            noisy = np.array(one.series["head_psnr"]) + 0.02 * generator.standard_normal(FRAMES)
            own[k] = replace(one, series=one.series | {"head_psnr": records.rounded(noisy)})
    one = next(iter(found.judged()))
    assert one.difference is not None
    alone, _ = found._difference(one.claim)
    assert alone is not None
    assert one.difference.p > alone.p
    assert (one.difference.low, one.difference.high) == (alone.low, alone.high)


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
    assert "test set A" in text
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
        assert _leaves(table.numbers[table.data]["rows"]) == {value for data, value in shown if data == table.data}


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
        assert set(table.measures) <= set(registry.METRICS)


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
    table = find("table3")
    own = (*BASE, *methods.spec(methods.DEFAULT).in_tables)
    base = json.loads(preset("demo").replace(*own).to_json())
    for (row, _, _), job in jobs(table, "demo", 1).items():
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


def test_a_record_keeps_its_place_when_a_setting_is_added(tmp_path):
    """The setting's default is what the record was run with; with another value it would be another question."""
    job = next(iter(jobs(find("table2"), "smoke", 1).values()))
    older = replace(record(job, 30.0), identity="of an older version")
    for group, name in (("method", "expression"), ("loss", "eyes_weight")):
        older.config[group].pop(name)
    older.save(tmp_path)
    assert list(records.read_all(tmp_path)) == [job.identity]
    older.config["method"]["gone"] = 1
    older.save(tmp_path)
    assert list(records.read_all(tmp_path)) == ["of an older version"]
