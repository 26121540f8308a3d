"""Putting a face together: skin and parts, their colours, and the rig that moves them."""

from __future__ import annotations

import numpy as np

from audioplane.speakers.face import grid as topology
from audioplane.speakers.face import paint
from audioplane.speakers.face.anatomy import Anatomy
from audioplane.speakers.face.clothes import clothes, glasses
from audioplane.speakers.face.ears import ear
from audioplane.speakers.face.eyeballs import eyeball
from audioplane.speakers.face.fur import beard, brow_region, brows, lashes
from audioplane.speakers.face.hair import hair
from audioplane.speakers.face.identity import Identity
from audioplane.speakers.face.jaw import hinge, jaw_shares
from audioplane.speakers.face.motion import Rig
from audioplane.speakers.face.occlusion import ambient
from audioplane.speakers.face.parts import Label, Material, Part, join, vertex_normals
from audioplane.speakers.face.shapes import LID_ROWS, NAMES, Canvas, skin_shapes, smoothstep
from audioplane.speakers.face.skin import fixed_rows, skin
from audioplane.speakers.face.teeth import mouth_parts

_BY_RIG = ("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose")
SPARSE = (*(n for n in NAMES if n not in _BY_RIG), "tongueForward")
SMALLEST = 0.004  # millimetres: less is no displacement
LID_LIFT = 1.95  # millimetres over the eyeball that lids keep


def build(who: Identity, body: Anatomy) -> tuple[Part, Rig]:
    """All parts of a person, joined, and their rig. Parts are in millimetres, the rig in metres."""
    rng = np.random.default_rng([who.seed, 0x7EE7])
    points, skull = skin(who, body)
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
        out["glasses"] = glasses(canvas.body, canal, canvas.skull.front)
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
    columns = np.abs(np.where(np.arange(topology.COLUMNS) > topology.HALF, np.arange(topology.COLUMNS) - topology.COLUMNS, np.arange(topology.COLUMNS)))
    uv = np.zeros((mesh.size, 2))
    for copy in (mesh.upper, mesh.lower):
        uv[copy] = np.stack(np.broadcast_arrays(columns[None] / topology.HALF, (rows / 15)[:, None]), -1)
    shares, _ = jaw_shares()
    albedo = paint.skin_albedo(canvas, who)
    brow = 0.42 * brow_region(canvas, who)[:, None]
    albedo = albedo * (1 - brow) + brow * (0.7 * paint.srgb_to_linear(np.array(who.hair_colour)) + 0.1 * albedo)
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
    within = np.interp(depth, [0, 5, 9, 20, 35, 55], [1.0, 1.0, 1.0, 0.65, 0.3, 0.06])
    out = np.where(inner, within, out)
    # Lips and lids are seen open as well: never as dark as their touching edges are at rest.
    for name, least in (("lips", 0.62), ("lid_upper_left", 0.5), ("lid_upper_right", 0.5), ("lid_lower_left", 0.6), ("lid_lower_right", 0.6), ("left_eye", 0.75), ("right_eye", 0.75)):
        index = whole.groups[name]
        out[index] = np.maximum(out[index], least)
    given = ~np.isnan(whole.occlusion)
    out[given] = whole.occlusion[given]
    return np.clip(out, 0, 1)


def rig(canvas: Canvas, whole: Part) -> Rig:
    """The arrays that move the person."""
    mesh, body = canvas.mesh, canvas.body
    fields = skin_shapes(canvas)
    tongue = whole.groups["tongue"]
    starts, index, delta = [0], [], []
    for name in SPARSE:
        if name in ("tongueOut", "tongueForward"):
            where, moved = tongue, _tongue_out(whole, tongue, name)
        else:
            moved = fields[name]
            where = np.flatnonzero(np.abs(moved).max(1) > SMALLEST)
            moved = moved[where]
        index.append(where)
        delta.append(moved / 1000)
        starts.append(starts[-1] + len(where))
    open_, sealed = jaw_shares()
    jaw_open = np.array(whole.jaw)
    jaw_sealed = jaw_open.copy()
    jaw_sealed[: mesh.size] = sealed
    jaw_index = np.flatnonzero((np.abs(jaw_open) > 1e-3) | (np.abs(jaw_sealed) > 1e-3))
    del open_
    eyes = [whole.groups["left_eye"], whole.groups["right_eye"]]
    centres = np.array([body.eye, np.array(body.eye) * [-1, 1, 1]])
    lid_index, lid_eye, lid_radius = _lid_guard(canvas, centres)
    lip_pairs, lip_index, lip_pair, lip_share = _lip_guard()
    along = whole.uv[tongue, 1]
    tip = whole.vertices[tongue][along == 0].mean(0)
    ridge = whole.vertices[whole.groups["upper_teeth"]]
    palate = np.array([0.0, ridge[:, 1].max() - 6.0, ridge[:, 2].min() + 4.5])
    rise = np.clip(1 - along / 0.75, 0, 1) ** 1.5
    bound = np.flatnonzero(whole.bound_to[:, 0] >= 0)
    return Rig(
        rest=whole.vertices / 1000,
        starts=np.array(starts, np.int64),
        index=np.concatenate(index).astype(np.int32),
        delta=np.concatenate(delta),
        lid_index=lid_index,
        lid_eye=lid_eye,
        lid_radius=lid_radius / 1000,
        eye_index=np.concatenate(eyes),
        eye_of=np.repeat([0, 1], [len(e) for e in eyes]),
        eye_centre=centres / 1000,
        jaw_index=jaw_index,
        jaw_open=jaw_open[jaw_index],
        jaw_sealed=jaw_sealed[jaw_index],
        hinge=hinge(body),
        tongue_index=tongue,
        tongue_share=rise,
        tongue_up=(whole.vertices[tongue] + (palate - tip)) / 1000,
        lip_pairs=lip_pairs,
        lip_index=lip_index,
        lip_pair=lip_pair,
        lip_share=lip_share,
        bound_index=bound,
        bound_to=np.ascontiguousarray(whole.bound_to[bound]),
        bound_weight=np.ascontiguousarray(whole.bound_weight[bound]),
        bound_scale=np.ascontiguousarray(whole.bound_scale[bound]),
    )


def _tongue_out(whole: Part, tongue: np.ndarray, name: str) -> np.ndarray:
    """`tongueOut` sticks the tongue out over the lower lip; `tongueForward` brings its tip between the teeth."""
    share = np.clip(1 - whole.uv[tongue, 1] / 0.95, 0, 1)
    if name == "tongueForward":
        return share[:, None] * np.array([0.0, -3.2, -13.0])
    bend = np.clip(1 - whole.uv[tongue, 1] / 0.45, 0, 1) ** 1.5
    return share[:, None] * np.array([0.0, -3.5, -38.0]) + bend[:, None] * np.array([0.0, 11.0, -1.0])


def _lid_guard(canvas: Canvas, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices of the lids, which eye they cover, and how near its centre they may come."""
    mesh, body, slit = canvas.mesh, canvas.body, topology.ROW_OF["eye"]
    index, eye = [], []
    for e, side in enumerate(("Left", "Right")):
        columns = topology.eye_columns(side)[1:-1]
        rows = [mesh.upper[slit - LID_ROWS : slit + 1, columns], mesh.lower[slit, columns][None], mesh.upper[slit + 1 : slit + 9, columns]]
        inner = [mesh.lid_upper[side][:, 1:-1], mesh.lid_lower[side][:, 1:-1]]
        ids = np.concatenate([a.ravel() for a in rows + inner])
        index.append(ids)
        eye.append(np.full(len(ids), e))
    index, eye = np.concatenate(index), np.concatenate(eye)
    radius = np.linalg.norm(canvas.points[index] - centres[eye], axis=1)
    return index, eye, np.minimum(radius, body.eye_radius + LID_LIFT)


def _lip_guard() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of lip vertices that may not cross, and what gives way when they would."""
    mesh, m, slit = topology.grid(), topology.MOUTH_COLUMN, topology.ROW_OF["stomion"]
    columns = np.arange(-m + 1, m)
    pairs = np.stack([mesh.upper[slit, columns], mesh.lower[slit, columns]], 1)
    index, pair, share = [], [], []
    for k in range(12):
        weight = 0.5 * np.exp(-((k / 7.0) ** 2))
        for copy, sign in ((mesh.upper[slit - k], -1.0), ((mesh.lower if k == 0 else mesh.upper)[slit + k], 1.0)):
            index.append(copy[columns])
            pair.append(np.arange(len(columns)))
            share.append(np.full(len(columns), sign * weight))
    for k in range(6):
        weight = 0.5 * np.exp(-((k / 3.0) ** 2))
        for sheet, sign in ((mesh.inner_upper, -1.0), (mesh.inner_lower, 1.0)):
            index.append(sheet[k, 1:-1])
            pair.append(np.arange(len(columns)))
            share.append(np.full(len(columns), sign * weight))
    return pairs, np.concatenate(index), np.concatenate(pair), np.concatenate(share)
