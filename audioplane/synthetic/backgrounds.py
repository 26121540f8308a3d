"""Rooms out of focus: still pictures to stand behind a speaker, drawn once and the same for the same seed."""

from __future__ import annotations

import cv2
import numpy as np

from audioplane.synthetic.materials import linear_to_srgb, srgb_to_linear

KINDS = ("shelf", "window", "studio", "office")
_WORK = 512  # drawn at this height, then scaled, so that a size changes only the resolution


def background(kind: str, width: int, height: int, seed: int = 0) -> np.ndarray:
    """A defocused room (height, width, 3) uint8: one of `KINDS`, varied by the seed.

    Raises:
        ValueError: the kind is not one of `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"background: kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    columns = max(_WORK * width // height, 64)
    sharp = {"shelf": _shelf, "window": _window, "studio": _studio, "office": _office}[kind](rng, columns)
    blurred = defocus(sharp, {"shelf": 17.0, "window": 19.0, "studio": 16.0, "office": 18.0}[kind])
    picture = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_AREA)
    return (255 * np.clip(linear_to_srgb(picture / (1.0 + 0.15 * picture)), 0, 1) + 0.5).astype(np.uint8)


def defocus(light: np.ndarray, radius: float) -> np.ndarray:
    """Blurs linear light (H, W, 3) by a lens' disc of this radius in pixels (bokeh)."""
    half = int(np.ceil(radius))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return cv2.filter2D(light.astype(np.float32), -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)


def _wall(rng: np.random.Generator, columns: int, colour: tuple[float, float, float]) -> np.ndarray:
    """A wall lit unevenly from one side."""
    y, x = np.mgrid[0:_WORK, 0:columns] / _WORK
    side = rng.choice([-1.0, 1.0])
    light = 0.75 + 0.35 * np.exp(-(((x - 0.5 * columns / _WORK) * side - 0.35) ** 2 + (y - 0.25) ** 2) / 0.35)
    return srgb_to_linear(colour) * light[..., None]


def _box(canvas: np.ndarray, left: float, top: float, right: float, bottom: float, colour: np.ndarray) -> None:
    """Fills a rectangle; lengths in heights of the picture."""
    rows = slice(max(0, int(top * _WORK)), max(0, int(bottom * _WORK)))
    canvas[rows, max(0, int(left * _WORK)) : max(0, int(right * _WORK))] = colour


def _shelf(rng: np.random.Generator, columns: int) -> np.ndarray:
    canvas = _wall(rng, columns, (0.45, 0.38, 0.32)) * 0.55
    wood = srgb_to_linear((0.48, 0.33, 0.21))
    width = columns / _WORK
    palette = srgb_to_linear(
        np.array(
            [
                [0.55, 0.22, 0.18],
                [0.20, 0.30, 0.42],
                [0.75, 0.68, 0.55],
                [0.25, 0.35, 0.27],
                [0.62, 0.48, 0.25],
                [0.20, 0.19, 0.21],
                [0.80, 0.77, 0.72],
                [0.40, 0.27, 0.33],
            ]
        )
    )
    pitch = rng.uniform(0.20, 0.25)
    for shelf in range(-1, 6):
        floor = shelf * pitch + rng.uniform(0.02, 0.04)
        x = rng.uniform(-0.1, 0.0)
        while x < width:
            thick, tall = rng.uniform(0.014, 0.042), pitch * rng.uniform(0.55, 0.86)
            if rng.random() < 0.10:  # a gap
                x += rng.uniform(0.04, 0.12)
                continue
            colour = palette[rng.integers(len(palette))] * rng.uniform(0.45, 1.0)
            _box(canvas, x, floor - tall, x + thick * 0.92, floor, colour)
            if rng.random() < 0.4:  # a title
                _box(canvas, x, floor - tall * 0.75, x + thick * 0.92, floor - tall * 0.6, colour * 2.2)
            x += thick
        _box(canvas, 0, floor, width, floor + 0.016, wood * 0.9)
        _box(canvas, 0, floor + 0.016, width, floor + 0.04, wood * 0.12)
    lamp = rng.uniform(0.08, 0.2) if rng.random() < 0.5 else width - rng.uniform(0.08, 0.2)
    y, x = np.mgrid[0:_WORK, 0:columns] / _WORK
    glow = np.exp(-((x - lamp) ** 2 + (y - 0.25) ** 2) / 0.08)
    return canvas * (0.6 + 1.1 * glow[..., None]) + 0.05 * glow[..., None] * np.array([1.0, 0.8, 0.5])


def _window(rng: np.random.Generator, columns: int) -> np.ndarray:
    canvas = _wall(rng, columns, (0.66, 0.64, 0.60)) * 0.5
    width = columns / _WORK
    left = rng.uniform(-0.1, 0.05) if rng.random() < 0.5 else width - rng.uniform(0.45, 0.55)
    y, x = np.mgrid[0:_WORK, 0:columns] / _WORK
    sky = np.array([0.75, 0.88, 1.0]) * (1.25 - 0.6 * y[..., None])
    trees = np.zeros_like(x)
    for _ in range(60):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0.35, 0.85), rng.uniform(0.02, 0.08)
        trees += rng.uniform(0.2, 0.8) * (np.hypot(x - cx, y - cy) < r)
    leaf = np.stack([0.10 + 0.05 * trees, 0.18 + 0.07 * trees, 0.06 + 0.02 * trees], -1)
    outside = np.where((trees > 0)[..., None], leaf * 1.2, sky)
    pane = (x > left) & (x < left + 0.6) & (y > 0.03) & (y < 0.78)
    canvas[pane] = outside[pane]
    frame = srgb_to_linear((0.85, 0.84, 0.82)) * 0.6
    for bar in (left, left + 0.295, left + 0.585):
        _box(canvas, bar, 0.02, bar + 0.022, 0.8, frame)
    for bar in (0.02, 0.38, 0.77):
        _box(canvas, left, bar, left + 0.607, bar + 0.02, frame)
    side = 0.16 if left > 0.3 * width else width - 0.16
    for _ in range(26):  # a house plant
        angle, length = rng.uniform(-2.6, -0.5), rng.uniform(0.1, 0.26)
        tip = (side + length * np.cos(angle), 0.85 + length * np.sin(angle))
        colour = np.array([0.05, 0.13, 0.04]) * rng.uniform(0.6, 2.2)
        start, end = (int(side * _WORK), int(0.85 * _WORK)), (int(tip[0] * _WORK), int(tip[1] * _WORK))
        cv2.line(canvas, start, end, colour.tolist(), 9, cv2.LINE_AA)
    _box(canvas, side - 0.07, 0.84, side + 0.07, 1.0, srgb_to_linear((0.55, 0.35, 0.26)))
    return canvas


def _studio(rng: np.random.Generator, columns: int) -> np.ndarray:
    hue = np.array([(0.36, 0.42, 0.47), (0.46, 0.43, 0.40), (0.34, 0.40, 0.37), (0.42, 0.38, 0.44)])[rng.integers(4)]
    canvas = _wall(rng, columns, tuple(hue))
    y, x = np.mgrid[0:_WORK, 0:columns] / _WORK
    width = columns / _WORK
    spot = np.exp(-(((x - width / 2) / 0.42) ** 2 + ((y - 0.42) / 0.38) ** 2))
    cloth = sum(0.05 * np.sin(x * rng.uniform(8, 26) + y * rng.uniform(-6, 6) + rng.uniform(0, 6.28)) for _ in range(5))
    return canvas * (0.38 + 0.85 * spot + 0.6 * cloth)[..., None]


def _office(rng: np.random.Generator, columns: int) -> np.ndarray:
    canvas = _wall(rng, columns, (0.60, 0.64, 0.67)) * 0.65
    width = columns / _WORK
    _box(canvas, 0, 0.72, width, 1.0, srgb_to_linear((0.36, 0.33, 0.31)))
    board = rng.uniform(0.0, 0.12)
    _box(canvas, board, 0.12, board + 0.34, 0.5, srgb_to_linear((0.72, 0.73, 0.72)))
    for _ in range(7):
        x, y = board + rng.uniform(0.02, 0.28), rng.uniform(0.15, 0.44)
        note = srgb_to_linear(np.array([(0.9, 0.8, 0.35), (0.85, 0.5, 0.45), (0.45, 0.65, 0.8)])[rng.integers(3)])
        _box(canvas, x, y, x + 0.045, y + 0.045, note)
    door = width - rng.uniform(0.26, 0.34)
    _box(canvas, door, 0.08, width, 0.95, srgb_to_linear((0.42, 0.33, 0.26)))
    _box(canvas, door + 0.05, 0.15, width - 0.02, 0.52, srgb_to_linear((0.75, 0.80, 0.82)) * 1.1)
    for _ in range(2):  # monitors on a desk
        x, tall = rng.uniform(0.0, door - 0.15), rng.uniform(0.09, 0.13)
        _box(canvas, x, 0.70 - tall, x + rng.uniform(0.1, 0.18), 0.70, np.array([0.03, 0.035, 0.045]))
    for _ in range(9):  # lamps
        x, y = int(rng.uniform(0, columns)), int(rng.uniform(0, 0.35) * _WORK)
        cv2.circle(canvas, (x, y), 3, (np.array([9.0, 7.5, 5.0]) * rng.uniform(0.4, 1.0)).tolist(), -1, cv2.LINE_AA)
    return canvas
