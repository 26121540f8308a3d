"""What each of the 52 ARKit blendshapes does to the skin at rest, as displacements in millimetres.

Written as muscles would be: a smooth region about a place of the face, and a direction. Left shapes are
written for the left half (x > 0) and mirrored. The jaw is not here (`jaw.py`); neither are the eyeballs'
rotations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audioplane.subject.blendshapes import NAMES
from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face import lids
from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.skull import Skull

INDEX = {name: i for i, name in enumerate(NAMES)}
LID_ROWS = 13  # rows above the slit that an upper lid moves
Region = np.ndarray
Amount = float | np.ndarray


def smoothstep(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


class Canvas:
    """The skin at rest with what the brushes need: distances to mouth and eyes, which lip a vertex belongs
    to."""

    def __init__(self, points: np.ndarray, body: Anatomy, skull: Skull) -> None:
        self.points, self.body, self.skull = points, body, skull
        self.x, self.y, self.z = points.T
        mesh = topology.grid()
        self.mesh = mesh
        row, m = topology.ROW_OF, topology.MOUTH_COLUMN
        slit = np.arange(-m, m + 1)
        below = np.zeros(mesh.size)
        below[mesh.upper[row["stomion"] + 1 :].ravel()] = 1.0
        below[mesh.lower[row["stomion"], slit[1:-1]]] = 1.0
        below[mesh.inner_lower.ravel()] = 1.0
        # Beyond the corners the two sides merge.
        corner = points[mesh.upper[row["stomion"], m]]
        self.corner = corner
        soft = smoothstep((self.y - corner[1]) / 12 + 0.5)
        beyond = smoothstep((np.abs(self.x) - (corner[0] - 2.0)) / 4.0)
        self.lower = below + beyond * (soft - below)
        self.upper = 1 - self.lower
        self.inside = np.zeros(mesh.size)  # depth inside the mouth, 0 skin to 1 throat
        for sheet in (mesh.inner_upper, mesh.inner_lower):
            self.inside[sheet] = (np.arange(topology.INNER_ROWS)[:, None] + 1) / topology.INNER_ROWS
        self.skin = smoothstep(1.0 - self.inside * 1.25)
        # How far along the red of the lip: 0 at the contact, 1 at the border, more on the skin.
        self.red = np.full(mesh.size, 9.0)
        for k in range(16):
            self.red[mesh.upper[row["stomion"] - k, slit]] = k / 7
            self.red[mesh.lower[row["stomion"] + min(k, 12), slit]] = min(k, 12) / 7
        for sheet in (mesh.inner_upper, mesh.inner_lower):
            self.red[sheet] = -(np.arange(topology.INNER_ROWS)[:, None] + 1) / 7
        self.front = smoothstep((-30 - self.z) / 25)

    def spot(self, x: float, y: float, wx: float, wy: float, turn: float = 0.0, both: bool = False) -> Region:
        """A soft spot about (x, y) on the left (or on both sides)."""
        c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        px = np.abs(self.x) if both else self.x
        u, v = (px - x) * c + (self.y - y) * s, -(px - x) * s + (self.y - y) * c
        return np.exp(-((u / wx) ** 2) - (v / wy) ** 2) * self.front * self.skin

    def lips(self, reach_x: float = 34.0, reach_y: float = 15.0) -> Region:
        """The lips and the skin about them, all of the red fully."""
        x, y = self.x, self.y - self.body.stomion_y
        red = 9.0
        v = np.maximum(np.abs(y) - red, 0) / reach_y
        u = np.maximum(np.abs(x) - 0.75 * self.corner[0], 0) / (reach_x - 0.75 * self.corner[0])
        return np.exp(-(v**2) - u**2) * self.front * self.skin

    def side(self, width: float = 7.0) -> Region:
        """1 on the left half, 0 on the right, blended over the midline; left and mirrored right sum to 1."""
        return smoothstep(self.x / (2 * width) + 0.5)

    def put(self, region: Region, dx: Amount = 0.0, dy: Amount = 0.0, dz: Amount = 0.0) -> np.ndarray:
        """A displacement of the region."""
        return region[:, None] * np.stack(
            [np.broadcast_to(np.asarray(d, float), region.shape) for d in (dx, dy, dz)], -1
        )


def skin_shapes(canvas: Canvas) -> dict[str, np.ndarray]:
    """Displacements (V, 3) by name, for all shapes that move the skin (jaw and gaze aside)."""
    from audioplane.synthetic.face import mouth_shapes, upper_shapes

    left: dict[str, Callable[[Canvas], np.ndarray]] = {**mouth_shapes.LEFT, **upper_shapes.LEFT}
    middle = {**mouth_shapes.MIDDLE, **upper_shapes.MIDDLE}
    out: dict[str, np.ndarray] = {}
    mirror, flip = canvas.mesh.mirror, np.array([-1.0, 1, 1])
    for stem, brush in left.items():
        moved = brush(canvas)
        out[stem + "Left"] = moved
        out[stem + "Right"] = moved[mirror] * flip
    for name, brush in middle.items():
        moved = brush(canvas)
        if name == "mouthLeft":
            out["mouthRight"] = moved[mirror] * flip
        else:
            moved = (moved + moved[mirror] * flip) / 2
        out[name] = moved
    return out


def lid_motion(canvas: Canvas, up: np.ndarray | float, low: np.ndarray | float) -> np.ndarray:
    """Displacements that move the left lids' edges by `up` and `low` millimetres down (per column or one
    value).

    Rows between edge and crease slide over the eyeball; beyond, the motion fades out.
    """
    mesh, body = canvas.mesh, canvas.body
    slit, columns = topology.ROW_OF["eye"], topology.eye_columns("Left")
    chart = lids.Chart(body)
    moved = np.zeros((mesh.size, 3))
    for sign, shift in ((-1, up), (1, low)):
        shift = np.broadcast_to(np.asarray(shift, float), columns.shape)
        copy = mesh.upper if sign < 0 else mesh.lower
        rows = LID_ROWS if sign < 0 else 9
        for k in range(rows):
            index = copy[slit + sign * k, columns] if k == 0 else mesh.upper[slit + sign * k, columns]
            share = _lid_share(k, sign)
            p = canvas.points[index]
            target = p.copy()
            target[:, 1] += share * shift
            # Keep the vertex's height above the ball where it lies on it.
            target[:, 2] += _slide(chart, p, target, index)
            moved[index] += target - p
        inner = (mesh.lid_upper if sign < 0 else mesh.lid_lower)["Left"]
        for k in range(topology.LID_INNER_ROWS):
            index = inner[k]
            p = canvas.points[index]
            offset = p - np.array(body.eye)
            radius = np.linalg.norm(offset, axis=1, keepdims=True)
            turned = offset + np.stack([np.zeros_like(shift), shift, np.zeros_like(shift)], -1)
            turned *= radius / np.linalg.norm(turned, axis=1, keepdims=True)
            moved[index[1:-1]] = (turned - offset)[1:-1]
    ends = mesh.upper[slit, columns[[0, -1]]]
    moved[ends] = 0.0
    return moved


def _lid_share(k: int, sign: int) -> float:
    if sign < 0:
        return float(np.interp(k, [0, 1, 2, 5, 7, 8, 10, LID_ROWS - 1], [1, 1, 0.97, 0.72, 0.48, 0.36, 0.14, 0]))
    return float(np.interp(k, [0, 1, 2, 5, 8], [1, 1, 0.92, 0.5, 0]))


def _slide(chart: lids.Chart, start: np.ndarray, end: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Change of depth that keeps points on their sphere about the eyeball's centre (less where they are not
    on it)."""
    centre = np.array(chart.body.eye)
    radius = np.linalg.norm(start - centre, axis=1)
    flat = (end[:, 0] - centre[0]) ** 2 + (end[:, 1] - centre[1]) ** 2
    on = np.sqrt(np.maximum(radius**2 - flat, 0.0))
    z = centre[2] - on
    # Beyond the ball's rim the sphere turns away: follow it only in part.
    sideways = np.abs(start[:, 0] - centre[0]) / radius
    weight = 1 - smoothstep((sideways - 0.62) / 0.33)
    lidded = 1 - smoothstep((radius - chart.body.eye_radius - 2.6) / 3.0)
    del index
    return (z - start[:, 2]) * weight * lidded
