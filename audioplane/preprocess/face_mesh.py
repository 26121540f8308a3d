"""MediaPipe's face landmarker without MediaPipe: the three networks of its .task file, run by `ai-edge-litert`.

A .task file is a zip of a detector (128 x 128), a mesh of 478 points (256 x 256) and a regressor of 52 blendshapes.
What lies between them is short and is written here: the detector's anchors, the turned square that is cut out around
a face, and following it from frame to frame by its own points.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import limits
from audioplane.subject import blendshapes

RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263  # points of the mesh; right is the person's, image left
SIDE, DETECTOR_SIDE = 256, 128
REACH = 1.5  # side of the square that is cut out, in sides of the box around face or points
KEEP = 0.5  # below this presence the face counts as lost

# What the regressor of blendshapes looks at, and its 52 outputs in order ("_neutral" first, no tongue).
SEEN = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81,
    82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154,
    155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
    267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321,
    323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
    388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
]  # fmt: skip


@dataclass(frozen=True)
class Box:
    """A detected face.

    Attributes:
        x, y, size: centre and side of its square, pixels. angle: of the line from eye to eye, radians, clockwise as
            seen. score: in [0, 1].
    """

    x: float
    y: float
    size: float
    angle: float
    score: float


@dataclass(frozen=True)
class Face:
    """One face of a picture.

    Attributes:
        points: 478 x 3; pixels (centres at +0.5), and depth in pixels, smaller is nearer.
        presence: in [0, 1]. blendshapes: 52 weights in [0, 1], ARKit's names in alphabetical order; or None.
    """

    points: np.ndarray
    presence: float
    blendshapes: np.ndarray | None = None


def interpreter(model: bytes | Path, threads: int = 1) -> Any:
    """A LiteRT interpreter of a .tflite file or its content.

    Raises:
        UserError: the package `ai-edge-litert` is missing, or the file is not a network.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "preparing a video needs the package ai-edge-litert: pip install 'audioplane[prepare]'"
        ) from error
    try:
        content = model if isinstance(model, bytes) else model.read_bytes()
        net = Interpreter(model_content=content, num_threads=threads)
        net.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{'the model' if isinstance(model, bytes) else model} is not a LiteRT network") from error
    return net


def infer(net: Any, image: np.ndarray) -> list[np.ndarray]:
    """Runs a network with one input; its outputs in order."""
    net.set_tensor(net.get_input_details()[0]["index"], image)
    net.invoke()
    return [net.get_tensor(out["index"]) for out in net.get_output_details()]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))


def anchors() -> np.ndarray:
    """Centres of the detector's 896 anchors, in [0, 1]: two a cell of 16 x 16, six a cell of 8 x 8."""
    grids = []
    for cells, each in ((16, 2), (8, 6)):
        at = (np.arange(cells) + 0.5) / cells
        grids.append(np.stack(np.meshgrid(at, at), -1).reshape(-1, 2).repeat(each, 0))
    return np.concatenate(grids)


def merged(boxes: np.ndarray, scores: np.ndarray, overlap: float = 0.3) -> list[tuple[np.ndarray, float]]:
    """Detections that overlap, averaged by their scores; the best first.

    Args:
        boxes: N x 16: x, y, width, height, then six points. scores: N. overlap: intersection over union of one face.
    """
    found, order = [], np.argsort(-scores, kind="stable")
    while len(order):
        best, rest = boxes[order[0]], boxes[order]
        low = np.maximum(best[:2] - best[2:4] / 2, rest[:, :2] - rest[:, 2:4] / 2)
        high = np.minimum(best[:2] + best[2:4] / 2, rest[:, :2] + rest[:, 2:4] / 2)
        shared = np.clip(high - low, 0, None).prod(1)
        same = shared > overlap * np.maximum(best[2:4].prod() + rest[:, 2:4].prod(1) - shared, 0)
        same[0] = True  # a box without area does not even overlap with itself
        weights = scores[order[same]]
        found.append(((rest[same] * weights[:, None]).sum(0) / weights.sum(), float(weights[0])))
        order = order[~same]
    return found


class FaceMesh:
    """Finds faces and their 478 points.

    Args:
        task: MediaPipe's face_landmarker.task.
        threads: of each network.

    Raises:
        UserError: the file is not such a task.
    """

    def __init__(self, task: Path, threads: int = 1) -> None:
        names = ("face_detector.tflite", "face_landmarks_detector.tflite", "face_blendshapes.tflite")
        try:
            with zipfile.ZipFile(task) as file:
                if sum(file.getinfo(name).file_size for name in names) > limits.limit("array_bytes"):
                    raise limits.exceeded(f"{task} holds more than a network", "array_bytes")
                nets = [interpreter(file.read(name), threads) for name in names]
        except (zipfile.BadZipFile, zlib.error, KeyError, OSError, ValueError, RuntimeError, EOFError) as error:
            raise UserError(f"{task} is not a face_landmarker.task ({error})") from error
        self._detector, self._mesh, self._shapes = nets
        self._anchors = anchors()

    def detect(self, image: np.ndarray, least: float = 0.5, tiles: bool = True) -> list[Box]:
        """All faces of an H x W x 3 uint8 RGB picture, the largest first.

        The detector sees 128 x 128 pixels and misses small faces, so with `tiles` overlapping squares of half the
        longer side are looked at too.
        """
        height, width = image.shape[:2]
        side = max(height, width)
        squares = [((width - side) / 2, (height - side) / 2, side)]
        if tiles:
            half = side / 2
            across = np.linspace(0, max(width - half, 0), 3 if width > half else 1)
            down = np.linspace(0, max(height - half, 0), 3 if height > half else 1)
            squares += [(x, y, half) for y in down for x in across]
        found = [self._detect_in(image, square, least) for square in squares]
        boxes, scores = np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
        faces = []
        for box, score in merged(boxes, scores):
            eyes = box[6:8] - box[4:6]
            faces.append(Box(box[0], box[1], max(box[2:4]), float(np.arctan2(eyes[1], eyes[0])), score))
        return sorted(faces, key=lambda face: -face.size)

    def _detect_in(
        self, image: np.ndarray, square: tuple[float, float, float], least: float
    ) -> tuple[np.ndarray, np.ndarray]:
        x, y, side = square
        scale = side / DETECTOR_SIDE
        warp = np.array([[scale, 0, x + scale / 2 - 0.5], [0, scale, y + scale / 2 - 0.5]])
        if scale > 2:  # a pixel of the warp sees four of the picture: shrink first
            shrink = 2 ** int(np.log2(scale))
            image = cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
            warp[:, :2] /= shrink
            warp[:, 2] = (warp[:, 2] + 0.5) / shrink - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        tile = cv2.warpAffine(image, warp, (DETECTOR_SIDE, DETECTOR_SIDE), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        offsets, logits = infer(self._detector, tile[None].astype(np.float32) / 127.5 - 1)
        scores = _sigmoid(logits[0, :, 0])
        good = scores > least
        boxes = offsets[0, good].astype(np.float64) / DETECTOR_SIDE
        boxes[:, :2] += self._anchors[good]
        boxes[:, 4:] += np.tile(self._anchors[good], 6)
        boxes *= side
        boxes[:, [0, *range(4, 16, 2)]] += x
        boxes[:, [1, *range(5, 16, 2)]] += y
        return boxes, scores[good]

    def look(self, image: np.ndarray, box: Box, shapes: bool = True) -> Face:
        """The points of the face at `box` (any face there may be: see its presence)."""
        scale = REACH * box.size / SIDE
        turn = scale * np.array([[np.cos(box.angle), -np.sin(box.angle)], [np.sin(box.angle), np.cos(box.angle)]])
        middle = np.array([box.x, box.y])
        # cv2 counts pixel centres as whole numbers: half a pixel is added on the one side and taken on the other
        shift = middle - turn @ np.full(2, SIDE / 2) + turn @ np.full(2, 0.5) - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpAffine(
            image, np.column_stack([turn, shift]), (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        raw, presence, _ = infer(self._mesh, cut[None].astype(np.float32) / 255)
        points = raw.reshape(478, 3).astype(np.float64)
        points[:, :2] = (points[:, :2] - SIDE / 2) @ turn.T + middle
        points[:, 2] *= scale
        weights = None
        if shapes:
            scores = infer(self._shapes, points[None, SEEN, :2].astype(np.float32))[0].reshape(-1)
            weights = np.zeros(blendshapes.COUNT, np.float32)
            weights[: len(scores) - 1] = np.clip(scores[1:], 0, 1)  # alphabetical; tongueOut, the last, is not told
        return Face(points, float(_sigmoid(presence.reshape(-1))[0]), weights)


def box_around(points: np.ndarray) -> Box:
    """The box of a face's own points, turned with its eyes: where to look in the next frame."""
    eyes = points[LEFT_EYE_OUTER, :2] - points[RIGHT_EYE_OUTER, :2]
    angle = float(np.arctan2(eyes[1], eyes[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    upright = points[:, :2] @ turn.T
    low, high = upright.min(0), upright.max(0)
    x, y = turn.T @ ((low + high) / 2)
    return Box(float(x), float(y), float((high - low).max()), angle, 1.0)
