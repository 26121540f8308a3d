"""Compiled kernels are kept whole or not at all, and nothing about a cache stops a call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audioplane.runtime import kernel_cache
from audioplane.runtime.kernel_cache import damaged, place

SOURCE = """
from audioplane.runtime.compiled import compiled
from audioplane.splat.simd import load, store

@compiled()
def scale(start, stop, values):
    for k in range(start, stop):
        values[k] *= {factor}

@compiled()
def shift(at, values):
    store(values, at, load(values, at))
"""


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))
    yield
    forget()


def forget() -> None:
    """What is remembered for the life of a process."""
    for remembered in (kernel_cache._made, kernel_cache._sources, kernel_cache._say_once):
        remembered.cache_clear()


def write(tmp_path: Path, factor: int = 2) -> Path:
    path = tmp_path / "rooms" / "kernels.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SOURCE.format(factor=factor))
    return path


def use(path: Path) -> tuple[float, int]:
    """What a fresh process finds: 3 scaled by the kernel, and how often the kernel came from the disk."""
    forget()
    kernel = module(path).scale
    values = np.full(4, 3.0, np.float32)
    kernel(0, 4, values)
    return float(values[0]), sum(kernel.stats.cache_hits.values())


def module(path: Path) -> ModuleType:
    spec = spec_from_file_location("kernels_of_a_test", path)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_kernel_is_kept_and_a_change_of_a_neighbour_is_noticed(tmp_path):
    path = write(tmp_path)
    assert [use(path), use(path)] == [(6.0, 0), (6.0, 1)]
    path.with_name("neighbour.py").write_text("# another file of the folder\n")
    assert [use(path), use(path)] == [(6.0, 0), (6.0, 1)]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeros_at_the_end(content: bytes) -> bytes:
    return content[:-2000] + bytes(2000)


def one_bit(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("spoil", [lambda content: b"", cut, zeros_at_the_end, one_bit])
def test_a_damaged_file_is_made_again(tmp_path: Path, kind: str, spoil: Callable[[bytes], bytes]):
    path = write(tmp_path)
    use(path)
    (file,) = (path.parent / "__pycache__").glob(f"*scale*.{kind}")
    whole = file.read_bytes()
    file.write_bytes(spoil(whole))
    if kind == "nbc" or len(file.read_bytes()) < len(whole):
        assert damaged(path.parent) == [file]
    assert use(path)[0] == 6.0
    assert damaged(path.parent) == []
    assert use(path) == (6.0, 1)


def test_what_a_killed_process_left_behind_is_not_taken_for_the_new_kernel(tmp_path):
    """numba writes the index first: killed there, yesterday's machine code stands behind today's index."""
    path = write(tmp_path)
    use(path)
    (file,) = (path.parent / "__pycache__").glob("*scale*.nbc")
    yesterday = file.read_bytes()
    write(tmp_path, factor=5)
    assert use(path) == (15.0, 0)
    file.write_bytes(yesterday)
    assert use(path) == (15.0, 0)


def test_a_full_disk_costs_time_and_a_word(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_cache._Files, "_save_data", full)
    with pytest.warns(RuntimeWarning, match="could not be kept.*No space left"):
        assert use(write(tmp_path)) == (6.0, 0)


def test_places_in_their_order(tmp_path, monkeypatch):
    folder = write(tmp_path).parent
    assert place(folder) == folder / "__pycache__"
    own = kernel_cache._writable
    monkeypatch.setattr(kernel_cache, "_writable", lambda path: own(path) and folder not in path.parents)
    assert place(folder).parent == tmp_path / "cache" / "kernels"  # type: ignore[union-attr]
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "named"))
    assert place(folder).parent == tmp_path / "named"  # type: ignore[union-attr]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rooms"]  # asking creates nothing
    use(folder / "kernels.py")
    assert list(tmp_path.glob("named/*/*scale*.nbc"))


def test_without_any_place_kernels_run_and_say_so_once(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_cache, "_writable", lambda path: False)
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR") as told:
        assert use(write(tmp_path)) == (6.0, 0)
    assert len(told) == 1
    assert place(tmp_path) is None


def python(code: str, tmp_path: Path, *before: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    return subprocess.run(
        [*before, sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_the_compiler_switched_off_is_a_sentence(tmp_path):
    code = "import torch\nfrom audioplane.splat.toy_scene import *\nfrom audioplane import rasterization\n"
    code += "rasterization(torch.ones(1, 3), torch.ones(1, 4), torch.ones(1, 3), torch.ones(1), torch.ones(1, 3),"
    code += "torch.eye(4)[None], torch.eye(3)[None], 8, 8)"
    done = python(code, tmp_path, NUMBA_DISABLE_JIT="1", HOME=str(tmp_path))
    assert done.returncode == 1
    assert "UserError: NUMBA_DISABLE_JIT is set" in done.stderr


@pytest.mark.parametrize("call", ["scale(0, 9, values)", "shift(1, values)", "shift(-1, values)"])
def test_bounds_are_checked_when_asked_for(tmp_path, call):
    """An array of eight: by an index, and by eight lanes at once."""
    path = write(tmp_path)
    code = f"import numpy, sys; sys.path.insert(0, {str(path.parent)!r}); from kernels import *\n"
    code += f"values = numpy.zeros(8, 'f4'); scale(0, 8, values); shift(0, values); {call}"
    done = python(code, tmp_path, AUDIOPLANE_CHECK="1", HOME=str(tmp_path))
    assert "IndexError" in done.stderr
    assert not list(tmp_path.rglob("*.nbi"))


@pytest.mark.skipif(shutil.which("setpriv") is None or os.getuid() != 0, reason="needs to become another user")
def test_a_user_without_a_home_and_a_place_to_write(tmp_path):
    path = write(tmp_path)
    tmp_path.chmod(0o777)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and folder.parts[1:2] == ("tmp",) and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    path.parent.chmod(0o755)
    nobody = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    code = f"import numpy, sys; sys.path.insert(0, {str(path.parent)!r}); import kernels\n"
    code += "values = numpy.ones(8, 'f4'); kernels.scale(0, 8, values); print(values[0])"
    for home in ({}, {"HOME": "/nonexistent"}):
        done = python(code, tmp_path, *nobody, **home)
        if any(told in done.stderr for told in ("Permission denied", "No module named", "cannot open shared object")):
            pytest.skip("this Python cannot be read by other users")
        assert done.stdout == "2.0\n", done.stderr
        assert "NUMBA_CACHE_DIR" in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rooms"]  # no folder named ~
