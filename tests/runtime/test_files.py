"""A file appears whole or not at all, whatever happens to its writer; nobody writes or locks in another way."""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import audioplane
from audioplane.errors import UserError
from audioplane.runtime import files

PACKAGE = Path(audioplane.__file__).parent


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs a program with this package."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def succeed(processes: list[subprocess.Popen[str]]) -> None:
    """Waits for processes, which must end without an error."""
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


def test_each_helper_writes_what_it_was_given(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a", b"\r\n\0")
    files.write_text(tmp_path / "b", "é\n")
    files.write_arrays(tmp_path / "c", {"x": np.arange(3), "compressed": np.ones(2)}, compressed=True)
    assert (tmp_path / "a").read_bytes() == b"\r\n\0"
    assert (tmp_path / "b").read_bytes() == "é\n".encode()
    with np.load(tmp_path / "c") as arrays:
        np.testing.assert_array_equal(arrays["x"], [0, 1, 2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with files.atomic_path(path) as draft:
            draft.write_text("ne")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(files.fcntl is None, reason="without locks leftovers stay")
def test_a_killed_writer_leaves_the_old_file_and_the_next_writer_removes_its_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    program = """
import os, signal, sys
from audioplane.runtime import files
with files.atomic_path(sys.argv[1]) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = start(program, path)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    files.write_text(tmp_path / "another.txt", "")  # another target's leftovers are none of its business
    assert len(list(tmp_path.iterdir())) == 3
    files.write_text(path, "new")
    assert sorted(child.name for child in tmp_path.iterdir()) == ["a.txt", "another.txt"]


@pytest.mark.skipif(files.fcntl is None, reason="without locks leftovers stay")
def test_leftovers_of_the_dead_are_removed_and_drafts_of_the_living_are_not(tmp_path: Path) -> None:
    dead, folder, other = (tmp_path / f".{name}" for name in ("a.npz.99-0123abcd.tmp", "b.1-0123abcd.tmp", "my.tmp"))
    dead.write_bytes(b"half")
    folder.mkdir()
    (folder / "frames.pack").write_bytes(b"half")
    other.write_bytes(b"somebody's own")
    with files.atomic_path(tmp_path / "c") as living:
        files.remove_leftovers(tmp_path)
        assert set(tmp_path.iterdir()) == {living, other}


def test_the_last_of_two_writers_to_end_wins(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with files.atomic_path(path) as first, files.atomic_path(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_both_end_and_leave_one_whole_file(tmp_path: Path) -> None:
    program = """
import sys
from audioplane.runtime import files
for k in range(150):
    files.write_text(sys.argv[1], sys.argv[2] * 40_000, durable=False)
"""
    path = tmp_path / "a.txt"
    writers = [start(program, path, letter) for letter in "xy"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            seen.add(path.read_text())
    succeed(writers)
    assert seen <= {"x" * 40_000, "y" * 40_000}
    assert list(tmp_path.iterdir()) == [path]


FULL = """
import resource, signal, sys
from pathlib import Path
from audioplane.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    WRITE(sys.argv[1])
except UserError as error:
    print(error)
"""
WRITERS = {
    "text": ("from audioplane.runtime import files", "files.write_text(path, 'x' * 10_000)"),
    "arrays": (
        "from audioplane.runtime import files; import numpy",
        "files.write_arrays(path, {'a': numpy.zeros(9999)})",
    ),
    "film": (
        "from audioplane.media.writer import write_video; import numpy",
        "write_video(path, (numpy.random.randint(0, 255, (64, 64, 3), numpy.uint8) for _ in range(60)), 25.0)",
    ),
    "run": (
        "from audioplane.training import checkpoint; import torch",
        "checkpoint.save(path, {'a': torch.zeros(9999)}, {})",
    ),
    "cloud": (
        "from audioplane.splat import gaussians, ply; import torch",
        "ply.save_ply(gaussians.random_gaussians(torch.rand(999, 3), 0.1, 0, torch.Generator()), path)",
    ),
}
"""Writers of files beyond 4 kB: what they import, and how they write."""


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that Windows does not have")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_gives_one_sentence_and_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")
    imports, call = WRITERS[name]
    program = f"{imports}\n{FULL.replace('WRITE(sys.argv[1])', f'path = Path(sys.argv[1]); {call}')}"
    out, err = start(program, path).communicate()
    assert out.startswith(f"no space left for {path}: make room on the disk"), err
    assert "the file that was there is kept" in out
    assert out.count("\n") == 1
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_or_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*nowhere; make it"):
        files.write_text(tmp_path / "nowhere" / "a.txt", "")
    with pytest.raises(UserError, match="is a folder; give the name of a file"):
        files.write_text(tmp_path, "")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="must be a folder, but there is a file of that name"):
        files.make_folder(tmp_path / "file")
    with pytest.raises(UserError, match="could not be written"):
        files.make_folder(tmp_path / "file" / "below")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_place_that_refuses_is_told(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, *arguments: object) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(UserError, match=rf"a.txt could not be written \({os.strerror(number)}\): choose a folder"):
        files.write_text(tmp_path / "a.txt", "")


def test_errors_of_reading_inside_the_block_are_not_called_errors_of_writing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "a.txt"):
        (tmp_path / "input.txt").read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "umask"), reason="needs POSIX permissions")
def test_permissions_are_those_of_an_ordinary_file_or_of_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    with files.atomic_path(tmp_path / "new") as draft:
        draft.unlink()
        os.close(os.open(draft, os.O_CREAT, 0o600))  # as safetensors does
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    files.write_text(tmp_path / "new", "")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_links_are_followed_and_devices_are_written_directly(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.write_text(tmp_path / "link", "content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "content"
    files.write_text(os.devnull, "content")
    assert not Path(os.devnull).is_file()


def test_names_as_long_as_a_folder_allows_can_be_written(tmp_path: Path) -> None:
    files.write_text(tmp_path / ("n" * 255), "content")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


@pytest.mark.skipif(files.fcntl is None, reason="there are no locks")
def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from audioplane.runtime import files
counter = Path(sys.argv[1])
for _ in range(20):
    with files.lock(counter):
        count = int(counter.read_text())
        time.sleep(0.002)
        counter.write_text(str(count + 1))
"""
    (tmp_path / "counter").write_text("0")
    succeed([start(program, tmp_path / "counter") for _ in range(3)])
    assert (tmp_path / "counter").read_text() == "60"


def test_a_lock_leaves_nothing(tmp_path: Path) -> None:
    with files.lock(tmp_path / "x"):
        assert [path.name for path in tmp_path.iterdir()] == [".x.lock"]
    assert not list(tmp_path.iterdir())


def test_one_process_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    program = """
import sys
from audioplane.errors import UserError
from audioplane.runtime import files
try:
    with files.run_folder(sys.argv[1]):
        raise SystemExit(3)
except UserError as error:
    assert "another process is working in" in str(error), error
    raise SystemExit(2)
"""
    with files.run_folder(tmp_path / "run") as folder:
        (folder / "x").write_text("x")
        other = start(program, folder)
        other.communicate()
        assert other.returncode == 2
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["x"]
    other = start(program, tmp_path / "run")
    other.communicate()
    assert other.returncode == 3


def test_a_folder_in_which_nothing_was_written_is_removed_again(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for path in (tmp_path / "a" / "b" / "run", tmp_path / "there" / "run"):
        with pytest.raises(KeyError), files.run_folder(path):
            raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())


# The rule

RENAMES = ("rename", "renames")
WRITES = ("write_text", "write_bytes", "savefig", "imwrite", "save_file", "savez", "savez_compressed")
ALLOWED = {
    "runtime/files.py",
    "subject/writer.py: savez",  # into memory
    "subject/writer.py: write_text",  # inside its draft
    "experiments/paper_figures.py: savefig",
    "metrics/speed.py: write_text",  # no file: a switch of the system's
    "widgets/driver.py: write_bytes",  # inside a temporary folder
}


def breaks(tree: ast.AST) -> set[str]:
    """Names of what replaces, locks or writes a file by hand."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            found |= {module for module in modules if module in ("fcntl", "msvcrt", "filelock")}
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, holder = node.func.attr, getattr(node.func.value, "id", "")
        one = len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred)
        one = one and "=" not in str(getattr(node.args[0], "value", ""))  # config.replace("seed=1")
        if name in ("replace", *RENAMES) and (one or holder == "os"):
            found.add(name)
        if (holder, name) in (("shutil", "move"), ("tempfile", "mkstemp"), ("tempfile", "NamedTemporaryFile")):
            found.add(name)
        if name in WRITES and holder != "files":
            found.add(name)
    return found


def test_the_rule_sees_what_it_forbids() -> None:
    program = """
import fcntl
part.replace(path); os.replace(part, path); path.rename(other); path.write_text("x"); figure.savefig(path)
text.replace("a", "b"); config.replace(*settings); config.replace(seed=1); files.write_text(path, "x")
table.rename(columns=titles)
"""
    assert breaks(ast.parse(program)) == {"fcntl", "replace", "rename", "write_text", "savefig"}


def test_nobody_else_renames_locks_or_writes_by_hand() -> None:
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if place not in ALLOWED:
            found |= {f"{place}: {name}" for name in breaks(ast.parse(path.read_text(encoding="utf-8")))}
    assert found <= ALLOWED, found - ALLOWED


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "folder"

    def fill(error: type[BaseException] | None = None) -> None:
        with files.new_folder(target) as draft:
            (draft / "a").touch()
            assert not target.exists()
            if error is not None:
                raise error

    with pytest.raises(KeyboardInterrupt):
        fill(KeyboardInterrupt)
    assert list(target.parent.iterdir()) == []
    fill()
    assert [path.name for path in target.iterdir()] == ["a"]


def test_a_new_folder_that_someone_else_made_is_left_alone(tmp_path):
    target = tmp_path / "folder"

    def fill() -> None:
        with files.new_folder(target) as draft:
            (draft / "a").touch()
            target.mkdir()
            (target / "theirs").touch()

    with pytest.raises(UserError, match="made by someone else meanwhile"):
        fill()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "theirs"]


def test_a_draft_that_another_writer_took_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, gone = os.close, []

    def closed(number: int) -> None:
        close(number)
        for draft in () if gone else list(tmp_path.glob(".*.tmp")):
            draft.unlink()
            gone.append(draft)

    monkeypatch.setattr(os, "close", closed)
    files.write_bytes(tmp_path / "a", b"whole")
    assert len(gone) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"
