"""Other methods' films of the held-out part, measured as our heads are (Audio-Plane, Table V)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioplane.errors import UserError
from audioplane.evaluation import protocols
from audioplane.evaluation.evaluate import evaluate
from audioplane.experiments.runs import Clip
from audioplane.experiments.tables import Table
from audioplane.media import videos
from audioplane.metrics.mouth import MouthReader

LETTERS = {"A": "test set A", "B": "test set B"}


def films_of(
    table: Table, clips: Mapping[tuple[str, str, int], Clip], folder: Path
) -> dict[tuple[str, str], dict[str, Any]]:
    """Measures of each `FOLDER/METHOD/A.mp4` and `B.mp4`, by (row, column).

    A film shows the held-out frames of the speaker of its test set, from the first, at 25 frames a second. Its head is
    laid over the true torso, as ours is.

    Raises:
        UserError: the folder or a film is not as it should be, or a method is not in the table.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} with films METHOD/A.mp4 and METHOD/B.mp4")
    found = {}
    names = {row.name for row in table.rows}
    for path in sorted(folder.glob("*/[AB].mp4")):
        method, column = path.parent.name, LETTERS[path.stem]
        if method not in names:
            raise UserError(f"{path.parent} is no method of Table {table.number}; name it one of {', '.join(names)}")
        clip = next(clip for (_, where, _), clip in clips.items() if where == column)
        found[method, column] = measured(path, clip)
    return found


def measured(path: Path, clip: Clip) -> dict[str, Any]:
    """The measures of a film of a clip's held-out frames, as `evaluate` takes them.

    Raises:
        UserError: it has another size, or fewer frames.
    """
    subject = clip.open()
    pictures: list[NDArray[np.uint8]] = list(videos.at_rate(path))
    size = (subject.height, subject.width)
    if len(pictures) < len(subject.test) or pictures[0].shape[:2] != size:
        raise UserError(
            f"{path} has {len(pictures)} frames of {pictures[0].shape[1]} x {pictures[0].shape[0]}; the held-out part "
            f"of {subject.name} has {len(subject.test)} of {size[1]} x {size[0]}"
        )

    def shown(t: int) -> NDArray[np.uint8]:
        return protocols.paste(pictures[t - subject.test.start], subject.without_head(t), ~subject.head_mask(t))

    return evaluate(subject, shown, reader=MouthReader(subject))[0].to_dict()
