"""Shoulders in clothes, and glasses."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.parts import Label, Material, Part, closed, sheet_faces
from audioplane.synthetic.face.strands import Obstacle
from audioplane.synthetic.face.surface_noise import lattice_noise
from audioplane.synthetic.materials import srgb_to_linear

_AROUND = 96
# Rows from the collar outwards and down: half width, depth of front and back (about z = 18), then the
# heights of front, side and back.
_ROWS = np.array(
    [
        [71, 56, 62, 178, 158, 151],
        [76, 58, 66, 180, 158, 151],
        [92, 65, 74, 190, 163, 157],
        [112, 74, 82, 203, 170, 166],
        [134, 83, 88, 219, 178, 178],
        [154, 91, 92, 237, 187, 194],
        [171, 98, 95, 257, 200, 215],
        [183, 104, 97, 280, 222, 242],
        [190, 109, 98, 306, 256, 276],
        [194, 113, 99, 336, 300, 316],
        [197, 115, 100, 370, 352, 362],
        [200, 116, 101, 410, 408, 410],
    ],
    float,
)
_FINE = 46


def clothes(who: Identity, body: Anatomy) -> Part:
    """What covers the shoulders: T-shirt, jumper or shirt."""
    rows = PchipInterpolator(np.arange(len(_ROWS)), _ROWS)(np.linspace(0, len(_ROWS) - 1, _FINE))
    width = 1 + 0.045 * (who.masculinity - 0.5) * 2 + 0.01 * who.neck_width
    theta = np.arange(_AROUND) / _AROUND * 2 * np.pi  # 0 front, pi/2 image right
    c, s = np.cos(theta), np.sin(theta)
    power = np.linspace(1.0, 0.80, _FINE)[:, None]
    grow = np.clip(np.linspace(0, 1, _FINE) * 3, 0, 1)[:, None]
    half = rows[:, :1] * (1 + (width - 1) * grow)
    x = half * np.sign(s) * np.abs(s) ** power
    depth = np.where(c > 0, rows[:, 1:2], rows[:, 2:3])
    z = 18 - depth * np.sign(c) * np.abs(c) ** power
    front, back, side = np.clip(c, 0, 1) ** 2, np.clip(-c, 0, 1) ** 2, s**2
    y = rows[:, 3:4] * front + rows[:, 4:5] * side + rows[:, 5:6] * back
    drop = 0.7 * (body.gnathion_y - 97) - 12.0
    y = y + drop
    neck_room = 1 + 0.05 * who.neck_width * (1 - grow)
    x, z = x * neck_room, 18 + (z - 18) * (1 + 0.03 * who.neck_width * (1 - grow))
    points = np.stack([x, y, z], -1)
    if who.clothes == "shirt":
        points = _v_neck(points, c)
    points = points + _folds(points, who, theta)
    points = np.concatenate([_collar(points[0], points[1], who), points])
    index = closed(np.arange(points.shape[0] * _AROUND).reshape(-1, _AROUND))
    flat = points.reshape(-1, 3)
    colour = srgb_to_linear(np.array(who.cloth_colour))
    shade = np.ones((points.shape[0], _AROUND, 1))
    albedo = (colour * shade).reshape(-1, 3)
    rows_all = np.arange(points.shape[0])[:, None]
    uv = np.stack(np.broadcast_arrays(theta[None] / (2 * np.pi), rows_all / points.shape[0]), -1).reshape(-1, 2)
    return Part(
        flat,
        sheet_faces(index),
        Material.CLOTH,
        Label.TORSO,
        uv=uv,
        albedo=albedo,
        roughness=0.9,
        torso=1.0,
    )


def _v_neck(points: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Opens the collar to a V at the front."""
    out = points.copy()
    rows = np.arange(len(points))[:, None]
    narrow = np.clip((c[None] - 0.80) / 0.20, 0, 1) ** 1.5 * np.exp(-((rows / 7.0) ** 2))
    out[..., 1] += 26 * narrow
    out[..., 2] -= 6 * narrow
    return out


def _collar(edge: np.ndarray, next_row: np.ndarray, who: Identity) -> np.ndarray:
    """Rows before the collar's edge: the cloth turns over and down inside; a jumper's collar stands up
    first."""
    centre = np.array([0.0, 0, 20.0])
    inward = (centre - edge) * [1, 0, 1]
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    up = np.array([0.0, -1, 0])
    del next_row
    if who.clothes == "jumper":
        lifts = [(1.0, 14.0), (-1.5, 17.0), (-4.0, 15.0), (-4.6, 8.0), (-3.5, 2.0)]
        rows = [edge + a * inward + b * up for a, b in [(6, -8.0), (5.0, 4.0), *lifts][::1]]
    elif who.clothes == "shirt":
        rows = [
            edge + a * inward + b * up
            for a, b in (
                (8, -6.0),
                (4.5, 10.0),
                (2.5, 24.0),
                (0.0, 26.0),
                (-5.0, 20.0),
                (-11.0, 4.0),
                (-10.0, 2.0),
                (-5.0, 3.0),
            )
        ]
    else:
        rows = [
            edge + a * inward + b * up
            for a, b in ((6, -10.0), (3.0, -2.0), (2.4, 1.6), (0.8, 2.4), (-1.2, 1.6), (-2.0, -0.6))
        ]
    return np.stack(rows)


def _folds(points: np.ndarray, who: Identity, theta: np.ndarray) -> np.ndarray:
    """Soft folds, deeper away from the collar, running down from shoulders and armpits."""
    rows = np.linspace(0, 1, len(points))[:, None]
    amount = np.clip((rows - 0.06) * 3, 0, 1)
    flat = points.reshape(-1, 3)
    broad = lattice_noise(flat / np.array([38.0, 70.0, 45.0]), who.seed + 5)
    fine = lattice_noise(
        np.stack([flat[:, 0] / 17 + flat[:, 1] / 40, flat[:, 1] / 55, flat[:, 2] / 25], -1), who.seed + 6
    )
    height = (5.0 * broad + 2.2 * fine).reshape(points.shape[:2]) * amount
    out = np.zeros_like(points)
    out[..., 0] = height * 0.5 * np.sin(theta)
    out[..., 1] = -0.25 * height
    out[..., 2] = -height * np.cos(theta)
    return out


def glasses(body: Anatomy, ear: np.ndarray, skin_front, head: Obstacle) -> Part:
    """A thin frame: two rims, a bridge, two arms to the ears."""
    eye_x, eye_y = body.eye[0], body.eye[1]
    half_width, half_height, tube = 25.5, 20.0, 1.35
    centre_x, centre_y = eye_x + 2.0, eye_y + 2.5
    bridge_z = float(skin_front(np.array(6.0), np.array(eye_y + 2))) - 7.0

    def depth(x: np.ndarray) -> np.ndarray:
        return bridge_z - 6.5 + 0.0036 * x**2

    turn = np.arange(40) / 40 * 2 * np.pi
    c, s = np.cos(turn), np.sin(turn)
    px = centre_x + half_width * np.sign(c) * np.abs(c) ** 0.72
    py = centre_y + half_height * np.sign(s) * np.abs(s) ** 0.78 - 1.5 * (s < 0) * np.abs(c)
    rim = np.stack([px, py, depth(px) + 0.05 * (py - centre_y)], -1)
    t = np.linspace(-1, 1, 9)
    inner = centre_x - half_width
    bridge = np.stack([t * inner, centre_y - 7 - 2.5 * (1 - t**2), depth(t * inner) - 1.0 * (1 - t**2)], -1)
    hinge = np.array([centre_x + half_width - 0.5, centre_y - 9, float(depth(np.array(centre_x + half_width)))])
    behind = ear + np.array((3.5, -26.0, 4.0))
    u = np.linspace(0, 1, 12)[:, None]
    arm = hinge * (1 - u) + behind * u
    arm[:, 0] += 7.0 * np.sin(np.pi * np.clip(u[:, 0] * 1.15, 0, 1)) * (1 - u[:, 0]) + 5.5 * np.clip(
        u[:, 0] * 8, 0, 1
    ) * (1 - u[:, 0])
    height, normal = head.height(arm)
    arm = arm + np.clip(3.0 - height, 0, None)[:, None] * normal
    arm = np.concatenate([arm, behind + np.array([(0.5, 8.0, 9.0), (0.0, 20.0, 13.0)])])
    pieces = []
    for sign in (1.0, -1.0):
        flip = np.array([sign, 1, 1])
        pieces += [_tube(rim * flip, tube, True), _tube(arm * flip, tube * 1.1, False)]
    pieces.append(_tube(bridge, tube * 1.1, False))
    vertices, faces, offset = [], [], 0
    for v, f in pieces:
        vertices.append(v)
        faces.append(f + offset)
        offset += len(v)
    return Part(
        np.concatenate(vertices),
        np.concatenate(faces),
        Material.FRAME,
        Label.FACE,
        albedo=(0.02, 0.018, 0.018),
        roughness=0.25,
    )


def _tube(path: np.ndarray, radius: float, ring: bool) -> tuple[np.ndarray, np.ndarray]:
    around = np.arange(8) / 8 * 2 * np.pi
    tangent = np.roll(path, -1, 0) - np.roll(path, 1, 0) if ring else np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    reference = np.where(np.abs(tangent[:, 2:3]) > 0.9, [[0.0, 1, 0]], [[0.0, 0, 1]])
    a = np.cross(tangent, reference)
    a /= np.linalg.norm(a, axis=1, keepdims=True) + 1e-9
    b = np.cross(tangent, a)
    points = path[:, None] + radius * (
        np.cos(around)[None, :, None] * a[:, None] + np.sin(around)[None, :, None] * b[:, None]
    )
    index = np.arange(len(path) * 8).reshape(len(path), 8)
    if ring:
        index = np.concatenate([index, index[:1]])
    return points.reshape(-1, 3), sheet_faces(closed(index), flip=True)
