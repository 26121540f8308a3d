"""What a head is worth on frames it has not seen.

Protocol "head over truth": the rendered head over the true frame without the head (torso and background as in the
truth), float pictures, no re-encoding; PSNR and SSIM over the pixels that are head in the truth, and over the region
that speech moves. The pose of each frame is an input. Lips are read by `metrics.mouth.MouthReader`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .metrics.image import psnr, ssim_map
from .metrics.mouth import MouthReader, best_lag, correlation, opening

if TYPE_CHECKING:
    from .subject import Subject

PROTOCOL = "head over truth"
Render = Callable[[int], NDArray]


@dataclass(frozen=True)
class Evaluation:
    """Means over the frames, and what they were taken from.

    `head_*` and `mouth_*`: PSNR in dB, SSIM. `opening_correlation` and `opening_lag` (frames; positive: the head comes
    late) compare the opening read from the renders with the true one; `opening_amplitude` is the ratio of their
    standard deviations, both read; `lip_error` is the mean distance in mm of the 20 mouth landmarks read from the
    renders to the true ones. `ceiling_*`: the same readings of the true frames.
    """

    frames: int
    head_psnr: float
    head_ssim: float
    mouth_psnr: float
    mouth_ssim: float
    opening_correlation: float
    opening_amplitude: float
    opening_lag: int
    lip_error: float
    ceiling_correlation: float
    ceiling_lip_error: float
    protocol: str = PROTOCOL

    def to_dict(self) -> dict[str, float | int | str]:
        return asdict(self)


def evaluate(subject: Subject, render: Render, frames: range | None = None, reader: MouthReader | None = None
             ) -> tuple[Evaluation, dict[str, NDArray]]:  # fmt: skip
    """Measures renders of a subject's held-out frames.

    Args:
        subject: the truth.
        render: frame number -> (H, W, 3) uint8 or float in [0, 1], the head over `subject.without_head`.
        frames: default the test split.
        reader: of this subject, where one is at hand already.

    Returns:
        the summary, and the series it was taken from: one value a frame each.
    """
    frames = subject.test if frames is None else frames
    reader = reader or MouthReader(subject)
    truth = reader.truth(subject)[frames.start : frames.stop : frames.step]
    series: dict[str, list] = {name: [] for name in ("head_psnr", "head_ssim", "mouth_psnr", "mouth_ssim")}
    read, read_truth = [], []
    for t in frames:
        picture, true = render(t), subject.frame(t)
        head, mouth = subject.head_mask(t), subject.motion_mask(t)
        similarity = ssim_map(picture, true)
        for name, region in (("head", head), ("mouth", mouth)):
            series[f"{name}_psnr"].append(psnr(picture, true, region))
            series[f"{name}_ssim"].append(float(similarity[region].mean()))
        read.append(reader(picture, t))
        read_truth.append(reader(true, t))
    shapes, ceiling = np.stack(read), np.stack(read_truth)
    arrays = {name: np.array(values) for name, values in series.items()}
    arrays["opening"], arrays["opening_true"] = opening(shapes), opening(truth)
    arrays["opening_ceiling"] = opening(ceiling)
    arrays["lip_error"] = 1e3 * np.linalg.norm(shapes - truth, axis=2).mean(1)
    lips = arrays["opening"]
    return Evaluation(
        frames=len(frames),
        head_psnr=float(arrays["head_psnr"].mean()),
        head_ssim=float(arrays["head_ssim"].mean()),
        mouth_psnr=float(arrays["mouth_psnr"].mean()),
        mouth_ssim=float(arrays["mouth_ssim"].mean()),
        opening_correlation=correlation(lips, arrays["opening_true"]),
        opening_amplitude=float(lips.std() / arrays["opening_ceiling"].std()),
        opening_lag=best_lag(lips, arrays["opening_true"]),
        lip_error=float(arrays["lip_error"].mean()),
        ceiling_correlation=correlation(arrays["opening_ceiling"], arrays["opening_true"]),
        ceiling_lip_error=float(1e3 * np.linalg.norm(ceiling - truth, axis=2).mean()),
    ), arrays  # fmt: skip
