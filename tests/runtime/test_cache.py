"""The user's cache folder."""

import sys
from pathlib import Path

import pytest

from audioplane import UserError
from audioplane.runtime import cache


def test_the_variable_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "mine"))
    assert cache.folder("a", "b") == tmp_path / "mine" / "a" / "b"


def test_asking_creates_nothing_and_making_does(empty_home):
    asked = cache.folder("kernels")
    assert not asked.exists()
    assert cache.make("kernels") == asked
    assert asked.is_dir()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG places are Linux's")
def test_the_systems_place(monkeypatch, tmp_path):
    monkeypatch.delenv("AUDIOPLANE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "audioplane"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "audioplane"


def test_a_tilde_is_the_home(monkeypatch, empty_home):
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(Path("~") / "kept"))
    assert cache.folder() == empty_home / "home" / "kept"


def test_a_file_in_its_place_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="AUDIOPLANE_CACHE must name a folder"):
        cache.folder()
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "file" / "inside"))
    with pytest.raises(UserError, match="cannot be created"):
        cache.make()
