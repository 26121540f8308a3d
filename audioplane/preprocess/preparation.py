"""First pass over a video: what can be read, where the face is, and which stretch is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane.errors import UserError
from audioplane.media.reader import MediaReader
from audioplane.preprocess import cached
from audioplane.preprocess.landmarks import Landmarker, landmarker
from audioplane.preprocess.settings import SHORTEST, Progress, Settings
from audioplane.preprocess.survey import EVERY, Survey, cuts, frame_count, holes, survey
from audioplane.runtime import cache, files, weights
from audioplane.runtime.source_hash import source_hash
from audioplane.subject.format import FPS

if TYPE_CHECKING:
    from audioplane.preprocess.face_parsing import BiSeNet

LEAST_SHARE = 0.5  # of the frames, that must have a face
SILENT = 1e-3  # of full scale: the loudest sample of what has no voice in it
GAP = 3  # samples of the survey without a face that end a stretch


@dataclass(frozen=True)
class Look:
    """What the first pass over a video found: see `Survey`; `first` frame and `count` of what is taken."""

    seen: Survey
    end: float
    damaged: str
    first: int
    count: int

    @property
    def breaks(self) -> list[int]:
        """Cuts within what is taken, counted from its first frame."""
        return [t - self.first for t in cuts(self.seen.change) if self.first < t < self.first + self.count]


class Preparation:
    """The preparation of one video as a Subject.

    Args:
        video: the file. settings: every choice. progress: opens a bar for a step.
    """

    def __init__(self, video: Path, settings: Settings, progress: Progress) -> None:
        settings.check()
        self.settings, self.progress = settings, progress
        self.source = MediaReader.open(video, settings.audio_track)
        if not self.source.has_sound:
            raise UserError(f"{video} has no sound track: a talking head cannot be learnt without the voice")
        self.parser: BiSeNet | None = None
        self.parser_digest = ""
        if settings.face_parsing:
            from audioplane.preprocess import face_parsing

            named = settings.face_parsing == face_parsing.NAME
            file = weights.require(face_parsing.NAME) if named else Path(settings.face_parsing)
            self.parser, self.parser_digest = face_parsing.load(file), weights.digest(file)
        digest = weights.digest(video)
        code = source_hash("audioplane.preprocess.piece")
        self.steps = cached.Steps(cache.make("prepare", digest[:16]), f"{digest} {code}")
        files.remove_leftovers(self.steps.folder)

    @cached_property
    def finder(self) -> Landmarker:
        """Of faces; made when it is first needed, so that a file that cannot be used is refused without it."""
        return landmarker(self.settings.landmarks)

    def bar(self, name: str, total: int) -> Callable[[int], object]:
        return self.progress(name, total)

    def look(self) -> Look:
        """Reads all timestamps, searches faces and cuts, and takes the longest stretch with a face.

        Raises:
            UserError: too short, or hardly any face.
        """
        own, path = self.settings, self.source.path
        timing = self.steps("read", self._read, {"start": own.start, "end": own.end})
        end, damaged = float(timing["end"]), str(timing["damaged"])
        stop = min(end, own.end) if own.end else end
        count = frame_count(stop, own.start)
        if not damaged and (lost := holes(timing["times"], own.start, stop)):
            damaged = "it has no pictures at " + ", ".join(f"{a:g}-{b:g}" for a, b in lost[:4]) + " s"
        if count < SHORTEST * FPS:
            whole = f"it lasts {end:.2f} s" + (f" ({damaged})" if damaged else "")
            taken = "" if own.start == 0 and not own.end else f", of which {max(stop - own.start, 0):.2f} s are taken"
            raise UserError(f"{path} is too short: {whole}{taken}; at least {SHORTEST:g} s are needed, better minutes")
        if np.abs(self.source.sound(own.start, count / FPS).samples).max(initial=0) < SILENT:
            raise UserError(f"{path}: its sound track is silent: a talking head cannot be learnt without the voice")
        arrays = self.steps(
            "survey",
            lambda: self._survey(own.start, count),
            {"start": own.start, "count": count, "landmarks": own.landmarks},
            ("read",),
        )
        seen = Survey(arrays["faces"], arrays["change"], arrays["repeated"], own.face)
        if seen.share < LEAST_SHARE:
            raise UserError(
                f"{path}: a face was found in only {seen.share:.0%} of the frames; take a stretch in which the person "
                "faces the camera, with --start and --end"
            )
        first, last = _longest(np.isfinite(seen.main[:, 0]))
        first, last = first * EVERY, min(last * EVERY, count)
        if last - first < SHORTEST * FPS:
            raise UserError(f"{path}: the face is never there for {SHORTEST:g} s together")
        return Look(seen, end, damaged, first, last - first)

    def _read(self) -> dict[str, Any]:
        timing = self.source.timing(self.settings.start, self.settings.end)
        times = [float(time) for time in timing.times]
        return {"times": times, "end": float(timing.end), "declared": timing.declared, "damaged": timing.damaged}

    def _survey(self, start: float, count: int) -> dict[str, Any]:
        seen = survey(self.source, self.finder, start, count, self.bar("look", count))
        return {"faces": seen.faces, "change": seen.change, "repeated": seen.repeated}


def _longest(there: np.ndarray) -> tuple[int, int]:
    """First and end of the longest run of samples whose gaps are shorter than `GAP`."""
    filled = there.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[1], there.astype(int), [1]])))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        if b - a < GAP:
            filled[a:b] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], filled.astype(int), [0]])))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    return max(runs, key=lambda run: run[1] - run[0])
