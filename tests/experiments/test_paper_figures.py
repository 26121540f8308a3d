"""`audioplane figures`: what is drawn from what is here, and what is left alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from audioplane.cli import main
from audioplane.experiments import paper_figures, run_cache, runs
from audioplane.experiments.records import Record
from audioplane.experiments.runs import Clip, Job
from audioplane.experiments.tables import jobs
from audioplane.methods.audio_plane.paper.tables import TABLES
from audioplane.runtime import cache


def answer(job: Job, row: int, seed: int) -> Record:
    """A record with made-up measures."""
    measures = {"head_psnr": 30.0 + row + 0.1 * seed, "lpips": "weights missing", "lse_c": 2.0 + row, "protocol": "p"}
    return Record(
        job.identity,
        job.key,
        job.code(),
        json.loads(job.config.to_json()),
        job.clip.to_dict(),
        None,
        {},
        "CPU",
        "",
        {"train": 0, "judge": 0},
        {"mouth_share": 0.2},
        measures,
        {},
    )


@pytest.fixture
def records(empty_home: Path) -> dict[tuple[str, str, int], Job]:
    """Two seeds of Table IV."""
    cells = jobs(TABLES["table4"], "smoke", 2)
    for k, ((_, _, seed), job) in enumerate(cells.items()):
        answer(job, k % 4, seed).save(runs.folder())
    return cells


def test_a_table_is_drawn_from_its_records(records, tmp_path):
    assert main(["figures", "table4", "--preset", "smoke", "--pdf", "--out", str(tmp_path / "out")]) == 0
    about = json.loads((tmp_path / "out" / "table4.json").read_text())
    assert {record["key"] for record in about["records"]} == {job.key for job in records.values()}
    assert about["command"] == "audioplane figures table4 --preset smoke"
    for name in ("table4.png", "table4.pdf"):
        content = (tmp_path / "out" / name).read_bytes()
        assert about["sha256"][name] == hashlib.sha256(content).hexdigest()
    texts = sorted(path.name for path in (tmp_path / "out" / "tables").iterdir())
    assert texts == ["table4.csv", "table4.md", "table4.tex"]
    assert "head PSNR" in (tmp_path / "out" / "tables" / "table4.md").read_text()
    figure, _ = paper_figures.draw("table4", "smoke")
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert "ours: head PSNR, dB ↑" in labels
    assert "paper: PSNR ↑" in labels
    assert not any("LPIPS" in label for label in labels), "weights missing: no panel"


def test_seeds_that_are_not_all_there_are_left_out(records):
    assert paper_figures.table_result("table4", "smoke").seeds == 2
    runs.forget(records["0.3", "test set A", 1])
    assert paper_figures.table_result("table4", "smoke").seeds == 1


def test_what_is_not_here_is_left_as_it_is(empty_home, tmp_path, capsys):
    (tmp_path / "fig5.png").write_bytes(b"older")
    assert main(["figures", "fig1", "fig5", "table2", "--preset", "smoke", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["fig1", "fig5", "table2"]
    assert all("left as it is" in line and "audioplane reproduce" in line for line in said)
    assert (tmp_path / "fig5.png").read_bytes() == b"older"
    assert not (tmp_path / "fig1.png").exists()


def test_what_needs_no_head_is_drawn_the_same_each_time(empty_home, tmp_path):
    for folder in ("one", "two"):
        assert main(["figures", "fig2", "fig7", "--preset", "smoke", "--out", str(tmp_path / folder)]) == 0
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == [f"{name}.{ending}" for name in ("fig2", "fig7") for ending in ("json", "png")]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_unknown_figure_is_told(capsys):
    assert main(["figures", "fig8"]) == 2
    assert "fig8" in capsys.readouterr().err


def test_a_head_of_this_version_is_preferred_and_an_older_one_is_told(empty_home, monkeypatch):
    job = jobs(TABLES["table2"], "smoke", 1)["+ AP & SS", "test set A", 0]
    monkeypatch.setattr(Clip, "open", lambda clip: SimpleNamespace(digest="made up"))
    assert paper_figures.trained_head(job) is None
    own = run_cache.place("adam", "made up", job.config).name.removeprefix("adam-")
    older, other = "0" * 12, "1" * 12
    for key, config in ((older, job.config), (other, job.config.replace(seed=7)), (own, job.config)):
        folder = cache.make("runs", f"adam-{key}")
        (folder / "config.json").write_text(config.to_json(), encoding="utf-8")
        assert (key == older) == (paper_figures.trained_head(job) is None), "an unfinished run is none"
        (folder / run_cache.HEAD).write_bytes(b"")
        found = paper_figures.trained_head(job)
        assert found is not None
        assert (found[0].parent.name, found[1]) == ((f"adam-{own}", True) if key == own else (f"adam-{older}", False))


def test_a_figure_of_another_methods_table_has_a_folder(tmp_path):
    paths = paper_figures.keep(Figure(), paper_figures.Sources(), "synctalk_pp/table1", "smoke", tmp_path / "new")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "new/synctalk_pp/table1.png",
        "new/synctalk_pp/table1.json",
    ]
    assert all(path.is_file() for path in paths)
