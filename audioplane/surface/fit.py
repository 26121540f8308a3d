"""The mean head brought to a person: the face by its landmarks, skull and hair by the head's outline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import gaussian_filter1d, map_coordinates

from audioplane.subject.masks import FACE, HAIR, distance_to
from audioplane.surface.field import Surface, distances, on_grid
from audioplane.surface.landmarks import in_space
from audioplane.surface.mean_head import mean_head

if TYPE_CHECKING:
    from audioplane.subject import Subject

CROWN = np.array([0.0, -0.02, 0.01])  # metres; the skull grows and shrinks about it
SMOOTHING = 1e-5  # of the warp that brings landmarks onto each other
VIEWS = 12  # frames whose masks bound the surface
LEAST = 0.02  # share of the box that a head fills at least; less is no fit
AGREED = 0.8  # share of them that must call a place outside
BINS = 72  # directions in which outlines are compared
MOST = 1.6  # times the mean skull's radius that hair reaches
DEEPEST = 0.035  # metres, half the depth of a lock of hair that hangs beside the head


def fit(subject: Subject, frames: range, center: tuple[float, float, float], half: float) -> Surface | None:
    """The surface of a head.

    Args:
        subject: whose. frames: to learn from. center, half: the head's box, metres.

    Returns:
        the surface; None where landmarks and masks tell too little of a head.
    """
    mean = mean_head()
    landmarks = in_space(subject, frames, mean)
    if landmarks is None:
        return None
    points, normals = warped(mean.points, mean.normals, mean.landmarks, landmarks)
    t = facing(subject, frames)
    points, normals = with_hair(points, normals, subject, t)

    def tell(places: NDArray) -> NDArray:
        return np.maximum(distances(places, points, normals), outside(places, subject, frames))

    found = on_grid(tell, center, half)
    if (found < 0).mean() < LEAST:
        return None
    return Surface.of_distances(found, center, half, landmarks)


def facing(subject: Subject, frames: range) -> int:
    """The frame with landmarks and a head whose pose is nearest the mean of all."""
    step = max(1, len(frames) // 400)
    known = [t for t in frames[::step] if np.isfinite(subject.landmarks[t]).all()]
    flat = subject.viewmats[known][:, :3, :3].reshape(len(known), -1)
    order = np.argsort(np.square(flat - flat.mean(0)).sum(1), kind="stable")
    return next((known[k] for k in order if subject.head_mask(known[k]).any()), known[order[0]])


def warped(
    points: NDArray, normals: NDArray, source: NDArray, target: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Oriented points (P, 3) moved as landmarks move from `source` to `target` (68, 3): scaled, then bent smoothly."""
    a, b = source - source.mean(0), target - target.mean(0)
    scale = float((a * b).sum() / (a**2).sum())
    moved = scale * (source - source.mean(0)) + target.mean(0)
    bend = RBFInterpolator(moved, target - moved, kernel="linear", degree=0, smoothing=SMOOTHING)

    def bring(places: NDArray) -> NDArray:
        laid = scale * (places - source.mean(0)) + target.mean(0)
        return laid + bend(laid)

    return bring(points), turned_with(points, normals, bring)


def turned_with(points: NDArray, normals: NDArray, bring: object, step: float = 1e-3) -> NDArray[np.float64]:
    """Normals (P, 3) after a map of space: across two tangents, moved."""
    helper = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    u = np.cross(normals, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(normals, u)
    here = bring(points)  # type: ignore[operator]
    along = [bring(points + step * w) - here for w in (u, v)]  # type: ignore[operator]
    turned = np.cross(*along)
    turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-12)
    return turned * np.sign((np.cross(u, v) * normals).sum(1, keepdims=True))


def pixels_of(points: NDArray, subject: Subject, t: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where points (P, 3) are seen in frame t: (P, 2) pixels, and (P,) metres away."""
    view = subject.viewmats[t].astype(np.float64)
    seen = points @ view[:3, :3].T + view[:3, 3]
    image = seen @ subject.K.astype(np.float64).T
    return image[:, :2] / np.maximum(image[:, 2:], 1e-6), seen[:, 2]


def read(picture: NDArray, pixels: NDArray) -> NDArray:
    """A picture's values at pixels (P, 2), the border's beyond it."""
    height, width = picture.shape[:2]
    column, row = np.floor(pixels).astype(int).T
    return picture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def with_hair(
    points: NDArray, normals: NDArray, subject: Subject, t: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The skull grown to the outline of frame t where hair is, and hair that hangs beside it."""
    label = subject.label(t)
    pixels, _ = pixels_of(points, subject, t)
    crown, _ = pixels_of(CROWN[None], subject, t)
    view = subject.viewmats[t][:3, :3].astype(np.float64)
    front = (normals @ view.T)[:, 2] < 0.0
    skin = front & (read(label, pixels) == FACE)
    share = _smoothed(np.where(skin, 0.0, 1.0), points)
    offset = pixels - crown
    ratio = _ratios(label >= HAIR, pixels, crown[0])
    angle = (np.arctan2(offset[:, 0], -offset[:, 1]) / (2 * np.pi) % 1.0) * BINS  # 0 up, clockwise
    grown = map_coordinates(ratio, [angle - 0.5], order=1, mode="grid-wrap")
    factor = 1.0 + share * (grown - 1.0)
    points = CROWN + factor[:, None] * (points - CROWN)
    more, out = _hanging(points, subject, t)
    return np.concatenate([points, more]), np.concatenate([normals, out])


def _smoothed(values: NDArray, points: NDArray, rounds: int = 4) -> NDArray:
    """Values (P,) averaged over neighbours on the surface."""
    from scipy.spatial import KDTree

    _, index = KDTree(points).query(points, k=12)
    for _ in range(rounds):
        values = values[index].mean(1)
    return values


def _ratios(head: NDArray, pixels: NDArray, crown: NDArray) -> NDArray:
    """How much farther the head's outline is from the crown than the points', in `BINS` directions from up, clockwise.

    Only the upper half is compared: below, the outline is the jaw's and the neck's.
    """
    rows, columns = np.nonzero(head)
    true = _radii(np.stack([columns + 0.5, rows + 0.5], 1) - crown)
    own = _radii(pixels - crown)
    ratio = np.where((true > 0) & (own > 0), true / np.maximum(own, 1e-6), 1.0)
    angle = (np.arange(BINS) + 0.5) / BINS * 360
    upper = np.abs((angle + 180) % 360 - 180) < 100
    held = np.where(upper, np.clip(ratio, 0.85, MOST), np.nan)
    first, last = np.flatnonzero(upper & (angle > 180))[0], np.flatnonzero(upper & (angle < 180))[-1]
    held[~upper] = np.interp(np.flatnonzero(~upper), [last, first], [held[last], held[first]])
    return gaussian_filter1d(held, 1.2, mode="wrap")


def _radii(offset: NDArray) -> NDArray:
    """The farthest of offsets (P, 2), pixels, in each of `BINS` directions from up, clockwise."""
    bins = (np.arctan2(offset[:, 0], -offset[:, 1]) / (2 * np.pi) % 1.0 * BINS).astype(int) % BINS
    out = np.zeros(BINS)
    np.maximum.at(out, bins, np.linalg.norm(offset, axis=1))
    return out


def _hanging(points: NDArray, subject: Subject, t: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Oriented points of hair that frame t shows beside the skull: as deep as half its breadth, behind the ears."""
    label = subject.label(t)
    pixels, depth = pixels_of(points, subject, t)
    metre = float(subject.K[0, 0]) / float(np.median(depth))  # pixels
    covered = np.zeros(label.shape, np.uint8)
    column, row = np.floor(pixels).astype(int).T
    kept = (row >= 0) & (column >= 0) & (row < label.shape[0]) & (column < label.shape[1])
    covered[row[kept], column[kept]] = 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(0.008 * metre) + 1,) * 2)
    covered = cv2.morphologyEx(covered, cv2.MORPH_CLOSE, disc)
    lock = ((label == HAIR) & (covered == 0)).astype(np.uint8)
    lock = cv2.morphologyEx(lock, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    if lock.sum() < (0.02 * metre) ** 2:
        return np.empty((0, 3)), np.empty((0, 3))
    return _inflated(lock, (label >= HAIR) & ((lock > 0) | (covered > 0)), subject, t, metre)


def _inflated(
    lock: NDArray, body: NDArray, subject: Subject, t: int, metre: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Front and back of the pixels of `lock`, rounded towards the outline of `body`."""
    breadth = distance_to(~body) / metre
    thick = np.sqrt(np.clip(breadth * (2 * DEEPEST - np.minimum(breadth, DEEPEST)), 0, DEEPEST**2))
    thick = cv2.GaussianBlur(thick, (0, 0), 0.004 * metre)
    step = max(1, round(0.005 * metre))
    rows, columns = np.nonzero(lock)
    kept = (rows % step == 0) & (columns % step == 0)
    rows, columns = rows[kept], columns[kept]
    view, K = subject.viewmats[t].astype(np.float64), subject.K.astype(np.float64)
    middle = view[2, 3] + 0.01  # behind the ears
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], 1) @ np.linalg.inv(K).T
    slope = np.stack(np.gradient(thick), -1)[rows, columns] * metre  # down, right
    points, normals = [], []
    for side in (-1.0, 1.0):
        seen = rays * (middle + side * thick[rows, columns])[:, None]
        out = np.stack([-slope[:, 1], -slope[:, 0], np.full(len(rows), side)], 1)
        points.append((seen - view[:3, 3]) @ view[:3, :3])
        normals.append(out / np.linalg.norm(out, axis=1, keepdims=True) @ view[:3, :3])
    return np.concatenate(points), np.concatenate(normals)


def outside(places: NDArray, subject: Subject, frames: range) -> NDArray[np.float64]:
    """How far `places` (..., 3) lie outside the head's outline, metres, as most frames see it; negative inside."""
    flat, found = places.reshape(-1, 3), []
    for t in np.linspace(frames.start, frames.stop - 1, min(VIEWS, len(frames))).astype(int):
        mask = subject.head_mask(int(t))
        if not mask.any():
            continue
        away = distance_to(mask) - distance_to(~mask)
        pixels, depth = pixels_of(flat, subject, int(t))
        found.append(read(away, pixels) * depth / float(subject.K[0, 0]))
    if not found:
        return np.full(places.shape[:-1], -np.inf)
    return np.quantile(np.stack(found), 1.0 - AGREED, axis=0).reshape(places.shape[:-1])
