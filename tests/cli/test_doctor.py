"""`audioplane doctor` tells the truth."""

import importlib.metadata
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import audioplane
from audioplane import cli, splat
from audioplane.cli import doctor
from audioplane.runtime import weights


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
    numba_caching = pytest.importorskip("numba.core.caching")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    source = Path(doctor.__file__)
    locator = numba_caching.InTreeCacheLocator.from_function(doctor.run, str(source))
    ours = doctor._kernel_folder()
    if locator is None:
        assert "read-only" in ours
    else:
        assert Path(locator.get_cache_path()) == source.parent / "__pycache__"
        assert ours.startswith(str(source.parents[1]))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert doctor._kernel_folder() == str(tmp_path)
