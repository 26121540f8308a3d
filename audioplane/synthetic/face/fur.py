"""Short hair that hangs on the moving skin: brows, lashes, beard."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import griddata

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face import paint
from audioplane.synthetic.face.canvas import Canvas, smoothstep
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.parts import Label, Material, Part, join, vertex_normals
from audioplane.synthetic.face.strands import STRAND, bind, ribbons
from audioplane.synthetic.face.surface_noise import lattice_noise
from audioplane.synthetic.materials import srgb_to_linear


def brow_curve(c: Canvas, who: Identity, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y) of the left brow's middle and its half thickness, from inner (t = 0) to outer end (1),
    millimetres."""
    b = c.body
    x = np.interp(t, [0, 1], [9.5, 49.5]) + 0.5 * (b.eye[0] - 31.5)
    arch = 1.0 + 0.5 * who.brow_arch
    y = b.brow_y + np.interp(t, [0, 0.2, 0.45, 0.65, 0.85, 1.0], [2.6, 0.6, -2.2 * arch, -3.4 * arch, -1.6 * arch, 2.4])
    half = np.interp(t, [0, 0.12, 0.5, 0.8, 1.0], [2.6, 3.4, 3.0, 2.0, 0.7]) * (1 + 0.18 * who.brow_thickness)
    return x, y, half


def brow_region(c: Canvas, who: Identity) -> np.ndarray:
    """Share (V,) of the brows' shadow on the skin."""
    t = np.linspace(0, 1, 60)
    x, y, half = brow_curve(c, who, t)
    px = np.clip(np.abs(c.x), x[0], x[-1])
    middle, width = np.interp(px, x, y), np.interp(px, x, half)
    off = np.hypot((c.y - middle) / (width + 0.8), (np.abs(c.x) - px) / 2.5)
    return np.exp(-(off**2) * 1.1) * c.front


def _front_skin(c: Canvas, low: float, high: float, limit: float = 80) -> np.ndarray:
    return np.flatnonzero((c.y > low) & (c.y < high) & (c.z < -25) & (np.abs(c.x) < limit) & (c.inside == 0))


def brows(c: Canvas, who: Identity, rng: np.random.Generator) -> Part:
    """Both brows: many short strips, upright at the inner end, lying outwards beyond."""
    count = 300
    t = rng.beta(1.0, 1.15, count)
    x, y, half = brow_curve(c, who, t)
    off = rng.uniform(-1, 1, count)
    root_x, root_y = x, y + off * half
    angle = np.deg2rad(np.interp(t, [0, 0.15, 0.4, 0.7, 1], [75, 48, 22, 2, -22])) - 0.25 * off
    length = np.interp(t, [0, 0.3, 0.8, 1], [5.5, 7.5, 7.0, 5.0]) * rng.uniform(0.7, 1.1, count)
    steps = np.linspace(0, 1, 4)
    px = root_x[:, None] + (length * np.cos(angle))[:, None] * steps
    py = root_y[:, None] - (length * np.sin(angle))[:, None] * steps + 0.6 * steps**2
    skin = _front_skin(c, c.body.brow_y - 16, c.body.brow_y + 14)
    sides = []
    for sign in (1.0, -1.0):  # no face is symmetric: each brow lies on its own side's skin
        own = c.points[skin[sign * c.x[skin] > -5]]
        pz = griddata(own[:, :2] * [sign, 1], own[:, 2], (px, py), method="linear")
        pz = np.where(np.isnan(pz), c.skull.front(px, py), pz) - (0.25 + 0.9 * steps * (1 - 0.5 * steps))
        sides.append(np.stack([sign * px, py, pz], -1))
    both = np.concatenate(sides)
    normals = np.broadcast_to(np.array([0.25, -0.1, -1.0]), sides[0].shape)
    colour = srgb_to_linear(np.array(who.hair_colour)) * 1.15
    normals = np.concatenate([normals, normals * [-1, 1, 1]])
    part = ribbons(
        both,
        normals,
        np.full(2 * count, 0.44),
        colour,
        Material.BROW,
        rng,
        label=Label.FACE,
        taper=(0.9, 0.05),
        spread=0.3,
        coverage=(1.0, 0.8),
        shade=(0.75, 0.95),
        roll=0.1,
        arch=0.1,
    )
    bind(part, c.points, skin)
    return part


def lashes(c: Canvas, who: Identity, rng: np.random.Generator) -> dict[str, Part]:
    """Upper and lower lashes of both eyes; they turn with the lids."""
    mesh, slit, body = c.mesh, topology.ROW_OF["eye"], c.body
    woman = 1 - who.masculinity
    colour = np.array([0.012, 0.010, 0.009])
    parts = {}
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        columns = topology.eye_columns(side)
        centre = np.array(body.eye) * [sign, 1, 1]
        for lid, count, reach, row in (
            ("upper", 40, 5.4 + 2.2 * woman, slit - 1),
            ("lower", 22, 2.8, slit + 1),
        ):
            edge = c.points[mesh.upper[row, columns]]
            at = np.linspace(1.2, len(columns) - 1.6, count) + rng.normal(size=count) * 0.15
            root = np.stack([np.interp(at, np.arange(len(columns)), edge[:, k]) for k in range(3)], -1)
            out = root - centre
            out /= np.linalg.norm(out, axis=1, keepdims=True)
            along = (at / (len(columns) - 1) - 0.45)[:, None]
            up = -1.0 if lid == "upper" else 1.0
            length = (
                reach
                * (0.75 + 0.35 * np.sin(np.pi * np.clip(at / len(columns), 0, 1)))[:, None]
                * rng.uniform(0.85, 1.1, (count, 1))
            )
            steps = np.linspace(0, 1, 4)
            path = []
            for u in steps:
                bend = (u**2) * (0.55 if lid == "upper" else 0.35)
                d = (
                    out * (1.15 - 0.25 * u) * u
                    + np.array([0.0, up, 0.0]) * bend
                    + np.array([sign, 0, 0]) * along * 0.7 * u
                )
                path.append(root - 0.25 * out + length * d * 0.8)
            path = np.stack(path, 1)
            normals = np.broadcast_to(np.array([0.0, -0.5, -1.0]), path.shape)
            part = ribbons(
                path,
                normals,
                np.full(count, 0.22 + 0.12 * woman),
                colour,
                Material.LASH,
                rng,
                label=Label.FACE,
                taper=(1.0, 0.15),
                coverage=(1.0, 0.9),
                shade=(0.9, 1.0),
                roll=0.3,
                spread=0.05,
            )
            anchors = np.repeat(root, len(steps) * 3, axis=0)
            distance = np.linalg.norm(part.vertices - centre, axis=1) / np.linalg.norm(anchors - centre, axis=1)
            bind(part, c.points, mesh.upper[row, columns], anchors, scale=distance)
            parts[f"lash_{lid}_{side.lower()}"] = part
    return parts


def beard(c: Canvas, who: Identity, rng: np.random.Generator) -> Part | None:
    """A full beard: layers of strands over the skin that thin out outwards, each hanging on the skin
    below."""
    if who.beard != "full":
        return None
    del rng
    region = paint.beard_region(c)
    mesh = c.mesh
    normals = vertex_normals(c.points, mesh.faces)
    keep = (region[mesh.faces] > 0.02).all(1) & (mesh.face_row >= 0)
    used, faces = np.unique(mesh.faces[keep], return_inverse=True)
    faces = faces.reshape(-1, 3)
    p, n, amount = c.points[used], normals[used], region[used]
    chin = np.exp(-((p[:, 0] / 26) ** 2)) * smoothstep((p[:, 1] - c.body.stomion_y - 8) / 20)
    height = 2.2 + 5.0 * chin
    hang = np.array([0.0, 1.0, 0.15])
    down = hang - (n @ hang)[:, None] * n
    down /= np.linalg.norm(down, axis=1, keepdims=True) + 1e-9
    across = np.cross(down, n)
    wild = np.stack([lattice_noise(p / 3.5 + 11.0 * k, who.seed + k) for k in range(3)], -1)
    flow = down + 0.9 * wild
    flow /= np.linalg.norm(flow, axis=1, keepdims=True)
    colour = srgb_to_linear(np.array(who.hair_colour))
    layers = []
    for k, (share, opacity) in enumerate(((0.10, 0.86), (0.38, 0.66), (0.7, 0.5), (1.0, 0.34))):
        vertices = p + n * (0.3 + share * height * amount)[:, None] + down * (1.6 * share * height * amount)[:, None]
        uv = np.stack([(p * across).sum(1) / STRAND + 37.0 * k, p[:, 1] / 9.0], -1)
        part = Part(
            vertices,
            faces,
            Material.BEARD,
            Label.FACE,
            uv=uv,
            albedo=colour * (0.7 + 0.3 * share),
            roughness=0.45,
            coverage=np.clip(opacity * smoothstep(amount / 0.75), 0, 1),
            flow=flow,
            occlusion=0.55 + 0.4 * share,
        )
        part.bound_to = np.repeat(used[:, None], 3, 1)
        part.bound_weight = np.tile([1.0, 0.0, 0.0], (len(used), 1))
        layers.append(part)
    return join({f"layer_{k}": layer for k, layer in enumerate(layers)})
