"""What colour the skin is, vertex by vertex: linear RGB albedo and roughness."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.canvas import Canvas, smoothstep
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.surface_noise import lattice_noise
from audioplane.synthetic.materials import srgb_to_linear

BEARD_SHADE = {"none": 0.10, "stubble": 0.5, "full": 0.75}


def spots(c: Canvas, x: float, y: float, wx: float, wy: float) -> np.ndarray:
    """A soft spot on both sides of the front, not masked by depth in the mouth."""
    return np.exp(-(((np.abs(c.x) - x) / wx) ** 2) - ((c.y - y) / wy) ** 2) * c.front


def lip_red(c: Canvas) -> np.ndarray:
    """1 on the red of the lips, falling to 0 over its border."""
    return smoothstep((1.09 - c.red) / 0.22) * (np.abs(c.x) < c.corner[0] + 1.5)


def beard_region(c: Canvas) -> np.ndarray:
    """Where a beard grows: 0 to 1."""
    b = c.body
    x = np.abs(c.x)
    line = np.interp(x, [0, 20, 34, 46, 56, 64, 70], [b.stomion_y + 7, b.stomion_y + 6, b.stomion_y - 2, 38, 28, 6, -8])
    cheek = smoothstep((c.y - line) / 9 + 0.5) * smoothstep((18 - c.z) / 18)
    mustache = spots(c, 9, b.stomion_y - 12, 17, 7.5) * smoothstep((b.stomion_y - 4 - c.y) / 5 + 0.5)
    mustache *= smoothstep((c.y - b.subnasale_y + 2) / 3)
    corner = spots(c, c.corner[0] + 4.5, b.stomion_y + 2, 7, 12)
    neck = 1 - smoothstep((c.y - (b.gnathion_y - 10)) / 32)
    under = 1 - 0.75 * spots(c, 0, b.stomion_y + 11, 6, 4) * 0.6
    return (
        np.clip(np.maximum(np.maximum(cheek, mustache * 0.95), corner * 0.9), 0, 1)
        * neck
        * under
        * (1 - lip_red(c))
        * c.skin
    )


def skin_albedo(c: Canvas, who: Identity) -> np.ndarray:
    """(V, 3) of the skin grid, inner mouth included."""
    b = c.body
    base = srgb_to_linear(np.array(who.skin))
    depth = float(np.clip((0.75 - np.mean(who.skin)) / 0.45, 0, 1))  # 0 fair, 1 deep
    red = np.clip(
        0.55 * spots(c, 40, 10, 16, 15)
        + 0.75 * spots(c, 0, b.subnasale_y - 6, 15, 11)
        + 0.35 * spots(c, 0, b.gnathion_y - 12, 20, 11)
        + 0.25 * spots(c, 0, -70, 40, 18)
        + 0.35 * spots(c, b.eye[0], b.eye[1] + 6, 18, 7)
        + 0.45 * spots(c, b.nose_half_width, b.subnasale_y - 2, 5, 6),
        0,
        1,
    )
    noise = lattice_noise(c.points / 9.0, who.seed)
    strength = (0.30 + 0.50 * who.redness) * (1 - 0.45 * depth)
    amount = (strength * red * (1 + 0.35 * noise))[:, None]
    colour = base * (1 - amount * np.array([0.02, 0.30, 0.32]))
    pale = 0.07 * spots(c, 0, -55, 45, 14) + 0.05 * spots(c, 30, 12, 14, 8)
    colour = colour * (1 + pale[:, None])
    around_eyes = spots(c, b.eye[0], b.eye[1] + 1, 19, 11)[:, None]
    shadow = spots(c, b.eye[0] - 5, b.eye[1] + 12, 14, 5)[:, None]
    age = np.clip((who.age - 20) / 50, 0, 1)
    colour = colour * (1 - around_eyes * np.array([0.08, 0.12, 0.08]))
    colour = colour * (1 - (0.10 + 0.16 * age) * shadow * np.array([0.9, 1.0, 0.7]))
    hair = srgb_to_linear(np.array(who.hair_colour))
    shade = (0.22 if who.masculinity > 0.5 else 0.0) * BEARD_SHADE[who.beard] / 0.5
    shade = shade if who.beard != "none" else 0.10 * float(who.masculinity > 0.5)
    if who.beard == "full":
        shade = 0.85
    region = beard_region(c)[:, None]
    colour = colour * (1 - region * shade) + region * shade * (0.45 * hair + 0.10 * base)
    lips = lip_red(c)[:, None]
    lip_colour = base * np.array([0.74, 0.49, 0.52]) * (1 - 0.2 * depth) + np.array([0.02, 0.0, 0.003])
    lip_colour = lip_colour * (1.0 + 0.06 * (1 - who.masculinity) * np.array([1.5, -2.0, -1.0]))
    wet = smoothstep((0.22 - c.red) / 0.3)[:, None]
    lip_colour = lip_colour * (1 - wet * np.array([0.10, 0.30, 0.25]))
    lip_colour = lip_colour * (1 - 0.5 * smoothstep((0.3 - np.abs(c.red)) / 0.3))[:, None]  # deep red where they touch
    colour = colour + lips * (lip_colour - colour)
    inside = smoothstep(c.inside * 3.0)[:, None]
    colour = colour + inside * (np.array([0.24, 0.055, 0.05]) - colour)
    colour *= 1 - (0.38 + 0.3 * (1 - who.masculinity)) * lash_line(c)[:, None]
    nostril = nostril_region(c)[:, None]
    colour = colour * (1 - nostril * np.array([0.55, 0.72, 0.72]))
    return np.clip(colour, 0.004, 1)


def lash_line(c: Canvas) -> np.ndarray:
    """1 on the upper lids' edges, which the roots of the lashes darken, and half that on the lower ones'."""
    mesh, slit = c.mesh, topology.ROW_OF["eye"]
    line = np.zeros(mesh.size)
    for side in ("Left", "Right"):
        columns = topology.eye_columns(side)[1:-1]
        line[mesh.lower[[slit, slit + 1]][:, columns]] = 0.35
        line[mesh.upper[[slit - 1, slit]][:, columns]] = 1.0
        line[mesh.upper[slit - 2, columns]] = 0.4
    return line


def nostril_region(c: Canvas) -> np.ndarray:
    """1 deep inside the nostrils."""
    b = c.body
    x = np.abs(c.x)
    near = (x < b.nose_half_width - 2) & (np.abs(c.y - (b.subnasale_y - 5)) < 6) & (c.z < -90)
    # Inside: higher than the wing's rim and behind the nose's surface.
    front = c.skull.front(c.x, np.full_like(c.y, b.subnasale_y))
    inner = np.exp(-(((x - 0.32 * b.nose_half_width) / 2.6) ** 2) - ((c.z - (front - 6.5)) / 5.5) ** 2)
    return np.where(near, inner, 0.0)


def skin_roughness(c: Canvas, who: Identity) -> np.ndarray:
    """(V,) roughness: oilier on nose and forehead, moist on the lips."""
    b = c.body
    oily = (
        spots(c, 0, b.subnasale_y - 14, 12, 20)
        + 0.6 * spots(c, 0, -60, 35, 18)
        + 0.4 * spots(c, 0, b.gnathion_y - 12, 16, 9)
    )
    rough = 0.50 - 0.09 * np.clip(oily, 0, 1) + 0.03 * np.clip((who.age - 40) / 30, 0, 1)
    rough = rough + lip_red(c) * (0.36 - rough)
    wet = smoothstep((0.15 - c.red) / 0.25)
    # The very edge, which the other lip touches, does not glint.
    edge = smoothstep((0.10 - np.abs(c.red)) / 0.1)
    return rough + wet * (0.26 - rough) + edge * 0.3
