"""The kit's shapes by ARKit's names, as the sparse displacements, guards and bindings that our `Rig` runs.

The kit is linear: all shapes are displacements, the jaw's too. What is added: the mouth that closes on an open jaw
closes exactly, lips never cross, lids keep off the eyeballs where two shapes add up, and eyeballs turn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree

from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.canvas import smoothstep
from audioplane.synthetic.face.jaw import hinge
from audioplane.synthetic.face.motion import Rig
from audioplane.synthetic.face.parts import Part
from audioplane.synthetic.face.shapes import NAMES
from audioplane.synthetic.ict.dress import kit_vertices
from audioplane.synthetic.ict.fit import EYES, FACE, LANDMARKS, SOCKETS, Fit, to_head
from audioplane.synthetic.ict.kit import Kit

SPARSE = (*NAMES, "tongueBetween")
_BOTH_SIDES = ("browInnerUp", "cheekPuff")
_OWN = ("tongueOut", "tongueBetween")  # the kit has no shape of the tongue
SMALLEST = 0.004  # millimetres: less is no displacement
PAIRS = 41
TONGUE_SINKS = np.array(
    [0.0, 6.0, 3.0]
)  # millimetres that its tip goes down and back as the jaw opens, to the kit's own
LID = 0.7  # millimetres that lids keep off the eyeball
NEAR = 2.0  # millimetres between two vertices of the lips that meet, in the kit's neutral face
AT_REST = 0.15  # of the kit's gap between the lips at rest (about a millimetre) is left


def kit_names(name: str) -> tuple[str, ...]:
    """The kit's shapes that together are an ARKit shape: `browInnerUp` is `browInnerUp_L` and `_R`."""
    if name in _OWN:
        return ()
    if name in _BOTH_SIDES:
        return f"{name}_L", f"{name}_R"
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return (f"{name.removesuffix(side)}_{side[0]}",)
    return (name,)


def rig(kit: Kit, fitted: Fit, whole: Part) -> tuple[Rig, dict[str, np.ndarray]]:
    """The arrays that move the person, and the groups of vertices of the lips."""
    order = kit_vertices()
    moved = {}
    for name in NAMES:
        if name not in _OWN:
            delta = to_head(np.sum([kit.delta(n) for n in kit_names(name)], axis=0))[order]
            delta[np.concatenate([whole.groups[f"{side}_eye"] for side in EYES])] = 0.0  # they turn instead
            moved[name] = delta
    tongue = whole.groups["tongue"]
    share = _tongue_share(whole, tongue)
    for name in _OWN:
        moved[name] = np.zeros((len(order), 3))
        moved[name][tongue] = _tongue_out(name, share)
    moved["jawOpen"][tongue] += share[:, None] * TONGUE_SINKS
    lower = _lower_lip(moved["jawOpen"])
    pairs, groups = _lip_pairs(fitted, whole, lower)
    guard = _lip_guard(fitted.points, pairs, lower)
    skin = whole.vertices[: len(order)].copy()
    whole.vertices = whole.vertices.copy()
    whole.vertices[: len(order)] += _pulled(guard, len(order), lambda out: _gap(skin + out, pairs) * (1 - AT_REST))
    # mouthClose of the kit rolls both lips 3 mm over each other at weight 1: with jawOpen they shall only touch.
    closed = moved["jawOpen"] + moved["mouthClose"]
    moved["mouthClose"] += _pulled(guard, len(order), lambda out: _gap(closed + out, pairs))
    for side, mark in (("Right", (37, 38, 40, 41)), ("Left", (43, 44, 46, 47))):
        moved[f"eyeBlink{side}"] *= _full_blink(fitted.points, moved[f"eyeBlink{side}"], LANDMARKS[list(mark)])
    starts, index, delta = [0], [], []
    for name in SPARSE:
        where = np.flatnonzero(np.abs(moved[name]).max(1) > SMALLEST)
        index.append(where)
        delta.append(moved[name][where] / 1000)
        starts.append(starts[-1] + len(where))
    lids, lid_eye, lid_radius = _lids(fitted, moved)
    eyes = [whole.groups[f"{side}_eye"] for side in EYES]
    bound = np.flatnonzero(whole.bound_to[:, 0] >= 0)
    none = np.zeros(0)
    tip = whole.vertices[tongue][share > 0.95].mean(0)
    teeth = whole.vertices[whole.groups["upper_teeth"]]
    teeth = teeth[np.abs(teeth[:, 0]) < 10]
    palate = np.array([0.0, teeth[:, 1].max() - 6.0, teeth[:, 2].min() + 8.0])
    body: Anatomy = fitted.body
    out = Rig(
        rest=whole.vertices / 1000,
        starts=np.array(starts, np.int64), index=np.concatenate(index).astype(np.int32), delta=np.concatenate(delta),
        lid_index=lids, lid_eye=lid_eye, lid_radius=lid_radius / 1000,
        eye_index=np.concatenate(eyes), eye_of=np.repeat([0, 1], [len(e) for e in eyes]), eye_centre=fitted.eyes / 1000,
        jaw_index=none.astype(np.int64), jaw_open=none, jaw_sealed=none, hinge=hinge(body),
        tongue_index=tongue, tongue_share=share**1.5, tongue_up=(whole.vertices[tongue] + (palate - tip)) / 1000,
        bite_index=none.astype(np.int64), bite_share=none, bite_lip=0, bite_edge=np.zeros(3),
        lip_pairs=pairs, lip_index=guard[0], lip_pair=guard[1], lip_share=guard[2],
        bound_index=bound, bound_to=np.ascontiguousarray(whole.bound_to[bound]),
        bound_weight=np.ascontiguousarray(whole.bound_weight[bound]),
        bound_scale=np.ascontiguousarray(whole.bound_scale[bound]),
    )  # fmt: skip
    return out, groups


def _tongue_share(whole: Part, tongue: np.ndarray) -> np.ndarray:
    """1 at the tip of the tongue, 0 at its root."""
    z = whole.vertices[tongue, 2]
    return np.clip(1 - (z - z.min()) / 38.0, 0, 1)


def _tongue_out(name: str, share: np.ndarray) -> np.ndarray:
    """`tongueOut` sticks the tongue out over the lower lip, `tongueBetween` brings its tip between the teeth."""
    if name == "tongueBetween":
        return share[:, None] * np.array([0.0, -4.0, -12.0])
    bend = np.clip(2 * share - 1, 0, 1) ** 1.5
    return share[:, None] * np.array([0.0, -5.0, -36.0]) + bend[:, None] * np.array([0.0, 11.0, -1.0])


def _lower_lip(jaw_open: np.ndarray) -> np.ndarray:
    """(n,) 1 where a vertex goes with the jaw, 0 where it stays."""
    return smoothstep((np.linalg.norm(jaw_open, axis=1) - 9.0) / 16.0)


def _lip_pairs(fitted: Fit, whole: Part, lower: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(P, 2) vertices of upper and lower lip that meet, from corner to corner, and the lips' groups."""
    points = fitted.points
    mark = LANDMARKS
    half = 0.84 * float(np.abs(points[mark[48], 0]))
    line = np.array([points[mark[k]] for k in (48, 60, 61, 62, 63, 64, 54)])
    row = np.arange(FACE.stop)
    height = np.interp(points[row, 0], line[:, 0], line[:, 1])
    depth = np.interp(points[row, 0], line[:, 0], line[:, 2])
    near = row[
        (np.abs(points[row, 0]) < half)
        & (np.abs(points[row, 1] - height) < 5)
        & (points[row, 2] < depth + 2.5)
        & (points[row, 2] > depth - 9)
    ]
    up, low = near[lower[near] < 0.25], near[lower[near] > 0.75]
    distance, found = KDTree(points[low]).query(points[up])
    other = np.asarray(found)
    bins = np.round((points[up, 0] / half + 1) * (PAIRS - 1) / 2).astype(int)
    pairs = []
    for k in range(PAIRS):
        inside = np.flatnonzero((bins == k) & (distance < NEAR) & (points[low][other, 1] >= points[up, 1]))
        if len(inside):
            best = inside[np.argmin(distance[inside])]
            pairs.append((up[best], low[other[best]]))
    pairs = np.array(pairs)
    red = np.unique(whole.faces[(whole.faces < FACE.stop).all(1) & (whole.label == 4)])
    groups = {
        "lips": red,
        "lips_inner_upper": pairs[:, 0],
        "lips_inner_lower": pairs[:, 1],
        "lips_outer_upper": mark[48:55],
        "lips_outer_lower": mark[[48, 59, 58, 57, 56, 55, 54]],
        "inner_mouth": np.arange(SOCKETS.start, SOCKETS.stop)[np.abs(points[SOCKETS, 1] - points[mark[62], 1]) < 45],
        "chin": row[
            (np.abs(points[row, 0]) < 18)
            & (points[row, 1] > points[mark[57], 1] + 10)
            & (points[row, 2] < -70)
            & (points[row, 1] < points[mark[8], 1])
        ],
    }
    for side, start in (("right", 36), ("left", 42)):
        groups[f"lid_upper_{side}"] = mark[start : start + 4]
        groups[f"lid_lower_{side}"] = mark[[start, start + 5, start + 4, start + 3]]
    return pairs, groups


Guard = tuple[np.ndarray, np.ndarray, np.ndarray]


def _lip_guard(points: np.ndarray, pairs: np.ndarray, lower: np.ndarray) -> Guard:
    """What gives way, to which pair, and how much (negative: upwards) when the lips would cross."""
    middle = points[pairs].mean(1)
    reach = np.arange(SOCKETS.stop)
    _, beside = KDTree(middle[:, [0]]).query(points[reach][:, [0]])
    near = reach[np.linalg.norm(points[reach] - middle[beside], axis=1) < 22]
    distance, pair = KDTree(middle[:, [0]]).query(points[near][:, [0]], k=3)
    weight = 1 / (distance + 0.4)
    weight /= weight.sum(1, keepdims=True)
    away = np.linalg.norm(points[near] - (middle[pair] * weight[..., None]).sum(1), axis=1)
    share = 0.5 * np.exp(-((np.maximum(away - 2, 0) / 7.0) ** 2)) * (2 * lower[near] - 1)
    share = share[:, None] * weight
    return np.repeat(near, 3), pair.ravel(), share.ravel()


def _gap(points: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return points[pairs[:, 1]] - points[pairs[:, 0]]


def _pulled(guard: Guard, size: int, excess: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Displacements (size, 3) after which `excess` of them, (P, 3) between the pairs, has gone."""
    out = np.zeros((size, 3))
    for _ in range(8):
        np.add.at(out, guard[0], -guard[2][:, None] * excess(out)[guard[1]])
    return out


def _full_blink(points: np.ndarray, blink: np.ndarray, lids: np.ndarray) -> float:
    """The factor with which the lids meet: the kit's leave a seventh of the eye open."""
    up, low = lids[:2], lids[:1:-1]
    before = (points[low, 1] - points[up, 1]).mean()
    closing = before - (points[low, 1] + blink[low, 1] - points[up, 1] - blink[up, 1]).mean()
    return float(np.clip((before - 0.3) / closing, 1.0, 1.25))


def _lids(fitted: Fit, moved: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices of the lids, which eye they cover, and how near its centre they may come: as near as in any one shape,
    but over the cornea not nearer than the ball (as far as that costs less than a millimetre at rest)."""
    index, eye, radius = [], [], []
    points = fitted.points[: FACE.stop]
    for e, side in enumerate(("Left", "Right")):
        offset = points - fitted.eyes[e]
        near = np.flatnonzero((np.linalg.norm(offset, axis=1) < 24) & (offset[:, 2] < 0))
        least = np.linalg.norm(offset[near], axis=1)
        for name in (f"eyeBlink{side}", f"eyeLookDown{side}", f"eyeWide{side}", f"eyeSquint{side}"):
            least = np.minimum(least, np.linalg.norm(offset[near] + moved[name][near], axis=1))
        blink = moved[f"eyeBlink{side}"][near]
        ball = fitted.points[EYES[side.lower()]] - fitted.eyes[e]
        reach = np.linalg.norm(ball, axis=1)
        towards = offset[near] + blink
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        over = reach[KDTree(ball / reach[:, None]).query(towards)[1]] + LID
        over = np.minimum(over, np.linalg.norm(offset[near], axis=1) + 0.8)
        least = np.where(np.linalg.norm(blink, axis=1) > 2.0, np.maximum(least, over), least)
        index.append(near)
        eye.append(np.full(len(near), e))
        radius.append(least)
    return np.concatenate(index), np.concatenate(eye), np.concatenate(radius)
