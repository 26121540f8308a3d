"""Steps that are made once: each result lies in a file named by the hash of all it depends on.

A file appears whole or not at all, so a process killed at any moment goes on where it was, and ends with the same
bytes: a step sees the same inputs whether these were made just now or read back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import arrays, files

log = logging.getLogger("audioplane")

Arrays = dict[str, np.ndarray]


@dataclass
class Steps:
    """The results of one video's steps.

    Attributes:
        folder: of the files. source: what tells the video, and the code of the steps, from all others.
        seconds: how long each step took; 0 where its result was there.
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
        text = json.dumps([name, self.source, dict(settings), before], sort_keys=True)
        self.keys[name] = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / f"{name}-{self.keys[name][:16]}.npz"
        self.seconds[name] = 0.0
        if path.is_file():
            try:
                return arrays.read_npz(path)
            except UserError as error:  # damaged on the disk: what can be made again is made again
                log.warning("%s; the step is made again", error)
        started = time.monotonic()
        self._write(path, make())
        self.seconds[name] = time.monotonic() - started
        return arrays.read_npz(path)

    def _write(self, path: Path, made: Mapping[str, Any]) -> None:
        try:
            files.make_folder(self.folder)
            files.write_arrays(path, {key: np.asarray(value) for key, value in made.items() if value is not None})
        except UserError as error:
            raise UserError(f"{error}; AUDIOPLANE_CACHE can name a folder elsewhere") from error

    def forget(self) -> None:
        """Removes all files."""
        shutil.rmtree(self.folder, ignore_errors=True)
