"""What our blendshapes do, held against ICT-FaceKit's (a scanned head with ARKit-like shapes): measured,
never copied.

    python -m audioplane.synthetic.face.compare path/to/ict_facekit.npz

Both heads are brought to one frame (millimetres, eyes and mouth as reference points) and scale (distance
between the eyes and from them to the mouth). For each shape, our displacements are compared with ICT's at
the nearest skin points
in the region where either moves: the cosine between the two fields, the ratio of their greatest
displacements, and how far apart the centres of motion lie.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from audioplane.errors import UserError
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.model import Face
from audioplane.synthetic.face.shapes import INDEX, NAMES

# ICT splits cheekPuff and browInnerUp in two, names sides _L / _R, and has no tongueOut.
_BOTH_SIDES = ("cheekPuff", "browInnerUp")


@dataclass(frozen=True)
class Likeness:
    """How one shape compares: cosine of the fields, reach over ICT's reach (1 = equal), offset of centres
    (mm)."""

    name: str
    cosine: float
    amplitude: float
    reach_mm: float
    offset_mm: float


def _ict_names(name: str) -> list[str]:
    if name in _BOTH_SIDES:
        return [f"{name}_L", f"{name}_R"]
    for side, short in (("Left", "_L"), ("Right", "_R")):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return [name[: -len(side)] + short]
    return [name]


def _frame(eyes: np.ndarray, mouth: np.ndarray) -> tuple[np.ndarray, float]:
    """Origin (between the eyes) and scale (mm of eye distance plus eye-mouth distance) of a head."""
    middle = eyes.mean(0)
    return middle, float(np.linalg.norm(eyes[0] - eyes[1]) + np.linalg.norm(mouth - middle))


def compare(path: str | Path) -> list[Likeness]:
    """Compares all shapes that both heads have.

    Raises:
        UserError: if the file is missing or has not the arrays `vertices`, `faces`, `part`, `expressions`,
            ...
    """
    try:
        ict = np.load(path)
        parts = [str(n) for n in ict["part_names"]]
        names = [str(n) for n in ict["expressions"]]
        points = ict["vertices"].astype(float) * [10, -10, -10]
        faces, part, deltas = ict["faces"], ict["part"], ict["expression_deltas"]
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is not an ICT-FaceKit file of ours ({error}); fetch it again") from error
    ict_skin = np.unique(faces[part == parts.index("M_Face")])
    ict_eyes = np.stack(
        [points[np.unique(faces[part == parts.index(f"M_Iris{s}")])].mean(0) for s in ("Left", "Right")]
    )
    face = Face(Identity(hair="bald", asymmetry=0.0))
    rest = face.rest.astype(float) * 1000
    skin = face.vertex_groups["skin"]
    own_eyes = np.stack([rest[face.vertex_groups[g]].mean(0) for g in ("left_eye", "right_eye")])
    own_eyes[:, 2] -= 10
    lips = np.argmax(np.linalg.norm(deltas[names.index("mouthPucker")].astype(float), axis=1))
    ict_middle, ict_scale = _frame(ict_eyes, points[lips] * [0, 1, 1])
    own_middle, own_scale = _frame(own_eyes, rest[face.vertex_groups["lips"]].mean(0))
    ratio = own_scale / ict_scale
    aligned = (points[ict_skin] - ict_middle) * ratio + own_middle
    outer = skin[(rest[skin, 2] < 10) & ~np.isin(skin, face.vertex_groups["inner_mouth"])]
    sides = _lip_side(rest[outer], face, outer)
    ict_sides = np.sign(deltas[names.index("jawOpen")][ict_skin, 1].astype(float) * -10 - 9.0)
    out = []
    for name in NAMES:
        wanted = _ict_names(name)
        if not set(wanted) <= set(names):
            continue
        theirs = sum(deltas[names.index(n)][ict_skin].astype(float) for n in wanted) * np.array([10, -10, -10]) * ratio
        weights = np.zeros(len(NAMES))
        weights[INDEX[name]] = 1.0
        if name == "mouthClose":  # ours acts together with the jaw
            weights[INDEX["jawOpen"]] = 1.0
            base = np.zeros(len(NAMES))
            base[INDEX["jawOpen"]] = 1.0
            start = face.vertices(base).astype(float) * 1000
        else:
            start = rest
        ours = (face.vertices(weights).astype(float) * 1000 - start)[outer]
        out.append(_likeness(name, rest[outer], ours, sides, aligned, theirs, ict_sides))
    return out


def _lip_side(points: np.ndarray, face: Face, index: np.ndarray) -> np.ndarray:
    """+1 where the open jaw takes the skin along, -1 elsewhere: so that lips are compared with the right
    lip."""
    weights = np.zeros(len(NAMES))
    weights[INDEX["jawOpen"]] = 1.0
    moved = face.vertices(weights).astype(float)[index] * 1000 - points
    return np.sign(np.linalg.norm(moved, axis=1) - 12.0)


def _likeness(name, own, ours, own_sides, ict, theirs, ict_sides) -> Likeness:
    matched = np.empty_like(ours)
    for side in (-1, 1):
        pool = np.flatnonzero(ict_sides == side) if (ict_sides == side).any() else np.arange(len(ict))
        mine = np.flatnonzero(own_sides == side)
        if len(mine):
            _, near = KDTree(ict[pool]).query(own[mine], k=3)
            matched[mine] = theirs[pool][near].mean(1)
    size, other = np.linalg.norm(ours, axis=1), np.linalg.norm(matched, axis=1)
    active = (size > 0.2 * size.max()) | (other > 0.2 * other.max())
    dot = (ours[active] * matched[active]).sum()
    cosine = dot / (np.linalg.norm(ours[active]) * np.linalg.norm(matched[active]) + 1e-9)
    reach, theirs_reach = np.quantile(size, 0.999), np.quantile(np.linalg.norm(theirs, axis=1), 0.999)
    centre = (own * size[:, None] ** 2).sum(0) / (size**2).sum() - (own * other[:, None] ** 2).sum(0) / (other**2).sum()
    return Likeness(name, float(cosine), float(reach / theirs_reach), float(reach), float(np.linalg.norm(centre)))


def table(rows: list[Likeness]) -> str:
    """The comparison as text."""
    lines = [f"{'shape':22s} cosine  amplitude  reach/mm  offset/mm"]
    lines += [f"{r.name:22s} {r.cosine:6.2f} {r.amplitude:10.2f} {r.reach_mm:9.1f} {r.offset_mm:10.1f}" for r in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(compare(sys.argv[1])))
