"""How a film's pictures are to be seen: the display matrix (turns and mirrors) and pixels that are not square."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from audioplane.media.container import exact


@dataclass(frozen=True)
class Orientation:
    """What is done to a decoded picture before it is shown, in this order.

    Attributes:
        aspect: width of a pixel over its height. transposed: rows and columns are exchanged.
        mirrored, flipped: then left and right, top and bottom are exchanged.
    """

    aspect: Fraction = Fraction(1)
    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    @classmethod
    def of(cls, frame: Any, stream: Any) -> Orientation:
        """What a decoded frame's display matrix and its stream's sample aspect say; turns by the nearest 90 degrees."""
        aspect = exact(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)
        if not Fraction(1, 16) <= aspect <= 16:
            aspect = Fraction(1)
        matrix = _display_matrix(frame)
        if matrix is None:
            return cls(aspect)
        # A pixel (x, y) is shown at (a x + c y, b x + d y), y downwards.
        (a, b), (c, d) = matrix
        transposed = abs(b) + abs(c) > abs(a) + abs(d)
        right, down = (c, b) if transposed else (a, d)
        return cls(aspect, transposed, right < 0, down < 0)

    @property
    def note(self) -> str:
        """What is done beyond what every film needs, or ""."""
        turned = self.transposed or self.mirrored or self.flipped
        said = ["its pictures are turned or mirrored as its display matrix says"] if turned else []
        if self.aspect != 1:
            said.append(f"its pixels, {float(self.aspect):.3g} times as wide as high, are made square")
        return "; ".join(said)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height at which a decoded picture of this size is shown."""
        width = max(round(width * self.aspect), 1)
        return (height, width) if self.transposed else (width, height)

    def upright(self, picture: np.ndarray, width: int, height: int) -> np.ndarray:
        """A decoded picture (h, w, 3) as it is to be seen: (height, width, 3), contiguous."""
        import cv2

        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        if self.mirrored:
            picture = picture[:, ::-1]
        if self.flipped:
            picture = picture[::-1]
        picture = np.ascontiguousarray(picture)
        if picture.shape[:2] != (height, width):  # pixels that are not square, or a size that changes on the way
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        return picture


def _display_matrix(frame: Any) -> list[list[int]] | None:
    """The upper left 2 x 2 of FFmpeg's display matrix, [[a, b], [c, d]]; None without one."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except (AttributeError, KeyError):
        return None
    if data is None:
        return None
    values = np.frombuffer(bytes(data), np.int32)
    if len(values) < 9:
        return None
    a, b, _, c, d = values[:5].tolist()
    return [[a, b], [c, d]] if (a or b) and (c or d) else None
