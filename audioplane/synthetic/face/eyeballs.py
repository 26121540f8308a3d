"""Eyeballs: spheres whose rings lie about the optical axis, so that iris and pupil have clean edges."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.parts import Label, Material, Part, closed, sheet_faces

_RINGS = np.deg2rad([4.0, 8.0, 12, 16, 20, 24.5, 29, 34, 40, 47, 55, 64, 75, 90, 112])
_AROUND = 32
IRIS_SINE = 0.475  # 5.85 mm on a ball of 12.3 mm
PUPIL = 0.34  # of the iris


def eyeball(body: Anatomy, side: str) -> Part:
    """One eyeball looking straight ahead; `uv` is the position across the axis, in ball radii."""
    sign = 1.0 if side == "Left" else -1.0
    centre = np.array(body.eye) * [sign, 1, 1]
    turn = np.arange(_AROUND) / _AROUND * 2 * np.pi
    ring = np.sin(_RINGS)[:, None]
    unit = np.stack(
        [
            ring * np.cos(turn),
            ring * np.sin(turn),
            np.broadcast_to(-np.cos(_RINGS)[:, None], (len(_RINGS), _AROUND)),
        ],
        -1,
    ).reshape(-1, 3)
    unit = np.concatenate([[[0.0, 0, -1]], unit])
    index = 1 + np.arange(len(_RINGS) * _AROUND).reshape(len(_RINGS), _AROUND)
    index = closed(np.concatenate([np.zeros((1, _AROUND), int), index]))
    faces = sheet_faces(index, flip=True)
    return Part(
        centre + unit * body.eye_radius,
        faces,
        Material.EYE,
        Label.FACE,
        uv=unit[:, :2],
        albedo=(0.72, 0.68, 0.66),
        roughness=0.08,
        flow=(0.0, 0.0, -1.0),
    )
