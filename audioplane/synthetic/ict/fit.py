"""One person of the kit in our head coordinates, and our own skin grid laid on it.

Hair, brows, beard, paint and clothes are made by the code of `synthetic.face`, which thinks in the grid of our own
skin (`Canvas`). So the grid is fitted to the kit's surface: an `Anatomy` is measured on the kit, a thin-plate spline
brings the landmarks and the cranium onto it, and what is left is closed along the surface's normals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree

from audioplane.errors import UserError
from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.anatomy import Anatomy, anatomy
from audioplane.synthetic.face.canvas import Canvas, smoothstep
from audioplane.synthetic.face.identity import SHAPE_FIELDS, Identity
from audioplane.synthetic.face.landmarks import landmark_vertices
from audioplane.synthetic.face.parts import vertex_normals
from audioplane.synthetic.face.skin import skin
from audioplane.synthetic.face.strands import Obstacle
from audioplane.synthetic.ict.kit import Kit

# Vertex ranges as the kit's README tells them.
VERTICES = 26719
FACE, HEAD, SOCKETS = slice(0, 9409), slice(0, 11248), slice(11248, 14062)
GUMS, TEETH_UP, TEETH_LOW = slice(14062, 17039), slice(17039, 19247), slice(19247, 21451)
EYES = {"left": slice(21451, 22221), "right": slice(23021, 23791)}  # the scleras, with the cornea
LASHES = slice(25351, 26719)

# The 68 Multi-PIE (iBUG) landmarks as vertices, as the kit publishes them (`idx_to_landmark_verts`).
LANDMARKS = np.array(
    [
        1225,
        1888,
        1052,
        367,
        1719,
        1722,
        2199,
        1447,
        966,
        3661,
        4390,
        3927,
        3924,
        2608,
        3272,
        4088,
        3443,
        268,
        493,
        1914,
        2044,
        1401,
        3615,
        4240,
        4114,
        2734,
        2509,
        978,
        4527,
        4942,
        4857,
        1140,
        2075,
        1147,
        4269,
        3360,
        1507,
        1542,
        1537,
        1528,
        1518,
        1511,
        3742,
        3751,
        3756,
        3721,
        3725,
        3732,
        5708,
        5695,
        2081,
        0,
        4275,
        6200,
        6213,
        6346,
        6461,
        5518,
        5957,
        5841,
        5702,
        5711,
        5533,
        6216,
        6207,
        6470,
        5517,
        5966,
    ]
)

CENTRE = np.array([0.0, -40.0, 8.0])  # of the cranium, millimetres
EYE_MIDDLE = np.array([0.0, -18.0, -74.8])  # where our heads have it


@dataclass(frozen=True)
class Fit:
    """A person of the kit, millimetres in head coordinates.

    Attributes:
        points: (V, 3) at rest. weights: (10,) of the identities.
        eyes: (2, 3) centres of the eyeballs, left and right.
        ears: (n,) vertices of both ears.
        who: as `Identity` for the makers of hair, paint and clothes; its shape is neutral.
        canvas: our skin grid on the kit's surface.
        body: measured on the kit.
    """

    points: np.ndarray
    weights: np.ndarray
    eyes: np.ndarray
    ears: np.ndarray
    who: Identity
    canvas: Canvas
    body: Anatomy


def to_head(vectors: np.ndarray) -> np.ndarray:
    """Centimetres in the kit's axes to millimetres in ours (vectors: no shift)."""
    return np.asarray(vectors, np.float64) * [10.0, -10.0, -10.0]


def identity_weights(who: Identity, count: int, spread: float = 0.7) -> np.ndarray:
    """Weights (count,) of the identities: normal by the seed, of less spread than a population, cut at 1.7.

    Nobody labelled the kit's modes; to the eye the first, third and fifth tell men from women most.
    """
    rng = np.random.default_rng([who.seed, 0x1C7])
    drawn = rng.normal(size=count) * spread
    shift = (2 * who.masculinity - 1) * np.array([-0.9, 0.0, 0.8, 0.0, 0.5])
    drawn[: len(shift)] += shift[:count]
    return np.clip(drawn, -1.7, 1.7)


def fit(kit: Kit, who: Identity) -> Fit:
    """The person of this identity's seed.

    Raises:
        UserError: the kit is another mesh than the published one.
    """
    if len(kit.vertices) != VERTICES:
        raise UserError(
            f"an ICT-FaceKit must have {VERTICES} vertices, this one has {len(kit.vertices)}; get it: "
            "audioplane fetch ict-facekit"
        )
    weights = identity_weights(who, len(kit.identity_deltas))
    points = to_head(kit.vertices + np.tensordot(weights, kit.identity_deltas.astype(np.float64), 1))
    eyes = np.stack([(points[part].max(0) + points[part].min(0)) / 2 for part in EYES.values()])
    shift = EYE_MIDDLE - eyes.mean(0)
    points, eyes = points + shift, eyes + shift
    plain = replace(who, **{name: 0.0 for name in SHAPE_FIELDS if not name.startswith("brow_")})
    body = _measured(anatomy(plain), points, eyes)
    base, skull = skin(plain, body)
    ears = _ears(points)
    canvas = Canvas(_laid(base, points, kit.faces, ears), body, skull)
    return Fit(points, weights, eyes, ears, plain, canvas, body)


def _measured(mean: Anatomy, points: np.ndarray, eyes: np.ndarray) -> Anatomy:
    """The lengths that the makers of brows, paint, glasses and clothes go by."""
    mark = points[LANDMARKS]
    span = np.abs(mark[:, 0])
    return replace(
        mean,
        brow_y=float(mark[[18, 19, 20, 23, 24, 25], 1].mean() + 3.0),
        subnasale_y=float(mark[33, 1]),
        stomion_y=float(mark[[62, 66], 1].mean()),
        gnathion_y=float(mark[8, 1] + 3.0),
        crown_y=float(points[HEAD, 1].min()),
        eye=(float(np.abs(eyes[:, 0]).mean()), float(eyes[:, 1].mean()), float(eyes[:, 2].mean())),
        canthus_in=float(span[[39, 42]].mean()),
        canthus_out=float(span[[36, 45]].mean()),
        canthus_in_y=float(mark[[39, 42], 1].mean()),
        canthus_out_y=float(mark[[36, 45], 1].mean()),
        nose_half_width=float(span[[31, 35]].mean() + 4.5),
        mouth_half_width=float(span[[48, 54]].mean()),
        upper_vermilion=float(mark[62, 1] - mark[51, 1]),
        lower_vermilion=float(mark[57, 1] - mark[66, 1]),
    )


def _directions(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    offset = points - CENTRE
    radius = np.linalg.norm(offset, axis=1)
    return offset / np.maximum(radius, 1e-9)[:, None], radius


def _ears(points: np.ndarray) -> np.ndarray:
    """What stands out from the side of the head."""
    p = points[HEAD]
    side = np.flatnonzero((np.abs(p[:, 0]) > 58) & (np.abs(p[:, 1] + 10) < 48) & (p[:, 2] > -24) & (p[:, 2] < 34))
    ray, radius = _directions(p[side])
    near = KDTree(ray).query(ray, k=60)[1]
    return side[radius > np.quantile(radius[near], 0.15, axis=1) + 5.5]


def _laid(base: np.ndarray, points: np.ndarray, faces: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """The grid's points (n, 3) on the kit's skin."""
    landmarks = landmark_vertices()
    free = np.setdiff1d(np.arange(HEAD.stop), ears)
    ray, radius = _directions(points[free])
    tree = KDTree(ray)

    def cranium(p: np.ndarray) -> np.ndarray:
        towards, _ = _directions(p)
        distance, near = tree.query(towards, k=6)
        weight = 1 / (distance + 0.004)
        return CENTRE + towards * ((radius[near] * weight).sum(1) / weight.sum(1))[:, None]

    mesh = topology.grid()
    sparse = np.unique(mesh.upper[:60:6, ::5])
    sparse = sparse[(base[sparse, 1] < -60) | ((base[sparse, 2] > 30) & (base[sparse, 1] < 40))]
    source = np.concatenate([base[landmarks], base[sparse]])
    target = np.concatenate([points[LANDMARKS], cranium(base[sparse])])
    source, first = np.unique(source.round(6), axis=0, return_index=True)
    spline = RBFInterpolator(source, (target[first] - source), kernel="thin_plate_spline", smoothing=0.05)
    out = base + spline(base)
    normals = vertex_normals(points, faces[(faces < HEAD.stop).all(1)])
    surface = Obstacle(points[free], normals[free])
    for _ in range(3):
        height, normal = surface.height(out)
        out = out - np.clip(height, -12, 12)[:, None] * normal
    hairy = smoothstep((-48 - out[:, 1]) / 30) + smoothstep((out[:, 2] - 5) / 25) * smoothstep((25 - out[:, 1]) / 40)
    hairy = np.clip(hairy, 0, 1)[:, None]
    return out + hairy * (cranium(out) - out)
