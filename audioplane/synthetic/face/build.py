"""Putting a face together: skin and parts, their colours, and the rig that moves them."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face import paint
from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.canvas import Canvas, smoothstep
from audioplane.synthetic.face.clothes import clothes, glasses
from audioplane.synthetic.face.ears import ear
from audioplane.synthetic.face.eyeballs import eyeball
from audioplane.synthetic.face.fur import beard, brow_region, brows, lashes
from audioplane.synthetic.face.hair import hair
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.jaw import jaw_shares
from audioplane.synthetic.face.motion import Rig
from audioplane.synthetic.face.occlusion import ambient
from audioplane.synthetic.face.parts import Label, Material, Part, join, vertex_normals
from audioplane.synthetic.face.rigging import rig
from audioplane.synthetic.face.scalp import Scalp
from audioplane.synthetic.face.skin import fixed_rows, skin
from audioplane.synthetic.face.strands import obstacle
from audioplane.synthetic.face.surface_noise import lattice_noise
from audioplane.synthetic.face.teeth import mouth_parts


def build(who: Identity, body: Anatomy) -> tuple[Part, Rig]:
    """All parts of a person, joined, and their rig. Parts are in millimetres, the rig in metres."""
    rng = np.random.default_rng([who.seed, 0x7EE7])
    points, skull = skin(who, body)
    points = points + _unevenness(points, who, body)
    canvas = Canvas(points, body, skull)
    contact = points[topology.grid().upper[topology.ROW_OF["stomion"], 0]]
    parts = {"skin": skin_part(canvas, who)}
    parts["left_eye"], parts["right_eye"] = eyeball(body, "Left"), eyeball(body, "Right")
    parts |= mouth_parts(contact, 1 + 0.02 * who.jaw_width, rng)
    canal = skull.curve(np.array([6.0]))[0][int(np.argmin(np.abs(skull.rows - 5.75)))]
    for side in ("Left", "Right"):
        parts[f"{side.lower()}_ear"] = _painted_ear(ear(side, canal, who), who)
    parts |= extra_parts(canvas, who, parts, canal)
    whole = join(parts)
    whole.groups |= lip_groups()
    whole.occlusion = occlude(whole, parts)
    return whole, rig(canvas, whole)


def _unevenness(points: np.ndarray, who: Identity, body: Anatomy) -> np.ndarray:
    """No face is quite symmetric: broad displacements of about a millimetre, none at the eyeballs and the
    neck."""
    field = np.stack([lattice_noise(points / 55.0 + 7.3, who.seed * 3 + k) for k in range(3)], -1)
    across, down = (np.abs(points[:, 0]) - body.eye[0]) / 19, (points[:, 1] - body.eye[1]) / 14
    eyes = smoothstep((1.9 - np.hypot(across, down)) / 0.8)
    neck = smoothstep((points[:, 1] - 90) / 40)
    return 1.3 * who.asymmetry * field * (1 - eyes * (points[:, 2] < 0))[:, None] * (1 - neck)[:, None]


def extra_parts(canvas: Canvas, who: Identity, parts: dict[str, Part], canal: np.ndarray) -> dict[str, Part]:
    """Hair, brows, lashes, beard, glasses and clothes."""
    rng = np.random.default_rng([who.seed, 0xF0])
    out = {"brows": brows(canvas, who, rng)} | lashes(canvas, who, rng)
    growth = beard(canvas, who, rng)
    if growth is not None:
        out["beard"] = growth
    cloth = clothes(who, canvas.body)
    out |= hair(canvas, who, parts["skin"], [parts["left_ear"], parts["right_ear"]], cloth)
    if who.glasses:
        out["glasses"] = glasses(canvas.body, canal, canvas.skull.front, obstacle([parts["skin"]]))
    out["clothes"] = cloth
    return out


def skin_part(canvas: Canvas, who: Identity) -> Part:
    """The skin grid with materials, labels and colours."""
    mesh = topology.grid()
    row = topology.ROW_OF
    red = paint.lip_red(canvas)
    lips = red[mesh.faces].mean(1) > 0.5
    material = np.full(len(mesh.faces), int(Material.SKIN))
    label = np.full(len(mesh.faces), int(Label.FACE))
    material[lips], label[lips] = Material.LIPS, Label.MOUTH
    inside = mesh.face_row == -1
    deep = inside & (canvas.inside[mesh.faces].mean(1) > 0.24)
    material[inside], label[inside] = Material.LIPS, Label.MOUTH
    material[deep] = Material.MOUTH
    label[mesh.face_row >= row["jaw"] + 3] = Label.TORSO
    rows = fixed_rows()
    torso = np.zeros(mesh.size)
    torso[mesh.upper] = smoothstep((rows - 12.3) / 2.2)[:, None]
    columns = np.abs(
        np.where(
            np.arange(topology.COLUMNS) > topology.HALF,
            np.arange(topology.COLUMNS) - topology.COLUMNS,
            np.arange(topology.COLUMNS),
        )
    )
    uv = np.zeros((mesh.size, 2))
    for copy in (mesh.upper, mesh.lower):
        uv[copy] = np.stack(np.broadcast_arrays(columns[None] / topology.HALF, (rows / 15)[:, None]), -1)
    shares, _ = jaw_shares()
    albedo = paint.skin_albedo(canvas, who)
    brow = 0.36 * brow_region(canvas, who)[:, None]
    albedo = albedo * (1 - brow) + brow * (0.7 * paint.srgb_to_linear(np.array(who.hair_colour)) + 0.1 * albedo)
    if who.hair != "bald":  # hair too fine to be drawn, and its shade, darken the skin toward the hairline
        shade = 0.85 * smoothstep((Scalp(canvas, who).inside + 3.0) / 11.0)[:, None]
        albedo = albedo * (1 - shade) + shade * (0.55 * paint.srgb_to_linear(np.array(who.hair_colour)) + 0.08 * albedo)
    return Part(
        canvas.points,
        mesh.faces,
        material,
        label,
        uv=uv,
        albedo=albedo,
        roughness=paint.skin_roughness(canvas, who),
        torso=torso,
        jaw=shares,
    )


def _painted_ear(part: Part, who: Identity) -> Part:
    base = paint.srgb_to_linear(np.array(who.skin))
    rim = part.uv[:, :1]
    part.albedo = base * (1 - (0.12 + 0.30 * who.redness * rim) * np.array([0.05, 0.42, 0.45]))
    return part


def lip_groups() -> dict[str, np.ndarray]:
    """Named vertices of lips, lids and mouth."""
    mesh, m = topology.grid(), topology.MOUTH_COLUMN
    slit, eye = topology.ROW_OF["stomion"], topology.ROW_OF["eye"]
    columns = np.arange(-m, m + 1)
    groups = {
        "lips_inner_upper": mesh.upper[slit, columns],
        "lips_inner_lower": mesh.lower[slit, columns],
        "lips_outer_upper": mesh.upper[slit - 7, columns],
        "lips_outer_lower": mesh.upper[slit + 7, columns],
        "lips": np.unique(
            np.concatenate([mesh.upper[slit - 7 : slit + 8, columns].ravel(), mesh.lower[slit, columns]])
        ),
        "inner_mouth": np.unique(np.concatenate([mesh.inner_upper.ravel(), mesh.inner_lower.ravel()])),
        "chin": mesh.upper[topology.ROW_OF["labiomental"] + 4 : topology.ROW_OF["jaw"], np.arange(-8, 9)].ravel(),
    }
    for side in ("Left", "Right"):
        cut = topology.eye_columns(side)
        groups[f"lid_upper_{side.lower()}"] = mesh.upper[eye, cut]
        groups[f"lid_lower_{side.lower()}"] = mesh.lower[eye, cut]
    return groups


def mouth_measures(vertices: np.ndarray, rest: np.ndarray) -> dict[str, float]:
    """See `Face.mouth_measures`."""
    mesh, m, slit = topology.grid(), topology.MOUTH_COLUMN, topology.ROW_OF["stomion"]
    columns = np.arange(-m + 1, m)
    gaps = np.linalg.norm(vertices[mesh.lower[slit, columns]] - vertices[mesh.upper[slit, columns]], axis=-1)
    ends = vertices[mesh.upper[slit, [-m, m]]]
    middle = [mesh.upper[slit, 0], mesh.lower[slit, 0]]
    borders = vertices[[mesh.upper[slit - 7, 0], mesh.upper[slit + 7, 0]]]
    return {
        "gap": float(gaps[m - 1]),
        "largest_gap": float(gaps.max()),
        "width": float(np.linalg.norm(ends[1] - ends[0])),
        "protrusion": float((rest[middle, 2] - vertices[middle, 2]).mean()),
        "red_height": float(borders[1, 1] - borders[0, 1]),
    }


def occlude(whole: Part, parts: dict[str, Part]) -> np.ndarray:
    """Ambient occlusion of all vertices; inside the mouth it is a matter of depth alone."""
    inner = np.zeros(len(whole.vertices), bool)
    for name in ("upper_teeth", "lower_teeth", "upper_gum", "lower_gum", "tongue", "inner_mouth"):
        inner[whole.groups[name]] = True
    normals = vertex_normals(whole.vertices, whole.faces)
    casters = np.flatnonzero(~inner[whole.faces].any(1))
    out = ambient(whole.vertices, normals, whole.faces, casters)
    front = whole.vertices[whole.groups["lips_inner_upper"], 2].min()
    depth = whole.vertices[:, 2] - front
    within = np.interp(depth, [0, 5, 9, 16, 25, 40, 55], [1.0, 1.0, 0.95, 0.65, 0.4, 0.2, 0.08])
    out = np.where(inner, within, out)
    # Lips and lids are seen open as well: never as dark as their touching edges are at rest.
    for name, least in (
        ("lips", 0.62),
        ("lid_upper_left", 0.5),
        ("lid_upper_right", 0.5),
        ("lid_lower_left", 0.6),
        ("lid_lower_right", 0.6),
        ("left_eye", 0.75),
        ("right_eye", 0.75),
    ):
        index = whole.groups[name]
        out[index] = np.maximum(out[index], least)
    for name in ("lips_inner_upper", "lips_inner_lower"):  # between closed lips it is dark, and only just open to light
        out[whole.groups[name]] = 0.42
    given = ~np.isnan(whole.occlusion)
    out[given] = whole.occlusion[given]
    return np.clip(out, 0, 1)
