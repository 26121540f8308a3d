"""From weights to vertices: the compiled step that runs once a frame.

Order: displacements of the skin; lids pushed out to the eyeball; gaze; jaw; tongue; lips kept from crossing;
then what hangs on the skin (brows, lashes, beard).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import indices
from audioplane.synthetic.face.jaw import Hinge

# Degrees the eyeball turns at weight 1: in, out, up, down.
GAZE = np.deg2rad(np.array([30.0, 32.0, 25.0, 28.0]))
JAW_ASIDE, JAW_AHEAD = 8.0, 8.0  # millimetres at weight 1


@dataclass
class Rig:
    """Flat arrays of everything the compiled step reads. Lengths are metres, indices are of the whole mesh.

    Attributes:
        rest: (V, 3). starts (S + 1,), index (n,), delta (n, 3): sparse displacements, one run a shape.
        lid_index, lid_eye, lid_radius: vertices that must stay outside a sphere about eye 0 (left) or 1
            (right).
        eye_index, eye_of: vertices of the eyeballs; eye_centre (2, 3).
        jaw_index: vertices that the jaw moves; jaw_open, jaw_sealed their shares.
        hinge_centre, hinge_angle, hinge_glide: see `jaw.Hinge`.
        tongue_index, tongue_share, tongue_up: the tongue's vertices, how far each rises, and where to.
        bite_index, bite_share: vertices of the lower lip that go to the upper teeth, so that `bite_lip` meets
            `bite_edge` (3,).
        lip_pairs: (P, 2) upper and lower vertex of each column of the slit; lip_index, lip_pair, lip_share:
            vertices that give way when a pair would cross (share < 0: upwards).
        bound_index, bound_to (B, 3), bound_weight (B, 3), bound_scale: vertices that hang on others.
    """

    rest: np.ndarray
    starts: np.ndarray
    index: np.ndarray
    delta: np.ndarray
    lid_index: np.ndarray
    lid_eye: np.ndarray
    lid_radius: np.ndarray
    eye_index: np.ndarray
    eye_of: np.ndarray
    eye_centre: np.ndarray
    jaw_index: np.ndarray
    jaw_open: np.ndarray
    jaw_sealed: np.ndarray
    hinge: Hinge
    tongue_index: np.ndarray
    tongue_share: np.ndarray
    tongue_up: np.ndarray
    bite_index: np.ndarray
    bite_share: np.ndarray
    bite_lip: int
    bite_edge: np.ndarray
    lip_pairs: np.ndarray
    lip_index: np.ndarray
    lip_pair: np.ndarray
    lip_share: np.ndarray
    bound_index: np.ndarray
    bound_to: np.ndarray
    bound_weight: np.ndarray
    bound_scale: np.ndarray

    def __post_init__(self) -> None:
        """Raises ValueError for indices that the compiled step would follow out of the mesh."""
        vertices, pairs, runs = len(self.rest), len(self.lip_pairs), len(self.index)
        for name in ("index", "lid_index", "eye_index", "jaw_index", "tongue_index", "bite_index", "lip_pairs"):
            indices(name, np.ravel(getattr(self, name)), vertices)
        for name in ("lip_index", "bound_index", "bound_to"):
            indices(name, np.ravel(getattr(self, name)), vertices)
        for name, stop in (("starts", runs + 1), ("lid_eye", 2), ("eye_of", 2), ("lip_pair", pairs)):
            indices(name, getattr(self, name), stop)
        for name, others in _ALIKE.items():
            for other in others:
                if len(getattr(self, other)) != len(getattr(self, name)):
                    raise ValueError(f"{other}: expected as many rows as {name}, {len(getattr(self, name))}")

    def run(self, weights: np.ndarray, jaw: np.ndarray, gaze: np.ndarray, extras: np.ndarray, out: np.ndarray) -> None:
        """Writes the moved vertices (V, 3) to `out`.

        Args:
            weights: (S,) of the sparse shapes.
            jaw: (4,) open, closed lips, left, forward.
            gaze: (2, 2) yaw (positive: to the image's right) and pitch (positive: down) of both eyes,
                radians.
            extras: (2,) tongue's tip raised, lower lip at the upper teeth; 0 to 1.
            out: (V, 3) float32 or float64, contiguous.
        """
        wanted = {"weights": (len(self.starts) - 1,), "jaw": (4,), "gaze": (2, 2), "extras": (2,)}
        given = {"weights": weights, "jaw": jaw, "gaze": gaze, "extras": extras, "out": out}
        for name, shape in {**wanted, "out": self.rest.shape}.items():
            if given[name].shape != shape:
                raise ValueError(f"{name}: expected {shape}, received {given[name].shape}")
        h = self.hinge
        _move(
            weights, jaw, gaze, extras, self.rest, self.starts, self.index, self.delta,
            self.lid_index, self.lid_eye, self.lid_radius, self.eye_index, self.eye_of, self.eye_centre,
            self.jaw_index, self.jaw_open, self.jaw_sealed, h.centre / 1000, h.angle, h.glide / 1000,
            self.tongue_index, self.tongue_share, self.tongue_up,
            self.bite_index, self.bite_share, self.bite_lip, self.bite_edge,
            self.lip_pairs, self.lip_index, self.lip_pair, self.lip_share,
            self.bound_index, self.bound_to, self.bound_weight, self.bound_scale, out,
        )  # fmt: skip


_ALIKE = {
    "index": ("delta",),
    "lid_index": ("lid_eye", "lid_radius"),
    "eye_index": ("eye_of",),
    "jaw_index": ("jaw_open", "jaw_sealed"),
    "tongue_index": ("tongue_share", "tongue_up"),
    "bite_index": ("bite_share",),
    "lip_index": ("lip_pair", "lip_share"),
    "bound_index": ("bound_to", "bound_weight", "bound_scale"),
}
"""Arrays of a `Rig` that go row by row with another."""


@compiled()
def _move(
    weights, jaw, gaze, extras, rest, starts, index, delta,
    lid_index, lid_eye, lid_radius, eye_index, eye_of, eye_centre,
    jaw_index, jaw_open, jaw_sealed, centre, angle, glide,
    tongue_index, tongue_share, tongue_target,
    bite_index, bite_share, bite_lip, bite_edge,
    lip_pairs, lip_index, lip_pair, lip_share,
    bound_index, bound_to, bound_weight, bound_scale, out,
):  # fmt: skip
    for v in range(rest.shape[0]):
        out[v, 0], out[v, 1], out[v, 2] = rest[v, 0], rest[v, 1], rest[v, 2]
    for s in range(weights.shape[0]):
        w = weights[s]
        if w != 0.0:
            for n in range(starts[s], starts[s + 1]):
                v = index[n]
                out[v, 0] += w * delta[n, 0]
                out[v, 1] += w * delta[n, 1]
                out[v, 2] += w * delta[n, 2]
    _keep_off_balls(lid_index, lid_eye, lid_radius, eye_centre, out)
    _turn_eyes(gaze, eye_index, eye_of, eye_centre, out)
    _swing_jaw(jaw, jaw_index, jaw_open, jaw_sealed, centre, angle, glide, out)
    tongue_up, bite = extras[0], extras[1]
    if tongue_up != 0.0:
        for n in range(tongue_index.shape[0]):
            v = tongue_index[n]
            share = tongue_up * tongue_share[n]
            for k in range(3):
                out[v, k] += share * (tongue_target[n, k] - out[v, k])
    if bite != 0.0:
        for k in range(1, 3):
            way = bite * (bite_edge[k] - out[bite_lip, k])
            for n in range(bite_index.shape[0]):
                out[bite_index[n], k] += bite_share[n] * way
    _part_lips(lip_pairs, lip_index, lip_pair, lip_share, out)
    for n in range(bound_index.shape[0]):
        v = bound_index[n]
        for k in range(3):
            shift = 0.0
            for c in range(3):
                a = bound_to[n, c]
                shift += bound_weight[n, c] * (out[a, k] - rest[a, k])
            out[v, k] = rest[v, k] + bound_scale[n] * shift


@compiled()
def _keep_off_balls(lid_index, lid_eye, lid_radius, eye_centre, out):
    for n in range(lid_index.shape[0]):
        v, e = lid_index[n], lid_eye[n]
        x, y, z = out[v, 0] - eye_centre[e, 0], out[v, 1] - eye_centre[e, 1], out[v, 2] - eye_centre[e, 2]
        r = np.sqrt(x * x + y * y + z * z)
        if r < lid_radius[n]:
            scale = lid_radius[n] / r
            out[v, 0] = eye_centre[e, 0] + x * scale
            out[v, 1] = eye_centre[e, 1] + y * scale
            out[v, 2] = eye_centre[e, 2] + z * scale


@compiled()
def _turn_eyes(gaze, eye_index, eye_of, eye_centre, out):
    for n in range(eye_index.shape[0]):
        v, e = eye_index[n], eye_of[n]
        if gaze[e, 0] == 0.0 and gaze[e, 1] == 0.0:
            continue
        cy, sy = np.cos(gaze[e, 0]), np.sin(gaze[e, 0])
        cp, sp = np.cos(gaze[e, 1]), np.sin(gaze[e, 1])
        x, y, z = out[v, 0] - eye_centre[e, 0], out[v, 1] - eye_centre[e, 1], out[v, 2] - eye_centre[e, 2]
        y, z = cp * y - sp * z, sp * y + cp * z
        x, z = cy * x - sy * z, sy * x + cy * z
        out[v, 0], out[v, 1], out[v, 2] = eye_centre[e, 0] + x, eye_centre[e, 1] + y, eye_centre[e, 2] + z


@compiled()
def _swing_jaw(jaw, jaw_index, jaw_open, jaw_sealed, centre, angle, glide, out):
    open_, closed = jaw[0], min(jaw[1], jaw[0])
    if open_ == 0.0 and jaw[2] == 0.0 and jaw[3] == 0.0:
        return
    c, s = np.cos(angle * open_), np.sin(angle * open_)
    c2, s2 = np.cos(angle * closed), np.sin(angle * closed)
    for n in range(jaw_index.shape[0]):
        v = jaw_index[n]
        share, back = jaw_open[n], jaw_sealed[n] - jaw_open[n]
        y, z = out[v, 1] - centre[1], out[v, 2] - centre[2]
        # Opening turns the chin (front, below) down and back.
        dy, dz = (c - 1.0) * y - s * z + open_ * glide[1], s * y + (c - 1.0) * z + open_ * glide[2]
        ey, ez = (c2 - 1.0) * y - s2 * z + closed * glide[1], s2 * y + (c2 - 1.0) * z + closed * glide[2]
        out[v, 1] += share * dy + back * ey
        out[v, 2] += share * dz + back * ez - share * jaw[3]
        follow = 0.45 * share + 0.55 * jaw_sealed[n]
        out[v, 0] += follow * jaw[2]


@compiled()
def _part_lips(pairs, index, pair, share, out):
    count = pairs.shape[0]
    depth = np.zeros(count)
    crossed = False
    for p in range(count):
        gap = out[pairs[p, 1], 1] - out[pairs[p, 0], 1]
        if gap < 0.0:
            depth[p] = -gap
            crossed = True
    if not crossed:
        return
    for n in range(index.shape[0]):
        out[index[n], 1] += share[n] * depth[pair[n]]
