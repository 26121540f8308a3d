"""Pictures from outside: their size is known before they are decoded."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.runtime import limits, pictures
from tests.reliability.bad_commands import png


def test_sizes_are_those_of_the_pictures(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)
    for kind in (".png", ".jpg"):
        data = cv2.imencode(kind, image)[1].tobytes()
        assert pictures.picture_size(data) == (17, 23)
        (tmp_path / f"a{kind}").write_bytes(data)
        assert pictures.read(tmp_path / f"a{kind}", cv2.IMREAD_COLOR, (17, 23)).shape == (17, 23, 3)
        with pytest.raises(UserError, match="has 23 x 17 pixels, expected 17 x 23"):
            pictures.read(tmp_path / f"a{kind}", cv2.IMREAD_COLOR, (23, 17))
    for data in (b"", b"GIF89a", pictures.PNG, b"\xff\xd8\xff"):
        assert pictures.picture_size(data) is None


def test_bombs_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    for side, name in ((10_000, "picture_pixels"), (70_000, "picture_side")):
        (tmp_path / "a.png").write_bytes(png(side, side))
        with pytest.raises(UserError, match=f"{side} x {side} pixels.*{name}"):
            pictures.read(tmp_path / "a.png", cv2.IMREAD_COLOR)
    monkeypatch.setenv(limits.VARIABLE, "picture_bytes=10")
    (tmp_path / "a.png").write_bytes(png(64, 64))
    with pytest.raises(UserError, match="picture_bytes"):
        pictures.read(tmp_path / "a.png", cv2.IMREAD_COLOR)
