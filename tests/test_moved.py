"""Old names of modules are the modules that took their place; a zip is refused in words."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import audioplane
from audioplane.moved import MOVED


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_name_is_the_new_module_itself(old):
    new = importlib.import_module(f"audioplane.{MOVED[old]}")
    assert importlib.import_module(f"audioplane.{old}") is new
    assert new.__spec__ is not None
    assert new.__spec__.name == new.__name__ == f"audioplane.{MOVED[old]}"


def test_below_an_old_package_there_is_no_second_copy():
    from audioplane.head import TalkingHead
    from audioplane.speakers.voice import load_voice

    assert TalkingHead is audioplane.TalkingHead
    assert load_voice is importlib.import_module("audioplane.synthetic.voice").load_voice


def test_no_old_name_hides_a_module_that_is_there():
    package = Path(audioplane.__file__).parent
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert not there & set(MOVED)


def test_unknown_names_stay_unknown():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("audioplane.nothing")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("audioplane.speakers.nothing")


def test_a_zip_is_refused_in_words(tmp_path):
    package = Path(audioplane.__file__).parent
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("__init__.py", "moved.py", "errors.py"):
            archive.write(package / name, f"audioplane/{name}")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'all.zip')!r}); import audioplane"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: audioplane reads files of its own and cannot run inside" in done.stderr
