"""The arrays that move a person: displacements, guards of lids and lips, the tongue."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.canvas import Canvas
from audioplane.synthetic.face.jaw import hinge, jaw_shares
from audioplane.synthetic.face.lid_motion import LID_ROWS
from audioplane.synthetic.face.motion import Rig
from audioplane.synthetic.face.parts import Part
from audioplane.synthetic.face.shapes import NAMES, skin_shapes

_BY_RIG = ("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose")
SPARSE = (*(n for n in NAMES if n not in _BY_RIG), "tongueBetween", "tongueBack")
SMALLEST = 0.004  # millimetres: less is no displacement
LID_LIFT = 1.95  # millimetres over the eyeball that lids keep


def rig(canvas: Canvas, whole: Part) -> Rig:
    """The arrays that move the person."""
    mesh, body = canvas.mesh, canvas.body
    fields = skin_shapes(canvas)
    tongue = whole.groups["tongue"]
    starts, index, delta = [0], [], []
    for name in SPARSE:
        if name.startswith("tongue"):
            where, moved = tongue, _tongue_moves(whole, tongue, name)
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
    palate = np.array([0.0, ridge[:, 1].max() - 3.0, ridge[:, 2].min() + 4.5])
    rise = np.clip(1 - along / 0.75, 0, 1) ** 1.5
    bite = _bite(canvas)
    edge = np.array([0.0, ridge[:, 1].max() - 0.3, ridge[:, 2].min() + 0.2])
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
        bite_index=np.flatnonzero(bite),
        bite_share=bite[np.flatnonzero(bite)],
        bite_lip=int(mesh.lower[topology.ROW_OF["stomion"], 0]),
        bite_edge=edge / 1000,
        lip_pairs=lip_pairs,
        lip_index=lip_index,
        lip_pair=lip_pair,
        lip_share=lip_share,
        bound_index=bound,
        bound_to=np.ascontiguousarray(whole.bound_to[bound]),
        bound_weight=np.ascontiguousarray(whole.bound_weight[bound]),
        bound_scale=np.ascontiguousarray(whole.bound_scale[bound]),
    )


# Where the tongue's middle line goes, tip (0) to root (1): height and depth from the lips' line of contact.
_TONGUE_PATHS = {
    "tongueOut": ((0, 10, -20), (0.08, 4, -18.5), (0.18, -3.5, -12), (0.32, -4.5, -1), (0.5, -2.5, 14)),
    "tongueBetween": ((0, 2.2, 8.5), (0.12, 2.0, 13), (0.3, 1.6, 22), (0.5, 2.0, 32)),
}


def _tongue_moves(whole: Part, tongue: np.ndarray, name: str) -> np.ndarray:
    """`tongueOut` sticks the tongue out over the lower lip, `tongueBetween` brings its tip between the
    teeth, `tongueBack` raises its back."""
    along = whole.uv[tongue, 1]
    if name == "tongueBack":
        return np.exp(-(((along - 0.62) / 0.22) ** 2))[:, None] * np.array([0.0, -6.5, 1.5])
    shares = np.unique(along)
    middle = np.stack([whole.vertices[tongue][along == t].mean(0) for t in shares])
    contact = whole.vertices[whole.groups["lips_inner_upper"][topology.MOUTH_COLUMN]]
    path = np.array(_TONGUE_PATHS[name], float)
    still = shares > 0.75
    at = np.concatenate([path[:, 0], shares[still]])
    moved = np.zeros((len(shares), 3))
    for k in (1, 2):
        goal = np.concatenate([contact[k] + path[:, k], middle[still, k]])
        moved[:, k] = PchipInterpolator(at, goal)(shares) - middle[:, k]
    return moved[np.searchsorted(shares, along)]


def _bite(canvas: Canvas) -> np.ndarray:
    """Share (V,) of the lower lip's way to the upper teeth on f and v."""
    mesh, slit, m = canvas.mesh, topology.ROW_OF["stomion"], topology.MOUTH_COLUMN
    columns = np.arange(-m, m + 1)
    across = np.maximum(1 - (np.abs(columns) / m) ** 2.5, 0)
    share = np.zeros(mesh.size)
    for k in range(12):
        copy = mesh.lower if k == 0 else mesh.upper
        share[copy[slit + k, columns]] = across * np.exp(-((k / 6.0) ** 2))
    for k in range(6):
        share[mesh.inner_lower[k, 1:-1]] = across[1:-1] * np.exp(-((k / 3.5) ** 2))
    return np.where(share > 0.01, share, 0.0)


def _lid_guard(canvas: Canvas, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices of the lids, which eye they cover, and how near its centre they may come."""
    mesh, body, slit = canvas.mesh, canvas.body, topology.ROW_OF["eye"]
    index, eye = [], []
    for e, side in enumerate(("Left", "Right")):
        columns = topology.eye_columns(side)[1:-1]
        rows = [
            mesh.upper[slit - LID_ROWS : slit + 1, columns],
            mesh.lower[slit, columns][None],
            mesh.upper[slit + 1 : slit + 9, columns],
        ]
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
        for copy, sign in (
            (mesh.upper[slit - k], -1.0),
            ((mesh.lower if k == 0 else mesh.upper)[slit + k], 1.0),
        ):
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
