"""What a head is worth on frames it has not seen; every number under a named protocol (`protocols`).

By default "head over truth": the rendered head over the true frame without the head (torso and background as in the
truth), pictures as they are, no re-encoding. The pose of each frame is an input. Whatever the protocol, PSNR and SSIM
are also given over the pixels that are head in the truth (`head_*`) and over the region that speech moves (`mouth_*`).
Lips are read by `metrics.mouth.MouthReader`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioplane import protocols
from audioplane.metrics import image
from audioplane.metrics.face import closure
from audioplane.metrics.image import psnr, ssim_map
from audioplane.metrics.mouth import MouthReader, best_lag, correlation, opening
from audioplane.parallel import cores, in_parallel
from audioplane.protocols import Protocol

if TYPE_CHECKING:
    from audioplane.subject import Subject

PROTOCOL = protocols.DEFAULT.name
Render = Callable[[int], NDArray]


@dataclass(frozen=True)
class Evaluation:
    """Means over the frames, and what they were taken from.

    `head_*` and `mouth_*`: PSNR in dB, SSIM. `opening_correlation` and `opening_lag` (frames; positive: the head comes
    late) compare the opening read from the renders with the true one; `opening_amplitude` is the ratio of their
    standard deviations, both read; `lip_error` is the mean distance in mm of the 20 mouth landmarks read from the
    renders to the true ones. `ceiling_*`: the same readings of the true frames.

    `psnr`, `ssim`, `ms_ssim`, `haarpsi`, `gmsd`: over the protocol's region, and what is not defined there (MS-SSIM of
    a small region) is None. `closure`: accuracy at bilabials and open vowels (`metrics.face.closure`), where the sounds
    are known.
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
    psnr: float | None = None
    ssim: float | None = None
    ms_ssim: float | None = None
    haarpsi: float | None = None
    gmsd: float | None = None
    closure: float | None = None
    ceiling_closure: float | None = None
    protocol: str = PROTOCOL

    def to_dict(self) -> dict[str, float | int | str | None]:
        return asdict(self)


def evaluate(
    subject: Subject, render: Render, frames: range | None = None, reader: MouthReader | None = None,
    protocol: Protocol = protocols.DEFAULT,
) -> tuple[Evaluation, dict[str, NDArray]]:  # fmt: skip
    """Measures renders of a subject's held-out frames.

    Args:
        subject: the truth.
        render: frame number -> (H, W, 3) uint8 or float in [0, 1]: the head over `subject.without_head`, or over the
            method's own torso where the protocol pastes nothing. Hair is pasted here.
        frames: default the test split.
        reader: of this subject, where one is at hand already.
        protocol: how pictures are made and compared.

    Returns:
        the summary, and the series it was taken from: one value a frame each.
    """
    frames = subject.test if frames is None else frames
    reader = reader or MouthReader(subject)
    truth = reader.truth(subject)[frames.start : frames.stop : frames.step]

    def work(item: tuple[int, NDArray, NDArray]) -> tuple[dict[str, float | None], NDArray, NDArray]:
        t, picture, true = item
        return _measure(subject, t, picture, true, protocol), reader(picture, t), reader(true, t)

    rows, read, read_truth = zip(*in_parallel(work, _pairs(subject, render, frames, protocol), cores()), strict=True)
    shapes, ceiling = np.stack(read), np.stack(read_truth)
    arrays = {name: np.array([row[name] for row in rows], float) for name in rows[0] if rows[0][name] is not None}
    arrays["opening"], arrays["opening_true"] = opening(shapes), opening(truth)
    arrays["opening_ceiling"] = opening(ceiling)
    arrays["lip_error"] = 1e3 * np.linalg.norm(shapes - truth, axis=2).mean(1)
    lips = arrays["opening"]
    means = {name: float(arrays[name].mean()) for name in rows[0] if name in arrays}
    return Evaluation(
        frames=len(frames),
        opening_correlation=correlation(lips, arrays["opening_true"]),
        opening_amplitude=float(lips.std() / arrays["opening_ceiling"].std()),
        opening_lag=best_lag(lips, arrays["opening_true"]),
        lip_error=float(arrays["lip_error"].mean()),
        ceiling_correlation=correlation(arrays["opening_ceiling"], arrays["opening_true"]),
        ceiling_lip_error=float(1e3 * np.linalg.norm(ceiling - truth, axis=2).mean()),
        closure=_closure(subject, lips, frames),
        ceiling_closure=_closure(subject, arrays["opening_ceiling"], frames),
        protocol=protocol.name,
        **means,
    ), arrays  # fmt: skip


def _pairs(subject: Subject, render: Render, frames: range, protocol: Protocol
           ) -> Iterator[tuple[int, NDArray, NDArray]]:  # fmt: skip
    """Frame number, render and truth as the protocol has them."""

    def drawn(t: int) -> NDArray:
        picture = render(t)
        if protocol.pasted == "hair and torso":
            true = subject.frame(t) if picture.dtype == np.uint8 else subject.frame(t) / 255
            picture = protocols.paste(picture, true, subject.hair_mask(t))
        return protocols.even(picture) if protocol.crop == "even" else picture

    def true(t: int) -> NDArray:
        return protocols.even(subject.frame(t)) if protocol.crop == "even" else subject.frame(t)

    if not protocol.codec:
        yield from ((t, drawn(t), true(t)) for t in frames)
        return
    bytes_of = (np.round(p * 255).astype(np.uint8) if p.dtype != np.uint8 else p for p in map(drawn, frames))
    sides = (protocols.through(protocol.codec, side, subject.fps) for side in (bytes_of, map(true, frames)))
    yield from zip(frames, *sides, strict=True)


def _measure(subject: Subject, t: int, picture: NDArray, true: NDArray, protocol: Protocol
             ) -> dict[str, float | None]:  # fmt: skip
    h, w = true.shape[:2]
    head, mouth = subject.head_mask(t)[:h, :w], subject.motion_mask(t)[:h, :w]
    wanted = head | mouth
    if protocol.region == "full":
        wanted[:] = True
    elif protocol.region == "mouth box":
        wanted[protocols.mouth_box(subject.landmarks[t], h, w)] = True
    around = _around(wanted)
    similarity = np.zeros((h, w))
    similarity[around] = ssim_map(picture[around], true[around])
    row: dict[str, float | None] = {}
    for name, region in (("head", head), ("mouth", mouth)):
        row[f"{name}_psnr"] = psnr(picture[around], true[around], region[around])
        row[f"{name}_ssim"] = float(similarity[region].mean())
    if protocol.region == "head":
        row |= {"psnr": row["head_psnr"], "ssim": row["head_ssim"]}
        rows, columns = protocols.box(head)
    elif protocol.region == "full":
        row |= {"psnr": psnr(picture, true), "ssim": float(similarity[5:-5, 5:-5].mean())}
        rows, columns = slice(None), slice(None)
    else:
        rows, columns = protocols.mouth_box(subject.landmarks[t], h, w)
        row |= {
            "psnr": psnr(picture[rows, columns], true[rows, columns]), "ssim": float(similarity[rows, columns].mean()),
        }  # fmt: skip
    return row | rectangle_measures(picture[rows, columns], true[rows, columns])


def _around(mask: NDArray[np.bool_], margin: int = 8) -> tuple[slice, slice]:
    """A mask's box with room for SSIM's window: inside the mask SSIM is then what it is in the whole picture."""
    rows, columns = protocols.box(mask)
    return (
        slice(max(0, rows.start - margin), rows.stop + margin),
        slice(max(0, columns.start - margin), columns.stop + margin),
    )


def rectangle_measures(picture: NDArray, truth: NDArray) -> dict[str, float | None]:
    """MS-SSIM, HaarPSI and GMSD of two rectangles; None where they are too small for one."""
    side = min(truth.shape[:2])
    return {
        "ms_ssim": image.ms_ssim(picture, truth) if side >= image.MS_SSIM_SIDE else None,
        "haarpsi": image.haarpsi(picture, truth) if side >= image.HAARPSI_SIDE else None,
        "gmsd": image.gmsd(picture, truth) if side >= 2 else None,
    }


def _closure(subject: Subject, lips: NDArray, frames: range) -> float | None:
    """`lips` (T,) in metres."""
    phonemes = getattr(subject, "phonemes", None)
    if not phonemes or frames.step != 1:
        return None
    found = closure(1e3 * lips, phonemes, subject.fps, frames.start / subject.fps)
    return None if found is None else found.accuracy


def compare(pairs: Iterable[tuple[NDArray, NDArray]]) -> tuple[dict[str, float], dict[str, NDArray]]:
    """Measures pairs of whole pictures, such as those of two films.

    Args:
        pairs: (H, W, 3) uint8 or float in [0, 1], of one shape.

    Returns:
        means by name, and the series; what is not defined for this size is left out.
    """

    def work(item: tuple[NDArray, NDArray]) -> dict[str, float | None]:
        picture, true = item
        similarity = ssim_map(picture, true)
        own = {"psnr": psnr(picture, true), "ssim": float(similarity[5:-5, 5:-5].mean())}
        return own | rectangle_measures(picture, true)

    rows = list(in_parallel(work, pairs, cores()))
    names = [name for name in rows[0] if rows[0][name] is not None] if rows else []
    series = {name: np.array([row[name] for row in rows], float) for name in names}
    return {name: float(values.mean()) for name, values in series.items()}, series


def samples_of(frames: range, fps: float, rate: int = 16_000) -> slice:
    """The samples that belong to neighbouring frames."""
    return slice(round(frames.start * rate / fps), round(frames.stop * rate / fps))


def spaced(frames: range, most: int) -> list[int]:
    """At most so many of the frames, evenly spaced."""
    step = max(1, -(-len(frames) // most))
    return list(itertools.islice(frames, 0, None, step))
