"""Ambient occlusion: how much of the sky each vertex sees, by depth maps from many directions."""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import indices

_SIZE = 192


def directions(count: int = 48) -> np.ndarray:
    """(count, 3) unit vectors spread evenly (a Fibonacci spiral), fewer from below."""
    k = np.arange(count) + 0.5
    y = 1 - 2 * k / count
    turn = np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - y**2)
    return np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], -1)


def ambient(
    vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, casters: np.ndarray, bias: float = 1.2
) -> np.ndarray:
    """Cosine-weighted share (V,) of directions above each vertex that nothing of `casters` blocks.

    Args:
        vertices: (V, 3) millimetres. normals: (V, 3) unit.
        faces: (F, 3). casters: (n,) indices of the faces that block.
        bias: millimetres that a vertex is lifted along its normal before it is tested.

    Raises:
        ValueError: a face or vertex is named that there is not, or there are not as many normals as vertices.
    """
    if vertices.shape != normals.shape:
        raise ValueError(f"normals: expected {vertices.shape} like the vertices, received {normals.shape}")
    indices("faces", faces.reshape(-1), len(vertices))
    indices("casters", casters, len(faces))
    seen, total = np.zeros(len(vertices)), np.full(len(vertices), 1e-9)
    lifted = vertices + bias * normals
    blockers = np.ascontiguousarray(faces[casters])
    for d in directions():
        side = np.cross(d, [0.0, 0, 1] if abs(d[2]) < 0.9 else [1.0, 0, 0])
        side /= np.linalg.norm(side)
        basis = np.stack([side, np.cross(d, side), -d])
        points, probes = _turned(vertices, basis), _turned(lifted, basis)
        low = points[:, :2].min(0)
        scale = (_SIZE - 4) / (points[:, :2].max(0) - low).max()
        points[:, :2] = (points[:, :2] - low) * scale + 2
        probes[:, :2] = (probes[:, :2] - low) * scale + 2
        depth = np.full((_SIZE, _SIZE), np.inf)
        _draw(points, blockers, depth)
        cosine = normals @ d
        _count(probes, cosine, depth, 0.9 / scale + 0.6, seen, total)
    return seen / total


@compiled()
def _turned(points, basis):
    out = np.empty_like(points)
    for v in range(points.shape[0]):
        for k in range(3):
            out[v, k] = points[v, 0] * basis[k, 0] + points[v, 1] * basis[k, 1] + points[v, 2] * basis[k, 2]
    return out


@compiled()
def _draw(p, faces, depth):
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, x1, y1, x2, y2 = p[a, 0], p[a, 1], p[b, 0], p[b, 1], p[c, 0], p[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-12:
            continue
        for y in range(int(np.ceil(min(y0, y1, y2) - 0.5)), int(np.floor(max(y0, y1, y2) - 0.5)) + 1):
            for x in range(int(np.ceil(min(x0, x1, x2) - 0.5)), int(np.floor(max(x0, x1, x2) - 0.5)) + 1):
                u, v = x + 0.5, y + 0.5
                w0 = ((x1 - u) * (y2 - v) - (x2 - u) * (y1 - v)) / area
                w1 = ((x2 - u) * (y0 - v) - (x0 - u) * (y2 - v)) / area
                w2 = 1 - w0 - w1
                if w0 >= 0 and w1 >= 0 and w2 >= 0:
                    z = w0 * p[a, 2] + w1 * p[b, 2] + w2 * p[c, 2]
                    if z < depth[y, x]:
                        depth[y, x] = z


@compiled()
def _count(probes, cosine, depth, slack, seen, total):
    size = depth.shape[0]
    for v in range(probes.shape[0]):
        if cosine[v] <= 0.02:
            continue
        # Four nearest texels, so that the share is smooth from vertex to vertex.
        x, y = probes[v, 0] - 0.5, probes[v, 1] - 0.5
        j, i = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - j, y - i
        free = 0.0
        for di in range(2):
            for dj in range(2):
                w = (fx if dj else 1 - fx) * (fy if di else 1 - fy)
                a, b = min(max(i + di, 0), size - 1), min(max(j + dj, 0), size - 1)
                if probes[v, 2] <= depth[a, b] + slack:
                    free += w
        seen[v] += cosine[v] * free
        total[v] += cosine[v]
