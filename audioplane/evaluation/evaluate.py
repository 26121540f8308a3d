"""What a head is worth on frames it has not seen; every number under a named protocol (`protocols`).

By default "head over truth": the rendered head over the true frame without the head (torso and background as in the
truth), pictures as they are, no re-encoding. The pose of each frame is an input. Whatever the protocol, PSNR and SSIM
are also given over the pixels that are head in the truth (`head_*`) and over the region that speech moves (`mouth_*`).
Lips are read by `metrics.mouth.MouthReader`.

A frame in which the face is lost has no head, no mouth or no landmarks. What cannot be measured in it is NaN in its
series and left out of the mean, and such frames are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioplane.errors import UserError
from audioplane.evaluation import protocols
from audioplane.evaluation.frame_measures import NAN, REGIONS, Row, measure_frame, place_of, rectangle_measures
from audioplane.evaluation.protocols import Protocol
from audioplane.inference import portrait
from audioplane.metrics.eyes import blink_f1, events
from audioplane.metrics.face import closure
from audioplane.metrics.image import psnr, ssim_map
from audioplane.metrics.mouth import EyeReader, MouthReader, best_lag, correlation, opening
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.subject import Subject

PROTOCOL = protocols.DEFAULT.name
Render = Callable[[int], NDArray]


@dataclass(frozen=True)
class Evaluation:
    """Means over the frames that could be measured, and what they were taken from.

    `frames`: all of them; `frames_without_face`: those without a head or landmarks in the truth.

    `head_*` and `mouth_*`: PSNR in dB, SSIM. `opening_correlation` and `opening_lag` (frames; positive: the head comes
    late; None where no lag has a correlation) compare the opening read from the renders with the true one;
    `opening_amplitude` is the ratio of their standard deviations, both read; `lip_error` is the mean distance in mm of
    the 20 mouth landmarks read from the renders to the true ones. `ceiling_*`: the same readings of the true frames.

    `eyes_*`: PSNR and SSIM over eyes and brows. `eye_correlation` and `eye_amplitude` compare the opening of the lids
    as those of the lips; `blink_f1` the blinks (`metrics.eyes`). None where the truth shows no eyes, or never blinks.

    `psnr`, `ssim`, `ms_ssim`, `haarpsi`, `gmsd`: over the protocol's region, and what is not defined there (MS-SSIM of
    a small region) is None. `closure`: accuracy at bilabials and open vowels (`metrics.face.closure`), where the sounds
    are known.
    """

    frames: int
    frames_without_face: int
    head_psnr: float
    head_ssim: float
    mouth_psnr: float
    mouth_ssim: float
    opening_correlation: float
    opening_amplitude: float
    opening_lag: int | None
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
    eyes_psnr: float | None = None
    eyes_ssim: float | None = None
    eye_correlation: float | None = None
    eye_amplitude: float | None = None
    blink_f1: float | None = None
    ceiling_eye_correlation: float | None = None
    ceiling_blink_f1: float | None = None
    protocol: str = PROTOCOL

    def to_dict(self) -> dict[str, float | int | str | None]:
        return asdict(self)


def evaluate(
    subject: Subject,
    render: Render,
    frames: range | None = None,
    reader: MouthReader | None = None,
    protocol: Protocol = protocols.DEFAULT,
) -> tuple[Evaluation, dict[str, NDArray]]:
    """Measures renders of a subject's held-out frames.

    Args:
        subject: the truth.
        render: frame number -> (H, W, 3) uint8 or float in [0, 1]: the head over `subject.without_head`, or over the
            method's own torso where the protocol pastes nothing. Hair is pasted here. It is called from several threads
            at once.
        frames: default the test split.
        reader: of this subject, where one is at hand already.
        protocol: how pictures are made and compared.

    Returns:
        the summary, and the series it was taken from: one value a frame each, NaN where there is none.

    Raises:
        UserError: no frame shows a face.
    """
    return evaluate_all(subject, [render], frames, reader, protocol)[0]


def evaluate_all(
    subject: Subject,
    renders: Sequence[Render],
    frames: range | None = None,
    reader: MouthReader | None = None,
    protocol: Protocol = protocols.DEFAULT,
) -> list[tuple[Evaluation, dict[str, NDArray]]]:
    """`evaluate` of several renders in one pass: what of a frame is the truth's is read and measured once for all."""
    frames = subject.test if frames is None else frames
    try:
        reader = reader or MouthReader(subject)
    except ValueError as error:
        raise UserError(f"{subject.name} cannot be measured: {error}; give a longer clip") from error

    def work(moment: tuple[int, Callable[[], list[NDArray]]]) -> tuple[list[Row], list[NDArray], list[float]]:
        t, look = moment
        true, *pictures = look()
        place = place_of(subject, t, true, protocol)
        rows, shown = [measure_frame(p, true, place) for p in pictures], (true, *pictures)
        return rows, [reader(p, t) for p in shown], [reader.eyes(p, t) for p in shown]

    measured = list(in_parallel(work, _moments(subject, renders, frames, protocol)))
    read = np.stack([shapes for _, shapes, _ in measured], axis=1)
    lids = np.array([openings for _, _, openings in measured]).T
    kept = slice(frames.start, frames.stop, frames.step)
    truth, true_lids = reader.truth(subject)[kept], reader.eyes.truth(subject)[kept]
    return [
        _summary(
            subject,
            frames,
            [rows[k] for rows, *_ in measured],
            shapes,
            read[0],
            truth,
            protocol,
            _eyes(reader.eyes, lids[k + 1], lids[0], true_lids),
        )
        for k, shapes in enumerate(read[1:])
    ]


def _eyes(reader: EyeReader, read: NDArray, ceiling: NDArray, truth: NDArray) -> dict[str, float | None]:
    """Measures of lid openings (T,) in metres: read from renders, from the true frames, and true."""
    known = np.isfinite(truth)
    found: dict[str, float | None] = {}
    for name, values in (("", read), ("ceiling_", ceiling)):
        value = correlation(values, truth) if known.sum() > 2 else NAN
        found[f"{name}eye_correlation"] = None if np.isnan(value) else value
        found[f"{name}blink_f1"] = None
        if reader.threshold is not None and reader.true_threshold is not None:
            true = events(truth, reader.true_threshold)
            seen = events(np.where(known, values, np.nan), reader.threshold)
            found[f"{name}blink_f1"] = blink_f1(seen, true)
    spread = float(ceiling[known].std()) if known.any() else 0.0
    found["eye_amplitude"] = float(read[known].std()) / spread if found["eye_correlation"] is not None else None
    return found


def _summary(
    subject: Subject,
    frames: range,
    rows: Sequence[Row],
    shapes: NDArray,
    ceiling: NDArray,
    truth: NDArray,
    protocol: Protocol,
    eyes: dict[str, float | None],
) -> tuple[Evaluation, dict[str, NDArray]]:
    """From a render's rows and its lips, the lips read from the truth, and the true lips, (T, 20, 2) metres each.

    `eyes`: what was measured of them.
    """
    series = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    means = {name: _mean(values) for name, values in series.items()}
    arrays = {name: values for name, values in series.items() if name in REGIONS or not np.isnan(means[name])}
    arrays["opening"], arrays["opening_true"] = opening(shapes), opening(truth)
    arrays["opening_ceiling"] = opening(ceiling)
    arrays["lip_error"] = 1e3 * np.linalg.norm(shapes - truth, axis=2).mean(1)
    lips, known = arrays["opening"], np.isfinite(arrays["opening_true"])
    if not known.any() or np.isnan(means["head_psnr"]):
        raise UserError(f"none of the {len(frames)} frames of {subject.name} that are measured shows a face")
    spread = float(arrays["opening_ceiling"][known].std())
    return Evaluation(
        frames=len(frames),
        frames_without_face=int((~known | np.isnan(series["head_psnr"])).sum()),
        opening_correlation=correlation(lips, arrays["opening_true"]),
        opening_amplitude=float(lips[known].std()) / spread if spread else float("nan"),
        opening_lag=best_lag(lips, arrays["opening_true"]),
        lip_error=_mean(arrays["lip_error"]),
        ceiling_correlation=correlation(arrays["opening_ceiling"], arrays["opening_true"]),
        ceiling_lip_error=_mean(1e3 * np.linalg.norm(ceiling - truth, axis=2).mean(1)),
        closure=_closure(subject, lips, frames),
        ceiling_closure=_closure(subject, arrays["opening_ceiling"], frames),
        protocol=protocol.name,
        **eyes,  # type: ignore[arg-type]
        **{name: mean if name in REGIONS or not np.isnan(mean) else None for name, mean in means.items()},  # type: ignore[arg-type]
    ), arrays


def _mean(values: NDArray) -> float:
    """Of those that are numbers; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _moments(
    subject: Subject, renders: Sequence[Render], frames: range, protocol: Protocol
) -> Iterator[tuple[int, Callable[[], list[NDArray]]]]:
    """Frame numbers, and what gives the truth and the renders of each as the protocol has them.

    Pictures are made where they are asked for, on the worker's thread; a codec needs them all first.
    """

    def true(t: int) -> NDArray:
        return protocols.even(subject.frame(t)) if protocol.crop == "even" else subject.frame(t)

    def drawn(render: Render, t: int) -> NDArray:
        picture = render(t)
        if protocol.pasted == "hair and torso":
            whole = subject.frame(t) if picture.dtype == np.uint8 else subject.frame(t) / 255
            picture = protocols.paste(picture, whole, subject.hair_mask(t))
        if protocol.pasted == "all but the face":
            whole = subject.frame(t) if picture.dtype == np.uint8 else subject.frame(t) / 255
            picture = portrait.put_face(picture, whole, portrait.face_region(subject, t), "mask")
        return protocols.even(picture) if protocol.crop == "even" else picture

    def both(t: int) -> list[NDArray]:
        return [true(t), *(drawn(render, t) for render in renders)]

    def bytes_of(render: Render, t: int) -> NDArray[np.uint8]:
        picture = drawn(render, t)
        return np.round(picture * 255).astype(np.uint8) if picture.dtype != np.uint8 else picture

    if not protocol.codec:
        yield from ((t, partial(both, t)) for t in frames)
        return
    sides = [
        protocols.through(protocol.codec, in_parallel(show, frames), subject.fps)
        for show in (true, *(partial(bytes_of, render) for render in renders))
    ]
    for t, *pictures in zip(frames, *sides, strict=True):
        yield t, partial(list, pictures)


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

    def work(item: tuple[NDArray, NDArray]) -> Row:
        picture, true = item
        similarity, whole = ssim_map(picture, true), min(true.shape[:2]) > 10  # SSIM's window has 11 pixels a side
        own = {"psnr": psnr(picture, true), "ssim": float(similarity[5:-5, 5:-5].mean()) if whole else NAN}
        return own | rectangle_measures(picture, true)

    rows = list(in_parallel(work, pairs))
    series = {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}
    series = {name: values for name, values in series.items() if not np.isnan(values).all()}
    return {name: _mean(values) for name, values in series.items()}, series


def spaced(frames: range, most: int) -> list[int]:
    """At most so many of the frames, evenly spaced."""
    step = max(1, -(-len(frames) // most))
    return list(itertools.islice(frames, 0, None, step))
