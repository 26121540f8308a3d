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
from typing import Annotated, Any

from msgspec import Meta

from audioplane.errors import UserError
from audioplane.runtime import documents, limits
from audioplane.runtime.names import check_name, inside

FORMAT = "audioplane-subject"
VERSION = 1
MANIFEST = "manifest.json"
FPS = 25.0
SAMPLE_RATE = 16_000
DEPTH_UNIT = 1e-4  # metres per step of depth.pack
REQUIRED = ("frames.pack", "labels.pack", "background.png", "audio.flac", "cameras.npz", "landmarks.npy")
WITHOUT_HEAD = ("without_head.pack", "without_head.png")
AGAIN = "copy or make the Subject again"

Pixels = Annotated[int, Meta(ge=1, le=2**20)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Frame = Annotated[int, Meta(ge=-(2**31), le=2**31)]
Text = Annotated[str, Meta(max_length=10_000)]
Seconds = Annotated[float, Meta(ge=-1e7, le=1e7)]


@dataclass(frozen=True)
class Part:
    """One file of a Subject."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    bytes: Count


@dataclass(frozen=True)
class Split:
    """Frames to learn from and held out, each [first, end)."""

    train: tuple[Frame, Frame]
    test: tuple[Frame, Frame]


@dataclass(frozen=True)
class Sounding:
    """One entry of phonemes.json; times in seconds."""

    ipa: Annotated[str, Meta(max_length=20)]
    start: Seconds
    end: Seconds
    stress: Annotated[int, Meta(ge=0, le=2)] = 0
    release: Seconds | None = None


@dataclass(frozen=True)
class Manifest:
    """The contents of manifest.json."""

    name: Text
    width: Pixels
    height: Pixels
    num_frames: Count
    train: tuple[Frame, Frame]
    test: tuple[Frame, Frame]
    licence: Text
    without_head: Text
    """How the picture without the head was obtained, in a few words."""
    provenance: dict[str, Any]
    parts: dict[str, Part]
    fps: Annotated[float, Meta(gt=0, le=1000)] = FPS
    sample_rate: Annotated[int, Meta(ge=1, le=10_000_000)] = SAMPLE_RATE
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
    if not (path / MANIFEST).is_file():
        raise UserError(f"{path} is not a Subject (it has no {MANIFEST}){looks_like(path)}")
    file = inside(path, MANIFEST)
    values = documents.read(file, dict[str, Any], AGAIN)
    if values.get("format") != FORMAT:
        raise UserError(f"{file} is not a Subject's manifest (its format is {str(values.get('format'))[:80]!r})")
    if type(values.get("version")) is not int or values["version"] != VERSION:
        raise UserError(
            f"{path} has format version {str(values.get('version'))[:80]}, this program reads version {VERSION}; "
            "make the Subject again, or use the audioplane that made it"
        )
    manifest = _manifest(values, str(file))
    check_name(manifest.name, f"{file}: the speaker's name")
    limits.check_frames(manifest.num_frames, str(file))
    for name in manifest.parts:
        inside(path, name)
    return manifest


def _manifest(values: dict[str, Any], what: str) -> Manifest:
    """The values of manifest.json, with the types that they must have."""
    whole = dict(values)
    del whole["format"], whole["version"]
    split = documents.convert(whole.pop("split", None), Split, f"{what}: split", AGAIN)
    known = {key: whole.pop(key) for key in list(whole) if key in Manifest.__dataclass_fields__ and key != "extra"}
    known |= {"train": split.train, "test": split.test, "extra": whole}
    return documents.convert(known, Manifest, what, AGAIN)
