"""A projection of Whisper's states that hardly depends on where in a piece of sound a state lies.

Whisper adds its position in the piece of 30 s to every state. As pieces of a recording begin somewhere, the same sound
gives other states with other pieces: by half of their spread. But that lies in a few directions. They are found by
comparing pieces that begin at different times, and are taken out; of what is left, the principal components are kept.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor

from audioplane.audio.whisper import OVERLAP, PIECE, WhisperEncoder, WhisperFeatures, level, whisper_mel

STARTS = (0, 70, 163, 250, 331, 420)  # states by which pieces begin earlier
MARGIN = 100  # states at the ends of a recording that are left out
MOST = 0.05  # variance by the position over variance by the sound, above which a direction is taken out
KEPT = 128  # principal components


def scatter(
    encoder: WhisperEncoder, recordings: Iterable[NDArray[np.float32]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean state (width,), and covariances (width, width) by the sound and by where pieces begin.

    Args:
        encoder: up to the block whose states are wanted.
        recordings: at 16 kHz, each longer than one piece.
    """
    features, total, width = WhisperFeatures(encoder), 0, encoder.width
    means, between, within = np.zeros(width), np.zeros((width, width)), np.zeros((width, width))
    for samples in recordings:
        mel = level(whisper_mel(samples, encoder.bands))
        states = np.stack([features.of_mel(mel, first) for first in STARTS])[:, MARGIN:-MARGIN].astype(np.float64)
        mean = states.mean(axis=0)
        apart = (states - mean).reshape(-1, encoder.width)
        total += len(mean)
        means += mean.sum(axis=0)
        between += mean.T @ mean
        within += apart.T @ apart / (len(STARTS) - 1)
    mean = means / total
    return mean, between / total - np.outer(mean, mean), within / total


def fit(encoder: WhisperEncoder, recordings: Iterable[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """What states are multiplied by, (KEPT, width), and what is then added, (KEPT,): mean 0 and spread 1."""
    mean, between, within = scatter(encoder, recordings)
    ratios, directions = eigh(within, between)
    bad = directions[:, ratios > MOST]
    cleaned = np.eye(len(mean)) - bad @ bad.T @ between  # states times it
    size = np.sqrt(np.diag(between))
    sizes, axes = np.linalg.eigh(cleaned.T @ between @ cleaned / np.outer(size, size))
    sizes, axes = sizes[::-1][:KEPT], axes[:, ::-1][:, :KEPT]
    axes = axes * np.sign(axes.sum(axis=0))
    weight = (cleaned @ (axes / size[:, None]) / np.sqrt(sizes)).T
    bias = -weight @ mean
    return torch.from_numpy(np.ascontiguousarray(weight)).float(), torch.from_numpy(bias).float()


def position_error(features: WhisperFeatures, samples: NDArray[np.float32]) -> float:
    """How much features of a recording depend on where pieces begin, as a share of their spread (root mean square)."""
    mel = level(whisper_mel(samples, features.encoder.bands))
    found = np.stack([features.of_mel(mel, first) for first in (0, (PIECE - OVERLAP) // 3, (PIECE - OVERLAP) // 2)])
    found = found[:, MARGIN:-MARGIN]
    return float(np.sqrt((found.var(axis=0, ddof=1).mean(axis=0) / found.mean(axis=0).var(axis=0)).mean()))
