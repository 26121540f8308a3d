"""What is measured of one frame: where, and how near the picture is to the truth there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioplane.evaluation import protocols
from audioplane.evaluation.protocols import Protocol
from audioplane.metrics import image
from audioplane.metrics.image import decibel, squared_error, ssim_map

if TYPE_CHECKING:
    from audioplane.subject import Subject

Row = dict[str, float]
Boxed = tuple[slice, slice]
NAN = float("nan")
REGIONS = ("head_psnr", "head_ssim", "mouth_psnr", "mouth_ssim")
EYES = ("eyes_psnr", "eyes_ssim")
RECTANGLES = ("ms_ssim", "haarpsi", "gmsd")


@dataclass(frozen=True)
class Place:
    """Where a frame is measured; None where there is no such place, in a frame without a face.

    Attributes:
        regions: masks (H, W) of the truth's head, mouth, and eyes and brows.
        around: a box about all that is measured, with room for SSIM's window.
        region: of the protocol. box: its rectangle.
    """

    regions: dict[str, NDArray[np.bool_] | None]
    around: Boxed | None
    region: str
    box: Boxed | None


def place_of(subject: Subject, t: int, true: NDArray, protocol: Protocol) -> Place:
    h, w = true.shape[:2]
    head, mouth, eyes = (mask(t)[:h, :w] for mask in (subject.head_mask, subject.motion_mask, subject.eyes_mask))
    wanted = head | mouth
    box: Boxed | None = (slice(0, h), slice(0, w))
    if protocol.region == "head":
        box = protocols.box(head) if head.any() else None
    elif protocol.region == "mouth box":
        marks = subject.landmarks[t]
        box = protocols.mouth_box(marks, h, w) if np.isfinite(marks).all() else None
    if protocol.region != "head" and box is not None:
        wanted[box] = True
    known = {"head": head, "mouth": mouth, "eyes": eyes & wanted}
    regions = {name: mask if mask.any() else None for name, mask in known.items()}
    return Place(regions, _around(wanted) if wanted.any() else None, protocol.region, box)


def measure_frame(picture: NDArray, true: NDArray, place: Place) -> Row:
    around, box = place.around, place.box
    similarity, error = np.zeros(true.shape[:2]), np.zeros(true.shape[:2])
    if around is not None:
        similarity[around] = ssim_map(picture[around], true[around])
        error[around] = squared_error(picture[around], true[around])
    row: Row = {}
    for name, region in place.regions.items():
        row[f"{name}_psnr"] = NAN if region is None else decibel(float(error[region].mean()))
        row[f"{name}_ssim"] = NAN if region is None else float(similarity[region].mean())
    if box is None:
        return row | dict.fromkeys(("psnr", "ssim", *RECTANGLES), NAN)
    if place.region == "head":
        row |= {"psnr": row["head_psnr"], "ssim": row["head_ssim"]}
    else:
        whole = similarity[5:-5, 5:-5] if place.region == "full" else similarity[box]
        row |= {"psnr": decibel(float(error[box].mean())), "ssim": float(whole.mean())}
    return row | rectangle_measures(picture[box], true[box])


def _around(mask: NDArray[np.bool_], margin: int = 8) -> Boxed:
    """A mask's box with room for SSIM's window: inside the mask SSIM is then what it is in the whole picture."""
    rows, columns = protocols.box(mask)
    return (
        slice(max(0, rows.start - margin), rows.stop + margin),
        slice(max(0, columns.start - margin), columns.stop + margin),
    )


def rectangle_measures(picture: NDArray, truth: NDArray) -> Row:
    """MS-SSIM, HaarPSI and GMSD of two rectangles; NaN where they are too small for one."""
    side = min(truth.shape[:2])
    return {
        "ms_ssim": image.ms_ssim(picture, truth) if side >= image.MS_SSIM_SIDE else NAN,
        "haarpsi": image.haarpsi(picture, truth) if side >= image.HAARPSI_SIDE else NAN,
        "gmsd": image.gmsd(picture, truth) if side >= 2 else NAN,
    }
