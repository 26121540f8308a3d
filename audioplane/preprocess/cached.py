"""Steps that are made once: each result lies in a file named by the hash of all it depends on.

A file appears whole or not at all, so a process killed at any moment goes on where it was, and ends with the same
bytes: a step sees the same inputs whether these were made just now or read back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audioplane.errors import UserError

Arrays = dict[str, np.ndarray]

VERSION = 2  # goes up when a step would make something else of the same inputs


@dataclass
class Steps:
    """The results of one video's steps.

    Attributes:
        folder: of the files. source: what tells the video from all others. seconds: how long each step took; 0 where
            its result was there.
    """

    folder: Path
    source: str
    seconds: dict[str, float] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, name: str, make: Callable[[], Mapping[str, Any]], settings: Mapping[str, Any], after: tuple[str, ...] = ()
    ) -> Arrays:
        """The result of a step: read, or made and written.

        Args:
            name: of the step. make: makes its arrays. settings: all that it depends on besides the video.
            after: steps whose results it uses.
        """
        before = [self.keys[step] for step in after]
        text = json.dumps([VERSION, name, self.source, dict(settings), before], sort_keys=True)
        self.keys[name] = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / f"{name}-{self.keys[name][:16]}.npz"
        self.seconds[name] = 0.0
        if not path.is_file():
            started = time.monotonic()
            self._write(path, make())
            self.seconds[name] = time.monotonic() - started
        with np.load(path) as file:
            return dict(file)

    def _write(self, path: Path, arrays: Mapping[str, Any]) -> None:
        part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as out:
                known: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items() if value is not None}
                np.savez(out, **known)
            part.replace(path)
        except OSError as error:
            raise UserError(
                f"{path} could not be written ({error}); make room, or let AUDIOPLANE_CACHE name a folder elsewhere"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes all files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes left unfinished."""
    if not folder.is_dir():
        return
    for part in folder.glob(".*.tmp"):
        process = part.name.rsplit(".", 2)[1]
        if process.isdigit() and not _lives(int(process)):
            part.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
