"""A cloud as the .ply of 3DGS viewers: one vertex a Gaussian, its parameters as named properties."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.runtime import documents, files
from audioplane.splat.gaussians import Gaussians

TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
"""Types of properties, as numpy has them."""

ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
HEADER = 65_536  # bytes within which a header ends
POSITION = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")
CONSTANT = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALES = ("scale_0", "scale_1", "scale_2")
TURN = ("rot_0", "rot_1", "rot_2", "rot_3")
HALF_TURN = (1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1)
"""What half a turn about x does to each harmonic: those odd in y and z together change their sign."""
NEEDED = (*POSITION, *CONSTANT, "opacity", *SCALES, *TURN)


def save_ply(cloud: Gaussians, path: str | Path) -> None:
    """Writes a cloud as the .ply that 3DGS viewers read, whole or not at all.

    Args:
        cloud: N Gaussians of any degree. path: of the file.

    Raises:
        UserError: the file cannot be written.
    """
    cloud, bands = cloud.detach(), cloud.sh.shape[1]
    rest = [f"f_rest_{i}" for i in range(3 * (bands - 1))]
    names = [*POSITION, *NORMAL, *CONSTANT, *rest, "opacity", *SCALES, *TURN]
    parts = [
        cloud.means,
        cloud.normals(),
        cloud.sh[:, 0],
        cloud.sh[:, 1:].transpose(1, 2).flatten(1),
        cloud.opacities[:, None],
        cloud.scales,
        cloud.quats,
    ]
    rows = torch.cat(parts, dim=1).cpu().numpy().astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(cloud)}"]
    header += [f"property float {name}" for name in names] + ["end_header", ""]
    files.write_bytes(path, "\n".join(header).encode() + rows.tobytes())


def upright(cloud: Gaussians) -> Gaussians:
    """A cloud turned by 180 degrees about x, from head coordinates (y down, z to the back) to those of most viewers (y
    up, z to the viewer)."""
    w, x, y, z = cloud.quats.unbind(1)
    signs = cloud.sh.new_tensor(HALF_TURN[: cloud.sh.shape[1]])
    return Gaussians(
        cloud.means * cloud.means.new_tensor([1.0, -1.0, -1.0]),
        torch.stack([-x, w, -z, y], dim=1),
        cloud.scales,
        cloud.opacities,
        cloud.sh * signs[:, None],
    )


@dataclass
class _Element:
    """An element of the header: its name, how many there are, and (name, numpy type) of its properties."""

    name: str
    count: int
    properties: list[tuple[str, str]]


def load_ply(path: str | Path) -> Gaussians:
    """Reads a 3DGS .ply of any degree; properties and elements that are not a cloud's are passed over.

    Raises:
        UserError: no such file, not a .ply, not a cloud of Gaussians, or cut short.
    """
    path = Path(path)
    data = documents.read_bytes(path, "tensor_bytes")
    order, elements, begin = _header(path, data)
    vertex = next((element for element in elements if element.name == "vertex"), None)
    if vertex is None or not vertex.count:
        raise UserError(f"{path} is not a cloud of Gaussians: it has no vertices")
    names = [name for name, _ in vertex.properties]
    lacking = set(NEEDED) - set(names)
    if lacking:
        raise UserError(f"{path} is not a cloud of Gaussians: it lacks {', '.join(sorted(lacking))}")
    rest = [name for name in names if name.startswith("f_rest_")]
    bands = 1 + len(rest) // 3
    if len(rest) % 3 or round(bands**0.5) ** 2 != bands or set(rest) != {f"f_rest_{i}" for i in range(len(rest))}:
        raise UserError(f"{path} has {len(rest)} harmonics (f_rest_0 ...) beyond the first, which is no whole degree")
    table = _table(path, data, begin, order, elements, vertex)

    def pick(*wanted: str) -> Tensor:
        return torch.from_numpy(np.stack([table[name].astype(np.float32) for name in wanted], axis=1))

    sh = pick(*CONSTANT)[:, None]
    if rest:
        higher = pick(*(f"f_rest_{i}" for i in range(len(rest)))).unflatten(1, (3, -1)).transpose(1, 2)
        sh = torch.cat([sh, higher], dim=1)
    cloud = Gaussians(pick(*POSITION), pick(*TURN), pick(*SCALES), pick("opacity")[:, 0], sh.contiguous())
    if not cloud.is_finite():
        raise UserError(f"{path} holds NaN or infinite values; export it again")
    return cloud


def _header(path: Path, data: bytes) -> tuple[str, list[_Element], int]:
    """Byte order ("" for text), elements, and where their values begin."""
    head = data[:HEADER].replace(b"\r\n", b"\n")
    end = head.find(b"end_header\n")
    lines = [line.split() for line in head[: max(end, 0)].decode("ascii", errors="replace").split("\n") if line.strip()]
    if end < 0 or not lines or lines[0] != ["ply"]:
        raise UserError(f"{path} is not a .ply file, or is cut short")
    order, elements = None, []
    try:
        for keyword, *words in lines[1:]:
            if keyword == "format":
                order = ORDERS[words[0]]
            elif keyword == "element":
                elements.append(_Element(words[0], int(words[1]), []))
            elif keyword == "property" and words[0] == "list":
                elements[-1].properties.append((words[3], "list"))
            elif keyword == "property":
                elements[-1].properties.append((words[1], TYPES[words[0]]))
            elif keyword not in ("comment", "obj_info"):
                raise ValueError(keyword)
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{path} has a header that is no .ply's ({error}); export it again") from error
    if order is None or any(element.count < 0 for element in elements):
        raise UserError(f"{path} has a header that is no .ply's; export it again")
    begin = data.find(b"end_header") + len(b"end_header")
    return order, elements, data.find(b"\n", begin) + 1


def _table(
    path: Path, data: bytes, begin: int, order: str, elements: list[_Element], vertex: _Element
) -> dict[str, np.ndarray]:
    """The vertices' properties by name, (N,) each."""
    before = elements[: elements.index(vertex)]
    if any(kind == "list" for element in (*before, vertex) for _, kind in element.properties):
        raise UserError(f"{path} is not a cloud of Gaussians: it has lists before or in its vertices")
    names = [name for name, _ in vertex.properties]
    if len(set(names)) != len(names):
        raise UserError(f"{path} names a property twice; export it again")
    if not order:
        lines = data[begin:].split(b"\n")[sum(element.count for element in before) :][: vertex.count]
        try:
            rows = np.array([line.split() for line in lines], np.float64)
        except ValueError:
            rows = np.empty((0, 0))
        if rows.shape != (vertex.count, len(names)):
            raise UserError(f"{path} is cut short: copy or export it again")
        return dict(zip(names, rows.T, strict=True))
    types = [np.dtype([(name, order + kind) for name, kind in element.properties]) for element in (*before, vertex)]
    start = begin + sum(element.count * kind.itemsize for element, kind in zip(before, types, strict=False))
    if len(data) < start + vertex.count * types[-1].itemsize:
        raise UserError(f"{path} is cut short: copy or export it again")
    rows = np.frombuffer(data, types[-1], vertex.count, start)
    return {name: rows[name] for name in names}
