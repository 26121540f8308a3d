"""The pack: lossless, any picture alone, and damage never passes in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioplane.subject.pack import DamagedPackError, PackReader, PackWriter


def write(path: Path, images: list[np.ndarray], base: np.ndarray | None = None) -> tuple[str, int]:
    writer = PackWriter(path, base)
    for image in images:
        writer.add(image)
    return writer.close()


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    count=st.integers(0, 20),
    kind=st.sampled_from(["rgb", "grey", "deep"]),
    with_base=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    count: int,
    kind: str,
    with_base: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if kind == "rgb" else (height, width)
    dtype = np.uint16 if kind == "deep" else np.uint8
    images = list(rng.integers(0, np.iinfo(dtype).max + 1, (count, *shape), dtype))
    base = rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype) if with_base else None
    path = tmp_path_factory.mktemp("pack") / "p"
    write(path, images, base)
    pack = PackReader(path)
    assert len(pack) == count
    for i in rng.permutation(count):
        assert np.array_equal(pack[int(i)], images[i])
        assert pack[int(i)].dtype == dtype
    with pytest.raises(IndexError):
        pack[count]
    pack.close()


def test_the_caller_may_reuse_its_array(tmp_path: Path) -> None:
    writer, image = PackWriter(tmp_path / "p"), np.zeros((64, 64, 3), np.uint8)
    for i in range(40):
        image[:] = i
        writer.add(image)
    writer.close()
    pack = PackReader(tmp_path / "p")
    assert [int(pack[i][0, 0, 0]) for i in range(40)] == list(range(40))


def test_a_still_background_costs_next_to_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (64, 64, 3), np.uint8)
    frames = []
    for i in range(20):
        frame = base.copy()
        frame[20:30, i : i + 10] = 7
        frames.append(frame)
    plain, smart = write(tmp_path / "plain", frames)[1], write(tmp_path / "smart", frames, base)[1]
    assert smart < plain / 4


def test_a_pack_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    write(path, [np.full((9, 9, 3), i, np.uint8) for i in range(5)])
    whole = path.read_bytes()
    for size in (0, 5, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedPackError):
            PackReader(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(DamagedPackError):
        PackReader(path)


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "p"
    images = list(np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), np.uint8))
    write(path, images)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        with pytest.raises(DamagedPackError):
            list(map(PackReader(path).__getitem__, range(3)))
