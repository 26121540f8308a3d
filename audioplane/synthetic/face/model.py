"""A synthetic person's head: rest shape, what it is made of, and how blendshapes move it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from audioplane.synthetic.face import build
from audioplane.synthetic.face.anatomy import anatomy
from audioplane.synthetic.face.eyeballs import IRIS_SINE, PUPIL
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.landmarks import landmark_vertices
from audioplane.synthetic.face.motion import GAZE, JAW_AHEAD, JAW_ASIDE, Rig
from audioplane.synthetic.face.parts import Part
from audioplane.synthetic.face.rigging import SPARSE
from audioplane.synthetic.face.shapes import INDEX, NAMES
from audioplane.synthetic.materials import Paint

EXTRAS = ("tongueUp", "tongueBetween", "tongueBack", "labiodental")


class FaceModel(Protocol):
    """What a head must offer to be rendered and measured; `Face` does, other meshes may.

    Lengths are metres in head coordinates (x to the image's right, y down, z to the back). V vertices, F
    faces.

    Attributes:
        rest: (V, 3) float32, all weights zero. faces: (F, 3) int32, wound outward by the right-hand rule.
        materials, labels: (F,) uint8: `Material` and segmentation label of each face.
        uv: (V, 2). albedo: (V, 3) linear RGB. roughness, occlusion, coverage: (V,) in [0, 1].
        flow: (V, 3) strands' direction, eyes' optical axis at rest. torso_weight: (V,) 0 head to 1 torso.
        sway: (V,) share of the swing of hanging hair, [0, 1].
        vertex_groups: named vertex indices.
        paint: what does not vary over the mesh: iris, freckles, pores, weave.
    """

    rest: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    labels: np.ndarray
    uv: np.ndarray
    albedo: np.ndarray
    roughness: np.ndarray
    occlusion: np.ndarray
    coverage: np.ndarray
    flow: np.ndarray
    torso_weight: np.ndarray
    sway: np.ndarray
    vertex_groups: dict[str, np.ndarray]
    paint: Paint

    def vertices(self, blendshapes: np.ndarray, extras: Mapping[str, float] | None = None) -> np.ndarray: ...

    def gaze_flow(self, blendshapes: np.ndarray) -> np.ndarray: ...

    def landmarks(self, vertices: np.ndarray) -> np.ndarray: ...

    def mouth_measures(self, vertices: np.ndarray) -> dict[str, float]: ...


class RiggedFace(ABC):
    """What all heads with a rig share: the mesh's attributes (see `FaceModel`), gaze and landmarks."""

    def adopt(self, parts: Part, paint: Paint, landmarks: np.ndarray) -> None:
        """Takes the joined parts (millimetres) as this head's mesh; `landmarks` (68,) are vertices of it."""
        f4 = np.float32
        self.rest = np.ascontiguousarray(parts.vertices / 1000, f4)
        self.faces = np.ascontiguousarray(parts.faces, np.int32)
        self.materials = np.ascontiguousarray(parts.material, np.uint8)
        self.labels = np.ascontiguousarray(parts.label, np.uint8)
        self.uv = np.ascontiguousarray(parts.uv, f4)
        self.albedo = np.ascontiguousarray(parts.albedo, f4)
        self.roughness = np.ascontiguousarray(parts.roughness, f4)
        self.occlusion = np.ascontiguousarray(parts.occlusion, f4)
        self.coverage = np.ascontiguousarray(parts.coverage, f4)
        self.flow = np.ascontiguousarray(parts.flow, f4)
        self.torso_weight = np.ascontiguousarray(parts.torso, f4)
        self.sway = np.ascontiguousarray(parts.sway, f4)
        self.vertex_groups = parts.groups
        self.paint = paint
        self._landmarks = landmarks

    @abstractmethod
    def vertices(
        self,
        blendshapes: np.ndarray,
        extras: Mapping[str, float] | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The moved vertices (V, 3) float32, metres in head coordinates."""

    def checked(
        self, blendshapes: np.ndarray, extras: Mapping[str, float] | None, out: np.ndarray | None
    ) -> tuple[np.ndarray, Mapping[str, float], np.ndarray]:
        """The arguments of `vertices` as it works with them.

        Raises:
            ValueError: if `blendshapes` is not (52,) and finite.
        """
        w = np.asarray(blendshapes, np.float64)
        if w.shape != (len(NAMES),) or not np.isfinite(w).all():
            raise ValueError(f"blendshapes must be ({len(NAMES)},) finite weights; got shape {w.shape}")
        return w, extras or {}, np.empty_like(self.rest) if out is None else out

    @property
    def neutral_vertices(self) -> np.ndarray:
        """(V, 3) float32 metres, all weights zero."""
        return self.rest

    def vertices_batch(self, blendshapes: np.ndarray, extras: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """`vertices` of T frames: weights (T, 52) and tracks (T,) to (T, V, 3) float32."""
        out = np.empty((len(blendshapes), *self.rest.shape), np.float32)
        for t, w in enumerate(blendshapes):
            self.vertices(w, {k: float(v[t]) for k, v in (extras or {}).items()}, out[t])
        return out

    def gaze(self, blendshapes: np.ndarray) -> np.ndarray:
        """(2, 2) yaw (positive: to the image's right) and pitch (positive: down) of left and right eye,
        radians."""
        w = np.asarray(blendshapes, np.float64)
        out = np.zeros((2, 2))
        for eye, (side, sign) in enumerate((("Left", 1.0), ("Right", -1.0))):
            inward, outward, up, down = (w[INDEX[f"eyeLook{k}{side}"]] for k in ("In", "Out", "Up", "Down"))
            out[eye] = sign * (outward * GAZE[1] - inward * GAZE[0]), down * GAZE[3] - up * GAZE[2]
        return out

    def gaze_flow(self, blendshapes: np.ndarray) -> np.ndarray:
        """`flow` (V, 3) with the eyes' optical axes turned to where they look."""
        flow = self.flow.copy()
        for (yaw, pitch), side in zip(self.gaze(blendshapes), ("left_eye", "right_eye"), strict=True):
            axis = (np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch))
            flow[self.vertex_groups[side]] = axis
        return flow

    def landmarks(self, vertices: np.ndarray) -> np.ndarray:
        """The 68 iBUG landmarks (68, 3) of moved vertices."""
        return np.asarray(vertices)[..., self._landmarks, :]

    @property
    def landmark_positions(self) -> np.ndarray:
        """The 68 landmarks at rest (68, 3)."""
        return self.landmarks(self.rest)


class Face(RiggedFace):
    """A parametric head (see `FaceModel` for its attributes). The same identity gives the same bytes.

    Args:
        identity: who it is. All identities of one set of hair, beard, glasses and clothes share their
            topology; the skin, eyes, teeth and tongue come first and are the same for all.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.anatomy = anatomy(identity)
        parts, rig = build.build(identity, self.anatomy)
        self._rig: Rig = rig
        self.adopt(parts, face_paint(identity), landmark_vertices())

    def vertices(
        self,
        blendshapes: np.ndarray,
        extras: Mapping[str, float] | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The moved vertices (V, 3) float32, metres in head coordinates.

        Args:
            blendshapes: (52,) weights in [0, 1] in the order of `NAMES`.
            extras: tracks beyond ARKit's, of `EXTRAS`, in [0, 1]; others are left unread.
            out: written to and returned if given.

        Raises:
            ValueError: if `blendshapes` is not (52,) and finite.
        """
        w, extras, out = self.checked(blendshapes, extras, out)
        weights = np.zeros(len(SPARSE))
        for i, name in enumerate(SPARSE):
            weights[i] = w[INDEX[name]] if name in INDEX else float(extras.get(name, 0.0))
        jaw = np.array(
            [
                w[INDEX["jawOpen"]],
                w[INDEX["mouthClose"]],
                (w[INDEX["jawLeft"]] - w[INDEX["jawRight"]]) * JAW_ASIDE / 1000,
                w[INDEX["jawForward"]] * JAW_AHEAD / 1000,
            ]
        )
        # A tip between the teeth cannot be at the ridge behind them as well.
        tongue_up = float(extras.get("tongueUp", 0.0)) * (1 - float(extras.get("tongueBetween", 0.0)))
        special = np.array([tongue_up, float(extras.get("labiodental", 0.0))])
        self._rig.run(weights, jaw, self.gaze(w), special, out)
        return out

    def mouth_measures(self, vertices: np.ndarray) -> dict[str, float]:
        """Lengths of the mouth in metres: `gap` between the lips at the midline, `largest_gap`, `width`
        between the corners, `protrusion` of the lips' midpoint (forward, relative to
        rest), `red_height` border to border."""
        return build.mouth_measures(np.asarray(vertices, float), np.asarray(self.rest, float))


def face_paint(who: Identity) -> Paint:
    """What does not vary over a person's mesh."""
    return Paint(
        iris_colour=who.iris,
        iris_radius=IRIS_SINE,
        pupil=PUPIL,
        freckles=float(np.clip(who.freckles, 0, 1)),
        pores=0.6 + 0.012 * who.age,
        ribs=1.0 if who.clothes == "jumper" else 0.0,
        seed=who.seed,
    )
