"""The bundle of `make gpu`: a rehearsal at a tiny size fills all its parts, and it is read into a page and a record."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from audioplane.experiments.records import Record
from audioplane.experiments.runs import Clip
from tests.experiments.small_runs import TINY

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("benchmarks_gpu", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(gpu: ModuleType, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a rehearsal; pytest and the doctor, which have tests of their own, are left out."""
    path = tmp_path_factory.mktemp("bundle") / "gpu.json"
    scale = replace(gpu.Scale.of_rehearsal(), clip=Clip.of(folder), config=TINY, frames=3, every=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPLANE_CACHE", str(path.parent / "cache"))
        patch.setattr(gpu, "doctor", lambda: {"torch": "seen"})
        patch.setattr(gpu, "tests", lambda _: gpu.Tests(True, "....\n== 4 passed in 1.00s =="))
        assert gpu.make(scale, path) == 0
    return path


def test_a_rehearsal_is_shown_and_written_nowhere(
    gpu: ModuleType, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, records = PATH.with_name("README.md"), PATH.parents[1] / "records" / "gpu"
    before = page.read_bytes(), records.exists()
    assert gpu.main(["--read", str(bundle)]) == 0
    assert "which says nothing of speed" in capsys.readouterr().out
    assert (page.read_bytes(), records.exists()) == before


def test_a_bundle_becomes_a_section_and_a_record(gpu: ModuleType, bundle: Path, tmp_path: Path) -> None:
    held = json.loads(bundle.read_text())
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps(held | {"rehearsal": False, "gpu": "a fast GPU"}))
    page, records = tmp_path / "page.md", tmp_path / "records"
    page.write_text("# Benchmarks\n\nThe rasterizer.\n")
    arguments = ["--read", str(whole), "--page", str(page), "--records", str(records)]
    assert gpu.main(arguments) == 0
    text = page.read_text()
    (row,) = held["speaking"]
    assert f"| {row['gaussians']:,} | {row['moving']:,} | {row['fps']:.0f} |" in text
    assert "a fast GPU" in text
    assert "`4 passed in 1.00s`" in text
    rates = held["paper_head"]["steps_per_second"]
    assert len(rates) == 2, "coarse and fine"
    minutes = (held["paper_head"]["seconds"] + (gpu.PAPER_FINE - 20) / list(rates.values())[-1]) / 60
    assert f"extrapolated: {minutes:.1f} min" in text
    (kept,) = records.iterdir()
    assert Record.load(kept).measures == held["paper_head"]["record"]["measures"]
    assert gpu.main(arguments) == 0
    assert page.read_text() == text, "read again, it takes its own place"
    page.write_text(text + "\n## Later\n")
    assert gpu.main(arguments) == 0
    assert page.read_text().endswith("## Later\n")


def test_a_part_that_failed_is_said(gpu: ModuleType, bundle: Path, tmp_path: Path) -> None:
    held = json.loads(bundle.read_text())
    del held["doctor"]
    (tmp_path / "some.json").write_text(json.dumps(held | {"paper_head": {"failed": "no memory"}}))
    page = tmp_path / "page.md"
    assert gpu.main(["--read", str(tmp_path / "some.json"), "--page", str(page)]) == 0
    assert "paper_head: **failed**" in page.read_text()
    assert "doctor: **not reached**" in page.read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speaking": [{"gaussians": "many"}]}, "make gpu"),
        ({"paper_head": {"iterations": 1}}, "make gpu"),
        ({"torch": 2}, "make gpu"),
    ],
)
def test_a_damaged_bundle_is_refused_and_nothing_is_written(
    gpu: ModuleType,
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    said: str,
) -> None:
    path, page = tmp_path / "bad.json", tmp_path / "page.md"
    path.write_text(json.dumps(json.loads(bundle.read_text()) | change))
    arguments = ["--read", str(path), "--page", str(page), "--records", str(tmp_path / "records")]
    assert gpu.main(arguments) == 2
    assert said in capsys.readouterr().err
    assert {one.name for one in tmp_path.iterdir()} == {"bad.json"}


def test_a_record_s_key_cannot_lead_out_of_its_folder(gpu: ModuleType, bundle: Path, tmp_path: Path) -> None:
    held = json.loads(bundle.read_text())
    held["paper_head"]["record"]["key"] = "../../elsewhere"
    (tmp_path / "bad.json").write_text(json.dumps(held))
    assert gpu.main(["--read", str(tmp_path / "bad.json"), "--records", str(tmp_path / "records")]) == 2
    assert not (tmp_path / "records").exists()
