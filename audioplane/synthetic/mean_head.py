"""Makes the mean head that ships in `audioplane/surface/mean_head.npz`: `python -m audioplane.synthetic.mean_head`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audioplane.runtime import files
from audioplane.surface.mean_head import FILE, UNIT
from audioplane.synthetic.face import Face, Identity
from audioplane.synthetic.materials import Material
from audioplane.synthetic.raster import vertex_normals

OPEN = 0.25  # share of the sky that a point must see: not the nostrils, nor behind the lips
NECK = 0.115  # metres below the head's middle at which it ends
FINE, COARSE = 0.0035, 0.006  # metres between points of the face's middle, and elsewhere
CANDIDATES = 60_000


def sample() -> dict[str, np.ndarray]:
    """Evenly spread points of the right half, mirrored: what `surface.mean_head` reads, as whole numbers."""
    face = Face(Identity(hair="bald"))
    rest, faces = face.rest.astype(np.float64), face.faces
    shown = np.isin(face.materials, [int(kind) for kind in (Material.SKIN, Material.LIPS, Material.EYE)])
    faces = faces[shown & (face.occlusion[faces].mean(1) > OPEN) & (rest[faces, 1].mean(1) < NECK)]
    normals = np.empty_like(rest)
    vertex_normals(rest, np.ascontiguousarray(faces, np.int32), normals)
    points, directions = _spread(rest, normals, faces)
    kept = _thinned(points, np.where(_middle(points), FINE, COARSE))
    points, directions = points[kept], directions[kept]
    flip = np.array([-1.0, 1.0, 1.0])
    landmarks = face.landmarks(rest)
    mirrored = landmarks[_MIRROR] * flip
    return {
        "points": np.round(np.concatenate([points, points * flip]) / UNIT).astype(np.int16),
        "normals": np.round(np.concatenate([directions, directions * flip]) * 127).astype(np.int8),
        "landmarks": np.round((landmarks + mirrored) / 2 / UNIT).astype(np.int16),
    }


_MIRROR = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
]  # fmt: skip
"""The landmark on the other side of each."""


def _middle(points: np.ndarray) -> np.ndarray:
    """Whether points lie where a face is curved most: eyes, nose and mouth."""
    return (points[:, 2] < -0.06) & (points[:, 1] > -0.05) & (points[:, 1] < 0.07) & (np.abs(points[:, 0]) < 0.055)


def _spread(rest: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Random points of the half x >= 0, evenly by area, with normals."""
    generator = np.random.default_rng(0)
    corners = rest[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = generator.choice(len(faces), CANDIDATES, p=areas / areas.sum())
    shares = generator.dirichlet(np.ones(3), CANDIDATES)[..., None]
    points, directions = (shares * corners[chosen]).sum(1), (shares * normals[faces[chosen]]).sum(1)
    half = points[:, 0] >= 0
    return points[half], directions[half] / np.linalg.norm(directions[half], axis=1, keepdims=True)


def _thinned(points: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Indices of points no two of which are nearer than the spacing of the first."""
    from scipy.spatial import KDTree

    tree, free, kept = KDTree(points), np.ones(len(points), bool), []
    for n in range(len(points)):
        if free[n]:
            kept.append(n)
            free[tree.query_ball_point(points[n], spacing[n])] = False
    return np.array(kept)


def make(path: Path = FILE) -> None:
    """Writes the file."""
    files.write_arrays(path, sample(), compressed=True)


if __name__ == "__main__":
    make()
