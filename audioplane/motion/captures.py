"""Captured expression as people have it: Live Link Face's CSV, or an array of ARKit's 52 blendshapes."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import arrays, documents, limits
from audioplane.subject import blendshapes

RATES = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 120.0)
SUFFIXES = (".csv", ".npy")
MOST = 1e9  # hours, minutes, seconds or frames of a time code; NaN is no less


def read_capture(path: Path, fps: float, own_fps: float = 0.0) -> np.ndarray:
    """A capture at a frame rate.

    Args:
        path: .csv as Live Link Face writes it (a column a blendshape, and time codes), or .npy of (S, 52) weights in
            the order of `audioplane.subject.blendshapes.NAMES`.
        fps: frames a second that are wanted. own_fps: those of the file; 0: by its time codes, or `fps` without any.

    Returns:
        (T, 52) float64.

    Raises:
        UserError: the file cannot be read, or is no capture.
    """
    weights, times = _csv(path) if path.suffix.lower() == ".csv" else (_npy(path), None)
    if own_fps or times is None:
        return at_rate(weights, own_fps or fps, fps, str(path))
    return resample(weights, times, fps, str(path))


def at_rate(weights: np.ndarray, own_fps: float, fps: float, what: str = "the capture") -> np.ndarray:
    """Weights (S, K) of one frame rate at another; `what`: their name in an error."""
    return resample(weights, np.arange(len(weights)) / own_fps, fps, what)


def resample(weights: np.ndarray, times: np.ndarray, fps: float, what: str = "the capture") -> np.ndarray:
    """Weights (S, K) at rising `times` (S,) seconds, linearly interpolated at `fps`, over the same time.

    Raises:
        UserError: it is longer than a Subject may be: time codes or a frame rate are wrong.
    """
    if len(weights) < 2:
        return weights
    span = float(times[-1] - times[0]) + float(np.median(np.diff(times)))
    if not span * fps <= limits.limit("subject_frames"):
        raise limits.exceeded(f"{what} lasts {span / 3600:.3g} hours", "subject_frames")
    wanted = times[0] + np.arange(max(1, round(span * fps))) / fps
    return np.stack([np.interp(wanted, times, column) for column in weights.T], axis=1)


def _npy(path: Path) -> np.ndarray:
    weights = arrays.read_npy(path, arrays.Expected((None, blendshapes.COUNT), "fiu")).astype(np.float64)
    if not len(weights):
        raise UserError(f"{path} holds no frames")
    return weights


def _csv(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights (S, 52), zeros for shapes without a column, and seconds (S,) where there are time codes."""
    try:
        text = documents.read_bytes(path).decode("utf-8-sig")
        rows = [row for row in csv.reader(text.splitlines()) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV text ({error})") from error
    head = [name.strip().lower() for name in rows[0]] if rows else []
    places = {k: head.index(name.lower()) for k, name in enumerate(blendshapes.NAMES) if name.lower() in head}
    if len(places) < blendshapes.COUNT // 2:
        raise UserError(
            f"{path} names {len(places)} of ARKit's {blendshapes.COUNT} blendshapes in its first line; export the take "
            "from Live Link Face as CSV"
        )
    if len(rows) < 2:
        raise UserError(f"{path} holds no frames")
    weights = np.zeros((len(rows) - 1, blendshapes.COUNT))
    for t, row in enumerate(rows[1:]):
        try:
            weights[t, list(places)] = [float(row[place]) for place in places.values()]
        except (ValueError, IndexError) as error:
            raise UserError(f"{path}, line {t + 2}: a blendshape is missing or is not a number") from error
    if not np.isfinite(weights).all():
        raise UserError(f"{path} has values that are not numbers")
    codes = [row[head.index("timecode")] for row in rows[1:]] if "timecode" in head else []
    return weights, _seconds(codes)


def _seconds(codes: list[str]) -> np.ndarray | None:
    """Seconds of time codes "h:m:s:frame"; None where they are missing, damaged, or stand still."""
    try:
        parts = np.array([[float(part) for part in code.replace(";", ":").split(":")] for code in codes])
    except ValueError:
        return None
    if parts.ndim != 2 or parts.shape[1] != 4 or len(parts) < 2 or not (np.abs(parts) < MOST).all():
        return None
    frames = parts[:, 3]
    rate = next((rate for rate in RATES if rate >= np.floor(frames.max()) + 1), RATES[-1])
    if frames.max() < 23:  # shorter than a second: the rate does not show
        return None
    seconds = parts[:, :3] @ [3600.0, 60.0, 1.0] + frames / rate
    seconds -= seconds[0]
    seconds[seconds < 0] += 86_400.0  # past midnight
    kept = all(a < b for a, b in itertools.pairwise(seconds))
    return seconds if kept else None
