"""A kit of a few vertices, generated: the published files' form, nothing of their content."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audioplane.synthetic.ict.kit import NEUTRAL

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1]], float)
SHIFTS = {"jawOpen": (0, -1, 0), "mouthClose": (0, 1, 0), "identity000": (0.25, 0, 0), "identity001": (0, 0, 0.5)}


def obj(vertices: np.ndarray, faces: bool = True) -> str:
    """An OBJ as the kit writes it: comments, two materials, a quad and triangles with texture corners."""
    lines = ["# a comment", "mtllib some.mtl", *(f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices)]
    lines += [f"vt {k / 10} {k / 20}" for k in range(6)]
    if faces:
        lines += ["usemtl M_Face", "f 1/1 2/2 3/3 4/4", "usemtl M_Back", "f 1/5 2/6 5/1", "f 3/1 4/2 5/3"]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> Path:
    """The fake kit's OBJ files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NEUTRAL}.obj").write_text(obj(VERTICES))
    for name, shift in SHIFTS.items():
        moved = VERTICES + np.array(shift) * (VERTICES[:, 1:2] > 0.5)
        (folder / f"{name}.obj").write_text(obj(moved))
    return folder
