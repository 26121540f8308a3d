"""Ears: an outline in the plane of the ear, rings inwards over helix, scapha, antihelix and concha, rings
back to the head."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.parts import Label, Material, Part, closed, sheet_faces

# Outline about the ear canal, forward and up, mm, from the root of the helix over the top to the lobe.
_OUTLINE = np.array(
    [
        [7.0, 3.0],
        [9.5, 10.0],
        [10.0, 20.0],
        [6.5, 29.0],
        [-2.0, 33.5],
        [-11.5, 32.0],
        [-18.5, 25.0],
        [-21.5, 14.0],
        [-20.5, 2.0],
        [-16.5, -10.0],
        [-11.5, -20.0],
        [-5.5, -27.0],
        [1.0, -28.0],
        [5.0, -22.5],
        [6.5, -14.0],
        [7.5, -5.0],
    ]
)
_AROUND = 52
_CENTRE = np.array([-1.0, 0.0])
# Rings from behind the rim to the concha: share of the way from centre to outline, height above the plane.
_SHARE = np.array(
    [0.55, 0.70, 0.88, 0.98, 1.0, 0.985, 0.94, 0.885, 0.83, 0.77, 0.70, 0.62, 0.54, 0.46, 0.36, 0.22, 0.08]
)
_HELIX = np.array([-15, -9.5, -4.5, -2.0, 0.2, 1.6, 1.9, 0.6, -1.8, -2.2, -0.6, 0.9, 0.2, -4.0, -8.5, -10.5, -11.0])
_LOBE = np.array([-15, -8.0, -4.0, -2.2, -0.8, 0.4, 0.9, 1.0, 0.8, 0.5, 0.1, -0.4, -1.4, -4.0, -8.0, -10.5, -11.0])
_TRAGUS = np.array(
    [-15, -13, -11, -9.0, -6.5, -5.0, -4.0, -3.0, -2.2, -1.4, -0.8, -0.6, -1.5, -5.0, -9.0, -11.0, -11.5]
)


def ear(side: str, where: np.ndarray, who: Identity) -> Part:
    """An ear whose canal opens at `where` (on the skull's side, millimetres)."""
    closed_outline = np.concatenate([_OUTLINE, _OUTLINE[:1]])
    curve = CubicSpline(np.arange(len(closed_outline)), closed_outline, bc_type="periodic")
    t = np.arange(_AROUND) / _AROUND * len(_OUTLINE)
    outline = curve(t)
    lobe = np.clip((-outline[:, 1] - 8) / 12, 0, 1)
    front = np.clip((outline[:, 0] - 2.0) / 4.0, 0, 1) * np.clip((16 - outline[:, 1]) / 10, 0, 1)
    front = front * np.clip((outline[:, 1] + 26) / 8, 0, 1)
    blend = lambda w, a, b: a + (b - a) * (w * w * (3 - 2 * w))[:, None]  # noqa: E731
    height = blend(front, blend(lobe, np.tile(_HELIX, (_AROUND, 1)), _LOBE), _TRAGUS).T
    flat = _CENTRE + (outline - _CENTRE)[None] * _SHARE[:, None, None]
    forward, up = flat[..., 0], flat[..., 1]
    # The antihelix forks towards the top: a shallow hollow between its legs.
    height = height - 2.0 * np.exp(-(((forward + 2) / 5) ** 2) - ((up - 17) / 5) ** 2) * (_SHARE < 0.8)[:, None]
    tragus = 2.6 * np.exp(-(((forward - 5.5) / 2.2) ** 2) - ((up + 3.0) / 4.0) ** 2)
    height = height + tragus
    scale = 1 + 0.06 * who.ear_size
    angle = np.deg2rad(24 + 5 * who.ear_angle)
    back = np.deg2rad(10)  # the ear's axis leans back
    f, u, h = forward * scale, up * scale, height * (0.6 + 0.4 * scale) + 5.0
    f, u = f * np.cos(back) - u * np.sin(back), f * np.sin(back) + u * np.cos(back)
    # Bend the back of the ear outwards about a hinge in front of the canal.
    hinge = 8.0
    depth = hinge - f
    x = where[0] - 1.0 + depth * np.sin(angle) * 0.72 + h * np.cos(angle)
    z = where[2] - hinge * 0.9 + depth * np.cos(angle) - h * np.sin(angle)
    y = where[1] - u
    points = np.stack([x, y, z], -1)
    index = closed(np.arange(height.size).reshape(height.shape))
    faces = sheet_faces(index)
    last = index[-1, :-1]
    middle = points[-1].mean(0)
    fan = np.stack([last, np.full(_AROUND, height.size), np.roll(last, -1)], 1)[:, ::-1]
    points = np.concatenate([points.reshape(-1, 3), [middle]])
    faces = np.concatenate([faces, fan])
    if side == "Right":
        points, faces = points * [-1, 1, 1], faces[:, ::-1]
    rim = np.concatenate([np.repeat(np.clip((_SHARE - 0.6) / 0.4, 0, 1), _AROUND), [0]])
    return Part(points, faces, Material.SKIN, Label.FACE, uv=np.stack([rim, np.zeros_like(rim)], -1), roughness=0.42)
