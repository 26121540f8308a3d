"""What a head is given by hand (arrays, lists, tensors, sizes), brought into one form or refused in a sentence."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.media.sound import check_audio, load_audio
from audioplane.subject import blendshapes

LARGEST = 4096  # pixels


def array(value: Any, name: str) -> np.ndarray:
    """A list, array or tensor (of any device) as an array.

    Raises:
        UserError: it is none of these, or its rows differ in length.
    """
    try:
        return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: expected an array, a tensor or a list of numbers ({error})") from error


def voice(value: Any, name: str = "voice") -> np.ndarray:
    """A sound file, or samples at 16 kHz as array, list or tensor: (n,) float32.

    Raises:
        UserError: a file that cannot be read, or what `check_audio` refuses.
    """
    if isinstance(value, (str, Path)):
        return load_audio(value)
    return check_audio(array(value, name), name)


def numbers(value: Any, shape: tuple[int, ...], name: str) -> Tensor:
    """A finite float32 tensor of a shape on the CPU.

    Raises:
        UserError: another shape, no numbers, NaN or infinity.
    """
    given = array(value, name)
    if given.shape != shape or not (np.issubdtype(given.dtype, np.floating) or np.issubdtype(given.dtype, np.integer)):
        raise UserError(f"{name}: expected numbers of shape {shape}, received {given.dtype} of shape {given.shape}")
    if not np.isfinite(given).all():
        raise UserError(f"{name}: contains NaN or infinity")
    return torch.from_numpy(given.astype(np.float32))


def capture(value: Any, name: str) -> np.ndarray:
    """Captured blendshapes: (T, 52) float64.

    Raises:
        UserError: another shape, no frames, NaN, or weights far outside of [0, 1].
    """
    given = array(value, name)
    if given.ndim != 2 or given.shape[1] != blendshapes.COUNT or not len(given):
        raise UserError(
            f"{name}: expected ARKit's weights, (frames, {blendshapes.COUNT}), received an array of shape {given.shape}"
        )
    if not np.issubdtype(given.dtype, np.number) or not np.isfinite(given).all():
        raise UserError(f"{name}: expected numbers, found NaN, infinity or texts")
    if given.min() < -0.5 or given.max() > 1.5:
        raise UserError(
            f"{name}: expected weights in [0, 1], received {given.min():.3g} to {given.max():.3g} (percentages?)"
        )
    return np.clip(given.astype(np.float64), 0.0, 1.0)


def size(value: Any) -> int:
    """A width in pixels, 0 for the trained one.

    Raises:
        UserError: a fraction, or not in 0 to 4096.
    """
    try:
        pixels = operator.index(value)
    except TypeError:
        pixels = -1
    if not 0 <= pixels <= LARGEST:
        raise UserError(
            f"size: expected a whole number of pixels, 1 to {LARGEST}, or 0 for the trained width; not {value}"
        )
    return pixels


def picture(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """A uint8 picture of a shape.

    Raises:
        UserError: another shape, or numbers that are no bytes: floats in [0, 1] would come out black.
    """
    given = array(value, name)
    if given.shape != shape or given.dtype != np.uint8:
        hint = "; multiply colours in [0, 1] by 255 and round" if np.issubdtype(given.dtype, np.floating) else ""
        raise UserError(f"{name}: expected uint8 of shape {shape}, received {given.dtype} of shape {given.shape}{hint}")
    return given
