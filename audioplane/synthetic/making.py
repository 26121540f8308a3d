"""Makes an embedded speaker's Subject, once: keyed by the code and the settings it was made with."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from audioplane.errors import UserError
from audioplane.motion.body import TURNS
from audioplane.runtime import cache, files, weights
from audioplane.runtime.source_hash import source_hash
from audioplane.subject import Subject, SubjectWriter
from audioplane.synthetic import cast
from audioplane.synthetic.filming import AHEAD, Angles, FilmedFrame, Production, film

SIZES = (32, 1024)
SECONDS = (2.0, 600.0)
FARTHEST = (90.0, 45.0)  # degrees of yaw and pitch
LICENCES = {
    "ours": "CC0-1.0",
    "ict": "CC0-1.0; the head's shape: ICT-FaceKit, MIT, (c) 2020 USC Institute for Creative Technologies",
}


@dataclass(frozen=True)
class Settings:
    """What a made speaker depends on; `mesh` is the sha256 of the file that the backend's head comes from."""

    speaker: str
    size: int
    seconds: float
    seed: int
    voice: str | None
    code: str
    backend: str = "ours"
    mesh: str = ""
    yaw: float = 0.0
    pitch: float = 0.0
    turns: str = "speech"


def make(
    name: str,
    out: str | Path | None,
    size: int,
    seconds: float,
    seed: int,
    progress: bool,
    voice: str | None,
    backend: str = "ours",
    around: Angles = AHEAD,
    turns: str = "speech",
) -> Subject:
    """See `audioplane.synthetic.make`."""
    cast.find(name)
    if not SIZES[0] <= size <= SIZES[1]:
        raise UserError(f"size must be {SIZES[0]} to {SIZES[1]} pixels, got {size}")
    if not SECONDS[0] <= seconds <= SECONDS[1]:
        raise UserError(f"seconds must be {SECONDS[0]:g} to {SECONDS[1]:g}, got {seconds:g}")
    if backend not in cast.BACKENDS:
        raise UserError(f"there is no backend {backend!r}; there are {', '.join(cast.BACKENDS)}")
    if not (abs(around[0]) <= FARTHEST[0] and abs(around[1]) <= FARTHEST[1]):
        raise UserError(f"a camera stands up to {FARTHEST[0]:g} degrees beside and {FARTHEST[1]:g} above or below")
    if turns not in TURNS:
        raise UserError(f"there are no turns {turns!r}; there are {', '.join(TURNS)}")
    mesh = weights.digest(weights.require("ict-facekit")) if backend == "ict" else ""
    yaw, pitch = map(float, around)
    code = source_hash(__name__)
    settings = Settings(name, size, float(seconds), seed, voice, code, backend, mesh, yaw, pitch, turns)
    if out is not None:
        return _make_at(Path(out), settings, progress)
    key = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
    suffix = "" if backend == "ours" else f"-{backend}"
    suffix += "" if tuple(around) == AHEAD else f"-from-{around[0]:g}-{around[1]:g}"
    suffix += "" if turns == "speech" else f"-{turns}"
    folder = cache.make("speakers") / f"{name}-{size}px-{seconds:g}s-seed{seed}{suffix}-{key}"
    with files.lock(folder):
        return _make_at(folder, settings, progress)


def production_of(settings: Settings, around: Angles | None = None) -> Production:
    """All that is filmed for these settings, or the same from another place."""
    place = (settings.yaw, settings.pitch) if around is None else around
    return cast.bring_together(
        settings.speaker,
        settings.size,
        settings.seconds,
        settings.seed,
        settings.voice,
        settings.backend,
        place,
        settings.turns,
    )


def _made_already(folder: Path, settings: Settings) -> Subject | None:
    """The Subject at `folder` if it was made with the same settings; removes a damaged one of ours."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    try:
        subject = Subject.open(folder)
    except UserError:
        if folder.is_relative_to(cache.folder()):
            shutil.rmtree(folder)
            return None
        raise
    made_with = subject.manifest.provenance.get("settings")
    if made_with == asdict(settings):
        return subject
    raise UserError(f"{folder} holds another Subject ({subject!r}); give a new folder, or remove it first")


def _make_at(folder: Path, settings: Settings, progress: bool) -> Subject:
    subject = _made_already(folder, settings)
    if subject is not None:
        return subject
    name, size = settings.speaker, settings.size
    production = production_of(settings)
    count = len(production.play.blendshapes)
    provenance = {
        "made_by": "audioplane speakers make",
        "about": production.about,
        "backend": settings.backend,
        "settings": asdict(settings),
    }

    def bar(frames: Iterable[FilmedFrame]) -> Iterable[FilmedFrame]:
        from tqdm import tqdm

        return tqdm(frames, total=count, desc=name, unit="frame", disable=not progress)

    with SubjectWriter(folder, name, size, size, licence=LICENCES[settings.backend], provenance=provenance) as writer:
        film(
            writer,
            production.actor,
            production.play,
            production.camera,
            production.background,
            bar,
            around=production.around,
        )
        boundary = production.play.train_frames
        writer.set_split((0, boundary), (boundary, count))
    return Subject.open(folder)
