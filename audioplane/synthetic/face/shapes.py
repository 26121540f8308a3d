"""What each of the 52 ARKit blendshapes does to the skin at rest, as displacements in millimetres.

Written as muscles would be: a smooth region about a place of the face, and a direction. Left shapes are
written for the left half (x > 0) and mirrored. The jaw is not here (`jaw.py`); neither are the eyeballs'
rotations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audioplane.subject.blendshapes import NAMES
from audioplane.synthetic.face import mouth_shapes, upper_shapes
from audioplane.synthetic.face.canvas import Canvas

INDEX = {name: i for i, name in enumerate(NAMES)}


def skin_shapes(canvas: Canvas) -> dict[str, np.ndarray]:
    """Displacements (V, 3) by name, for all shapes that move the skin (jaw and gaze aside)."""
    left: dict[str, Callable[[Canvas], np.ndarray]] = {**mouth_shapes.LEFT, **upper_shapes.LEFT}
    middle = {**mouth_shapes.MIDDLE, **upper_shapes.MIDDLE}
    out: dict[str, np.ndarray] = {}
    mirror, flip = canvas.mesh.mirror, np.array([-1.0, 1, 1])
    for stem, brush in left.items():
        moved = brush(canvas)
        out[stem + "Left"] = moved
        out[stem + "Right"] = moved[mirror] * flip
    for name, brush in middle.items():
        moved = brush(canvas)
        if name == "mouthLeft":
            out["mouthRight"] = moved[mirror] * flip
        else:
            moved = (moved + moved[mirror] * flip) / 2
        out[name] = moved
    return out
