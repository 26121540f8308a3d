"""The registry of optional model files: found where it says, and only when they are what they should be."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from audioplane import UserError
from audioplane.runtime import weights

CONTENT = b"the weights of a network"


@pytest.fixture
def alex(monkeypatch):
    """`lpips-alex`, expecting CONTENT."""
    file = replace(weights.REGISTRY["lpips-alex"], sha256=hashlib.sha256(CONTENT).hexdigest()[:8])
    monkeypatch.setitem(weights.REGISTRY, "lpips-alex", file)
    return file


def _put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_nothing_is_found_on_a_fresh_machine(empty_home):
    assert {name for name in weights.REGISTRY if weights.find(name)} == set()
    assert list(empty_home.iterdir()) == []


def test_found_in_the_cache_then_in_the_assets_folder(empty_home, monkeypatch, alex):
    cached = _put(empty_home / "cache" / "assets" / "models" / alex.place)
    assert weights.require("lpips-alex") == cached
    monkeypatch.setenv("AUDIOPLANE_ASSETS", str(empty_home / "assets"))
    assert weights.find("lpips-alex") is None
    own = _put(empty_home / "assets" / "models" / alex.place)
    assert weights.require("lpips-alex") == own


def test_found_where_torch_hub_keeps_it(empty_home, monkeypatch, alex):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("TORCH_HOME", str(empty_home / "torch"))
    theirs = _put(Path(torch.hub.get_dir()) / "checkpoints" / Path(alex.place).name)
    assert weights.require("lpips-alex") == theirs


@pytest.mark.parametrize("name", weights.REGISTRY)
def test_missing_says_where_and_how(empty_home, name):
    with pytest.raises(UserError) as caught:
        weights.require(name)
    message = str(caught.value)
    assert str(empty_home / "cache" / "assets" / weights.REGISTRY[name].folder) in message
    assert weights.REGISTRY[name].how in message


def test_damaged_is_refused_and_noticed_again_after_a_change(empty_home, alex):
    path = _put(empty_home / "cache" / "assets" / "models" / alex.place, b"an error page")
    with pytest.raises(weights.MissingWeightsError, match="damaged"):
        weights.require("lpips-alex")
    _put(path)
    assert weights.require("lpips-alex") == path


def test_an_empty_file_is_missing(empty_home, alex):
    _put(empty_home / "cache" / "assets" / "models" / alex.place, b"")
    assert weights.find("lpips-alex") is None


def test_entries_are_well_formed():
    places = [file.place for file in weights.REGISTRY.values()]
    assert len(set(places)) == len(places)
    for name, file in weights.REGISTRY.items():
        assert name == file.name
        assert file.url.startswith("https://")
        assert file.purpose
        assert file.licence
        assert set(file.sha256) <= set("0123456789abcdef")


def test_the_files_beside_the_clone_are_the_expected_ones(assets):
    found = [name for name in weights.REGISTRY if weights.find(name)]
    assert {"face-landmarker", "selfie", "hair"} <= set(found)
    for name in found:
        assert weights.require(name).is_file()
