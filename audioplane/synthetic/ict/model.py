"""`IctFace`: a person on ICT-FaceKit's mesh, behind the interface of our own `Face`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from audioplane.runtime import weights as model_files
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.model import RiggedFace, face_paint
from audioplane.synthetic.face.shapes import INDEX
from audioplane.synthetic.ict.dress import person
from audioplane.synthetic.ict.fit import LANDMARKS, fit
from audioplane.synthetic.ict.kit import Kit, load
from audioplane.synthetic.ict.rig import SPARSE, rig

NAME = "ict-facekit"
IRIS_SINE = 0.58  # of the normal at the iris' edge: the kit's eyeballs bulge with the cornea


def installed_kit() -> Kit:
    """The kit that `audioplane fetch ict-facekit` left on this machine.

    Raises:
        UserError: there is none, or it is damaged.
    """
    return load(model_files.require(NAME))


class IctFace(RiggedFace):
    """A person of ICT-FaceKit (see `FaceModel` for the attributes). The same identity and kit give the same bytes.

    Skin, eyes (the sclera and cornea, painted by our iris), teeth, gums, tongue and lashes are the kit's meshes; brows,
    beard, hair, glasses and clothes are ours, fitted to it. The kit's other layers about the eye (lacrimal fluid,
    blend, occlusion) are left out. Of the identity, colours, hair and clothes count as they are; the shape is drawn
    from the kit's ten identities by `identity.seed`.

    All 52 shapes of ARKit act: 49 are one shape of the kit each, `browInnerUp` and `cheekPuff` are its left and right
    ones together, and `tongueOut`, which it lacks, is a shift of the front of its tongue. So are the extras
    `tongueBetween` and `tongueUp`; "labiodental" and others are left unread. Gaze turns the eyeballs, as on our face;
    the kit's gaze shapes move the lids. `mouthClose` is made exact: with as much `jawOpen` the lips come to lie as at
    rest (the kit's own cross by 5 mm), and never counts more than `jawOpen`.

    Args:
        identity: who it is.
        kit: the kit; None: `installed_kit()`.

    Raises:
        UserError: the kit is missing, or is not the published mesh.
    """

    def __init__(self, identity: Identity, kit: Kit | None = None) -> None:
        self.identity = identity
        kit = kit or installed_kit()
        fitted = fit(kit, identity)
        whole = person(kit, fitted)
        self._rig, lips = rig(kit, fitted, whole)
        whole.groups |= lips
        self.adopt(whole, replace(face_paint(identity), iris_radius=IRIS_SINE), LANDMARKS)

    def vertices(
        self, blendshapes: np.ndarray, extras: Mapping[str, float] | None = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Face.vertices`."""
        w, extras, out = self.checked(blendshapes, extras, out)
        weights = np.append(w, float(extras.get("tongueBetween", 0.0)))
        weights[INDEX["mouthClose"]] = min(w[INDEX["mouthClose"]], w[INDEX["jawOpen"]])
        assert len(weights) == len(SPARSE)
        self._rig.run(weights, np.zeros(4), self.gaze(w), np.array([float(extras.get("tongueUp", 0.0)), 0.0]), out)
        return out

    def mouth_measures(self, vertices: np.ndarray) -> dict[str, float]:
        """See `Face.mouth_measures`."""
        v, rest = np.asarray(vertices, float), np.asarray(self.rest, float)
        upper, lower = self.vertex_groups["lips_inner_upper"], self.vertex_groups["lips_inner_lower"]
        gaps = np.linalg.norm(v[lower] - v[upper], axis=-1)
        middle = int(np.argmin(np.abs(rest[upper, 0])))
        lips = [upper[middle], lower[middle]]
        return {
            "gap": float(gaps[middle]),
            "largest_gap": float(gaps.max()),
            "width": float(np.linalg.norm(v[LANDMARKS[54]] - v[LANDMARKS[48]])),
            "protrusion": float((rest[lips, 2] - v[lips, 2]).mean()),
            "red_height": float(v[LANDMARKS[57], 1] - v[LANDMARKS[51], 1]),
        }
