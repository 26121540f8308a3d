"""What each scorer sees of a frame, cut out by the 68 landmarks (iBUG order) of the clip.

The built-in scorer sees the mouth in a frame of reference that moves with the head and not with the lips: a similarity
that fits eye corners and nose to those of a mean face. SyncNet sees the face as `syncnet_python` crops it: a box like
that of its detector, smoothed over 13 frames, widened by .4 and moved down by as much.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import medfilt

RIGID = np.array([36, 39, 42, 45, 27, 28, 29, 30, 31, 33, 35])
"""Landmarks that speech hardly moves: corners of the eyes, bridge and base of the nose."""

MEAN_FACE = np.array(
    [
        [-46.0, -1.0],
        [-17.0, 1.0],
        [17.0, 1.0],
        [46.0, -1.0],
        [0.0, -3.0],
        [0.0, 9.5],
        [0.0, 23.5],
        [0.0, 36.0],
        [-15.0, 48.5],
        [0.0, 50.0],
        [15.0, 48.5],
    ]
)
"""Where those lie in a mean adult face, millimetres right of and below the middle between the eyes."""

MOUTH_CENTRE = np.array([0.0, 73.0])
MOUTH_SIDE = 100.0  # mm
MOUTH_PIXELS = 48
FACE_PIXELS = 224


def check_landmarks(landmarks: NDArray) -> NDArray[np.float64]:
    """(T, 68, 2) float64, frames without a face filled from their neighbours.

    Raises:
        ValueError: another shape, or no frame with a face.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise ValueError(f"landmarks: expected (T, 68, 2), received {landmarks.shape}")
    known = np.isfinite(landmarks).all(axis=(1, 2))
    if not known.any():
        raise ValueError("landmarks: expected a face in one frame at least, found none")
    frames, flat = np.arange(len(landmarks)), landmarks.reshape(len(landmarks), -1).astype(np.float64)
    filled = np.stack([np.interp(frames, frames[known], column[known]) for column in flat.T], axis=1)
    return filled.reshape(landmarks.shape)


def mouth_warps(landmarks: NDArray, smooth: float = 1.0) -> NDArray[np.float64]:
    """Similarities from millimetres of the mean face to pixels of each frame.

    Args:
        landmarks: (T, 68, 2) pixels, centres of pixels at +0.5.
        smooth: standard deviation, frames, of the smoothing over time: detectors tremble.

    Returns:
        (T, 2, 3).
    """
    points = check_landmarks(landmarks)[:, RIGID]
    source = MEAN_FACE - MEAN_FACE.mean(axis=0)
    middle = points.mean(axis=1)
    target = points - middle[:, None]
    size = (source**2).sum()
    # The least-squares similarity in the plane is linear: x' = a x - b y, y' = b x + a y.
    a = (target * source).sum(axis=(1, 2)) / size
    b = (target[..., 1] * source[:, 0] - target[..., 0] * source[:, 1]).sum(axis=1) / size
    tracks = np.column_stack([a, b, middle])
    a, b, x, y = gaussian_filter1d(tracks, smooth, axis=0, mode="nearest").T if smooth else tracks.T
    centre = MEAN_FACE.mean(axis=0)
    warps = np.empty((len(points), 2, 3))
    warps[:, 0, 0], warps[:, 0, 1], warps[:, 1, 0], warps[:, 1, 1] = a, -b, b, a
    warps[:, 0, 2] = x - (a * centre[0] - b * centre[1])
    warps[:, 1, 2] = y - (b * centre[0] + a * centre[1])
    return warps


def cut_mouth(
    picture: NDArray[np.uint8], warp: NDArray, turn: NDArray | None = None, pixels: int = MOUTH_PIXELS
) -> NDArray[np.uint8]:
    """The mouth of one frame, grey.

    Args:
        picture: (H, W, 3) or (H, W) uint8. warp: (2, 3) of `mouth_warps`.
        turn: (2, 3) applied in millimetres before it, about the crop's centre. pixels: side of the crop.

    Returns:
        (pixels, pixels) uint8; what lies outside the picture continues its edge.
    """
    step = MOUTH_SIDE / pixels
    grid = np.array([[step, 0, (step - MOUTH_SIDE) / 2], [0, step, (step - MOUTH_SIDE) / 2], [0, 0, 1]])
    if turn is not None:
        grid = np.vstack([turn, [0, 0, 1]]) @ grid
    grid[:2, 2] += MOUTH_CENTRE
    full = warp @ grid
    full[:, 2] -= 0.5  # OpenCV counts the centre of a pixel as a whole number
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    shrink = float(np.hypot(full[0, 0], full[1, 0]))
    if shrink > 1.2:  # against aliasing
        grey = cv2.GaussianBlur(grey, (0, 0), 0.45 * shrink)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(grey, full, (pixels, pixels), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def face_boxes(landmarks: NDArray) -> NDArray[np.float64]:
    """Boxes like those of the S3FD detector: brows raised by a quarter of the face to chin, ear to ear.

    Args:
        landmarks: (T, 68, 2) pixels.

    Returns:
        (T, 3): centre x, y and half the longer side, each a running median over 13 frames as `syncnet_python` takes it
        (zeros beyond the ends).

    Raises:
        ValueError: fewer than 13 frames.
    """
    if len(landmarks) < 13:
        raise ValueError(f"landmarks: expected at least 13 frames, received {len(landmarks)}")
    points = check_landmarks(landmarks)
    low, high = points.min(axis=1), points.max(axis=1)
    low[:, 1] -= 0.25 * (high[:, 1] - low[:, 1])  # the forehead, which no landmark marks
    half = (high - low).max(axis=1) / 2
    tracks = np.column_stack([(low + high) / 2, half])
    return np.column_stack([medfilt(column, 13) for column in tracks.T])


def cut_face(picture: NDArray[np.uint8], box: NDArray) -> NDArray[np.uint8]:
    """The face of one frame as SyncNet is given it.

    Args:
        picture: (H, W, 3) uint8. box: (3,) of `face_boxes`.

    Returns:
        (224, 224, 3) uint8; outside the picture there is grey 110.
    """
    x, y, half = box
    height, width = picture.shape[:2]
    reach = 1.4 * half, half, 1.8 * half  # aside, up, down
    # A face that has left the picture wholly, here by a pixel, is grey however far away it is.
    x, y = np.clip(x, -reach[0] - 1, width + reach[0] + 1), np.clip(y, -reach[2] - 1, height + reach[1] + 1)
    outside = max(reach[0] - x, x + reach[0] - width, reach[1] - y, y + reach[2] - height)
    pad = int(max(1.8 * half, outside)) + 1
    wide = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), constant_values=110)
    rows = slice(int(y + pad - half), int(y + pad + half * 1.8))
    columns = slice(int(x + pad - half * 1.4), int(x + pad + half * 1.4))
    return np.asarray(cv2.resize(np.ascontiguousarray(wide[rows, columns]), (FACE_PIXELS, FACE_PIXELS)), np.uint8)
