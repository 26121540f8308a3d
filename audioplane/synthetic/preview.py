"""Previews of a mesh: one call, one picture, with or without materials."""

from __future__ import annotations

from typing import Any

import numpy as np

from audioplane.runtime.contracts import indices
from audioplane.synthetic.raster import Visibility, project, rasterize, vertex_normals

LIGHTS = (((-0.45, -0.55, -0.7), 0.75), ((0.8, -0.1, -0.6), 0.25), ((0.5, -0.6, 0.6), 0.3))


def _turned(yaw: float, pitch: float) -> np.ndarray:
    """Rotation (3, 3): nose to the image right by yaw, then crown to the camera by pitch, degrees."""
    y, p = np.radians(-yaw), np.radians(-pitch)
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    return tilt @ turn


def preview_mesh(
    mesh: Any,
    size: int = 512,
    yaw: float = 0.0,
    pitch: float = 0.0,
    *,
    target: tuple[float, float, float] | None = None,
    width_metres: float | None = None,
    field_of_view: float = 0.35,
    two_sided: bool = False,
    wires: bool = False,
) -> np.ndarray:
    """A plainly lit picture (size, size, 3) uint8 of a mesh in head coordinates.

    Args:
        mesh: anything with `vertices` (V, 3) metres and `faces` (F, 3) wound outward, or a tuple of the two;
            per-vertex `albedo` (V, 3) in [0, 1] is used if there is one. Faces seen from behind are magenta.
        size: picture side in pixels.
        yaw, pitch: degrees; positive yaw turns the person's nose to the image right, positive pitch looks
            down on the head.
        target: the point looked at, metres; None: the middle of the bounding box.
        width_metres: what the picture's width covers at the target; None: the whole bounding box.
        two_sided: also light faces from behind instead of colouring them magenta.
        wires: draw triangle edges.
    """
    vertices, faces = mesh if isinstance(mesh, tuple) else (mesh.vertices, mesh.faces)
    vertices = np.asarray(vertices, np.float64)
    faces = np.ascontiguousarray(faces, np.int32)
    indices("faces", faces.reshape(-1), len(vertices))
    albedo = np.asarray(getattr(mesh, "albedo", None) if not isinstance(mesh, tuple) else None)
    if albedo.shape != vertices.shape:
        albedo = np.full(vertices.shape, 0.72)
    low, high = vertices.min(0), vertices.max(0)
    centre = np.asarray(target, np.float64) if target is not None else (low + high) / 2
    width = width_metres or float(np.linalg.norm(high - low)) * 0.8
    distance = width / 2 / np.tan(field_of_view / 2)
    points = (vertices - centre) @ _turned(yaw, pitch).T + [0, 0, distance]
    focal = size / width * distance
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])

    corners, inverse = np.zeros((len(points), 2), np.int64), np.zeros(len(points))
    project(points, intrinsics, 2, corners, inverse)
    seen = Visibility.empty(size, size, 2)
    everything = np.arange(len(faces), dtype=np.int32)
    always, never = np.ones(len(faces), np.bool_), np.zeros(len(faces), np.bool_)
    strands = np.zeros((len(points), 3), np.float32)
    rasterize(
        faces, everything, always, never, strands, corners, inverse, seen.triangle, seen.inverse_depth, seen.barycentric
    )

    normals = np.zeros_like(points)
    vertex_normals(points, faces, normals)
    hit = seen.triangle >= 0
    bary = seen.barycentric[hit].astype(np.float64)
    bary = np.column_stack([1 - bary.sum(1), bary])
    corner = faces[seen.triangle[hit]]
    normal = np.einsum("nk,nkc->nc", bary, normals[corner])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    flat = np.cross(points[corner[:, 1]] - points[corner[:, 0]], points[corner[:, 2]] - points[corner[:, 0]])
    behind = (flat * points[corner[:, 0]]).sum(1) > 0
    if two_sided:
        normal[behind] *= -1
    light = np.full(len(normal), 0.16)
    for direction, strength in LIGHTS:
        light += strength * np.clip(normal @ (np.asarray(direction) / np.linalg.norm(direction)), 0, None)
    colour = np.einsum("nk,nkc->nc", bary, albedo[corner]) * light[:, None]
    if not two_sided:
        colour[behind] = (0.7, 0.0, 0.5)
    if wires:
        colour[bary.min(1) < 0.06] *= 0.45
    picture = np.full((*seen.triangle.shape, 3), 0.1)
    picture[hit] = np.clip(colour, 0, 1)
    picture = picture.reshape(size, 2, size, 2, 3).mean((1, 3))
    return (255 * picture ** (1 / 2.2) + 0.5).astype(np.uint8)


def preview_surface(
    surface: Any,
    size: int = 512,
    yaw: float = 0.0,
    pitch: float = 0.0,
    *,
    vertices: np.ndarray | None = None,
    gaze: np.ndarray | None = None,
    paint: Any = None,
    backdrop: str = "studio",
    seed: int = 0,
    width_metres: float = 0.42,
    middle: float = 0.02,
    distance: float = 1.2,
    torso_follows: bool = True,
) -> np.ndarray:
    """A fully shaded picture (size, size, 3) uint8 of a `scene.Surface`, head turned by yaw and pitch
    degrees.

    Args:
        vertices: moved vertices (V, 3) in head coordinates; None: the rest shape. gaze: see `scene.Pose`.
        paint: `materials.Paint`; None: the surface's own if it has one.
        backdrop, seed: see `backgrounds.background`.
        width_metres: what the picture's width covers at the head. middle: y in head coordinates of the
            picture's middle.
        torso_follows: turn the shoulders as well.
    """
    from audioplane.synthetic.backgrounds import background
    from audioplane.synthetic.materials import Paint
    from audioplane.synthetic.scene import Pose, Scene

    focal = size / width_metres * distance
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    scene = Scene(
        surface,
        intrinsics,
        background(backdrop, size, size, seed),
        paint or getattr(surface, "paint", Paint()),
        distance=distance,
    )
    head, torso = np.eye(4), np.eye(4)
    head[:3, 3] = torso[:3, 3] = [0.0, -middle, distance]
    head[:3, :3] = _turned(yaw, pitch)
    if torso_follows:
        torso = head
    return scene.render(Pose(surface.rest if vertices is None else vertices, head, torso, gaze)).rgb
