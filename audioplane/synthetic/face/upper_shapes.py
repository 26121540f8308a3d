"""Brushes of the upper face: brows, lids, cheeks and nose."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face import lids
from audioplane.synthetic.face.canvas import Canvas
from audioplane.synthetic.face.lid_motion import lid_motion


def _edges(c: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Heights of upper and lower lid's edges over the eye's columns."""
    slit, columns = topology.ROW_OF["eye"], topology.eye_columns("Left")
    return c.points[c.mesh.upper[slit, columns], 1], c.points[c.mesh.lower[slit, columns], 1]


def brow_down(c: Canvas) -> np.ndarray:
    b = c.body
    inner = c.spot(13, b.brow_y, 12, 11)
    outer = c.spot(36, b.brow_y - 1, 18, 13)
    lid = c.spot(b.eye[0], b.brow_y + 9, 16, 5)
    return c.put(inner, -1.6, 3.2, -0.8) + c.put(outer, -3.4, 3.2, -1.8) + c.put(lid, 0, 1.2, -0.5)


def brow_inner_up(c: Canvas) -> np.ndarray:
    b = c.body
    return c.put(c.spot(11, b.brow_y - 3, 15, 13, both=True), 0, -8.0, 0.6) + c.put(
        c.spot(11, b.brow_y - 30, 18, 14, both=True), 0, -2.5, 0.0
    )


def brow_outer_up(c: Canvas) -> np.ndarray:
    b = c.body
    return c.put(c.spot(43, b.brow_y - 2, 16, 13), 0.5, -8.0, 1.2) + c.put(
        c.spot(38, b.brow_y - 28, 18, 14), 0, -2.5, 0.3
    )


def cheek_puff(c: Canvas) -> np.ndarray:
    b = c.body
    cheek = c.spot(44, b.stomion_y - 4, 15, 17, both=True)
    lips = c.lips(30, 8)
    side = np.sign(c.x) * np.minimum(np.abs(c.x) / 15, 1)
    return c.put(cheek, 8.5 * side, 0, -6.5) + c.put(lips * (1 - cheek), 0, 0, -2.2)


def cheek_squint(c: Canvas) -> np.ndarray:
    b = c.body
    cheek = c.spot(48, 15, 18, 16)
    moved = c.put(cheek, -0.4, -5.4, -2.3)
    moved += c.put(c.spot(b.eye[0] + 2, b.eye[1] + 13, 14, 5), 0, -1.4, -0.8)
    return moved + lid_motion(c, 0.0, -0.5 * _bow())


def _bow() -> np.ndarray:
    t = np.linspace(-1, 1, len(topology.eye_columns("Left")))
    return 1 - t**4


def blink(c: Canvas) -> np.ndarray:
    up, low = _edges(c)
    rise = -1.1 * _bow()
    return lid_motion(c, low + rise - up - 0.12 * _bow(), rise) + c.put(
        c.spot(c.body.eye[0], c.body.brow_y + 2, 14, 8), 0, 0.6, 0
    )


def squint(c: Canvas) -> np.ndarray:
    b = c.body
    moved = lid_motion(c, 1.7 * _bow(), -2.0 * _bow())
    moved += c.put(c.spot(b.canthus_out + 3, b.eye[1] + 3, 8, 9), -0.9, 0, -0.3)
    return moved + c.put(c.spot(b.eye[0] + 2, b.eye[1] + 15, 17, 11), -2.0, -2.2, -0.5)


def wide(c: Canvas) -> np.ndarray:
    return lid_motion(c, -2.6 * _bow(), 0.4 * _bow()) + c.put(
        c.spot(c.body.eye[0], c.body.brow_y + 4, 16, 8), 0, -1.2, 0.4
    )


def look_down(c: Canvas) -> np.ndarray:
    return lid_motion(c, 5.8 * _bow(), 1.7 * _bow())


def look_up(c: Canvas) -> np.ndarray:
    return lid_motion(c, -2.6 * _bow(), -1.3 * _bow())


def look_in(c: Canvas) -> np.ndarray:
    return c.put(c.spot(c.body.eye[0], c.body.eye[1], 14, 9) * _between(c), -2.0, 0, -0.3)


def look_out(c: Canvas) -> np.ndarray:
    return c.put(c.spot(c.body.eye[0], c.body.eye[1], 14, 9) * _between(c), 1.9, 0, 0.5)


def _between(c: Canvas) -> np.ndarray:
    """1 over the eyeball, 0 at the corners, which hold fast."""
    b = c.body
    t = (c.x - b.canthus_in) / (b.canthus_out - b.canthus_in)
    return np.clip(4 * t * (1 - t), 0, 1)


def nose_sneer(c: Canvas) -> np.ndarray:
    b = c.body
    wing = c.spot(b.nose_half_width - 2, b.subnasale_y - 6, 7.5, 9)
    wall = c.spot(11, b.subnasale_y - 24, 8, 15)
    fold = c.spot(b.nose_half_width + 7, b.subnasale_y - 4, 10, 12)
    lip = c.spot(11, b.stomion_y - 6, 11, 9) * c.upper
    moved = c.put(wing, 0.6, -4.6, -0.2) + c.put(wall, 0, -2.2, -0.8) + c.put(fold, 0.8, -3.0, -1.6)
    return moved + c.put(lip, 0.2, -2.6, -0.2) + c.put(c.spot(11, b.brow_y + 3, 8, 7), -0.8, 1.6, -0.3)


LEFT = {
    "browDown": brow_down,
    "browOuterUp": brow_outer_up,
    "cheekSquint": cheek_squint,
    "eyeBlink": blink,
    "eyeSquint": squint,
    "eyeWide": wide,
    "eyeLookDown": look_down,
    "eyeLookUp": look_up,
    "eyeLookIn": look_in,
    "eyeLookOut": look_out,
    "noseSneer": nose_sneer,
}
MIDDLE = {"browInnerUp": brow_inner_up, "cheekPuff": cheek_puff}
__all__ = ["LEFT", "MIDDLE", "lids"]
