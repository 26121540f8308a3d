"""A piece of a person's mesh with all that the renderer reads from it, and how pieces are put together."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np

from audioplane.synthetic.materials import Material


class Label(IntEnum):
    """Segmentation labels of a subject; each pixel has exactly one."""

    BACKGROUND = 0
    TORSO = 1
    HAIR = 2
    FACE = 3
    MOUTH = 4


@dataclass
class Part:
    """A piece of mesh, V vertices and F triangles (millimetres while a face is being built).

    One value may stand for all; it is spread out to the full array on making.

    Attributes:
        vertices: (V, 3). faces: (F, 3), wound outward by the right-hand rule.
        material, label: (F,) or one value for all.
        uv: (V, 2). albedo: (V, 3) linear RGB. roughness, coverage, torso: (V,).
        flow: (V, 3) direction of strands, optical axis of eyes.
        jaw: (V,) share of the jaw's motion. sway: (V,) share of the swing of hanging hair.
        occlusion: (V,), NaN where it is still to be worked out.
        bound_to, bound_weight: (V, 3) skin vertices that a vertex hangs on, and their weights; -1: on none.
        bound_scale: (V,) how much more (or less) than these it moves.
        groups: named vertex indices within this part.
    """

    vertices: np.ndarray
    faces: np.ndarray
    material: Any
    label: Any
    uv: Any = None
    albedo: Any = (0.5, 0.5, 0.5)
    roughness: Any = 0.5
    coverage: Any = 1.0
    torso: Any = 0.0
    flow: Any = (0.0, 1.0, 0.0)
    jaw: Any = 0.0
    sway: Any = 0.0
    occlusion: Any = np.nan
    bound_to: Any = -1
    bound_weight: Any = 0.0
    bound_scale: Any = 1.0
    groups: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        v, f = len(self.vertices), len(self.faces)
        self.vertices = np.asarray(self.vertices, float)
        self.faces = np.asarray(self.faces, np.int32)
        self.material = np.broadcast_to(np.asarray(self.material, np.uint8), (f,))
        self.label = np.broadcast_to(np.asarray(self.label, np.uint8), (f,))
        self.uv = np.zeros((v, 2)) if self.uv is None else np.asarray(self.uv, float)
        for name, shape in (
            ("albedo", (v, 3)),
            ("flow", (v, 3)),
            ("roughness", (v,)),
            ("coverage", (v,)),
            ("torso", (v,)),
            ("jaw", (v,)),
            ("sway", (v,)),
            ("occlusion", (v,)),
            ("bound_weight", (v, 3)),
            ("bound_scale", (v,)),
        ):
            setattr(self, name, np.broadcast_to(np.asarray(getattr(self, name), float), shape))
        self.bound_to = np.broadcast_to(np.asarray(self.bound_to, np.int64), (v, 3))


def join(parts: dict[str, Part]) -> Part:
    """One part of all; each part's name becomes a vertex group, its own groups keep their names."""
    offset, faces, groups = 0, [], {}
    for name, part in parts.items():
        faces.append(part.faces + offset)
        groups[name] = np.arange(offset, offset + len(part.vertices))
        for inner, index in part.groups.items():
            groups[inner] = np.asarray(index) + offset
        offset += len(part.vertices)
    all_parts = list(parts.values())

    def stack(name: str) -> np.ndarray:
        return np.concatenate([np.asarray(getattr(part, name)) for part in all_parts])

    plain = [f.name for f in fields(Part) if f.name not in ("faces", "groups")]
    return Part(faces=np.concatenate(faces), groups=groups, **{name: stack(name) for name in plain})


def sheet_faces(index: np.ndarray, flip: bool = False) -> np.ndarray:
    """Triangles of a grid of vertex indices (rows, columns); degenerate ones left out."""
    a, b, c, d = (
        index[:-1, :-1].ravel(),
        index[:-1, 1:].ravel(),
        index[1:, 1:].ravel(),
        index[1:, :-1].ravel(),
    )
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)])
    if flip:
        faces = faces[:, ::-1]
    keep = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    return faces[keep]


def closed(index: np.ndarray) -> np.ndarray:
    """The grid with its first column repeated at the end."""
    return np.concatenate([index, index[:, :1]], axis=1)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (V, 3)."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    out = np.stack(
        [sum(np.bincount(faces[:, i], normal[:, k], len(vertices)) for i in range(3)) for k in range(3)],
        axis=-1,
    )
    return out / np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-12)


__all__ = ["Label", "Material", "Part", "closed", "join", "sheet_faces", "vertex_normals"]
