"""Pictures in the outputs of notebooks, made small enough for a repository; texts and HTML stay as they are."""

from __future__ import annotations

import base64
import io
from typing import Any

LIMIT = 270_000
"""Bytes of a notebook that pictures are made smaller for."""
LEAST = 80_000
"""Bytes that the pictures may have beside films and texts that are as large by themselves."""
STEPS = ((1200, 68), (1200, 60), (1100, 52), (1000, 46), (900, 40), (800, 34), (700, 28))
"""Width in pixels and JPEG quality, from the best to the smallest."""
PICTURES = ("image/jpeg", "image/png")


def fit(content: Any, limit: int = LIMIT) -> None:
    """Encodes a notebook's pictures again, as progressive JPEG, in the best of `STEPS` in which it is small enough.

    Meant for pictures that were just drawn: each time loses a little.

    Args:
        content: the notebook, changed in place. limit: of its size, bytes.
    """
    import nbformat

    held = [(bundle, kind) for bundle in _bundles(content) for kind in PICTURES if kind in bundle]
    originals = [_text(bundle[kind]) for bundle, kind in held]
    others = len(nbformat.writes(content).encode()) - sum(map(len, originals))
    smaller, limit = originals, max(limit, others + LEAST)
    for width, quality in STEPS:
        smaller = [_smaller(text, width, quality) for text in originals]
        if others + sum(map(len, smaller)) <= limit:
            break
    for (bundle, kind), text, before in zip(held, smaller, originals, strict=True):
        if text != before:
            del bundle[kind]
            bundle["image/jpeg"] = text


def _bundles(content: Any) -> list[Any]:
    return [output["data"] for cell in content["cells"] for output in cell.get("outputs", ()) if "data" in output]


def _text(value: str | list[str]) -> str:
    return (value if isinstance(value, str) else "".join(value)).strip()


def _smaller(text: str, width: int, quality: int) -> str:
    """A picture in base64 as JPEG of at most this width; itself if that is no smaller."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        picture = image.convert("RGB")
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
    found = base64.b64encode(out.getvalue()).decode()
    return found if len(found) < len(text) else text
