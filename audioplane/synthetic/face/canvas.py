"""The skin at rest with the brushes that shapes are painted with: soft regions, and displacements of them."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.skull import Skull

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
