"""`Subject`: one speaker, ready to learn from. A folder, read lazily; see `subject.format` for its files.

    subject = Subject.open("subjects/ada")
    subject.frame(0), subject.head_mask(0), subject.viewmats[0], subject.audio

Pictures are decoded one at a time when asked for and never kept; the methods may be called from many threads,
and a Subject can be pickled (it travels as its path), so loaders with worker processes work.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from audioplane.errors import UserError
from audioplane.subject import blendshapes, flame, masks, parts
from audioplane.subject.check import check, refuse
from audioplane.subject.format import DEPTH_UNIT, FPS, SAMPLE_RATE, Manifest, read_manifest
from audioplane.subject.masks import BACKGROUND, FACE, HAIR, MOUTH, TORSO
from audioplane.subject.writer import SubjectWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audioplane.subject.check import Problem

__all__ = [
    "BACKGROUND",
    "FACE",
    "FPS",
    "HAIR",
    "MOUTH",
    "SAMPLE_RATE",
    "TORSO",
    "Phoneme",
    "Subject",
    "SubjectWriter",
]


class Phoneme(NamedTuple):
    """One speech sound; times are seconds from the start of the audio.

    Attributes:
        ipa: in the International Phonetic Alphabet.
        start: where it begins (a stop: where its closure begins).
        end: where it ends.
        stress: 0 none, 1 secondary, 2 primary.
        release: where a stop's closure opens; None where that is not known.
    """

    ipa: str
    start: float
    end: float
    stress: int = 0
    release: float | None = None


class Subject:
    """One speaker's frames, masks, poses, audio and, where known, truths.

    Frame t shows the moment (t + 0.5) / fps of the audio. Head coordinates are metres, x to the image's
    right, y down, z from the face to the back of the head; `viewmats` are camera-from-head (OpenCV); pixel
    centres lie at +0.5.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._packs = parts.open_packs(path, manifest)
        self._last_label: tuple[int, np.ndarray] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Subject:
        """Opens the Subject in folder `path`; reads its manifest and the headers of its parts.

        Raises:
            UserError: it is not a Subject, of another version, or a part is missing or not what it should be.
        """
        path = Path(path)
        manifest = read_manifest(path)
        refuse(path, manifest)
        return cls(path, manifest)

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Subject.open, (self.path,)

    def __repr__(self) -> str:
        return (
            f"Subject({self.name!r}, {self.num_frames} frames of {self.width}x{self.height}, "
            f"{self.num_frames / self.fps:.1f} s, train {self.train.start}-{self.train.stop}, "
            f"test {self.test.start}-{self.test.stop})"
        )

    name = property(lambda self: self.manifest.name, doc="The speaker's name.")
    fps = property(lambda self: self.manifest.fps, doc="Frames per second.")
    width = property(lambda self: self.manifest.width, doc="Width of the frames, pixels.")
    height = property(lambda self: self.manifest.height, doc="Height of the frames, pixels.")
    num_frames = property(lambda self: self.manifest.num_frames, doc="T, the number of frames.")
    digest = property(lambda self: self.manifest.digest, doc="sha256 of everything a run may depend on.")

    @property
    def train(self) -> range:
        """Frames to learn from."""
        return range(*self.manifest.train)

    @property
    def test(self) -> range:
        """Frames held out."""
        return range(*self.manifest.test)

    # Pictures

    def _picture(self, pack: str, t: int) -> np.ndarray:
        if not 0 <= t < self.num_frames:
            raise IndexError(f"frame {t} of {self.name!r}, which has frames 0 to {self.num_frames - 1}")
        return self._packs[pack][int(t)]

    def frame(self, t: int) -> np.ndarray:
        """Frame t: H x W x 3 uint8 RGB."""
        return self._picture("frames.pack", t)

    def label(self, t: int) -> np.ndarray:
        """What each pixel of frame t shows: H x W uint8; 0 background, 1 torso, 2 hair, 3 face, 4 mouth."""
        return self._picture("labels.pack", t)

    def without_head(self, t: int) -> np.ndarray:
        """Frame t without the head (torso and background): H x W x 3 uint8 RGB."""
        if "without_head.pack" in self._packs:
            return self._picture("without_head.pack", t)
        return self._still_without_head.copy()

    def depth(self, t: int) -> np.ndarray | None:
        """Distance along the camera's axis in frame t: H x W float32 metres, 0 where unknown; or None."""
        if "depth.pack" not in self._packs:
            return None
        return self._picture("depth.pack", t).astype(np.float32) * np.float32(DEPTH_UNIT)

    @cached_property
    def _still_without_head(self) -> np.ndarray:
        return parts.still(self.path, "without_head.png", self.manifest)

    @cached_property
    def background(self) -> np.ndarray:
        """The still background: H x W x 3 uint8 RGB."""
        return parts.still(self.path, "background.png", self.manifest)

    # Masks, H x W bool

    def _shown(self, t: int) -> np.ndarray:
        """`label`, not to be written to; the last one is kept, since masks of one frame are asked for together."""
        last = self._last_label
        if last is None or last[0] != t:
            last = self._last_label = (t, self.label(t))
        return last[1]

    def head_mask(self, t: int) -> np.ndarray:
        """Hair, face and mouth of frame t: H x W bool."""
        return self._shown(t) >= HAIR

    def hair_mask(self, t: int) -> np.ndarray:
        """Hair of frame t: H x W bool."""
        return self._shown(t) == HAIR

    def face_mask(self, t: int) -> np.ndarray:
        """Skin, ears, eyes, glasses and beard of frame t, without the mouth: H x W bool."""
        return self._shown(t) == FACE

    def mouth_mask(self, t: int) -> np.ndarray:
        """Lips and everything between them in frame t: H x W bool."""
        return self._shown(t) == MOUTH

    def inner_mouth_mask(self, t: int) -> np.ndarray:
        """What is seen between the lips in frame t (see `subject.masks.inner_mouth_mask`): H x W bool."""
        return masks.inner_mouth_mask(self._shown(t), self.landmarks[t])

    def torso_mask(self, t: int) -> np.ndarray:
        """Neck, shoulders and clothes of frame t: H x W bool."""
        return self._shown(t) == TORSO

    def motion_mask(self, t: int) -> np.ndarray:
        """What speech moves in frame t (see `subject.masks.motion_mask`): H x W bool."""
        return masks.motion_mask(self._shown(t), self.landmarks[t], self._face_height)

    def narrow_motion_mask(self, t: int) -> np.ndarray:
        """The mouth of frame t, slightly dilated (see `subject.masks.narrow_motion_mask`): H x W bool."""
        return masks.narrow_motion_mask(self._shown(t), self._face_height)

    def eyes_mask(self, t: int) -> np.ndarray:
        """Eyes and brows of frame t (see `subject.masks.eyes_mask`): H x W bool."""
        return masks.eyes_mask(self._shown(t), self.landmarks[t], self._face_height)

    @cached_property
    def _face_height(self) -> float:
        return masks.face_height(self.landmarks)

    # Tracks

    @cached_property
    def _cameras(self) -> dict[str, np.ndarray]:
        return parts.cameras(self.path, self.manifest)

    @property
    def K(self) -> np.ndarray:  # noqa: N802
        """Intrinsics, 3 x 3 float32; pixel centres at +0.5."""
        return self._cameras["K"]

    @property
    def viewmats(self) -> np.ndarray:
        """Camera-from-head, T x 4 x 4 float32."""
        return self._cameras["viewmats"]

    @cached_property
    def landmarks(self) -> np.ndarray:
        """68 landmarks (iBUG order): T x 68 x 2 float32 pixels; NaN in frames where none were found."""
        return parts.landmarks(self.path, self.manifest)

    @cached_property
    def audio(self) -> np.ndarray:
        """The voice: float32 in [-1, 1], 16 kHz."""
        return parts.audio(self.path, self.manifest)

    @cached_property
    def tracks(self) -> dict[str, np.ndarray]:
        """Further named tracks, T or T x N float32 each; empty when there are none."""
        if "tracks.npz" not in self.manifest.parts:
            return {}
        return parts.tracks(self.path, self.manifest)

    # Truths, None where unknown

    @cached_property
    def phonemes(self) -> list[Phoneme] | None:
        """The speech sounds with their times, or None."""
        if "phonemes.json" not in self.manifest.parts:
            return None
        return [Phoneme(one.ipa, one.start, one.end, one.stress, one.release) for one in parts.phonemes(self.path)]

    @cached_property
    def blendshapes(self) -> np.ndarray | None:
        """ARKit blendshape weights, T x 52 float32 in [0, 1] (alphabetical names), or None."""
        return parts.blendshapes(self.path, self.manifest) if "blendshapes.npy" in self.manifest.parts else None

    def weights(self, names: Sequence[str]) -> np.ndarray | None:
        """What the face does, by names of blendshapes or of FLAME's coefficients: (T, len(names)) float32.

        None where the Subject has no blendshapes, or no coefficients (`subject.flame`).
        """
        if flame.are_flame(names):
            return flame.columns(self.tracks, names)
        return None if self.blendshapes is None else blendshapes.columns(self.blendshapes, names).astype(np.float32)

    @cached_property
    def _mesh(self) -> dict[str, np.ndarray] | None:
        return parts.mesh(self.path, self.manifest) if "mesh.npz" in self.manifest.parts else None

    @property
    def faces(self) -> np.ndarray | None:
        """Triangles of the true mesh, F x 3 int32, or None."""
        return None if self._mesh is None else self._mesh["faces"]

    @property
    def rest_vertices(self) -> np.ndarray | None:
        """The true mesh at rest, V x 3 float32 metres in head coordinates, or None."""
        return None if self._mesh is None else self._mesh["rest"]

    @property
    def vertex_groups(self) -> dict[str, np.ndarray]:
        """Named vertex index lists of the true mesh; empty when there is none."""
        mesh = self._mesh or {}
        return {name[len(parts.GROUP) :]: mesh[name] for name in mesh if name.startswith(parts.GROUP)}

    @cached_property
    def _motion(self) -> tuple[np.ndarray, np.ndarray]:
        assert self._mesh is not None
        return parts.motion(self.path, self.manifest, len(self._mesh["rest"]))

    def vertices(self, t: int) -> np.ndarray | None:
        """True vertices of frame t, V x 3 float32 metres in head coordinates (within 0.05 mm), or None."""
        if self._mesh is None or "vertex_basis.npy" not in self.manifest.parts:
            return None
        if not 0 <= t < self.num_frames:
            raise IndexError(f"frame {t} of {self.name!r}, which has frames 0 to {self.num_frames - 1}")
        basis, weights = self._motion
        return self._mesh["rest"] + (weights[t] @ basis).reshape(-1, 3)

    # Audio features

    @property
    def feature_names(self) -> list[str]:
        """Names of the audio features that lie in the folder."""
        return sorted(n[len("features/") : -len(".npy")] for n in self.manifest.parts if n.startswith("features/"))

    def features(self, name: str) -> np.ndarray:
        """The audio features `name`, T x ..., memory-mapped.

        Raises:
            UserError: the Subject has no such features.
        """
        if name not in self.feature_names:
            here = ", ".join(self.feature_names) or "none"
            raise UserError(f"{self.name!r} has no audio features {name!r}; it has {here}")
        return parts.features(self.path, self.manifest, name)

    # Whole-subject operations

    def validate(self, every_picture: bool = True) -> list[Problem]:
        """Reads everything and lists what is wrong with it; empty when all is well.

        Args:
            every_picture: whether pictures besides labels are decoded one by one too.
        """
        return check(self.path, every_picture=every_picture)

    @classmethod
    def from_ad_nerf(cls, folder: str | Path, out: str | Path, progress: bool = False) -> Subject:
        """Turns a folder in the layout of AD-NeRF, ER-NeRF or TalkingGaussian into a Subject at `out`."""
        from audioplane.subject.ad_nerf import convert

        convert(Path(folder), Path(out), progress=progress)
        return cls.open(out)
