"""Teeth, gums and tongue."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face.parts import Label, Material, Part, closed, join, sheet_faces

# Crowns of one half, from the middle: width, height, thickness in millimetres (Wheeler's Dental Anatomy).
UPPER_CROWNS = (
    (8.5, 10.4, 6.5),
    (6.6, 9.0, 5.8),
    (7.6, 9.8, 7.2),
    (7.0, 8.4, 8.5),
    (6.8, 8.2, 8.8),
    (10.0, 7.4, 10),
)
LOWER_CROWNS = (
    (5.3, 8.8, 5.6),
    (5.9, 9.2, 5.8),
    (6.8, 10.2, 7.0),
    (7.0, 8.6, 7.8),
    (7.1, 8.0, 8.4),
    (11.0, 7.4, 10),
)
_AROUND, _RINGS = 12, 7
ENAMEL, GUM, TONGUE = (0.84, 0.785, 0.66), (0.46, 0.15, 0.14), (0.53, 0.20, 0.19)
OVERBITE, OVERJET, FREEWAY = 2.2, 2.4, 2.4


class Arch:
    """A dental arch: half an ellipse from the front incisors back, in (x, z)."""

    def __init__(self, front: float, half_width: float, depth: float) -> None:
        self.front, self.half_width, self.depth = front, half_width, depth
        angle = np.linspace(0, 1.35, 200)
        x, z = half_width * np.sin(angle), front + depth * (1 - np.cos(angle))
        self._length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
        self._angle = angle

    def at(self, length: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(x, z, heading) at arc lengths from the middle (negative: right side); heading 0 faces forward."""
        length = np.asarray(length, float)
        angle = np.interp(np.abs(length), self._length, self._angle) * np.sign(length)
        x, z = self.half_width * np.sin(angle), self.front + self.depth * (1 - np.cos(angle))
        heading = np.arctan2(self.depth * np.sin(angle), self.half_width * np.cos(angle))
        return x, z, heading


def _crown(width: float, height: float, thick: float, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """A tooth's crown about its biting edge's middle: x along the arch, y from edge (0) to neck (+), z
    inward."""
    around = np.arange(_AROUND) / _AROUND * 2 * np.pi
    up = np.linspace(0, 1, _RINGS)
    square = 0.62
    c, s = np.cos(around), np.sin(around)
    x = np.sign(c) * np.abs(c) ** square
    z = np.sign(s) * np.abs(s) ** square
    belly = np.interp(up, [0, 0.1, 0.35, 0.7, 1.0], [0.86, 0.97, 1.0, 0.93, 0.78])
    if kind < 3:  # incisors and canines are wedges
        depth = np.interp(up, [0, 0.12, 0.5, 1.0], [0.16, 0.30, 0.62, 1.0])
        if kind == 2:
            belly = np.interp(up, [0, 0.12, 0.35, 0.7, 1.0], [0.30, 0.70, 1.0, 0.93, 0.8])
    else:
        depth = np.interp(up, [0, 0.1, 0.5, 1.0], [0.66, 0.9, 1.0, 0.92])
    px = width / 2 * belly[:, None] * x
    pz = thick / 2 * (1 + depth[:, None] * z) - 0.35 * thick * (1 - depth[:, None]) - 0.0
    pz = pz - 0.10 * thick * np.sin(np.pi * up * 0.8)[:, None]  # the front is slightly convex
    py = np.broadcast_to((height * up**1.1)[:, None], px.shape)
    points = np.stack([px, py, pz], -1).reshape(-1, 3)
    points = np.concatenate([points, [[0, -0.25, points[:_AROUND, 2].mean()]]])
    index = np.arange(_RINGS * _AROUND).reshape(_RINGS, _AROUND)
    index = closed(np.concatenate([np.full((1, _AROUND), len(points) - 1), index]))
    return points, sheet_faces(index)


def _row(crowns, arch: Arch, edge: float, upper: bool, rng: np.random.Generator) -> Part:
    vertices, faces, albedo, uv = [], [], [], []
    count = 0
    for side in (1.0, -1.0):
        length = 0.0
        for kind, (width, height, thick) in enumerate(crowns):
            x, z, heading = arch.at(side * (length + width / 2))
            length += width + 0.05
            points, triangles = _crown(width, height, thick, kind)
            drop = (0.0, 0.7, 0.1, 0.6, 0.9, 1.4)[kind] if upper else (0.0, 0.0, -0.2, 0.5, 0.9, 1.4)[kind]
            wobble = rng.normal(size=3) * [0.03, 0.12, 0.12]
            h = float(heading) + wobble[0]
            lean = 0.10 if upper else -0.06  # the necks lie farther in than the edges
            local = points + np.array((0, drop + wobble[1], wobble[2]))
            local[:, 2] += lean * local[:, 1]
            turned = np.stack(
                [
                    local[:, 0] * np.cos(h) - local[:, 2] * np.sin(h),
                    local[:, 1],
                    local[:, 0] * np.sin(h) + local[:, 2] * np.cos(h),
                ],
                -1,
            )
            if upper:
                turned[:, 1] *= -1
            vertices.append(turned + np.array((float(x), edge, float(z))))
            faces.append((triangles if not upper else triangles[:, ::-1]) + count)
            count += len(points)
            neck = np.clip(points[:, 1] / height, 0, 1)[:, None]
            shade = (1 - 0.16 * neck) * (1 - 0.03 * kind) * (1 + 0.04 * rng.normal())
            tint = np.array(ENAMEL) * shade * (1 - neck * np.array([0.0, 0.05, 0.16]))
            albedo.append(np.clip(tint, 0, 1))
            uv.append(points[:, :2] / [width, height] + [kind, 0])
    return Part(
        np.concatenate(vertices),
        np.concatenate(faces),
        Material.TEETH,
        Label.MOUTH,
        uv=np.concatenate(uv),
        albedo=np.concatenate(albedo),
        roughness=0.2,
        jaw=0.0 if upper else 1.0,
    )


def _gum(crowns, arch: Arch, edge: float, upper: bool) -> Part:
    """A ridge over the necks of a row of teeth, its margin scalloped around each."""
    total = sum(c[0] for c in crowns) - 2
    along = np.linspace(-total, total, 97)
    x, z, heading = arch.at(along)
    ends = np.concatenate([[0], np.cumsum([c[0] for c in crowns])])
    within = (np.abs(along)[:, None] - ends[None, :-1]) / np.diff(ends)[None]
    inside = (within >= 0) & (within <= 1)
    kind = np.where(inside.any(1), inside.argmax(1), len(crowns) - 1)
    share = np.clip(np.take_along_axis(within, kind[:, None], 1)[:, 0], 0, 1)
    heights = np.array([c[1] for c in crowns])[kind]
    scallop = 2.6 * (1 - 4 * (share - 0.5) ** 2)  # the margin climbs in the middle of each tooth
    # A cross-section: from the margin outside, up over the ridge, down to the margin inside.
    out = np.array([0.15, -0.35, -0.7, -0.9, -0.6, 1.5, 5.0, 8.0, 9.0, 8.6, 8.0])
    rise = np.array([-0.1, 0.7, 2.2, 4.5, 8.0, 11.0, 11.5, 9.0, 5.0, 1.5, 0.0])
    even = np.clip(rise / 5.0, 0, 1)  # away from the margin the ridge is smooth
    plain = np.mean(heights) * 0.70 + 1.7
    margin = heights[:, None] * 0.70 + scallop[:, None]
    up = margin + (plain - margin) * even + rise
    depth = out + (0.10 if upper else -0.06) * up + 0.35
    px = x[:, None] - depth * np.sin(heading)[:, None]
    pz = z[:, None] + depth * np.cos(heading)[:, None]
    py = edge + (-up if upper else up)
    index = np.arange(px.size).reshape(px.shape)
    return Part(
        np.stack([px, py, pz], -1).reshape(-1, 3),
        sheet_faces(index.T, flip=upper),
        Material.GUM,
        Label.MOUTH,
        albedo=GUM,
        roughness=0.3,
        jaw=0.0 if upper else 1.0,
    )


def _tongue(tip: np.ndarray, length: float, half_width: float) -> Part:
    """A flattened, tapering body from `tip` backwards; group `tongue_tip`; uv is (around, along from the
    tip)."""
    along = np.linspace(0, 1, 22)
    around = np.arange(20) / 20 * 2 * np.pi
    width = half_width * np.clip(1 - (1 - along / 0.42) ** 2, 0, 1) ** 0.5
    width = np.where(along > 0.42, half_width * (1 - 0.15 * (along - 0.42)), width)
    width[0] = 0.0
    thick = np.interp(along, [0, 0.04, 0.2, 0.5, 1], [0.0, 2.4, 4.4, 6.5, 9.0])
    z = tip[2] + along * length
    y = tip[1] + np.interp(along, [0, 0.15, 0.5, 0.8, 1.0], [0, -0.8, -2.0, 1.0, 12.0])
    c, s = np.cos(around), np.sin(around)
    flat = np.sign(s) * np.abs(s) ** 0.8
    px = width[:, None] * c
    groove = 0.9 * np.exp(-((c / 0.22) ** 2)) * (s < 0) * np.clip(along * 4, 0, 1)[:, None]
    py = y[:, None] + thick[:, None] * flat + groove
    pz = np.broadcast_to(z[:, None], px.shape)
    index = closed(np.arange(px.size).reshape(px.shape))
    points = np.stack([px, py, pz], -1).reshape(-1, 3)
    share = np.repeat(along, 20)
    shade = (0.85 + 0.15 * np.clip(-np.tile(flat, 22), -1, 1))[:, None]
    return Part(
        points,
        sheet_faces(index, flip=True),
        Material.TONGUE,
        Label.MOUTH,
        uv=np.stack([np.tile(around / (2 * np.pi), 22), share], -1),
        albedo=np.array(TONGUE) * shade,
        roughness=0.35,
        jaw=0.95 - 0.35 * share,
    )


def mouth_parts(contact: np.ndarray, arch_scale: float, rng: np.random.Generator) -> dict[str, Part]:
    """Teeth, gums and tongue behind the lips.

    Args:
        contact: (3,) the point of the midline at which the lips touch, millimetres.
        arch_scale: width of the arches, 1 = mean.
        rng: for the teeth's slight irregularity.
    """
    front, edge = contact[2] + 7.0, contact[1] + 1.6
    upper = Arch(front, 27.5 * arch_scale, 42.0)
    lower = Arch(front + OVERJET, 25.2 * arch_scale, 41.0)
    low_edge = edge - OVERBITE + FREEWAY
    parts = {
        "upper_teeth": _row(UPPER_CROWNS, upper, edge, True, rng),
        "lower_teeth": _row(LOWER_CROWNS, lower, low_edge, False, rng),
        "upper_gum": _gum(UPPER_CROWNS, upper, edge, True),
        "lower_gum": _gum(LOWER_CROWNS, lower, low_edge, False),
        "tongue": _tongue(np.array([0.0, low_edge + 5.8, front + OVERJET + 7.5]), 52.0, 17.5 * arch_scale),
    }
    return parts


__all__ = ["Arch", "join", "mouth_parts"]
