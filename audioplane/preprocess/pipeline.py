"""`prepare`: from a video file to one Subject, or one for each of its pieces."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from audioplane.errors import UserError
from audioplane.preprocess.piece import Piece
from audioplane.preprocess.preparation import Preparation
from audioplane.preprocess.settings import SHORTEST, Progress, Settings
from audioplane.preprocess.survey import crop
from audioplane.preprocess.verdict import Facts
from audioplane.runtime import files
from audioplane.runtime.names import as_name, check_name
from audioplane.subject.format import FPS

DEFAULT = Settings()


def prepare(
    video: str | Path,
    out: str | Path,
    settings: Settings = DEFAULT,
    name: str = "",
    split: bool = False,
    progress: Progress = lambda step, total: lambda done: None,
    before_naming: Callable[[Path, Path], Any] | None = None,
) -> list[tuple[Path, Facts]]:
    """Turns a video of one person who speaks into a Subject.

    Args:
        video: any file that FFmpeg reads. out: the new folder. settings: every choice.
        name: of the speaker; default the file's. split: one Subject for every piece between cuts, in folders of `out`.
        progress: opens a bar for a step. before_naming: see `SubjectWriter`.

    Returns:
        the folders that were written, each with what is worth knowing about it.

    Raises:
        UserError: the video cannot be used, or a model file is missing; nothing is left behind at `out`.
    """
    video, out = Path(video), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists already; give a new folder, or remove it first")
    if name:
        check_name(f"{name}-00" if split else name, "--name")  # pieces are numbered
    work = Preparation(video, settings, progress)
    look = work.look()
    box, name = crop(look.seen.main, work.source.width, work.source.height), name or as_name(video.stem[:70], "speaker")
    if not split:
        if settings.train * FPS >= look.count:
            raise UserError(f"--train {settings.train:g} leaves nothing to hold out of {look.count / FPS:.1f} s")
        return [(out, Piece(work, look, look.first, look.count, box).write(out, name, before_naming))]
    bounds = [look.first, *(look.first + t for t in look.breaks), look.first + look.count]
    pieces = [(a, b) for a, b in pairwise(bounds) if b - a >= SHORTEST * FPS]
    made = []
    with files.new_folder(out) as draft:  # all pieces or none: after a kill the same command works again
        for number, (a, b) in enumerate(pieces, 1):
            piece, numbered = Piece(work, look, a, b - a, box), f"{number:02d}"
            made.append((out / numbered, piece.write(draft / numbered, f"{name}-{numbered}", before_naming)))
    return made
