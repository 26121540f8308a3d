"""What stands in a Subject's folder: the names of its parts, the manifest, and how it is read back.

    manifest.json         written last; a folder without it is not a Subject
    frames.pack           T pictures, H x W x 3 uint8 RGB                     (packs: see subject.pack)
    labels.pack           T label pictures, H x W uint8                       (labels: see subject.masks)
    without_head.pack     T pictures of torso and background, or one still `without_head.png`
    background.png        H x W x 3 uint8 RGB
    audio.flac            16 kHz mono
    cameras.npz           K 3 x 3, viewmats T x 4 x 4 (camera-from-head, OpenCV), float32
    landmarks.npy         T x 68 x 2 float32 pixels, iBUG order; NaN where none was found

and, where the truth is known or a tool was there:

    depth.pack            T pictures, H x W uint16, tenths of a millimetre, 0 where nothing is
    phonemes.json         [{"ipa", "start", "end", "stress"?, "release"?}], seconds
    blendshapes.npy       T x 52 float32, ARKit's names in alphabetical order
    mesh.npz              faces F x 3, rest V x 3 (metres, head coordinates), group_<name> index lists
    vertex_basis.npy      K x V x 3 float32, with
    vertex_weights.npy    T x K float32: vertices of frame t = rest + weights[t] @ basis
    tracks.npz            further named tracks, T or T x N float32 each
    features/NAME.npy     T x ..., audio features by name
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from audioplane.errors import UserError

FORMAT = "audioplane-subject"
VERSION = 1
MANIFEST = "manifest.json"
FPS = 25.0
SAMPLE_RATE = 16_000
DEPTH_UNIT = 1e-4  # metres per step of depth.pack
REQUIRED = ("frames.pack", "labels.pack", "background.png", "audio.flac", "cameras.npz", "landmarks.npy")
WITHOUT_HEAD = ("without_head.pack", "without_head.png")


@dataclass(frozen=True)
class Part:
    """One file of a Subject."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """The contents of manifest.json."""

    name: str
    width: int
    height: int
    num_frames: int
    train: tuple[int, int]
    test: tuple[int, int]
    licence: str
    without_head: str
    """How the picture without the head was obtained, in a few words."""
    provenance: dict[str, Any]
    parts: dict[str, Part]
    fps: float = FPS
    sample_rate: int = SAMPLE_RATE
    extra: dict[str, Any] = field(default_factory=dict)
    """Keys of the file that this version does not know."""

    def to_json(self) -> str:
        values = asdict(self)
        split = {"train": list(values.pop("train")), "test": list(values.pop("test"))}
        parts = dict(sorted(values.pop("parts").items()))
        extra = values.pop("extra")
        whole = {"format": FORMAT, "version": VERSION, **values, "split": split, "parts": parts, **extra}
        return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"

    @property
    def digest(self) -> str:
        """One sha256 for all that a run may depend on: the parts, the split, fps and size."""
        facts: list[list[object]] = [[name, part.sha256] for name, part in sorted(self.parts.items())]
        facts.append([self.fps, self.sample_rate, self.width, self.height, self.num_frames])
        facts.append([list(self.train), list(self.test)])
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def looks_like(path: Path) -> str:
    """A hint what `path` is when it is not a Subject, as the end of a sentence; empty when there is none."""
    if path.is_file():
        if path.suffix.lower() in {".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg"}:
            return "; a video becomes one by `audioplane prepare VIDEO --out DIR`"
        return "; a Subject is a folder with a manifest.json"
    if (path / "transforms_train.json").is_file():
        return "; this looks like an AD-NeRF folder: `audioplane subject import DIR --out NEW` turns it into one"
    inside = sorted(child.parent.name for child in path.glob(f"*/{MANIFEST}"))
    if inside:
        return f"; it contains Subjects: {', '.join(inside[:6])}"
    return ""


def read_manifest(path: Path) -> Manifest:
    """Reads the manifest of the Subject in folder `path`.

    Raises:
        UserError: no such folder, not a Subject, a version that this program cannot read, or a damaged
        manifest.
    """
    if not path.exists():
        raise UserError(f"there is no {path}; give the folder of a Subject")
    file = path / MANIFEST
    if not file.is_file():
        raise UserError(f"{path} is not a Subject (it has no {MANIFEST}){looks_like(path)}")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        is_ours = values.get("format") == FORMAT
    except (ValueError, AttributeError) as error:
        raise UserError(f"{file} is damaged ({error}); copy or make the Subject again") from error
    if not is_ours:
        raise UserError(f"{file} is not a Subject's manifest (its format is {values.get('format')!r})")
    if values.get("version") != VERSION:
        raise UserError(
            f"{path} has format version {values.get('version')!r}, this program reads version {VERSION}; "
            "make the Subject again, or use the audioplane that made it"
        )
    del values["format"], values["version"]
    try:
        split = values.pop("split")
        values["train"], values["test"] = ((int(a), int(b)) for a, b in (split["train"], split["test"]))
        values["parts"] = {str(name): Part(**part) for name, part in values["parts"].items()}
        known = {key: values.pop(key) for key in list(values) if key in Manifest.__dataclass_fields__}
        return Manifest(**known, extra=values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{file} is damaged ({error!r}); copy or make the Subject again") from error
