"""The face in every frame: one interface over MediaPipe's mesh (478 points) and face-alignment (68 points).

Either gives the 68 landmarks of iBUG; the mesh also gives depth and 52 blendshapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audioplane.errors import UserError
from audioplane.preprocess.face_mesh import KEEP, Box, Face, FaceMesh, box_around
from audioplane.runtime import weights

KINDS = ("mediapipe", "face-alignment")

# The points of the mesh that lie nearest to iBUG's 68.
OF_MESH = [
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 98, 97, 2, 326, 327,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,  # outer lips
    78, 81, 13, 311, 308, 402, 14, 178,  # inner lips
]  # fmt: skip
assert len(OF_MESH) == 68


class Landmarker(Protocol):
    """Finds faces and their points; used from one thread."""

    def detect(self, image: np.ndarray, least: float = 0.5) -> list[Box]:
        """All faces of an H x W x 3 uint8 RGB picture, the largest first."""
        ...

    def look(self, image: np.ndarray, box: Box) -> Face:
        """The points of the face at `box`."""
        ...

    def box_around(self, points: np.ndarray) -> Box:
        """Where to look for the same face in the next frame."""
        ...


class FaceAlignment:
    """The package face-alignment: S3FD finds faces, FAN 68 points. Slower by far without a GPU.

    Raises:
        MissingWeightsError: one of its two model files is missing.
    """

    def __init__(self) -> None:
        for name in ("s3fd", "fan"):
            weights.require(name)
        import face_alignment

        kind = face_alignment.LandmarksType.TWO_D
        self._net = face_alignment.FaceAlignment(kind, device="cpu", flip_input=False)

    def detect(self, image: np.ndarray, least: float = 0.5) -> list[Box]:
        faces = self._net.face_detector.detect_from_image(image.copy())
        boxes = [Box((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0), 0.0, s) for x0, y0, x1, y1, s in faces]
        return sorted((box for box in boxes if box.score > least), key=lambda box: -box.size)

    def look(self, image: np.ndarray, box: Box) -> Face:
        half = box.size / 2
        around = [np.array([box.x - half, box.y - half, box.x + half, box.y + half, 1.0])]
        found = self._net.get_landmarks_from_image(image, detected_faces=around)
        if not found:
            return Face(np.full((68, 3), np.nan), 0.0)
        flat = np.asarray(found[0], np.float64)[:, :2] + 0.5
        points = np.column_stack([flat, np.full(68, np.nan)])
        spread = np.ptp(points[:, :2], axis=0).max()
        return Face(points, float(0.5 < spread / box.size < 2.0))

    def box_around(self, points: np.ndarray) -> Box:
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        x, y = (low + high) / 2
        return Box(float(x), float(y), float((high - low).max()), 0.0, 1.0)


class Mesh(FaceMesh):
    """MediaPipe's mesh, its file found by its name."""

    def __init__(self) -> None:
        super().__init__(weights.require("face-landmarker"))

    def box_around(self, points: np.ndarray) -> Box:
        return box_around(points)


def landmarker(kind: str) -> Landmarker:
    """The landmarker of a kind.

    Raises:
        UserError: no such kind, or its model files or package are missing.
    """
    if kind not in KINDS:
        raise UserError(f"--landmarks is {' or '.join(KINDS)}, not {kind!r}")
    return Mesh() if kind == "mediapipe" else FaceAlignment()


def ibug(points: np.ndarray) -> np.ndarray:
    """(..., 478 or 68, n) points -> (..., 68, n) in iBUG's order."""
    return points if points.shape[-2] == 68 else points[..., OF_MESH, :]


@dataclass(frozen=True)
class Track:
    """One face through a clip.

    Attributes:
        points: T x N x 3 float32 pixels, NaN where the face was not found. presence: T in [0, 1].
        blendshapes: T x 52 float32, or None.
    """

    points: np.ndarray
    presence: np.ndarray
    blendshapes: np.ndarray | None

    @property
    def found(self) -> np.ndarray:
        """T bool."""
        return np.isfinite(self.points[:, 0, 0])


def follow(
    frames: Iterable[np.ndarray], finder: Landmarker, expected: np.ndarray, progress: Callable[[int], object]
) -> Track:
    """Follows the face that is nearest to where it is expected.

    Args:
        frames: T pictures.
        finder: of faces.
        expected: T x 3: x, y and size of the face, pixels, roughly.
        progress: called with 1 after each frame.

    Raises:
        UserError: no frame has a face.
    """
    faces: list[Face | None] = []
    box: Box | None = None
    for image, (x, y, size) in zip(frames, expected, strict=False):
        face = _checked(finder, image, box, size)
        if face is None:
            near = [b for b in finder.detect(image) if np.hypot(b.x - x, b.y - y) < size and 0.4 < b.size / size < 2.5]
            nearest = min(near, key=lambda b: float(np.hypot(b.x - x, b.y - y)), default=None)
            face = _checked(finder, image, nearest, size)
            if face is not None:  # once more from its own points: the detector's box is rough
                face = _checked(finder, image, finder.box_around(face.points), size)
        box = finder.box_around(face.points) if face is not None else None
        faces.append(face)
        progress(1)
    known = [face for face in faces if face is not None]
    if not known:
        raise UserError("no face was found in any frame")
    lost = np.full_like(known[0].points, np.nan)
    points = np.stack([face.points if face else lost for face in faces]).astype(np.float32)
    shapes = None
    if known[0].blendshapes is not None:
        empty = np.zeros_like(known[0].blendshapes)
        shapes = np.stack([empty if face is None or face.blendshapes is None else face.blendshapes for face in faces])
    return Track(points, np.array([face.presence if face else 0.0 for face in faces], np.float32), shapes)


def _checked(finder: Landmarker, image: np.ndarray, box: Box | None, size: float) -> Face | None:
    """The face at `box`, or None when there is none or it is not of the expected size."""
    if box is None or not 0.3 < box.size / size < 3:
        return None
    face = finder.look(image, box)
    return face if face.presence > KEEP and np.isfinite(face.points[:, :2]).all() else None
