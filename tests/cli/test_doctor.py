"""`audioplane doctor` tells the truth."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest
import torch

import audioplane
from audioplane import cli, splat
from audioplane.cli import doctor
from audioplane.runtime import kernel_cache, weights


def test_json_is_the_whole_report(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(json.dumps(doctor.examine()))
    assert report["audioplane"]["version"] == audioplane.__version__
    assert report["python"]["executable"] == sys.executable
    assert report["threads"]["torch"] == torch.get_num_threads()


def test_versions_are_the_installed_ones():
    packages = doctor.examine()["packages"]
    assert packages["torch"].split("+")[0] == torch.__version__.split("+")[0]  # "+cu130" may be told or not
    assert all(version == importlib.metadata.version(name) for name, version in packages.items() if version)


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    report = doctor.examine()
    assert report["packages"] == {"no-such-package": None}
    assert "not installed" in doctor.describe(report)


def test_the_device_is_the_one_torch_has():
    device = doctor.examine()["device"]
    assert device["used"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert len(device["cuda_devices"]) == torch.cuda.device_count()


def test_a_gpu_is_described(monkeypatch):
    gpu = SimpleNamespace(name="a fast one", total_memory=2**34)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    device = doctor._device()
    assert device["used"] == "cuda"
    assert "cuda  a fast one (16.0 GiB)" in doctor._device_line(device)


def test_the_rasterizer_is_what_splat_says(monkeypatch):
    monkeypatch.setattr(splat, "backend", lambda: ("cpu", "because"))
    assert doctor._rasterizer() == {"name": "cpu", "reason": "because"}


def test_ffmpeg_is_there():
    assert os.access(doctor.examine()["ffmpeg"]["path"], os.X_OK)


def test_model_files_found_and_missing(empty_home):
    place = weights.assets_folder() / "models" / weights.REGISTRY["hair"].place
    place.parent.mkdir(parents=True)
    place.write_bytes(b"1")
    report = doctor.examine()
    found = {name: file["found"] for name, file in report["model_files"].items() if file["found"]}
    assert found == {"hair": str(place)}
    text = doctor.describe(report)
    assert f"(1 of {len(weights.REGISTRY)} found" in text
    assert all(weights.REGISTRY[name].how in text for name in weights.REGISTRY if name != "hair")


def test_looking_leaves_no_trace(empty_home):
    doctor.describe(doctor.examine())
    assert list(empty_home.iterdir()) == []


def test_where_compiled_kernels_go(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    here = Path(splat.__file__).parent
    assert doctor._kernels()["kept_in"] == str(kernel_cache.place(here))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    report = doctor._kernels()
    assert Path(report["kept_in"]).parent == tmp_path
    assert report["run"]
    assert list(tmp_path.iterdir()) == []


def test_kernels_that_are_kept_nowhere(monkeypatch):
    monkeypatch.setattr(kernel_cache, "_writable", lambda path: False)
    report = doctor.examine()
    assert report["kernels"]["kept_in"] is None
    assert "kernels     compiled kernels cannot be kept: " in doctor.describe(report)


def test_a_named_folder_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    own = kernel_cache._writable
    monkeypatch.setattr(kernel_cache, "_writable", lambda path: tmp_path not in path.parents and own(path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert f"{tmp_path}, which NUMBA_CACHE_DIR names, cannot be written" in doctor._kernels()["text"]


def test_damaged_kernels_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    place = kernel_cache.place(Path(splat.__file__).parent)
    assert place is not None
    place.mkdir()
    (place / "tiles._count-1.py311.nbi").write_bytes(b"")
    report = doctor.examine()
    assert report["kernels"]["damaged"] == [str(place / "tiles._count-1.py311.nbi")]
    assert "1 kept files are damaged and will be made again" in doctor.describe(report)


def test_a_compiler_that_is_switched_off_is_told(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    report = doctor.examine()
    assert not report["kernels"]["run"]
    assert doctor.describe(report).count("NUMBA_DISABLE_JIT is set") == 2  # under rasterizer and kernels


def test_without_a_home_folder(monkeypatch, empty_home):
    """As in a container whose user is in no table: `Path.home` cannot tell."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("AUDIOPLANE_CACHE")
    monkeypatch.setattr(Path, "home", nowhere)
    text = doctor.describe(doctor.examine())
    assert "cache       none: This user has no home folder" in text
    assert f"(0 of {len(weights.REGISTRY)} found" in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a place that is always full is Linux's")
def test_a_full_disk_is_a_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "audioplane", "doctor"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "audioplane doctor: the output cannot be written: No space left on device\n"
