"""Hairstyles: short, long, a bob, a bun, buzz: a cap over the scalp, and locks on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audioplane.synthetic.face.canvas import Canvas, smoothstep
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.parts import Material, Part
from audioplane.synthetic.face.scalp import Scalp
from audioplane.synthetic.face.strands import Obstacle, grow, obstacle, ribbons
from audioplane.synthetic.materials import srgb_to_linear


def hair(canvas: Canvas, who: Identity, skin: Part, ears: list[Part], clothes: Part) -> dict[str, Part]:
    """The hair of a person: parts `hair_cap`, `hair_locks` and, for a bun, `hair_bun`."""
    if who.hair == "bald":
        return {}
    rng = np.random.default_rng([who.seed, 0x4A12])
    scalp = Scalp(canvas, who)
    style = {"short": _short, "long": _long, "bob": _long, "bun": _bun, "buzz": _buzz}[who.hair]
    colour = srgb_to_linear(np.array(who.hair_colour))
    return style(scalp, colour, [skin, *ears], clothes, rng)


def _areas(scalp: Scalp) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the scalp (V,): top, sides and back."""
    _, y, z = scalp.canvas.points.T
    top = smoothstep((-72 - y) / 40)
    back = smoothstep((z - 5) / 60) * (1 - top)
    return top, 1 - top - back, back


def _part_line(p: np.ndarray, at: float, side: float) -> np.ndarray:
    """-1 on one side of the parting, +1 on the other, soft."""
    return side * np.tanh((p[:, 0] * side - at) / 5.0)


def _combed(p: np.ndarray, at: float, side: float, forward: float) -> np.ndarray:
    """Short hair's directions: from the parting sideways over the top, forward at the front, down at sides
    and back."""
    from_part = _part_line(p, at, side)
    top = smoothstep((-62 - p[:, 1]) / 45)
    front = smoothstep((10 - p[:, 2]) / 70)
    aside = np.stack([from_part * 1.0, 0.35 * np.abs(from_part), -forward * front + 0.25 * (1 - front)], -1)
    down = np.stack([0 * p[:, 0], np.ones(len(p)), 0.25 + 0.2 * front], -1)
    crown = np.stack([0.5 * from_part, np.full(len(p), 0.5), np.ones(len(p))], -1)
    behind = smoothstep((p[:, 2] - 25) / 40)
    over = aside + (crown - aside) * behind[:, None]
    return over * top[:, None] + down * (1 - top)[:, None]


def _wisps(
    scalp: Scalp,
    flow: Callable[[np.ndarray], np.ndarray],
    colour: np.ndarray,
    head: Obstacle,
    rng: np.random.Generator,
    length: float,
) -> Part:
    """Fine short hairs along the hairline, without which hair ends like a wig."""
    count = 520
    tone = 0.6 * colour + 0.4 * srgb_to_linear(np.array(scalp.who.skin))  # the skin shows between them
    roots = scalp.roots(count, np.exp(-(((scalp.inside - 1.5) / 3.0) ** 2)), rng)
    wave = rng.normal(size=(count, 3)) * 0.25
    lengths = length * rng.uniform(0.5, 1.2, count)
    path, normals = grow(roots, lambda q, t: flow(q) + wave, lengths, 5, head, lambda t: np.full(count, 0.3 + 1.2 * t))
    return ribbons(
        path,
        normals,
        0.75 * rng.uniform(0.6, 1.2, count),
        tone,
        Material.HAIR,
        rng,
        taper=(0.5, 0.05),
        coverage=(1.0, 1.0),
        shade=(0.75, 0.95),
        roll=0.1,
    )


def _short(
    scalp: Scalp, colour: np.ndarray, body: list[Part], clothes: Part, rng: np.random.Generator
) -> dict[str, Part]:
    who = scalp.who
    p = scalp.canvas.points
    side = 1.0 if who.seed % 2 else -1.0
    top, sides, back = _areas(scalp)
    front = smoothstep((-20 - p[:, 2]) / 55) * top
    thickness = 8.5 * top + 4.2 * sides + 6.0 * back + 5.0 * front
    flow = _combed(p, 26, side, 0.55)
    parts = {"hair_cap": scalp.cap(thickness, flow, colour, np.ones(len(p)))}
    head = obstacle(body)
    locks = []
    wanted = smoothstep((scalp.inside - 2) / 5)
    for count, weight, length, width, height in (
        (230, wanted * (0.15 + top), 46.0, 9.0, 11.5),
        (
            210,
            wanted * (0.1 + sides + back) * (1 - 0.8 * top) * smoothstep(scalp.inside / 14),
            26.0,
            6.0,
            4.6,
        ),
        (46, wanted * front * (scalp.inside < 16), 48.0, 8.0, 12.0),
    ):
        roots = scalp.roots(count, weight, rng)
        # Long on the top, cut closer toward ears and nape.
        lengths = length * rng.uniform(0.7, 1.15, count) * (0.3 + 0.7 * smoothstep((-58 - roots[:, 1]) / 32))
        wave = rng.normal(size=(count, 3)) * 0.16
        fringe = smoothstep((-45 - roots[:, 2]) / 30) * smoothstep((-70 - roots[:, 1]) / 15)

        def direction(q: np.ndarray, t: np.ndarray, wave=wave, fringe=fringe) -> np.ndarray:
            d = _combed(q, 26, side, 0.35) + wave
            d[:, 1] -= (1.5 * np.clip(0.45 - t, 0, 1)) * fringe  # the front stands up before it falls
            d[:, 2] += (0.9 * t) * fringe
            return d

        jitter = rng.uniform(0.75, 1.15, count)
        rise = (0.6 + 0.55 * fringe) * height * jitter

        def lift(t: float, rise=rise) -> np.ndarray:
            return 0.5 + rise * np.interp(t, [0, 0.35, 0.75, 1], [0.25, 0.9, 1.0, 0.82])

        path, normals = grow(roots, direction, lengths, 8, head, lift)
        widths = width * rng.uniform(0.6, 1.2, count)
        locks.append(ribbons(path, normals, widths, colour, Material.HAIR, rng, root=0.4))
    locks.append(_wisps(scalp, lambda q: _combed(q, 26, side, 0.35), colour, head, rng, 11.0))
    parts |= {f"hair_locks_{i}": lock for i, lock in enumerate(locks)}
    del clothes
    return parts


def _buzz(
    scalp: Scalp, colour: np.ndarray, body: list[Part], clothes: Part, rng: np.random.Generator
) -> dict[str, Part]:
    p = scalp.canvas.points
    flow = _combed(p, 0, 1.0, 0.8)
    skin = srgb_to_linear(np.array(scalp.who.skin))
    parts = {}
    for k, (height, opacity) in enumerate(((0.3, 0.80), (1.3, 0.62), (2.4, 0.45), (3.4, 0.28))):
        tone = colour * 0.85 + 0.10 * skin * (k == 0)
        layer = scalp.cap(np.full(len(p), height), flow, tone, np.full(len(p), opacity), clump=0.1)
        layer.uv = layer.uv * [1.0, 1.0] + np.stack([0 * layer.uv[:, 0], layer.vertices[:, 1] / 5.0], -1)
        layer.occlusion = np.full(len(layer.vertices), 0.65 + 0.1 * k)
        parts[f"hair_layer_{k}"] = layer
    del body, clothes, rng
    return parts


def _long(
    scalp: Scalp, colour: np.ndarray, body: list[Part], clothes: Part, rng: np.random.Generator
) -> dict[str, Part]:
    who = scalp.who
    p = scalp.canvas.points
    side = 1.0 if who.seed % 2 else -1.0
    at = 12.0
    reach = 1.0 if who.hair == "long" else 0.44

    def combed(q: np.ndarray) -> np.ndarray:
        from_part = _part_line(q, at, side)
        top = smoothstep((-62 - q[:, 1]) / 55)
        behind = smoothstep((q[:, 2] - 20) / 50)
        aside = np.stack([from_part * (1 - 0.7 * behind), 0.25 + 0.3 * behind, 0.25 + 0.8 * behind], -1)
        down = np.stack([0 * q[:, 0], np.ones(len(q)), 0.30 * smoothstep((20 - q[:, 2]) / 60)], -1)
        return aside * top[:, None] + down * (1 - top)[:, None]

    thickness = np.full(len(p), 6.0)
    near_part = np.exp(-(((p[:, 0] * side - at) / 4.0) ** 2)) * smoothstep((30 - p[:, 2]) / 30)
    parts = {"hair_cap": scalp.cap(thickness * (1 - 0.75 * near_part), combed(p), colour, np.ones(len(p)), clump=0.3)}
    head = obstacle([*body, clothes])
    wanted = smoothstep((scalp.inside - 1) / 5)
    _, sides, back = _areas(scalp)
    _, y, z = p.T
    low = smoothstep((y + 75) / 40)
    for layer, (count, weight, length, width, height) in enumerate(
        (
            (190, wanted * low * (0.25 + sides + 0.4 * back), 325.0, 17.0, 5.0),
            (170, wanted * (1 - 0.75 * low), 385.0, 14.0, 7.5),
            (80, wanted * (1 - low) * smoothstep((-10 - z) / 30), 390.0, 9.0, 9.0),
        )
    ):
        roots = scalp.roots(count, weight, rng)
        # Hair before the ears falls beside the face to the shoulder's front, the rest to the back.
        forward = smoothstep((2 - roots[:, 2]) / 40) * np.sign(roots[:, 0] + 1e-6)
        wave, phase = rng.normal(size=(count, 3)) * 0.05, rng.uniform(0, 6.3, count)
        strength = rng.uniform(0.02, 0.12, count)

        def direction(q, t, forward=forward, wave=wave, phase=phase, strength=strength):
            d = combed(q)
            hang = smoothstep((q[:, 1] + 25) / 50)[:, None]
            # On the shoulders it slides forwards or backwards, not out along them.
            low = smoothstep((q[:, 1] - 95) / 45)
            ahead = (np.abs(forward) > 0.4).astype(float)
            aside = 0.07 * forward * (1 - low) - 0.35 * low * np.sign(q[:, 0])
            depth = 0.10 - 0.12 * ahead * (q[:, 1] > 60) + low * (0.8 - 1.9 * ahead)
            fall = np.stack([aside, np.ones(len(q)), depth], -1)
            d = d * (1 - hang) + fall * hang + wave
            d[:, 0] += strength * np.sin(phase + 9 * t) * hang[:, 0]
            d[:, 2] += strength * np.cos(phase + 9 * t) * hang[:, 0]
            return d

        rise = height * rng.uniform(0.7, 1.15, count)

        def lift(t: float, rise=rise) -> np.ndarray:
            return 1.0 + rise * np.interp(t, [0, 0.15, 0.5, 1], [0.3, 1.0, 1.0, 0.7])

        lengths = reach * length * rng.uniform(0.86, 1.05, count)
        path, normals = grow(roots, direction, lengths, 17 if who.hair == "long" else 14, head, lift)
        clear = ~_before_the_face(path)
        path, normals, count = path[clear], normals[clear], int(clear.sum())
        part = ribbons(
            path,
            normals,
            width * rng.uniform(0.6, 1.2, count),
            colour,
            Material.HAIR,
            rng,
            taper=(0.6, 0.2),
            roll=0.18,
            coverage=(1.0, 0.45),
            root=0.4,
        )
        # What lies on the shoulders moves with them.
        part.torso = 0.9 * smoothstep((part.vertices[:, 1] - 85) / 80)
        part.sway = smoothstep((part.vertices[:, 1] + 10) / 140) * (1 - part.torso)
        parts[f"hair_locks_{layer}"] = part
    parts["hair_wisps"] = _wisps(scalp, combed, colour, head, rng, 9.0)
    return parts


def _before_the_face(path: np.ndarray) -> np.ndarray:
    """Which locks (n, steps, 3) hang before the eyes and cheeks."""
    x, y, z = np.moveaxis(path, -1, 0)
    return ((np.abs(x) < 54) & (y > -66) & (z < -45)).any(1)


def _bun(
    scalp: Scalp, colour: np.ndarray, body: list[Part], clothes: Part, rng: np.random.Generator
) -> dict[str, Part]:
    p = scalp.canvas.points
    knot = np.array([0.0, -62.0, 88.0])

    def combed(q: np.ndarray) -> np.ndarray:
        to = knot - q
        return to / (np.linalg.norm(to, axis=1, keepdims=True) + 1e-9)

    to = p - knot
    turn = np.arctan2(to[:, 0], -to[:, 1] - 0.5 * to[:, 2])  # strands run to the knot from all around
    cap = scalp.cap(np.full(len(p), 4.6), combed(p), colour, np.ones(len(p)), clump=0.30, aside=85.0 * turn)
    parts = {"hair_cap": cap}
    head = obstacle(body)
    wanted = smoothstep((scalp.inside - 0.5) / 4)
    roots = scalp.roots(330, wanted * (0.4 + (scalp.inside < 18)), rng)
    distance = np.linalg.norm(roots - knot, axis=1)
    rise = 4.6 * rng.uniform(0.85, 1.25, len(roots))
    wave = rng.normal(size=(len(roots), 3)) * 0.06

    def lift(t: float) -> np.ndarray:
        return 0.4 + rise * np.interp(t, [0, 0.3, 1], [0.2, 0.95, 1.0])

    path, normals = grow(roots, lambda q, t: combed(q) + wave * (1 - t)[:, None], distance * 1.12, 12, head, lift)
    parts["hair_locks_0"] = ribbons(
        path,
        normals,
        8.0 * rng.uniform(0.5, 1.1, len(roots)),
        colour,
        Material.HAIR,
        rng,
        roll=0.12,
        coverage=(1.0, 0.8),
        root=0.3,
    )
    parts["hair_wisps"] = _wisps(scalp, combed, colour, head, rng, 12.0)
    # The knot itself: locks wound about it.
    count = 70
    turn = rng.uniform(0, 2 * np.pi, (count, 1)) + np.linspace(0, 2.6, 12)[None]
    tilt = rng.uniform(-1.25, 1.25, (count, 1)) + 0.25 * np.sin(np.linspace(0, 3, 12))[None]
    radius = 23.0 * rng.uniform(0.9, 1.05, (count, 1))
    centre = knot + np.array((0, -6, 16))
    ring = np.stack([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), 0.8 * np.sin(tilt)], -1)
    path = centre + radius[..., None] * ring
    knot_part = ribbons(
        path,
        ring,
        11.0 * rng.uniform(0.6, 1.1, count),
        colour,
        Material.HAIR,
        rng,
        roll=0.1,
        coverage=(1.0, 0.9),
    )
    parts["hair_bun"] = knot_part
    # Loose strands at the temples and the nape.
    loose = scalp.roots(26, wanted * (scalp.inside < 7) * (p[:, 1] > -70), rng)
    lengths = rng.uniform(25, 60, len(loose))
    bend = rng.normal(size=(len(loose), 3)) * 0.3

    def hang(q: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.stack([np.sign(q[:, 0]) * 0.3, np.ones(len(q)), np.full(len(q), -0.1)], -1) + bend * t[:, None]

    path, normals = grow(loose, hang, lengths, 8, head, lambda t: np.full(len(loose), 1.0 + 4 * t))
    parts["hair_loose"] = ribbons(
        path, normals, np.full(len(loose), 1.6), colour, Material.HAIR, rng, coverage=(0.9, 0.5)
    )
    del clothes
    return parts
