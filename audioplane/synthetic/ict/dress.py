"""What the kit's mesh is made of and painted with, and our hair, brows, beard, glasses and clothes on it.

Colours are transferred from our fitted skin grid, so that one `Identity` gives the same skin on both heads.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import griddata
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face import paint
from audioplane.synthetic.face.canvas import smoothstep
from audioplane.synthetic.face.clothes import clothes, glasses
from audioplane.synthetic.face.fur import beard, brow_region, brows
from audioplane.synthetic.face.hair import hair
from audioplane.synthetic.face.occlusion import ambient
from audioplane.synthetic.face.parts import Label, Material, Part, join, vertex_normals
from audioplane.synthetic.face.skin import fixed_rows
from audioplane.synthetic.face.strands import bind, obstacle, ribbons
from audioplane.synthetic.ict.fit import EYES, FACE, GUMS, HEAD, LANDMARKS, LASHES, SOCKETS, TEETH_LOW, TEETH_UP, Fit
from audioplane.synthetic.ict.kit import Kit
from audioplane.synthetic.materials import srgb_to_linear

LINING, GUM, TONGUE = (0.24, 0.055, 0.05), (0.46, 0.17, 0.15), (0.42, 0.14, 0.12)
ENAMEL = np.array([0.62, 0.57, 0.47])
NECK_ROW = topology.ROW_OF["jaw"] + 3  # grid row from which on skin is torso


def person(kit: Kit, fitted: Fit) -> Part:
    """All parts of the person, joined, millimetres: skin first, then eyes, mouth, lashes, and what is ours.

    Groups name the parts; vertices that hang on the skin are bound to it.
    """
    parts = {"skin": _skin(kit, fitted)}
    for side, where in EYES.items():
        parts[f"{side}_eye"] = _piece(
            kit,
            fitted,
            where,
            material=Material.EYE,
            label=Label.FACE,
            albedo=(0.72, 0.68, 0.66),
            roughness=0.08,
            flow=(0.0, 0.0, -1.0),
        )
    parts |= _mouth(kit, fitted)
    parts |= _lashes(kit, fitted)
    parts |= _ours(fitted, parts)
    whole = join(parts)
    whole.occlusion = _occlusion(whole, fitted)
    return whole


def kit_vertices() -> np.ndarray:
    """Which of the kit's vertices lead the joined mesh, in its order: (n,) indices into the kit."""
    ranges = [slice(0, SOCKETS.stop), *EYES.values(), TEETH_UP, TEETH_LOW, GUMS, LASHES]
    return np.concatenate([np.arange(r.start, r.stop) for r in ranges])


def _faces(kit: Kit, where: slice) -> np.ndarray:
    inside = ((kit.faces >= where.start) & (kit.faces < where.stop)).all(1)
    return kit.faces[inside] - where.start


def _piece(kit: Kit, fitted: Fit, where: slice, **looks) -> Part:
    return Part(fitted.points[where], _faces(kit, where), **looks)


def _skin(kit: Kit, fitted: Fit) -> Part:
    canvas, who = fitted.canvas, fitted.who
    whole = slice(0, SOCKETS.stop)
    points = fitted.points[whole]
    mesh = canvas.mesh
    outer = np.unique(np.concatenate([mesh.upper.ravel(), mesh.lower.ravel()]))
    distance, near = KDTree(canvas.points[outer]).query(points, k=4)
    weight = 1 / (distance + 0.3) ** 2
    weight /= weight.sum(1, keepdims=True)

    def carried(values: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nk...->n...", weight, values[outer][near])

    rows = np.zeros(mesh.size)
    rows[mesh.upper] = np.arange(topology.ROWS)[:, None]
    rows[mesh.lower] = np.arange(topology.ROWS)[:, None]
    row, red = carried(rows), carried(paint.lip_red(canvas))
    albedo = paint.skin_albedo(canvas, who)
    brow = 0.36 * brow_region(canvas, who)[:, None]
    albedo = albedo * (1 - brow) + brow * (0.7 * paint.srgb_to_linear(np.array(who.hair_colour)) + 0.1 * albedo)
    albedo, rough = carried(albedo), carried(paint.skin_roughness(canvas, who))
    base = srgb_to_linear(np.array(who.skin))
    albedo[fitted.ears] = base * (1 - (0.12 + 0.2 * who.redness) * np.array([0.05, 0.42, 0.45]))
    faces = _faces(kit, whole)
    red[SOCKETS] = 0.0
    socket = (faces >= SOCKETS.start).any(1)
    lips = (red[faces].mean(1) > 0.5) & ~socket
    material = np.where(lips, int(Material.LIPS), int(Material.SKIN))
    label = np.where(lips, int(Label.MOUTH), int(Label.FACE))
    label[(row[faces].mean(1) >= NECK_ROW) & ~socket] = Label.TORSO
    front = points[LANDMARKS[62], 2]
    in_mouth = (
        socket & (np.abs(points[faces, 0]).mean(1) < 60) & (points[faces, 1].mean(1) > fitted.body.subnasale_y - 6)
    )
    material[in_mouth], label[in_mouth] = Material.MOUTH, Label.MOUTH
    albedo[SOCKETS] = LINING
    deep = smoothstep((points[SOCKETS, 2] - front - 4) / 8)[:, None]
    albedo[SOCKETS] = albedo[SOCKETS] * deep + (1 - deep) * np.median(
        albedo[: SOCKETS.start][red[: SOCKETS.start] > 0.8], 0
    )
    rough[SOCKETS] = 0.3
    torso = smoothstep((np.interp(row, np.arange(topology.ROWS), fixed_rows()) - 12.3) / 2.2)
    torso[SOCKETS] = 0.0
    torso[fitted.ears] = 0.0
    points = _inside_the_cloth(points, fitted)
    return Part(points, faces, material, label, albedo=np.clip(albedo, 0.004, 1), roughness=rough, torso=torso)


def _inside_the_cloth(points: np.ndarray, fitted: Fit) -> np.ndarray:
    """The kit's bust, drawn in below the collar so that it stays in our clothes."""
    out = points.copy()
    collar = clothes(fitted.who, fitted.body).vertices[:, 1].min()
    low = smoothstep((points[:, 1] - collar - 4) / (40 if fitted.who.clothes == "shirt" else 14))
    centre = np.array([0.0, 0.0, 18.0])
    offset = (points - centre) * [1, 0, 1]
    radius = np.linalg.norm(offset, axis=1)
    target = np.minimum(radius, 52.0)
    out += offset * (low * (target / np.maximum(radius, 1e-9) - 1))[:, None]
    return out


def _mouth(kit: Kit, fitted: Fit) -> dict[str, Part]:
    """Teeth, gums and tongue. Gums and tongue are one mesh: the tongue is those pieces of its texture that lie in the
    middle and go with the jaw."""
    out = {}
    for name, where in (("upper_teeth", TEETH_UP), ("lower_teeth", TEETH_LOW)):
        depth = fitted.points[where, 2] - fitted.points[LANDMARKS[62], 2]
        dim = np.interp(depth, [8, 18, 40], [1.0, 0.6, 0.25])[:, None]  # the shader lets no tooth be dark; cheeks do
        out[name] = _piece(
            kit, fitted, where, material=Material.TEETH, label=Label.MOUTH, albedo=dim * ENAMEL, roughness=0.2
        )
    jaw = np.linalg.norm(kit.delta("jawOpen")[GUMS], axis=1)
    faces = _faces(kit, GUMS)
    tongue = np.zeros(len(jaw), bool)
    for piece in _texture_pieces(kit, GUMS):
        if np.abs(kit.vertices[GUMS][piece, 0]).max() < 2.1 and jaw[piece].min() > 1.0:
            tongue[piece] = True
    material = np.where(tongue[faces].all(1), int(Material.TONGUE), int(Material.GUM))
    out["gums"] = Part(
        fitted.points[GUMS],
        faces,
        material,
        Label.MOUTH,
        albedo=np.where(tongue[:, None], TONGUE, GUM),
        roughness=0.3,
        groups={
            "tongue": np.flatnonzero(tongue),
            "lower_gum": np.flatnonzero(~tongue & (jaw > 0.3)),
            "upper_gum": np.flatnonzero(jaw <= 0.3),
        },
    )
    return out


def _texture_pieces(kit: Kit, where: slice) -> list[np.ndarray]:
    """The vertices (counted from the start of `where`) of each connected piece of the texture."""
    inside = ((kit.faces >= where.start) & (kit.faces < where.stop)).all(1)
    corners, size = kit.faces_uv[inside], len(kit.uv)
    edges = np.concatenate([corners[:, :2], corners[:, 1:]])
    _, piece = connected_components(coo_matrix((np.ones(len(edges)), edges.T), shape=(size, size)), directed=False)
    of_face, faces = piece[corners[:, 0]], kit.faces[inside] - where.start
    return [np.unique(faces[of_face == k]) for k in np.unique(of_face)]


def _lashes(kit: Kit, fitted: Fit) -> dict[str, Part]:
    """Lashes along the kit's strips: six of an eye, three above; the strips' vertices stay, unseen, to carry them."""
    rng = np.random.default_rng([fitted.who.seed, 0x1A5])
    woman = 1 - fitted.who.masculinity
    uv = kit.vertex_uv()[LASHES].reshape(12, -1, 2)
    points = fitted.points[LASHES].reshape(12, -1, 3)
    height = KDTree(fitted.points[FACE]).query(points)[0]
    steps = np.linspace(0.03, 0.97, 5)
    paths = []
    for strip in range(12):
        low, high = uv[strip].min(0), uv[strip].max(0)
        across, along = ((uv[strip] - low) / (high - low)).T
        if np.corrcoef(along, height[strip])[0, 1] < 0:
            along = 1 - along
        count, reach = (17, 0.8 + 0.2 * woman) if strip % 6 < 3 else (10, 0.62)
        at = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
        long = reach * rng.uniform(0.75, 1.0, (count, 1)) * steps
        lean = at[:, None] + rng.normal(size=(count, 1)) * 0.012 * steps
        paths.append(griddata((across, along), points[strip], (np.clip(lean, 0.01, 0.99), long), method="linear"))
    path = np.concatenate(paths)
    path = path[np.isfinite(path).all((1, 2))]
    normals = np.broadcast_to(np.array([0.0, -0.5, -1.0]), path.shape)
    strands = ribbons(
        path,
        normals,
        np.full(len(path), 0.20 + 0.12 * woman),
        np.array([0.012, 0.010, 0.009]),
        Material.LASH,
        rng,
        label=Label.FACE,
        taper=(1.0, 0.15),
        coverage=(1.0, 0.9),
        shade=(0.9, 1.0),
        roll=0.3,
        spread=0.05,
    )
    first = len(kit_vertices()) - len(fitted.points[LASHES])
    strips = Part(fitted.points[LASHES], np.zeros((0, 3), np.int32), Material.LASH, Label.FACE, occlusion=0.8)
    bind(strands, fitted.points[LASHES], np.arange(len(strips.vertices)))
    strands.bound_to = strands.bound_to + first
    return {"lash_strips": strips, "lashes": strands}


def _ours(fitted: Fit, parts: dict[str, Part]) -> dict[str, Part]:
    canvas, who = fitted.canvas, fitted.who
    rng = np.random.default_rng([who.seed, 0xF0])
    skin = parts["skin"]
    candidates = np.setdiff1d(np.arange(FACE.stop), fitted.ears)
    out = {"brows": brows(canvas, who, rng)}
    growth = beard(canvas, who, rng)
    if growth is not None:
        out["beard"] = growth
    for part in out.values():
        bind(part, skin.vertices, candidates)
    cloth = clothes(who, fitted.body)
    surface = Part(skin.vertices[HEAD], skin.faces[(skin.faces < HEAD.stop).all(1)], Material.SKIN, Label.FACE)
    out |= hair(canvas, who, surface, [], cloth)
    if who.glasses:
        ear = skin.vertices[fitted.ears]
        ear = ear[ear[:, 0] > 0]
        canal = np.array([np.quantile(ear[:, 0], 0.2), ear[:, 1].mean(), ear[:, 2].mean()])
        out["glasses"] = glasses(fitted.body, canal, _front(fitted), obstacle([surface]))
    out["clothes"] = cloth
    return out


def _front(fitted: Fit):
    """Depth of the face over (x, y)."""
    near = fitted.points[FACE][fitted.points[FACE, 2] < -40]
    tree = KDTree(near[:, :2])

    def depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return near[tree.query(np.stack(np.broadcast_arrays(x, y), -1), k=1)[1], 2]

    return depth


def _occlusion(whole: Part, fitted: Fit) -> np.ndarray:
    """Ambient occlusion of all vertices; inside the mouth it is a matter of depth alone."""
    inner = np.zeros(len(whole.vertices), bool)
    for name in ("upper_teeth", "lower_teeth", "gums"):
        inner[whole.groups[name]] = True
    inner[SOCKETS] = True
    normals = vertex_normals(whole.vertices, whole.faces)
    casters = np.flatnonzero(~inner[whole.faces].any(1) & (whole.material != Material.LASH))
    out = ambient(whole.vertices, normals, whole.faces, casters)
    depth = whole.vertices[:, 2] - fitted.points[LANDMARKS[62], 2]
    out = np.where(inner, np.interp(depth, [0, 7, 14, 26, 45], [1.0, 0.95, 0.75, 0.4, 0.06]), out)
    # Lips and lids are seen open as well: never as dark as their touching edges are at rest.
    lips = whole.groups["skin"][np.unique(whole.faces[whole.material == Material.LIPS])]
    out[lips] = np.maximum(out[lips], 0.62)
    for side in ("left_eye", "right_eye"):
        out[whole.groups[side]] = np.maximum(out[whole.groups[side]], 0.75)
    lids = np.linalg.norm(whole.vertices[: FACE.stop, None] - fitted.eyes, axis=-1).min(1) < 19.0
    out[: FACE.stop][lids] = np.maximum(out[: FACE.stop][lids], 0.5)
    given = ~np.isnan(whole.occlusion)
    out[given] = whole.occlusion[given]
    return np.clip(out, 0, 1)
