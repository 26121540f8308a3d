"""Arrays from outside: what they are is known before they are read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.runtime import limits
from audioplane.runtime.arrays import Expected, check_npy, read_npy, read_npz


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "?", "U3"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_arrays_come_back(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    for own in (values, np.array(values, order="F")):
        np.save(tmp_path / "a.npy", own)
        np.savez_compressed(tmp_path / "a.npz", a=own, b=own)
        for found in (
            read_npy(tmp_path / "a.npy"),
            read_npy(tmp_path / "a.npy", mapped=True),
            *read_npz(tmp_path / "a.npz").values(),
        ):
            assert found.dtype == values.dtype
            assert np.array_equal(found, values)


def test_what_is_not_expected_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for values, expected, words in (
        (np.zeros((3, 2)), Expected((2, 2)), r"expected float of shape \(2, 2\), it holds float64 of shape \(3, 2\)"),
        (np.zeros(3, int), Expected((3,)), "expected float"),
        (np.zeros(3), Expected((3,), "iu"), "expected int or unsigned int"),
        (np.array([np.nan]), Expected((1,)), "NaN"),
        (np.array(["x"]), Expected(None, "f"), "expected float"),
    ):
        np.save(path, values)
        with pytest.raises(UserError, match=words):
            read_npy(path, expected)
    np.save(path, np.array([np.nan]))
    assert np.isnan(read_npy(path, Expected((None,), finite=False)))


class Burglar:
    """Leaves a file where it was unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('burgled', 'w')",)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.array([Burglar()], object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=objects, allow_pickle=True)
    for read in (lambda: read_npy(tmp_path / "a.npy"), lambda: read_npz(tmp_path / "a.npz")):
        with pytest.raises(UserError):
            read()
    assert not (tmp_path / "burgled").exists()


def header(shape: object) -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return data.getvalue()


def test_sizes_are_known_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    for shape in ((10**12,), (2**62, 2**62), (-1,), (3, -2)):
        path.write_bytes(header(shape) + bytes(64))
        for read in (read_npy, check_npy):
            with pytest.raises(UserError, match=r"cut short or too long|expected"):
                read(path, Expected(None))
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header((25_000_000,)) + bytes(100_000_000))
    monkeypatch.setenv(limits.VARIABLE, "array_bytes=1e6")
    with pytest.raises(UserError, match="array_bytes=1e\\+06"):
        read_npz(tmp_path / "bomb.npz")
    np.save(path, np.zeros(300_000))
    with pytest.raises(UserError, match="array_bytes"):
        read_npy(path)


def test_archives_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../outside.txt", b"x")
    with pytest.raises(UserError, match=r"no \.npz of plain arrays"):
        read_npz(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(UserError, match="lacks b"):
        read_npz(path, {"b": Expected((3,))})
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="damaged"):
        read_npz(path)
    for read in (read_npy, read_npz):
        with pytest.raises(UserError, match="no file"):
            read(tmp_path / "none")
