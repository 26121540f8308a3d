"""Clouds as other programs write them: properties of any type, more elements, text; and what is no cloud."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.errors import UserError
from audioplane.splat.gaussians import Gaussians, random_gaussians
from audioplane.splat.ply import NEEDED, load_ply, save_ply

REVERSED = tuple(reversed(NEEDED))
FLOATS = dict.fromkeys(NEEDED, "float")
NUMPY = {"float": "f4", "double": "f8", "uchar": "u1", "int": "i4", "uint": "u4", "ushort": "u2", "float32": "f4"}


def values(count: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=count).astype(np.float32) for name in NEEDED}


def write(
    path: Path,
    types: dict[str, str],
    own: dict[str, np.ndarray],
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    order: str = "binary_little_endian",
    end: str = "\n",
) -> Path:
    """A .ply whose vertices have these properties; elements before and after are of four ints each."""
    count, sign = len(own["x"]), ">" if "big" in order else "<"
    dtype = np.dtype([(name, sign + NUMPY[kind]) for name, kind in types.items()])
    rows = np.zeros(count, dtype)
    for name in types:
        rows[name] = own.get(name, np.arange(count) % 200)
    extra = np.arange(4, dtype=sign + "i4").tobytes()
    header = ["ply", f"format {order} 1.0", "comment made elsewhere"]
    for name in before:
        header += [f"element {name} 4", f"property int {name}"]
    header += [f"element vertex {count}", *(f"property {kind} {name}" for name, kind in types.items())]
    for name in after:
        header += [f"element {name} 4", f"property int {name}"]
    body = extra * len(before) + rows.tobytes() + extra * len(after)
    path.write_bytes((end.join(header) + f"{end}end_header{end}").encode() + body)
    return path


def same(cloud: Gaussians, own: dict[str, np.ndarray]) -> bool:
    def joined(*names: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([own[name] for name in names], 1))

    return (
        torch.equal(cloud.means, joined("x", "y", "z"))
        and torch.equal(cloud.quats, joined("rot_0", "rot_1", "rot_2", "rot_3"))
        and torch.equal(cloud.scales, joined("scale_0", "scale_1", "scale_2"))
        and torch.equal(cloud.opacities, torch.from_numpy(own["opacity"]))
        and torch.equal(cloud.sh[:, 0], joined("f_dc_0", "f_dc_1", "f_dc_2"))
    )


@pytest.mark.parametrize(
    "types",
    [
        FLOATS,
        FLOATS | {"red": "uchar", "green": "uchar", "blue": "uchar"},
        {"red": "uchar"} | FLOATS | {"id": "uint", "level": "ushort"},
        dict.fromkeys(REVERSED, "float"),
        FLOATS | {"x": "double", "scale_1": "double", "opacity": "float32"},
    ],
    ids=["plain", "colours", "mixed", "reversed", "doubles"],
)
@pytest.mark.parametrize("order", ["binary_little_endian", "binary_big_endian"])
def test_properties_are_found_by_name_whatever_stands_between(
    tmp_path: Path, types: dict[str, str], order: str
) -> None:
    own = values()
    assert same(load_ply(write(tmp_path / "a.ply", types, own, order=order)), own)


def test_other_elements_are_passed_over(tmp_path: Path) -> None:
    own = values()
    around = {"before": ("camera",), "after": ("extrinsic", "intrinsic", "version")}
    assert same(load_ply(write(tmp_path / "a.ply", FLOATS, own, **around)), own)
    assert same(load_ply(write(tmp_path / "b.ply", FLOATS | {"red": "uchar"}, own, **around)), own)
    assert same(load_ply(write(tmp_path / "c.ply", FLOATS, own, end="\r\n")), own)


def test_text_is_read(tmp_path: Path) -> None:
    own = values(5)
    header = [
        "ply",
        "format ascii 1.0",
        "element vertex 5",
        *(f"property float {name}" for name in NEEDED),
        "end_header",
    ]
    lines = [" ".join(repr(float(own[name][k])) for name in NEEDED) for k in range(5)]
    (tmp_path / "a.ply").write_text("\n".join([*header, *lines, ""]))
    assert same(load_ply(tmp_path / "a.ply"), own)
    cameras = ["element camera 2", "property float yaw"]
    (tmp_path / "c.ply").write_text("\n".join([*header[:2], *cameras, *header[2:], "0.5", "0.25", *lines, ""]))
    assert same(load_ply(tmp_path / "c.ply"), own)
    (tmp_path / "b.ply").write_text("\n".join([*header, *lines[:3], ""]))
    with pytest.raises(UserError, match="cut short"):
        load_ply(tmp_path / "b.ply")


def test_what_is_no_cloud_of_gaussians_is_refused(tmp_path: Path) -> None:
    own = values()
    points = dict.fromkeys(("x", "y", "z"), "float") | {"red": "uchar"}
    mesh = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nelement face 1\nproperty list uchar int v\n"
    broken = {
        "points": (write(tmp_path / "a.ply", points, own).read_bytes(), "it lacks f_dc_0"),
        "mesh": (f"{mesh}end_header\n".encode(), "it lacks"),
        "text": (b"hello", "not a .ply"),
        "empty": (b"", "not a .ply"),
        "no vertices": (b"ply\nformat ascii 1.0\nend_header\n", "no vertices"),
        "strange": (b"ply\nformat binary_little_endian 1.0\nelement vertex x\nend_header\n", "header"),
        "type": (b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty half x\nend_header\n", "header"),
        "negative": (b"ply\nformat binary_little_endian 1.0\nelement vertex -1\nend_header\n", "header"),
        "harmonics": (write(tmp_path / "b.ply", FLOATS | {"f_rest_0": "float"}, own).read_bytes(), "harmonics"),
        "cut": (write(tmp_path / "c.ply", FLOATS, own).read_bytes()[:-3], "cut short"),
        "nan": (write(tmp_path / "d.ply", FLOATS, own | {"x": np.full(20, np.nan)}).read_bytes(), "NaN"),
    }
    for name, (data, said) in broken.items():
        (tmp_path / "x.ply").write_bytes(data)
        with pytest.raises(UserError, match=said) as caught:
            load_ply(tmp_path / "x.ply")
        assert "\n" not in str(caught.value), name
    with pytest.raises(UserError, match="there is no file"):
        load_ply(tmp_path / "none.ply")
    with pytest.raises(UserError, match="not an ordinary file"):
        load_ply(tmp_path)


def test_two_writers_leave_one_whole_cloud(tmp_path: Path) -> None:
    points = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))
    clouds = [random_gaussians(points, size, 1, torch.Generator().manual_seed(1)) for size in (0.01, 0.02)]
    writers = [
        threading.Thread(target=save_ply, args=(cloud, tmp_path / "a.ply")) for cloud in clouds for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = load_ply(tmp_path / "a.ply")
    assert any(torch.equal(found.pack(), cloud.pack()) for cloud in clouds)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]
    with pytest.raises(UserError, match="could not be written"):
        save_ply(clouds[0], tmp_path / "none" / "a.ply")
