"""Locks of hair as ribbons: grown along a flow over the head, kept off it, each a tapering strip with
strands on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from audioplane.synthetic.face.parts import Label, Part, sheet_faces, vertex_normals

LOOSE = 3.0  # millimetres that a lock may stand off the head beyond its layer's lift, where it lies on it
STRAND = 0.55  # millimetres between the strands drawn on a ribbon


@dataclass
class Obstacle:
    """What hair lies on: points with outward normals."""

    points: np.ndarray
    normals: np.ndarray

    def __post_init__(self) -> None:
        self._tree = KDTree(self.points)

    def height(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Height of points over the surface, and the surface's normal there."""
        distance, near = self._tree.query(p, k=4)
        weight = 1 / (distance + 0.5)
        weight /= weight.sum(1, keepdims=True)
        normal = (self.normals[near] * weight[..., None]).sum(1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
        foot = (self.points[near] * weight[..., None]).sum(1)
        return ((p - foot) * normal).sum(1), normal


def obstacle(parts: list[Part], front: float = np.inf) -> Obstacle:
    """The vertices of parts, with normals."""
    points = np.concatenate([p.vertices for p in parts])
    normals = np.concatenate([vertex_normals(p.vertices, p.faces) for p in parts])
    keep = (np.linalg.norm(normals, axis=1) > 0.5) & (points[:, 1] < front)
    return Obstacle(points[keep], normals[keep])


def grow(
    roots: np.ndarray,
    flow: Callable[[np.ndarray, np.ndarray], np.ndarray],
    length: np.ndarray,
    steps: int,
    head: Obstacle,
    lift: Callable[[float], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Grows locks from roots (n, 3); returns their points and the normals of what lies below, (n, steps, 3)
    each.

    Args:
        flow: (points, share of the length grown) to directions (n, 3); need not be unit or tangent.
        length: (n,) millimetres.
        lift: share of the length grown to the least height (n,) over the head.
    """
    path, normals = np.empty((len(roots), steps, 3)), np.empty((len(roots), steps, 3))
    p = roots.copy()
    height, normal = head.height(p)
    p = p + (lift(0.0) - height)[:, None].clip(0) * normal
    path[:, 0], normals[:, 0] = p, normal
    step = (length / (steps - 1))[:, None]
    for i in range(1, steps):
        t = i / (steps - 1)
        d = flow(p, np.full(len(p), t))
        d = d / (np.linalg.norm(d, axis=1, keepdims=True) + 1e-9)
        # Over the head hair lies along it; where it hangs free only gravity holds it.
        over = np.clip(1 - (p[:, 1:2] + 40) / 50, 0, 1)
        above = np.clip(height - lift(t), 0, 8)[:, None]
        d = d - over * normal * ((d * normal).sum(1, keepdims=True).clip(0) + 0.14 * above)
        q = p + step * d
        height, normal = head.height(q)
        q = q + np.clip(lift(t) - height, 0, None)[:, None] * normal
        q = q - over * np.clip(height - lift(t) - LOOSE, 0, None)[:, None] * normal
        move = q - p
        # Never longer than a step; lengthening a move that the head has turned would throw it off the head again.
        move *= np.minimum(1.0, step / (np.linalg.norm(move, axis=1, keepdims=True) + 1e-9))
        p = p + move
        path[:, i] = p
        normals[:, i] = 0.6 * normals[:, i - 1] + 0.4 * normal
    return path, normals


def ribbons(
    path: np.ndarray,
    normals: np.ndarray,
    width: np.ndarray,
    colour: np.ndarray,
    material: int,
    rng: np.random.Generator,
    *,
    taper: tuple[float, float] = (0.7, 0.25),
    label: int = Label.HAIR,
    coverage: tuple[float, float] = (1.0, 0.55),
    shade: tuple[float, float] = (0.55, 1.0),
    roll: float = 0.25,
    spread: float = 0.16,
    arch: float = 0.18,
    root: float = 1.0,
) -> Part:
    """Strips along paths (n, steps, 3): three vertices across, so that each is a little vaulted.

    Args:
        width: (n,) greatest width, millimetres. taper: share of it at root and tip.
        colour: (3,) linear RGB. spread: how much locks differ in brightness.
        coverage, shade: opacity and brightness at root and tip. roll: radians that strips turn about
            themselves. root: share of its opacity that a strip starts with, which frays its beginning.
        arch: height of the vault over the width.
    """
    n, steps = path.shape[:2]
    t = np.linspace(0, 1, steps)
    tangent = np.gradient(path, axis=1)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-9
    across = np.cross(tangent, normals)
    across /= np.linalg.norm(across, axis=-1, keepdims=True) + 1e-9
    up = np.cross(across, tangent)
    angle = rng.normal(size=(n, 1, 1)) * roll
    across, up = across * np.cos(angle) + up * np.sin(angle), up * np.cos(angle) - across * np.sin(angle)
    profile = np.interp(t, [0, 0.25, 0.6, 0.85, 1.0], [taper[0], 1.0, 1.0, (1 + taper[1]) / 2, taper[1]])
    half = 0.5 * width[:, None] * profile
    points = np.stack(
        [
            path - half[..., None] * across,
            path + (2 * arch * half)[..., None] * up,
            path + half[..., None] * across,
        ],
        2,
    )
    index = np.arange(n * steps * 3).reshape(n, steps, 3)
    faces = np.concatenate([sheet_faces(index[k], flip=True) for k in range(n)]) if n else np.zeros((0, 3), int)
    start = rng.uniform(0, 1000, size=(n, 1, 1))
    u = start + np.array([-1.0, 0, 1])[None, None] * (half / STRAND)[..., None]
    uv = np.stack([u, np.broadcast_to(t[None, :, None], u.shape)], -1)
    bright = np.exp(rng.normal(size=n) * spread)
    along = np.interp(t, [0, 0.35, 1], [shade[0], 0.9 * shade[1], shade[1]])
    albedo = colour * (bright[:, None] * (0.85 + 0.15 * along / shade[1]))[..., None]
    opacity = np.interp(t, [0, 0.14, 0.5, 1], [root * coverage[0], coverage[0], coverage[0], coverage[1]])
    return Part(
        points.reshape(-1, 3),
        faces,
        material,
        label,
        uv=uv.reshape(-1, 2),
        albedo=np.clip(np.repeat(albedo.reshape(-1, 3), 3, 0), 0.002, 1),
        roughness=0.35,
        coverage=np.tile(np.repeat(opacity, 3), n),
        flow=np.repeat(tangent.reshape(-1, 3), 3, 0),
        occlusion=np.tile(np.repeat(along, 3), n),
    )


def bind(
    part: Part,
    skin: np.ndarray,
    candidates: np.ndarray,
    anchors: np.ndarray | None = None,
    scale: np.ndarray | float = 1.0,
) -> None:
    """Hangs a part on the skin, in place: each vertex (or its `anchors`, (V, 3)) on its three nearest of
    `candidates`."""
    distance, near = KDTree(skin[candidates]).query(part.vertices if anchors is None else anchors, k=3)
    weight = 1 / (distance + 0.2) ** 2
    part.bound_to = candidates[near]
    part.bound_weight = weight / weight.sum(1, keepdims=True)
    part.bound_scale = np.broadcast_to(np.asarray(scale, float), (len(part.vertices),))
