"""Brushes of the mouth: lips, corners and chin."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face.canvas import Canvas, smoothstep


def _along(c: Canvas) -> np.ndarray:
    """Position along the mouth: 0 midline, 1 corner, further out on the cheek."""
    return np.abs(c.x) / c.corner[0]


def _gather(c: Canvas, share: float, round_depth: float) -> np.ndarray:
    """Draws the corners towards the midline by `share` of the width, and forward so that the lips make a
    ring."""
    t = np.minimum(_along(c), 2.0)
    region = c.lips(46, 20)
    inward = -share * c.x * np.where(t < 1, 1.0, 1 / np.maximum(t, 1) ** 0.8)
    # The lips' bow straightens out: corners come forward by what they lay behind.
    behind = np.clip(c.z - c.points[c.mesh.upper[0] * 0, 2][0] * 0 - _front_depth(c), 0, 20)
    forward = -round_depth * behind * np.exp(-((np.maximum(t - 1, 0) / 0.35) ** 2))
    return c.put(region, inward, 0, forward)


def _front_depth(c: Canvas) -> float:
    from audioplane.synthetic.face import grid as topology

    return float(c.points[c.mesh.upper[topology.ROW_OF["stomion"], 0], 2])


def pucker(c: Canvas) -> np.ndarray:
    t = _along(c)
    lips = c.lips(34, 13)
    moved = _gather(c, 0.42, 0.45)
    middle = np.exp(-((t / 0.95) ** 4))
    moved += c.put(lips, 0, 0, -7.0 * (0.55 + 0.45 * middle))
    # The red turns outwards: its borders move apart and forward.
    turned = np.clip(c.red, 0, 1.3) * np.exp(-((np.maximum(c.red - 1, 0) / 0.7) ** 2)) * middle
    moved += c.put(lips * turned, 0, -2.0 * c.upper + 1.6 * c.lower, -0.8)
    return moved + c.put(c.spot(0, c.body.stomion_y + 17, 16, 8, both=True), 0, -1.2, -1.6)


def funnel(c: Canvas) -> np.ndarray:
    t = _along(c)
    lips = c.lips(34, 13)
    moved = _gather(c, 0.27, 0.30)
    middle = np.maximum(1 - np.minimum(t, 1) ** 2.2, 0) ** 0.6
    moved += c.put(lips, 0, 0, -5.5 * (0.5 + 0.5 * middle))
    moved += c.put(lips * middle, 0, -4.2 * c.upper + 4.8 * c.lower, 0)
    turned = np.clip(c.red, 0, 1.3) * np.exp(-((np.maximum(c.red - 1, 0) / 0.7) ** 2)) * middle
    return moved + c.put(lips * turned, 0, -1.2 * c.upper + 1.6 * c.lower, -1.6)


def left(c: Canvas) -> np.ndarray:
    lips = c.lips(44, 20)
    lead = 0.75 + 0.25 * np.clip(c.x / 25, -1, 1)
    back = 0.28 * np.clip(c.x / 25, -0.6, 1.2)
    return c.put(lips, 13.0 * lead, -0.6 * np.clip(c.x / 20, 0, 1), 13.0 * back)


def roll_lower(c: Canvas) -> np.ndarray:
    t = np.minimum(_along(c), 1)
    middle = np.maximum(1 - t**3, 0)
    red = np.exp(-((np.maximum(c.red, 0) / 1.5) ** 4)) * (c.red > -0.5)
    region = c.lips(30, 9) * c.lower * middle
    amount = np.clip(c.red + 0.15, 0, 1.0)
    moved = c.put(region * red, 0, 0.8 - 7.4 * amount, 6.0 * (1 - 0.15 * amount))
    return moved + c.put(region * (1 - red), 0, -4.6, 2.2)


def roll_upper(c: Canvas) -> np.ndarray:
    t = np.minimum(_along(c), 1)
    middle = np.maximum(1 - t**3, 0)
    red = np.exp(-((np.maximum(c.red, 0) / 1.5) ** 4)) * (c.red > -0.5)
    region = c.lips(30, 9) * c.upper * middle
    amount = np.clip(c.red + 0.15, 0, 1.0)
    moved = c.put(region * red, 0, -0.4 + 5.6 * amount, 5.4 * (1 - 0.2 * amount))
    return moved + c.put(region * (1 - red), 0, 2.4, 1.8)


def shrug_lower(c: Canvas) -> np.ndarray:
    b = c.body
    lip = c.lips(30, 12) * c.lower
    chin = c.spot(0, b.stomion_y + 26, 18, 14, both=True)
    roll = np.clip(c.red, 0, 1)
    return c.put(lip, 0, -6.0 + 1.4 * roll, -2.2 * (1 - 0.3 * roll)) + c.put(chin * c.lower * (1 - lip), 0, -8.0, -1.8)


def shrug_upper(c: Canvas) -> np.ndarray:
    lip = c.lips(30, 12) * c.upper
    return c.put(lip, 0, -3.6, -1.8)


def close(c: Canvas) -> np.ndarray:
    return np.zeros_like(c.points)  # the jaw does it: see `jaw.jaw_shares`


def _corner(c: Canvas, wx: float = 17, wy: float = 14) -> np.ndarray:
    return c.spot(c.corner[0] + 2.0, c.corner[1], wx, wy)


def smile(c: Canvas) -> np.ndarray:
    b = c.body
    pull = c.spot(c.corner[0] + 3, c.corner[1], 20, 17)
    moved = c.put(pull, 7.6, -7.6, 4.6)
    moved += c.put(c.spot(40, 22, 15, 14), 1.6, -4.0, -3.4)
    moved += c.put(c.spot(b.nose_half_width, b.subnasale_y - 5, 9, 9), 1.6, -0.8, 0.4)
    moved += c.put(c.spot(13, b.stomion_y, 13, 9), 0.8, -1.2, 1.4)
    moved += c.put(c.spot(b.eye[0] + 3, b.eye[1] + 13, 15, 6), 0, -1.2, -0.6)
    return moved


def frown(c: Canvas) -> np.ndarray:
    moved = c.put(c.spot(c.corner[0] + 2, c.corner[1] + 1, 16, 14), 2.0, 6.8, 1.6)
    return moved + c.put(c.spot(18, c.body.stomion_y + 16, 12, 11), 0.6, 2.0, -0.6)


def dimple(c: Canvas) -> np.ndarray:
    moved = c.put(_corner(c, 16, 14), 3.0, -4.2, 5.0)
    return moved + c.put(c.spot(c.corner[0] + 12, c.corner[1], 9, 12), 1.6, 0, -1.6)


def stretch(c: Canvas) -> np.ndarray:
    moved = c.put(c.spot(c.corner[0] + 3, c.corner[1] + 2, 19, 17), 8.2, 3.0, 4.4)
    return moved + c.put(c.spot(14, c.body.stomion_y + 8, 12, 10) * c.lower, 1.2, 2.6, 0.8)


def press(c: Canvas) -> np.ndarray:
    side = c.side(6)
    lips = c.lips(30, 8) * side
    roll = np.clip(c.red, 0, 1.0) * np.exp(-((np.maximum(c.red - 1, 0) / 0.9) ** 2))
    # The edges go against each other as well; what would cross gives way (see `motion`).
    moved = c.put(lips, 0, (0.4 + 1.2 * roll) * c.upper - (1.8 + 0.6 * roll) * c.lower, 0.8 * roll)
    moved += c.put(_corner(c, 14, 10), 1.2, -0.6, 1.0)
    return moved + c.put(c.spot(15, c.body.stomion_y + 25, 17, 15) * c.lower, 0, -3.6, -1.2)


def lower_down(c: Canvas) -> np.ndarray:
    t = _along(c)
    lip = c.lips(32, 12) * c.lower * c.side(7) * (1 - smoothstep((t - 0.55) / 0.5))
    moved = c.put(lip, 1.2, 5.6, 0.6)
    return moved + c.put(c.spot(15, c.body.stomion_y + 17, 11, 9), 0.6, 2.4, -0.3)


def upper_up(c: Canvas) -> np.ndarray:
    b = c.body
    t = _along(c)
    lip = c.lips(32, 13) * c.upper * c.side(7) * (1 - smoothstep((t - 0.5) / 0.55))
    moved = c.put(lip, 0.8, -6.4, 0.2)
    moved += c.put(c.spot(b.nose_half_width + 6, b.subnasale_y + 2, 11, 12) * c.upper, 0.8, -3.6, -1.4)
    return moved + c.put(c.spot(b.nose_half_width - 2, b.subnasale_y - 5, 7, 7), 0.5, -1.6, 0)


LEFT = {
    "mouthSmile": smile,
    "mouthFrown": frown,
    "mouthDimple": dimple,
    "mouthStretch": stretch,
    "mouthPress": press,
    "mouthLowerDown": lower_down,
    "mouthUpperUp": upper_up,
}
MIDDLE = {
    "mouthPucker": pucker,
    "mouthFunnel": funnel,
    "mouthLeft": left,
    "mouthRollLower": roll_lower,
    "mouthRollUpper": roll_upper,
    "mouthShrugLower": shrug_lower,
    "mouthShrugUpper": shrug_upper,
}
