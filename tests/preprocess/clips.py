"""Small video files, made on the fly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def numbered(count: int, size: int = 32) -> list[np.ndarray]:
    """Frames that are told apart by their brightness: frame k is 8 k + 4 all over."""
    return [np.full((size, size, 3), 8 * k + 4, np.uint8) for k in range(count)]


def number_of(frame: np.ndarray) -> int:
    """The inverse of `numbered`."""
    return round((float(frame.mean()) - 4) / 8)


def click(seconds: float, at: float, rate: int = 16000, channels: int = 1) -> np.ndarray:
    """Silence with 5 ms of 1 kHz: channels x n float32."""
    line = np.zeros(round(seconds * rate), np.float32)
    start = round(at * rate)
    line[start : start + rate // 200] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(rate // 200) / rate)
    return np.tile(line, (channels, 1))


def write(
    path: Path,
    frames: list[np.ndarray],
    rate: int = 25,
    times: list[float] | None = None,
    sound: np.ndarray | None = None,
    sound_rate: int = 16000,
    sound_start: float = 0.0,
    codec: str = "ffv1",
    sound_codec: str = "pcm_s16le",
) -> Path:
    """A clip; lossless Matroska by default. `times`: seconds of every frame; default k / rate."""
    with av.open(str(path), "w") as out:
        height, width = frames[0].shape[:2]
        video = out.add_stream(codec, rate=rate)
        video.width, video.height = width, height
        video.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        tick = Fraction(1, rate if codec == "mpeg1video" else 1000)
        video.time_base = video.codec_context.time_base = tick
        audio = None
        if sound is not None:
            layout = "mono" if len(sound) == 1 else "stereo"
            audio = out.add_stream(sound_codec, rate=sound_rate, layout=layout)
        for k, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = round((k / rate if times is None else times[k]) / tick)
            frame.time_base = tick
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if audio is not None and sound is not None:
            format = "fltp" if sound_codec == "aac" else "s16"
            data = sound if format == "fltp" else (sound * 32767).astype(np.int16)
            step = {"mp2": 1152, "libopus": 960}.get(sound_codec, 1024)
            for start in range(0, data.shape[1], step):
                piece = np.ascontiguousarray(data[:, start : start + step])
                packed = piece if format == "fltp" else piece.T.reshape(1, -1).copy()
                frame = av.AudioFrame.from_ndarray(packed, format=format, layout=layout)
                frame.sample_rate, frame.time_base = sound_rate, Fraction(1, sound_rate)
                frame.pts = start + round(sound_start * sound_rate)
                out.mux(audio.encode(frame))
            out.mux(audio.encode())
    return path
