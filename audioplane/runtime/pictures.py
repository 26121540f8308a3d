"""The one reader of still pictures from outside: their size is known before they are decoded."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import documents, limits

PNG = b"\x89PNG\r\n\x1a\n"
_IHDR = struct.Struct(">4s4sII")
PNG_HEADER = len(PNG) + _IHDR.size


def png_size(data: bytes) -> tuple[int, int] | None:
    """Height and width that a PNG's header claims; None where it is none."""
    if len(data) < PNG_HEADER or not data.startswith(PNG):
        return None
    _, name, width, height = _IHDR.unpack_from(data, len(PNG))
    return (height, width) if name == b"IHDR" else None


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Height and width that the header of a PNG or JPEG claims; None where it is neither."""
    if data.startswith(PNG):
        return png_size(data)
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs: that is what is found out here
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                return image.height, image.width
    except Exception:  # whatever Pillow raises of damaged headers, and its bomb error
        return None


def fits(size: tuple[int, int]) -> bool:
    """Whether a picture of this height and width may be decoded."""
    height, width = size
    return 0 < max(size) <= limits.limit("picture_side") and 0 < height * width <= limits.limit("picture_pixels")


def check_size(size: tuple[int, int], what: str) -> None:
    """Refuses a picture that is beyond the limits.

    Raises:
        UserError: it is.
    """
    if not fits(size):
        name = "picture_side" if max(size) > limits.limit("picture_side") else "picture_pixels"
        raise limits.exceeded(f"{what} has {size[1]} x {size[0]} pixels", name)


def decode(data: bytes, what: str, flag: int, size: tuple[int, int] | None = None) -> np.ndarray | None:
    """A PNG or JPEG, as OpenCV has it (BGR); None where it is damaged.

    Args:
        data: of the file. what: whose it is, for the sentence. flag: OpenCV's, such as `cv2.IMREAD_COLOR`.
        size: height and width that it must have; None for any within the limits.

    Raises:
        UserError: it has another size, or one beyond the limits.
    """
    import cv2

    claimed = picture_size(data)
    if claimed is None:
        return None
    check_size(claimed, what)
    if size is not None and claimed != size:
        raise UserError(f"{what} has {claimed[1]} x {claimed[0]} pixels, expected {size[1]} x {size[0]}")
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None


def read(path: Path, flag: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """A PNG or JPEG file, as OpenCV has it (BGR); arguments as of `decode`.

    Raises:
        UserError: missing, damaged, of another size, or beyond the limits.
    """
    image = decode(documents.read_bytes(path, "picture_bytes"), str(path), flag, size)
    if image is None:
        raise UserError(f"{path} is damaged or no PNG or JPEG picture; copy or make it again")
    return image
