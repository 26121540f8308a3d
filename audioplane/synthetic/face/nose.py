"""The nose: a smooth union of simple solids on the skull's surface, onto which the skin's vertices are
pulled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.skull import Skull

Points = np.ndarray


def smooth_union(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """Union of two distance fields, rounded where they meet."""
    h = np.clip(0.5 + 0.5 * (b - a) / width, 0, 1)
    return b + (a - b) * h - width * h * (1 - h)


def _off(point: np.ndarray, x: float, y: float, z: float) -> np.ndarray:
    return point + np.array((x, y, z))


def _capsule(p: Points, a, b, ra: float, rb: float) -> np.ndarray:
    a, b = np.asarray(a, float), np.asarray(b, float)
    axis = b - a
    t = np.clip(((p - a) @ axis) / (axis @ axis), 0, 1)
    return np.linalg.norm(p - a - t[..., None] * axis, axis=-1) - (ra + (rb - ra) * t)


def _ellipsoid(p: Points, centre, radii, turn: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    q = p - np.asarray(centre, float)
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))  # about the vertical
    q = np.stack([c * q[..., 0] + s * q[..., 2], q[..., 1], -s * q[..., 0] + c * q[..., 2]], -1)
    c, s = np.cos(np.deg2rad(pitch)), np.sin(np.deg2rad(pitch))  # about the sideways axis
    q = np.stack([q[..., 0], c * q[..., 1] + s * q[..., 2], -s * q[..., 1] + c * q[..., 2]], -1)
    r = np.asarray(radii, float)
    k0 = np.linalg.norm(q / r, axis=-1)
    k1 = np.linalg.norm(q / r**2, axis=-1)
    return k0 * (k0 - 1) / np.maximum(k1, 1e-9)


@dataclass(frozen=True)
class Nose:
    """Where the parts of one nose lie (millimetres)."""

    nasion: np.ndarray
    rhinion: np.ndarray
    tip: np.ndarray
    subnasale: np.ndarray
    ala: np.ndarray  # of the left side
    bridge: float  # radius of the bridge
    tip_radius: float


def landmarks(who: Identity, body: Anatomy, skull: Skull) -> Nose:
    """Places the nose of this person."""
    low = body.subnasale_y
    base = float(skull.front(np.array(0.0), np.array(low)))
    forward = 17.8 + 1.5 * who.nose_forward
    tip = np.array([0.0, low - 9.4 - 1.3 * who.nose_tip_up, base - forward])
    top = float(skull.front(np.array(0.0), np.array(-21.0)))
    nasion = np.array([0.0, -21.0, top - 3.2 - 0.8 * who.nose_bridge])
    middle = 0.52 * nasion + 0.48 * tip
    rhinion = _off(middle, 0, 0, -0.2 - 0.9 * who.nose_hump - 0.5 * who.nose_bridge)
    return Nose(
        nasion,
        rhinion,
        tip,
        np.array([0.0, low, base]),
        np.array([body.nose_half_width - 5.6, low - 5.2, base - 3.2 - 0.25 * (forward - 18.5)]),
        4.0 + 0.5 * who.nose_bridge_width,
        7.6 + 0.6 * who.nose_tip_width,
    )


def field(p: Points, n: Nose, skull: Skull) -> np.ndarray:
    """Signed distance (about; positive outside) to face and nose."""
    slope = skull.front(p[..., 0], p[..., 1], dx=1) ** 2 + skull.front(p[..., 0], p[..., 1], dy=1) ** 2
    face = (skull.front(p[..., 0], p[..., 1]) - p[..., 2]) / np.sqrt(1 + slope)
    q = np.concatenate([np.abs(p[..., :1]), p[..., 1:]], -1)  # symmetric
    b, t = n.bridge, n.tip_radius
    back = np.array([0, 0, 1.0])
    bridge = _capsule(q, n.nasion + back * b, n.rhinion + back * (b + 1.6), b, b + 1.6)
    lower = _capsule(q, n.rhinion + back * (b + 1.6), _off(n.tip, 0, -1.2, t + 1.0), b + 1.6, t)
    wall = _capsule(q, _off(n.nasion, 3.5, 4, 9.5), _off(n.ala, -4.6, -6, 2.0), 4.2, 6.6)
    dome = _ellipsoid(q, _off(n.tip, 2.7 + 0.12 * t, 0.2, t * 0.80), [t * 0.70, t * 0.74, t * 0.80])
    wing = _ellipsoid(q, _off(n.ala, 0.0, 0.2, 0.6), [5.4, 6.0, 9.0], turn=30, pitch=-12)
    wing_back = _ellipsoid(q, _off(n.ala, 0.2, 1.2, 4.4), [5.0, 5.2, 5.6])
    column = _capsule(q, _off(n.tip, 0.0, 3.6, 6.0), _off(n.subnasale, 0.0, -1.6, 1.0), 3.3, 3.7)
    out = smooth_union(bridge, lower, 3.0)
    out = smooth_union(out, wall, 7.0)
    out = smooth_union(out, face, 9.0)
    wings = smooth_union(wing, wing_back, 3.0)
    out = smooth_union(out, dome, 4.0)
    out = smooth_union(out, wings, 3.2)
    return smooth_union(out, column, 2.6)


def _gradient(p: Points, value, step: float = 0.15) -> Points:
    out = np.empty_like(p)
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = step
        out[..., axis] = (value(p + shift) - value(p - shift)) / (2 * step)
    return out


def _project(p: Points, value, rounds: int) -> Points:
    for _ in range(rounds):
        g = _gradient(p, value)
        f = value(p)
        p = p - np.clip(f / np.maximum((g**2).sum(-1), 0.15), -2.5, 2.5)[..., None] * g
    return p


def sculpt(sheet: np.ndarray, who: Identity, body: Anatomy, skull: Skull) -> None:
    """Pulls the skin between brows and upper lip onto the nose, in place."""
    nose = landmarks(who, body, skull)
    first, last = topology.ROW_OF["brow"] - 2, topology.ROW_OF["subnasale"] + 5
    columns = int(np.searchsorted(topology.COLUMN_X, 31))
    p = sheet[first:last, :columns].copy()

    def value(q: Points) -> np.ndarray:
        return field(q, nose, skull)

    # A first guess near the surface: from the front, and for the base of the nose from below.
    profile_y = [
        nose.nasion[1] - 14,
        nose.nasion[1],
        nose.rhinion[1],
        nose.tip[1],
        nose.tip[1] + 4.5,
        body.subnasale_y,
    ]
    profile_z = np.array([0.0, 3.0, nose.rhinion[2], nose.tip[2], nose.tip[2] + 2.5, nose.subnasale[2] + 0.5])
    front = skull.front(np.zeros(len(p)), p[:, 0, 1])
    height = np.interp(p[:, 0, 1], profile_y, [0, 3.2, *(front_at(skull, profile_y[2:]) - profile_z[2:])], right=0.0)
    height = np.maximum(height, 0)
    width = np.interp(p[:, 0, 1], [profile_y[0], nose.rhinion[1], nose.ala[1], body.subnasale_y], [7, 10, 14, 15])
    bell = np.exp(-((p[..., 0] / width[:, None]) ** 2) * 1.2)
    p[..., 2] = front[:, None] * 0 + p[..., 2] - height[:, None] * bell
    p = _project(p, value, 14)
    p = _relax(p, value, rounds=10)
    p = _nostrils(p, nose)
    sheet[first:last, :columns] = p


def front_at(skull: Skull, heights) -> np.ndarray:
    """Depth of the midline without the nose at the given heights."""
    heights = np.asarray(heights, float)
    return skull.front(np.zeros_like(heights), heights)


def _relax(p: Points, value, rounds: int) -> Points:
    """Evens out the vertices' spacing along the surface, its border held."""
    weight = np.zeros(p.shape[:2])
    weight[4:-3, :-3] = 1.0
    weight[4:-3, -6:-3] *= [0.75, 0.5, 0.25]
    # The lids' rows keep their heights: only the nose itself is evened out.
    eye = topology.ROW_OF["eye"] - (topology.ROW_OF["brow"] - 2)
    beyond = topology.COLUMN_X[: p.shape[1]] > 11.5
    weight[: eye + 9, beyond] = 0.0
    for _ in range(rounds):
        mirrored = np.concatenate([p[:, 1:2] * [-1, 1, 1], p], axis=1)
        mean = p.copy()
        mean[1:-1, :-1] = (mirrored[:-2, 1:-1] + mirrored[2:, 1:-1] + mirrored[1:-1, :-2] + mirrored[1:-1, 2:]) / 4
        p = p + 0.5 * weight[..., None] * (mean - p)
        p[:, 0, 0] = 0.0
        p = _project(p, value, 1)
    return p


def _nostrils(p: Points, n: Nose) -> Points:
    """Presses the nostrils into the base of the nose."""
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    front, back = n.tip[2] + 8.0, n.subnasale[2] - 1.0
    middle = np.array([0.50 * n.ala[0] + 0.9, (front + back) / 2])
    length = (back - front) / 2 + 0.6
    turn = np.deg2rad(24)
    u = (x - middle[0]) * np.cos(turn) - (z - middle[1]) * np.sin(turn)
    v = (x - middle[0]) * np.sin(turn) + (z - middle[1]) * np.cos(turn)
    inside = (u / 2.9) ** 2 + (v / length) ** 2
    below = np.clip((y - (n.tip[1] + 3.0)) / 2.0, 0, 1)
    depth = 6.5 * np.clip(1.25 - inside, 0, 1) ** 0.6 * below
    out = p.copy()
    out[..., 1] -= depth
    out[..., 2] += 0.25 * depth
    return out
