"""Films of every sort, made on the spot by the FFmpeg program that imageio-ffmpeg brings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np


def ffmpeg(*arguments: object, data: bytes | None = None) -> bytes:
    """Runs FFmpeg; returns what it writes to standard output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def shown(path: Path, *arguments: object) -> np.ndarray:
    """The pictures of a film as the FFmpeg program shows them: (T, H, W, 3) uint8."""
    head = ffmpeg("-i", path, *arguments, "-frames:v", 1, "-f", "image2pipe", "-c:v", "ppm", "-")
    width, height = map(int, head.split(b"\n")[1].split())
    raw = ffmpeg("-i", path, *arguments, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def encode(path: Path, frames: np.ndarray, *arguments: object, rate: object = 25, pixels: str = "rgb24") -> Path:
    """Frames (T, H, W, 3) uint8 (rgb24) or uint16 (rgb48le) as a film."""
    height, width = frames.shape[1:3]
    source = ("-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-r", rate, "-i", "-")
    ffmpeg(*source, *arguments, path, data=np.ascontiguousarray(frames).tobytes())
    return path


def scene(count: int = 12, width: int = 64, height: int = 48) -> np.ndarray:
    """Smooth colours, brighter to the right, and a white square in the upper left corner that moves down."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    base = np.stack([40 + 120 * x, 60 + 100 * y, 180 - 90 * x * y], -1)
    frames = np.repeat(base[None], count, 0)
    for t in range(count):
        frames[t, 4 + t : 16 + t, 4:16] = 230
    return np.rint(frames).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
