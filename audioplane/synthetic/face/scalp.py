"""The scalp: where hair grows, with a soft hairline, and a cap of hair that lies on it."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.canvas import Canvas, smoothstep
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.parts import Label, Material, Part, vertex_normals
from audioplane.synthetic.face.skin import column_meridians
from audioplane.synthetic.face.strands import STRAND
from audioplane.synthetic.face.surface_noise import lattice_noise

# Height y of the hairline over the meridians of the head (front, temple, sideburn, over the ear, nape).
_LINE_AT = [0, 1, 2, 2.8, 3.5, 4.1, 4.65, 5.0, 5.25, 5.6, 5.85, 6.2, 6.6, 7.0, 7.5, 8.2, 9]
_LINE = np.array([-88, -89, -91, -88, -72, -54, -38, -14, 4, 4, -16, -20, -2, 30, 58, 66, 68.0])


class Scalp:
    """Where hair grows: skin vertices with their depth into the hair and normals.

    Attributes:
        inside: (V,) millimetres inside the hairline (negative outside).
        normals: (V, 3) of the skin.
    """

    def __init__(self, canvas: Canvas, who: Identity) -> None:
        self.canvas, self.who = canvas, who
        mesh, body = canvas.mesh, canvas.body
        line = _LINE.copy()
        front = np.array(_LINE_AT) < 4.3
        line[front] += body.hairline_y + 88
        recede = np.clip((who.age - 30) / 40, 0, 1) * float(who.masculinity > 0.5)
        line[2:5] -= np.array([5, 9, 5]) * recede
        if who.masculinity <= 0.5:
            line[2:5] += [1.5, 4, 2]
            line[8:10] -= 6
        half = np.abs(_signed_columns())
        height = PchipInterpolator(_LINE_AT, line)(column_meridians())[half]
        self.inside = np.full(mesh.size, -99.0)
        y = canvas.points[mesh.upper, 1]
        jitter = 1.5 * lattice_noise(canvas.points[mesh.upper].reshape(-1, 3) / 6.0, who.seed).reshape(y.shape)
        self.inside[mesh.upper] = height[None] - y + jitter
        self.inside[mesh.upper[0]] = 60
        self.normals = vertex_normals(canvas.points, mesh.faces)

    def cap(
        self,
        thickness: np.ndarray,
        flow: np.ndarray,
        colour: np.ndarray,
        coverage: np.ndarray,
        clump: float = 0.35,
        aside: np.ndarray | None = None,
    ) -> Part:
        """The skin of the scalp lifted by `thickness` (V,), with strands along `flow` (V, 3).

        `aside` (V,), millimetres, numbers the strands where it is known: constant along each of them.
        """
        mesh, points = self.canvas.mesh, self.canvas.points
        keep = (self.inside[mesh.faces] > -2.0).all(1) & (mesh.face_row >= 0)
        used, faces = np.unique(mesh.faces[keep], return_inverse=True)
        p, n = points[used], self.normals[used]
        along = _tangent(flow[used], n)
        across = np.cross(along, n)
        beside = (p * across).sum(1) if aside is None else aside[used]
        # Clumps: ridges along the flow.
        ridge = lattice_noise(np.stack([beside / 4.0, (p * along).sum(1) / 30.0], -1), self.who.seed + 1)
        edge = smoothstep(self.inside[used] / 16.0)
        lifted = p + n * ((thickness[used] * (1 + clump * ridge)) * edge + 0.35)[:, None]
        uv = np.stack([beside / STRAND, np.full(len(p), 0.4)], -1)
        return Part(
            lifted,
            faces.reshape(-1, 3),
            Material.HAIR,
            Label.HAIR,
            uv=uv,
            albedo=colour * (0.80 + 0.12 * ridge)[:, None],
            roughness=0.4,
            coverage=np.clip(coverage[used] * smoothstep((self.inside[used] + 1.5) / 11.0), 0, 1),
            flow=along,
            occlusion=0.50 + 0.30 * edge,
        )

    def roots(self, count: int, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Random points (count, 3) of the scalp, as dense as `weight` (V,)."""
        mesh, points = self.canvas.mesh, self.canvas.points
        faces = mesh.faces[mesh.face_row >= 0]
        a, b, c = (points[faces[:, i]] for i in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) * np.clip(weight[faces].min(1), 0, None)
        chosen = rng.choice(len(faces), size=count, p=area / area.sum())
        u, v = rng.random((2, count, 1))
        flip = u + v > 1
        u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
        return a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen]


def _signed_columns() -> np.ndarray:
    columns = np.arange(topology.COLUMNS)
    return np.where(columns > topology.HALF, columns - topology.COLUMNS, columns)


def _tangent(flow: np.ndarray, normals: np.ndarray) -> np.ndarray:
    flow = flow - (flow * normals).sum(1, keepdims=True) * normals
    return flow / (np.linalg.norm(flow, axis=1, keepdims=True) + 1e-9)
