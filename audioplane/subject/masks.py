"""Masks derived from a label picture and 68 landmarks (iBUG order)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from audioplane.subject import Subject

BACKGROUND, TORSO, HAIR, FACE, MOUTH = range(5)
LABEL_NAMES = ("background", "torso", "hair", "face", "mouth")
LABEL_COLOURS = ((120, 126, 140), (72, 116, 214), (226, 160, 52), (96, 190, 122), (222, 66, 86))

OUTER_LIPS = range(48, 60)
INNER_LIPS = range(60, 68)
CHIN = range(6, 11)
NOSE_BRIDGE, CHIN_TIP = 27, 8
BROWS_AND_EYES = ((range(17, 22), range(36, 42)), (range(22, 27), range(42, 48)))

MOTION_REACH = 0.14
"""How far the motion mask reaches beyond the lips and the chin, as a share of the face's height."""

NARROW_REACH = 0.05
"""The same of the narrow motion mask beyond the mouth."""

EYES_REACH = 0.06
"""How far the mask of eyes and brows reaches beyond their hulls, as a share of the face's height."""


def face_height(landmarks: np.ndarray) -> float:
    """Median distance from the bridge of the nose to the tip of the chin over a clip, pixels.

    Args:
        landmarks: T x 68 x 2 pixels; frames with NaN are left out.
    """
    spans = np.linalg.norm(landmarks[:, NOSE_BRIDGE] - landmarks[:, CHIN_TIP], axis=-1)
    spans = spans[np.isfinite(spans)]
    return float(np.median(spans)) if len(spans) else float("nan")


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """Mean distance between the three inner pairs of the inner lips, in face heights; T values.

    Args:
        landmarks: T x 68 x 2 pixels.
    """
    upper, lower = landmarks[:, [61, 62, 63]], landmarks[:, [67, 66, 65]]
    return np.linalg.norm(upper - lower, axis=-1).mean(1) / face_height(landmarks)


def fill_hull(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """H x W bool: pixels whose centre lies in the convex hull of N x 2 pixel positions (centres at +0.5)."""
    # Not by OpenCV, whose polygons hold every pixel that their outline touches. A convex hull is one run in each row.
    first = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    then, rows = np.roll(first, -1, axis=0), np.arange(height)[:, None] + 0.5
    rise = then[:, 1] - first[:, 1]
    crossed = (
        (rows >= np.minimum(first[:, 1], then[:, 1])) & (rows <= np.maximum(first[:, 1], then[:, 1])) & (rise != 0)
    )
    slope = (then[:, 0] - first[:, 0]) / np.where(rise == 0, 1.0, rise)
    x = first[:, 0] + (rows - first[:, 1]) * slope
    left, right = np.where(crossed, x, np.inf).min(axis=1), np.where(crossed, x, -np.inf).max(axis=1)
    columns = np.arange(width) + 0.5
    return (columns >= left[:, None]) & (columns <= right[:, None])


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Pixels from each pixel's centre to the nearest one of `mask` (H x W bool): H x W float64.

    OpenCV's roots differ in the last bit from process to process, by which thread takes which rows; their squares are
    whole numbers, so that rounding gives the same distances every time.
    """
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(away, dtype=np.float64)))


def grow(mask: np.ndarray, radius: float) -> np.ndarray:
    """H x W bool: `mask` dilated by a disc of `radius` pixels."""
    if radius < 0.5 or not mask.any():
        return mask
    near, grown = [], np.zeros_like(mask)
    for axis in (0, 1):  # nothing farther away than the disc reaches can change
        filled, reach = np.flatnonzero(mask.any(axis=1 - axis)), int(radius) + 1
        near.append(slice(max(int(filled[0]) - reach, 0), int(filled[-1]) + reach + 1))
    rows, columns = near
    grown[rows, columns] = distance_to(mask[rows, columns]) <= radius
    return grown


def motion_mask(label: np.ndarray, landmarks: np.ndarray | None, height_of_face: float) -> np.ndarray:
    """The region that speech moves: mouth, lips and chin, dilated, and never beyond the head.

    The paper dilates the mouth's mask; here the seed is the mouth label together with the convex hull of the
    outer lips and the chin line (landmarks 6-10), because the jaw moves the skin of the chin as far as the
    lower lip. It is dilated by `MOTION_REACH` of the face's height and cut to the head.

    Audio-Plane, Fig. 3 (journal), mask m of Eq. 15.

    Args:
        label: H x W label picture.
        landmarks: 68 x 2 pixels, or None: the mouth label alone is dilated.
        height_of_face: `face_height` of the clip, pixels; NaN: taken from the head's area.

    Returns:
        H x W bool.
    """
    head = label >= HAIR
    seed = label == MOUTH
    if landmarks is not None and np.isfinite(landmarks).all():
        seed = seed | fill_hull(landmarks[[*OUTER_LIPS, *CHIN]], *label.shape)
    if not np.isfinite(height_of_face):
        height_of_face = 0.5 * float(np.sqrt(head.sum()))
    return grow(seed, MOTION_REACH * height_of_face) & head


def narrow_motion_mask(label: np.ndarray, height_of_face: float) -> np.ndarray:
    """The mouth dilated by `NARROW_REACH` of the face's height, and never beyond the head: H x W bool.

    Nearer to Audio-Plane's text (Sec. III-E: the mouth's mask, dilated) than `motion_mask`; the text gives no size.

    Args:
        label: H x W label picture. height_of_face: `face_height` of the clip, pixels; NaN: taken from the head's area.
    """
    head = label >= HAIR
    if not np.isfinite(height_of_face):
        height_of_face = 0.5 * float(np.sqrt(head.sum()))
    return grow(label == MOUTH, NARROW_REACH * height_of_face) & head


def eyes_mask(label: np.ndarray, landmarks: np.ndarray | None, height_of_face: float) -> np.ndarray:
    """Eyes and brows: the hull of each eye with its brow, dilated, and never beyond the head.

    Args:
        label: H x W label picture. landmarks: 68 x 2 pixels, or None: nothing is known of the eyes.
        height_of_face: `face_height` of the clip, pixels.

    Returns:
        H x W bool; empty where the landmarks or the face's height are not known.
    """
    if landmarks is None or not (np.isfinite(landmarks).all() and np.isfinite(height_of_face)):
        return np.zeros(label.shape, bool)
    hulls = [fill_hull(landmarks[[*brow, *eye]], *label.shape) for brow, eye in BROWS_AND_EYES]
    return grow(hulls[0] | hulls[1], EYES_REACH * height_of_face) & (label >= HAIR)


def inner_mouth_mask(label: np.ndarray, landmarks: np.ndarray | None) -> np.ndarray:
    """What is seen between the lips: the part of the mouth in the hull of the inner lips.

    Args:
        label: H x W label picture. landmarks: 68 x 2 pixels, or None: nothing is known of the lips.

    Returns:
        H x W bool; empty where the landmarks are not known.
    """
    if landmarks is None or not np.isfinite(landmarks).all():
        return np.zeros(label.shape, bool)
    return fill_hull(landmarks[[*INNER_LIPS]], *label.shape) & (label == MOUTH)


def lips_mask(subject: Subject, t: int) -> np.ndarray:
    """The lips of frame t and what is between them, by its landmarks: (H, W) bool."""
    return fill_hull(subject.landmarks[t, 48:60], subject.height, subject.width)
