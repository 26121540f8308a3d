"""How a number was made: what was compared, what was pasted in from the truth, and through which codec.

Pasting the true torso or hair, or re-encoding both sides, moves PSNR by more than methods differ by. So a protocol has
a name, is part of every number, and numbers of two protocols are never set side by side without saying so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioplane.errors import UserError

REGIONS = ("full", "head", "mouth box")
PASTED = ("nothing", "torso", "hair and torso", "all but the face")


def quality(codec: str) -> int:
    """The constant rate factor of a codec's description.

    Raises:
        ValueError: it is not one of "libx264 crf 0" to "libx264 crf 51".
    """
    words = codec.split()
    if len(words) != 3 or words[:2] != ["libx264", "crf"] or not words[2].isdigit() or int(words[2]) > 51:
        raise ValueError(f"codec: expected 'libx264 crf N' with N from 0 to 51, received {codec!r}")
    return int(words[2])


@dataclass(frozen=True)
class Protocol:
    """How pictures are made and compared.

    Attributes:
        name: what users type. about: one line.
        region: "full" (the whole frame), "head" (pixels that are head in the truth) or "mouth box" (a square around the
            true mouth, as wide as the face is high). Measures that need rectangles see the region's box.
        pasted: what of the truth is pasted into the render: "nothing" (the method's own torso), "torso" (torso and
            background), "hair and torso", or "all but the face" (the rendered face in the true frame, with a blurred
            edge: `inference.portrait`, edge "mask", which leaves the truth as it is).
        codec: "" for the arrays themselves, else how both sides are encoded and decoded again, such as
            "libx264 crf 10".
        crop: what is cut away before anything else: "none", or "even" (an odd last row or column, as encoders do).
        network: LPIPS' backbone.
        beyond: degrees of yaw beyond the training range from which the head is measured as well (`evaluation.turned`);
            embedded speakers only.
    """

    name: str
    about: str
    region: str = "full"
    pasted: str = "nothing"
    codec: str = ""
    crop: str = "none"
    network: str = "alex"
    beyond: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.region not in REGIONS:
            raise ValueError(f"region: expected one of {', '.join(REGIONS)}, received {self.region!r}")
        if self.pasted not in PASTED:
            raise ValueError(f"pasted: expected one of {', '.join(PASTED)}, received {self.pasted!r}")
        if self.codec:
            quality(self.codec)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        through = f"through {self.codec}" if self.codec else "arrays"
        return f"{self.name}: {self.region}, pasted {self.pasted}, {through}"


_ALL = (
    Protocol("head over truth", "the head's pixels alone, over the true torso, uncompressed", "head", "torso"),
    Protocol(
        "turned",
        "the same, and also seen 10, 20 and 30 degrees beyond the training range (embedded speakers only)",
        "head",
        "torso",
        beyond=(10.0, 20.0, 30.0),
    ),
    Protocol("alone", "the whole frame as the method delivers it: its own torso, nothing of the truth"),
    Protocol("mouth", "a box around the true mouth, over the true torso", "mouth box", "torso"),
    Protocol("torso", "the whole frame over the true torso and background", "full", "torso"),
    Protocol(
        "talkinggaussian",
        "the whole frame over the true torso and background, both sides re-encoded, as TalkingGaussian's scripts do",
        "full",
        "torso",
        "libx264 crf 10",
        "even",
    ),
    Protocol(
        "degstalk",
        "the same with the true hair pasted in as well, as DEGSTalk's scripts do",
        "full",
        "hair and torso",
        "libx264 crf 10",
        "even",
    ),
    Protocol(
        "portrait",
        "the whole frame, in which only the face is rendered, as SyncTalk and its successor deliver it",
        "full",
        "all but the face",
    ),
)
PROTOCOLS = {protocol.name: protocol for protocol in _ALL}
DEFAULT = PROTOCOLS["head over truth"]


def find(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        UserError: there is none.
    """
    if name not in PROTOCOLS:
        raise UserError(f"there is no protocol {name!r}; there are {', '.join(repr(n) for n in PROTOCOLS)}")
    return PROTOCOLS[name]


def paste(picture: NDArray, truth: NDArray, mask: NDArray[np.bool_]) -> NDArray:
    """`picture` with the pixels of `mask` (H, W) taken from `truth`; both (H, W, C) of one dtype."""
    return np.where(mask[..., None], truth, picture)


def even(picture: NDArray) -> NDArray:
    """Without an odd last row or column."""
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]


def box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around a mask.

    Raises:
        ValueError: it is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("mask: expected a pixel set, found none")
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def mouth_box(landmarks: NDArray, height: int, width: int) -> tuple[slice, slice]:
    """A square around the mouth, as wide as nose bridge and chin lie apart, cut to the picture.

    Args:
        landmarks: (68, 2) pixels.

    Raises:
        ValueError: a landmark is NaN.
    """
    if not np.isfinite(landmarks).all():
        raise ValueError("landmarks: expected a face, found NaN")
    x, y = landmarks[48:68].mean(axis=0)
    half = float(np.linalg.norm(landmarks[27] - landmarks[8])) / 2
    top, left = (int(np.clip(round(v - half), 0, size - 1)) for v, size in ((y, height), (x, width)))
    bottom, right = (
        int(np.clip(round(v + half), low + 1, size)) for v, size, low in ((y, height, top), (x, width, left))
    )
    return slice(top, bottom), slice(left, right)


def through(codec: str, pictures: Iterable[NDArray[np.uint8]], fps: float) -> Iterator[NDArray[np.uint8]]:
    """Pictures (H, W, 3) of even sides as they come back from an mp4, in order; the same pictures come back alike.

    Without x264's macroblock tree: with it the same small film was coded in more than one way.
    """
    from audioplane.media.videos import read
    from audioplane.media.writer import write_video

    with tempfile.TemporaryDirectory(prefix="audioplane-") as folder:
        path = Path(folder) / "film.mp4"
        write_video(path, pictures, fps, quality=quality(codec), x264="mbtree=0")
        yield from (picture for _, picture in read(path))
