"""The one writer of films: H.264 and AAC, or VP9 and Opus, tagged as what it is, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from audioplane.errors import UserError
from audioplane.media.marks import NOTE
from audioplane.runtime import files, large_arrays

BT709, LIMITED = 1, 1  # as ITU-T H.273 and FFmpeg number them


@dataclass(frozen=True)
class Format:
    """What a file of some suffix holds.

    Attributes:
        container: FFmpeg's name. picture, sound: codecs. samples: FFmpeg's name of what the sound's encoder takes.
        options: of the container.
    """

    container: str
    picture: str = "libx264"
    sound: str = "aac"
    samples: str = "fltp"
    options: tuple[tuple[str, str], ...] = ()


FORMATS = {
    ".mp4": Format("mp4", options=(("movflags", "+faststart+use_metadata_tags"),)),
    ".m4v": Format("mp4", options=(("movflags", "+faststart+use_metadata_tags"),)),
    ".mov": Format("mov", options=(("movflags", "+faststart+use_metadata_tags"),)),
    ".mkv": Format("matroska"),
    ".webm": Format("webm", "libvpx-vp9", "libopus", "flt"),
}
"""Suffixes of files that can be written."""


def format_of(path: str | Path) -> Format:
    """What is written into a file of this name.

    Raises:
        UserError: its suffix names no film that can be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        named = f"no {suffix} files can" if suffix else "a name without a suffix cannot"
        raise UserError(f"{path}: {named} be written; give a name that ends in {', '.join(FORMATS)}")
    return FORMATS[suffix]


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    audio: np.ndarray | None = None,
    rate: int = 16_000,
    quality: int = 16,
    note: str = NOTE,
    x264: str = "",
) -> int:
    """Writes a film, BT.709 and tagged so, by a temporary name.

    Args:
        path: of the file; its suffix chooses the container (`FORMATS`).
        frames: (H, W, 3) uint8 each, of one size; odd sizes lose their last row or column.
        fps: frames a second. audio: (n,) float32 or None. rate: its samples a second.
        quality: constant rate factor of x264 (VP9's is twice that). note: kept in the file's metadata as comment.
        x264: more of its settings, such as "mbtree=0:keyint=25".

    Returns:
        frames written.

    Raises:
        UserError: the file cannot be written.
    """
    from av.error import FFmpegError

    path, form = Path(path), format_of(path)
    files.make_folder(path.parent)
    try:
        with files.atomic_path(path) as draft:
            return _write(draft, form, frames, fps, audio, rate, quality, note, x264)
    except FFmpegError as error:
        raise UserError(f"{path} could not be written ({error})") from error


def _write(
    draft: Path,
    form: Format,
    frames: Iterable[np.ndarray],
    fps: float,
    audio: np.ndarray | None,
    rate: int,
    quality: int,
    note: str,
    x264: str,
) -> int:
    import av

    count = 0
    with av.open(str(draft), "w", format=form.container, options=dict(form.options)) as out:
        out.metadata["comment"], out.metadata["synthetic"] = note, "true"
        video: Any = out.add_stream(form.picture, rate=Fraction(fps).limit_denominator(1000))
        video.pix_fmt = "yuv420p"
        if form.picture == "libx264":
            video.options = {"crf": str(quality), "preset": "medium", "x264-params": x264}
        else:
            video.options = {"crf": str(min(2 * quality, 63)), "b": "0", "row-mt": "1", "cpu-used": "4"}
        codec = video.codec_context
        codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc = LIMITED, BT709, BT709, BT709
        sound: Any = out.add_stream(form.sound, rate=rate, layout="mono") if audio is not None else None
        for frame in frames:
            if count == 0:
                video.height, video.width = (side // 2 * 2 for side in frame.shape[:2])
            picture = np.ascontiguousarray(frame[: video.height, : video.width])
            out.mux(video.encode(_as_709(picture)))
            count += 1
        out.mux(video.encode())
        if sound is not None and audio is not None:
            _write_sound(out, sound, form.samples, audio, rate)
    return count


def _as_709(picture: np.ndarray) -> Any:
    """(H, W, 3) uint8 sRGB as a frame of limited range BT.709, tagged so."""
    import av

    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
        format="yuv420p", src_colorspace=BT709, dst_colorspace=BT709, src_color_range=2, dst_color_range=LIMITED
    )
    frame.colorspace, frame.color_range = BT709, LIMITED
    return frame


def _write_sound(out: Any, sound: Any, format: str, audio: np.ndarray, rate: int) -> None:
    import av

    size = sound.codec_context.frame_size or 1024
    for start in range(0, len(audio), size):
        if start % (1 << 20) < size:
            large_arrays.release()
        samples = np.clip(audio[start : start + size], -1.0, 1.0).astype(np.float32)
        block = av.AudioFrame.from_ndarray(samples[None], format=format, layout="mono")
        block.sample_rate, block.pts, block.time_base = rate, start, Fraction(1, rate)
        out.mux(sound.encode(block))
    out.mux(sound.encode())
