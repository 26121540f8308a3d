"""Files and folders that appear whole or not at all, and locks between processes. Only this module renames or locks.

A writer works on a draft: a temporary file or folder beside its target, which takes the target's name at the end. An
exception (KeyboardInterrupt too) removes the draft and leaves the old file. A killed process leaves its draft behind;
the next writer of the same target finds that nobody holds the draft's lock any more and removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audioplane.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: no locks, so what a killed process left stays, and two makers at once both work
    fcntl = None

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK = (*NO_SPACE, errno.EIO)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
LONGEST = 50  # characters of a target's name in its draft's, which must fit into a folder's 255 bytes too
LOCK = ".lock"  # within a folder that one process works in
_DRAFT = re.compile(r"\.(?P<target>.+)\.\d+-[0-9a-f]{8}\.tmp")


class Draft:
    """A temporary file or folder beside `target`, locked while its writer lives.

    Args:
        target: what it becomes. folder: whether that is a folder, which must then not exist or be empty.

    Attributes:
        path: where to write.

    Raises:
        OSError: the place cannot be written.
    """

    def __init__(self, target: Path, folder: bool = False) -> None:
        self.target, self._folder = target, folder
        self._name = target.name[:LONGEST]
        remove_leftovers(target.parent, target.name)
        while not self._create():
            continue  # another writer took the draft for a leftover before it was locked

    def _create(self) -> bool:
        self.path = self.target.with_name(f".{self._name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        if self._folder:
            self.path.mkdir()
        else:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        self._lock = -1
        if fcntl is None:
            self._mode = self._wanted_mode()
            return True
        try:
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (FileNotFoundError, BlockingIOError):
            self._release()
            return False
        if self.path.exists():
            self._mode = self._wanted_mode()
            return True
        self._release()
        return False

    def _wanted_mode(self) -> int:
        """The permissions of the target, or what new files get where there is none."""
        try:
            return self.target.stat().st_mode & 0o777
        except FileNotFoundError:
            return self.path.stat().st_mode & 0o777

    def commit(self, durable: bool = True) -> None:
        """Gives the draft its target's name.

        Args:
            durable: whether a file's content must be on the disk first, so that it survives a power cut.
        """
        if self._folder:
            if self.target.is_dir():
                self.target.rmdir()
        else:
            self.path.chmod(self._mode)  # some writers make a new file that only the owner may read
            if durable:
                with open(self.path, "rb+") as file:
                    os.fsync(file.fileno())
        os.replace(self.path, self.target)
        self._release()

    def discard(self) -> None:
        """Removes the draft."""
        _remove(self.path)
        self._release()

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


@contextlib.contextmanager
def atomic_path(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """A temporary path to write to, in place of `path`, whose name it takes when the block ends without an exception.

    Symbolic links are followed; devices and pipes such as /dev/stdout are written directly.

    Args:
        path: of the file. durable: see `Draft.commit`.

    Raises:
        UserError: the file cannot be written; the old one, if any, is kept.
    """
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        with _sentences(target, target):
            yield target
        return
    target = Path(os.path.realpath(target))
    if target.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file")
    with _sentences(target, None):
        draft = Draft(target)
    try:
        with _sentences(target, draft.path):
            yield draft.path
            draft.commit(durable)
    except BaseException:
        draft.discard()
        raise


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder to fill, which takes the name `path` when the block ends without an exception.

    Args:
        path: of the folder, which does not exist or is empty.

    Raises:
        UserError: the folder cannot be made, or was filled by someone else meanwhile.
    """
    target = Path(path).absolute()
    make_folder(target.parent)
    try:
        draft = Draft(target, folder=True)
    except OSError as error:
        raise failure(target, error) from error
    try:
        yield draft.path
        draft.commit()
    except BaseException as error:
        draft.discard()
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise UserError(f"{target} was made by someone else meanwhile") from error
        raise


def write_bytes(path: str | Path, data: bytes, durable: bool = True) -> None:
    """Writes a file, whole or not at all; see `atomic_path`."""
    with atomic_path(path, durable) as draft, open(draft, "wb") as file:
        file.write(data)


def write_text(path: str | Path, text: str, durable: bool = True) -> None:
    """Writes a text file as UTF-8, whole or not at all; see `atomic_path`."""
    write_bytes(path, text.encode(), durable)


def write_arrays(path: str | Path, arrays: Mapping[str, Any], compressed: bool = False) -> None:
    """Writes an .npz, whole or not at all; see `atomic_path`."""
    import numpy as np

    save: Any = np.savez_compressed if compressed else np.savez
    with atomic_path(path) as draft, open(draft, "wb") as file:
        save(file, **arrays)


def make_folder(path: str | Path) -> Path:
    """Makes a folder and those above it, where they are missing.

    Raises:
        UserError: it cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"{path} must be a folder, but there is a file of that name; give another folder") from error
    except OSError as error:
        raise failure(path, error) from error
    return path


@contextlib.contextmanager
def lock(path: str | Path) -> Iterator[None]:
    """Holds a lock beside `path`: a second process waits, and then finds what the first one made.

    The lock's file, `.NAME.lock`, means nothing by what it holds; it goes with the last who wants it.

    Raises:
        UserError: the lock's file cannot be written.
    """
    path = Path(path)
    make_folder(path.parent)
    file = path.with_name(f".{path.name[:LONGEST]}.lock")
    held = _lock(file, wait=True)
    try:
        yield
    finally:
        _unlock(file, held)


@contextlib.contextmanager
def run_folder(path: str | Path) -> Iterator[Path]:
    """A folder that one process at a time works in, made if it is missing; a second one is told at once.

    If the block ends with an exception before anything was written, folders that were made for it are removed again.

    Raises:
        UserError: another process works in it, or it cannot be made.
    """
    path = Path(path)
    made = _missing(path)
    while True:
        make_folder(path)
        try:
            held = _lock(path / LOCK, wait=False)
            break
        except FileNotFoundError:  # removed by one who held it and wrote nothing
            continue
        except BlockingIOError:
            raise UserError(
                f"another process is working in {path}: wait until it has ended, or give another folder"
            ) from None
    try:
        yield path
    finally:
        _unlock(path / LOCK, held)
        for folder in made:
            with contextlib.suppress(OSError):  # not empty: something was written
                folder.rmdir()


def _missing(path: Path) -> list[Path]:
    """The folders that have to be made for `path`, the innermost first."""
    path, found = path.absolute(), []
    while not path.exists() and path != path.parent:
        found.append(path)
        path = path.parent
    return found


def _lock(file: Path, wait: bool) -> int:
    """The descriptor of a lock's file that this process holds now; -1 where the system has no locks.

    Raises:
        BlockingIOError: another process holds it and `wait` is false.
        FileNotFoundError: its folder has gone. UserError: it cannot be written.
    """
    if fcntl is None:
        return -1
    while True:
        try:
            held = os.open(file, os.O_CREAT | os.O_RDWR, 0o666)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise failure(file, error) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if file.exists() and os.path.samestat(os.fstat(held), os.stat(file)):
                return held
        except FileNotFoundError:
            pass  # the one who held it before has just removed it: a new one is needed
        except BaseException:
            os.close(held)
            raise
        os.close(held)


def _unlock(file: Path, held: int) -> None:
    if held >= 0:
        file.unlink(missing_ok=True)  # while it is held: who waits for it looks whether it is still there
        os.close(held)


def remove_leftovers(folder: Path, target: str = "") -> None:
    """Removes drafts that killed processes left in `folder`: those for one target's name, or all."""
    if fcntl is None or not folder.is_dir():
        return
    for child in folder.iterdir():
        draft = _DRAFT.fullmatch(child.name)
        if draft is None or (target and draft["target"] != target[:LONGEST]):
            continue
        with contextlib.suppress(OSError):  # locked by a living writer, or gone already
            held = os.open(child, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(child)
            finally:
                os.close(held)


def failure(path: Path, error: OSError) -> UserError:
    """What the user can do about a file or folder that could not be written, in one sentence."""
    kept = "; the file that was there is kept" if path.is_file() else ""
    if error.errno in NO_SPACE:
        return UserError(f"no space left for {path}: make room on the disk, or write elsewhere{kept}")
    if error.errno in REFUSED:
        return UserError(f"{path} could not be written ({error.strerror}): choose a folder that you can write{kept}")
    if not path.parent.is_dir():
        return UserError(f"{path} could not be written: there is no folder {path.parent}; make it, or give another")
    return UserError(f"{path} could not be written ({error.strerror or error}){kept}")


@contextlib.contextmanager
def _sentences(target: Path, draft: Path | None) -> Iterator[None]:
    """Turns the errors of writing into sentences, and leaves those of anything else that the block does."""
    try:
        yield
    except OSError as error:
        if draft is None or error.errno in DISK or str(draft) in (str(error.filename), str(error.filename2)):
            raise failure(target, error) from error
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
