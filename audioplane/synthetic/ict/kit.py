"""ICT-FaceKit as arrays: read from its public OBJ files or from one .npz, and written to that .npz.

ICT-FaceKit is a scanned head of the USC Institute for Creative Technologies (MIT licence) with expression shapes named
after ARKit's: https://github.com/ICT-VGL/ICT-FaceKit. Nothing of it ships with audioplane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import arrays, files

NEUTRAL = "generic_neutral_mesh"


@dataclass(frozen=True)
class Kit:
    """The kit, in its own axes: centimetres, x to the person's left, y up, z to the front; V vertices, F triangles.

    Attributes:
        vertices: (V, 3) float32. faces: (F, 3) int32. uv: (U, 2), faces_uv: (F, 3) its own corners' indices.
        part: (F,) indices into `part_names`, the kit's materials.
        expressions: E names; expression_deltas: (E, V, 3), identity_deltas: (I, V, 3) displacements at weight 1.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    faces_uv: np.ndarray
    part: np.ndarray
    part_names: np.ndarray
    expressions: np.ndarray
    expression_deltas: np.ndarray
    identity_deltas: np.ndarray

    def delta(self, name: str) -> np.ndarray:
        """(V, 3) float64 displacements of one expression."""
        where = np.flatnonzero(self.expressions == name)
        if not len(where):
            raise UserError(f"this ICT-FaceKit lacks the expression {name!r}; get it: audioplane fetch ict-facekit")
        return self.expression_deltas[where[0]].astype(np.float64)

    def vertex_uv(self) -> np.ndarray:
        """(V, 2): one texture position of each vertex (on a seam, of one side)."""
        out = np.zeros((len(self.vertices), 2))
        out[self.faces.ravel()] = self.uv[self.faces_uv.ravel()]
        return out


ARRAYS = tuple(f.name for f in fields(Kit))


def load(path: str | Path) -> Kit:
    """The kit of an .npz.

    Raises:
        UserError: it is no such file, or its arrays do not fit together.
    """
    try:
        kit = Kit(**arrays.read_npz(Path(path), dict.fromkeys(ARRAYS, arrays.ANY), None))
    except UserError as error:
        raise UserError(f"{path} is not an ICT-FaceKit .npz ({error}); get it: audioplane fetch ict-facekit") from error
    _check(kit, path)
    return kit


def _check(kit: Kit, path: str | Path) -> None:
    v, f = len(kit.vertices), len(kit.faces)
    wanted = {
        "vertices": (v, 3),
        "faces": (f, 3),
        "faces_uv": (f, 3),
        "uv": (len(kit.uv), 2),
        "part": (f,),
        "expression_deltas": (len(kit.expressions), v, 3),
        "identity_deltas": (len(kit.identity_deltas), v, 3),
    }
    for name, shape in wanted.items():
        array = getattr(kit, name)
        if array.shape != shape:
            raise UserError(f"{path}: `{name}` of an ICT-FaceKit must be {shape}, got {array.shape}; get it again")
    for name, top in (("faces", v), ("faces_uv", len(kit.uv)), ("part", len(kit.part_names))):
        array = getattr(kit, name)
        if array.size and not 0 <= array.min() <= array.max() < top:
            raise UserError(f"{path}: `{name}` of an ICT-FaceKit must be indices below {top}; get it again")
    for name in ("vertices", "expression_deltas", "identity_deltas"):
        if not np.isfinite(getattr(kit, name)).all():
            raise UserError(f"{path}: `{name}` of an ICT-FaceKit must be finite; get it again")


def save(kit: Kit, path: str | Path) -> None:
    """Writes the .npz: whole or not at all. Displacements are kept as float16 (half a micrometre)."""
    own = {name: np.asarray(getattr(kit, name)) for name in ARRAYS}
    for name in ("expression_deltas", "identity_deltas"):
        own[name] = own[name].astype(np.float16)
    files.write_arrays(path, own, compressed=True)


def from_files(names: Sequence[str], text: Callable[[str], str]) -> Kit:
    """The kit of OBJ files: the neutral mesh, one mesh an expression, one an identity (`identity000` ...).

    Args:
        names: of the files without `.obj`, `generic_neutral_mesh` among them.
        text: gives the content of the file of a name; called once for each, so that it may fetch it.

    Raises:
        UserError: there is no neutral mesh, or a file is not a mesh of the same vertices.
    """
    if NEUTRAL not in names:
        raise UserError(f"an ICT-FaceKit has a {NEUTRAL}.obj; there are only {', '.join(names) or 'no files'}")
    vertices, faces, uv, faces_uv, part, part_names = _mesh(text(NEUTRAL))
    shapes = {}
    for name in names:
        if name != NEUTRAL:
            moved = _vertices(text(name))
            if moved.shape != vertices.shape:
                raise UserError(f"{name}.obj has {len(moved)} vertices, {NEUTRAL}.obj {len(vertices)}: not one kit")
            shapes[name] = (moved - vertices).astype(np.float16)
    expressions = sorted(name for name in shapes if not name.startswith("identity"))
    identities = sorted(name for name in shapes if name.startswith("identity"))

    def stack(chosen: list[str]) -> np.ndarray:
        return np.array([shapes[name] for name in chosen], np.float16).reshape(len(chosen), len(vertices), 3)

    kit = Kit(
        vertices.astype(np.float32),
        faces,
        uv,
        faces_uv,
        part,
        part_names,
        np.array(expressions, str),
        stack(expressions),
        stack(identities),
    )
    _check(kit, NEUTRAL)
    return kit


def from_folder(folder: str | Path) -> Kit:
    """The kit of a folder of OBJ files, such as `FaceXModel` of a clone of the public repository.

    Raises:
        UserError: see `from_files`.
    """
    names = sorted(path.stem for path in Path(folder).glob("*.obj"))
    return from_files(names, lambda name: (Path(folder) / f"{name}.obj").read_text(encoding="utf-8"))


def _vertices(obj: str) -> np.ndarray:
    rows = [line.split()[1:4] for line in obj.splitlines() if line.startswith("v ")]
    try:
        return np.array(rows, np.float64).reshape(len(rows), 3)
    except ValueError as error:
        raise UserError(f"an OBJ file of the ICT-FaceKit is damaged ({error}); get it again") from error


def _mesh(obj: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles, texture positions, the triangles' texture corners, their materials and these' names."""
    uv, faces, faces_uv, part = [], [], [], []
    material, materials = "", []
    try:
        for line in obj.splitlines():
            head, *rest = line.split() or [""]
            if head == "vt":
                uv.append([float(rest[0]), float(rest[1])])
            elif head == "usemtl":
                material = rest[0]
            elif head == "f":
                corners = np.array([[int(i) for i in corner.split("/")[:2]] for corner in rest]) - 1
                for k in range(1, len(corners) - 1):  # a polygon is a fan of triangles
                    faces.append(corners[[0, k, k + 1], 0])
                    faces_uv.append(corners[[0, k, k + 1], 1])
                    materials.append(material)
    except (ValueError, IndexError) as error:
        raise UserError(f"an OBJ file of the ICT-FaceKit is damaged ({error}); get it again") from error
    names = sorted(set(materials))
    part = np.array([names.index(m) for m in materials], np.int16)
    return (
        _vertices(obj),
        np.array(faces, np.int32).reshape(-1, 3),
        np.array(uv, np.float32).reshape(-1, 2),
        np.array(faces_uv, np.int32).reshape(-1, 3),
        part,
        np.array(names, str),
    )
