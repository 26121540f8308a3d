"""The studio: where light comes from, what glossy surfaces mirror, and what is in shadow.

The studio stands still around the camera: directions are in camera coordinates (x right, y down, z away from the
camera), so a head that turns is lit anew, as in a real recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from audioplane.speakers.raster import depth_map

BLUR = 5  # texels: width of the box that softens a shadow's edge
NORMAL_OFFSET = 0.0022  # metres along the normal before looking up the shadow, against self-shadowing
DEPTH_BIAS = 0.0018  # metres


@dataclass(frozen=True)
class Lights:
    """A key light that casts shadows, a fill, a rim, and the hemisphere around them.

    Attributes:
        directions: (3, 3) unit vectors toward key, fill and rim.
        colours: (3, 3) linear RGB; 1 turns a white facing surface white.
        sky, ground: (3,) linear RGB arriving from above and from below.
    """

    directions: np.ndarray
    colours: np.ndarray
    sky: np.ndarray
    ground: np.ndarray


def studio(side: float = -1.0) -> Lights:
    """A portrait set: warm soft key from the upper left (`side` -1) or right (+1) of the camera, cool fill, rim."""
    directions = np.array(
        [[0.62 * side, -0.52, -0.72], [-0.75 * side, -0.12, -0.62], [-0.62 * side, -0.5, 0.62]]
    )
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    colours = np.array([[1.02, 0.95, 0.86], [0.26, 0.30, 0.35], [0.50, 0.52, 0.55]])
    return Lights(directions, colours, np.array([0.27, 0.285, 0.30]), np.array([0.15, 0.13, 0.12]))


@dataclass(frozen=True)
class ShadowFrame:
    """The parallel view of the key light: texel = rows[:2] . (x, y, z, 1), depth = rows[2] . (x, y, z, 1)."""

    rows: np.ndarray  # (3, 4)
    size: int


def shadow_frame(direction: np.ndarray, centre: np.ndarray, radius: float, size: int = 512) -> ShadowFrame:
    """The key light's view of a sphere around the scene: a size x size map that covers it, depth in metres."""
    forward = -np.asarray(direction, np.float64)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    scale = size / (2.0 * radius)
    axes = np.stack([right * scale, down * scale, forward])
    offset = -axes @ np.asarray(centre, np.float64)
    offset[:2] += size / 2.0
    return ShadowFrame(np.column_stack([axes, offset]), size)


@njit(cache=True, nogil=True)
def _to_frame(points, rows, out):
    for v in range(points.shape[0]):
        for k in range(3):
            out[v, k] = (
                rows[k, 0] * points[v, 0] + rows[k, 1] * points[v, 1] + rows[k, 2] * points[v, 2] + rows[k, 3]
            )


def shadow_map(points: np.ndarray, faces: np.ndarray, casters: np.ndarray, frame: ShadowFrame) -> np.ndarray:
    """Nearest depth (size, size) float32 of faces[casters] seen from the key light, metres; +inf where nothing is."""
    seen = np.empty(points.shape)
    _to_frame(points, frame.rows, seen)
    depth = np.full((frame.size, frame.size), np.inf, np.float32)
    depth_map(seen, faces, casters, depth)
    return depth


@njit(cache=True, nogil=True)
def lit(depth, rows, x, y, z):
    """The share of a BLUR x BLUR texel box around a point (camera coordinates) that the key light reaches, [0, 1]."""
    u = rows[0, 0] * x + rows[0, 1] * y + rows[0, 2] * z + rows[0, 3] - 0.5 * BLUR
    v = rows[1, 0] * x + rows[1, 1] * y + rows[1, 2] * z + rows[1, 3] - 0.5 * BLUR
    d = rows[2, 0] * x + rows[2, 1] * y + rows[2, 2] * z + rows[2, 3] - DEPTH_BIAS
    j, i = int(np.floor(u)), int(np.floor(v))
    if i < 0 or j < 0 or i + BLUR >= depth.shape[0] or j + BLUR >= depth.shape[1]:
        return 1.0
    fu, fv = u - j, v - i
    total = 0.0
    for a in range(BLUR + 1):
        row = 0.0
        for b in range(BLUR + 1):
            weight = 1.0 - fu if b == 0 else (fu if b == BLUR else 1.0)
            if depth[i + a, j + b] > d:
                row += weight
        total += row * (1.0 - fv if a == 0 else (fv if a == BLUR else 1.0))
    return total / (BLUR * BLUR)


@njit(cache=True, nogil=True)
def contact(inverse_depth, supersample, focal, radius, strength, out):
    """How open to light each pixel's neighbourhood is, [0, 1]: pairs of opposite depths that both stand nearer darken.

    Args:
        inverse_depth: (H s, W s) 1/metres, 0 where nothing is seen.
        focal: pixels.
        radius: metres of neighbourhood.
        out: (H, W) float32.
    """
    height, width = out.shape
    half = supersample // 2
    # A spiral of eight pairs of offsets: even in angle and in area.
    steps = np.empty((8, 2))
    for k in range(8):
        reach = np.sqrt((k + 0.6) / 8.0)
        angle = 2.39996 * k
        steps[k, 0], steps[k, 1] = reach * np.cos(angle), reach * np.sin(angle)
    for i in range(height):
        for j in range(width):
            here = inverse_depth[i * supersample + half, j * supersample + half]
            if here == 0.0:
                out[i, j] = 1.0
                continue
            z = 1.0 / here
            pixels = radius * focal * here * supersample
            total = 0.0
            for k in range(8):
                dx, dy = int(np.rint(steps[k, 0] * pixels)), int(np.rint(steps[k, 1] * pixels))
                row, column = i * supersample + half, j * supersample + half
                if not (
                    0 <= row - abs(dy) and row + abs(dy) < height * supersample
                    and 0 <= column - abs(dx) and column + abs(dx) < width * supersample
                ):  # fmt: skip
                    continue
                one, two = inverse_depth[row + dy, column + dx], inverse_depth[row - dy, column - dx]
                if one == 0.0 or two == 0.0:
                    continue
                rise_one, rise_two = z - 1.0 / one, z - 1.0 / two
                limit = 3.0 * radius
                if rise_one > limit or rise_two > limit:
                    continue
                rise = 0.5 * (max(rise_one, -limit) + max(rise_two, -limit)) - 0.03 * radius
                total += min(1.0, max(0.0, rise / (0.6 * radius)))
            out[i, j] = 1.0 - strength * min(1.0, total / 5.0)
