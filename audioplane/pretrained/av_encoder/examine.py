"""How well mouths of unseen people are restored from unseen voices (SyncTalk++, Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from audioplane.metrics.syncnet.mfcc import mfcc
from audioplane.metrics.syncnet.network import FRAMES
from audioplane.metrics.syncnet.scorers import Scorer
from audioplane.pretrained.av_encoder.networks import FaceGenerator
from audioplane.pretrained.av_encoder.training import Film, fives, frame_windows
from audioplane.pretrained.syncnet.training import stack_columns
from audioplane.runtime import files

SCALE = 2  # of the picture's mouths


@torch.no_grad()
def restored(generator: FaceGenerator, film: Film, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """A person's mouth with a sound, restored from the film's first frame: (T, 48, 48), levels 0 to 255."""
    count = min(len(film.crops), len(sound) // 640)
    reference = torch.from_numpy(film.crops[:1]).float()[None] / 255
    found = [
        generator(
            frame_windows(sound, first, min(100, count - first)), reference.expand(min(100, count - first), -1, -1, -1)
        )
        for first in range(0, count, 100)
    ]
    return 255 * torch.cat(found)[:, 0].numpy()


def measure(generator: FaceGenerator, films: Sequence[Film]) -> dict[str, float]:
    """Errors in levels, and distances by the scorer that ships, over films that were not learnt from.

    Returns:
        own, foreign, still: mean absolute error of mouths restored with their own sound, with that of the next film,
        and of the person's mean mouth. distance_own, distance_truth, distance_foreign: between pictures and their true
        sound, of mouths restored with it, of the film itself, and of mouths restored with the next film's sound.
    """
    scorer, rows = Scorer.built_in(), []
    for k, film in enumerate(films):
        own = restored(generator, film, film.audio)
        foreign = restored(generator, film, films[(k + 1) % len(films)].audio)
        true = film.crops[: len(own)].astype(np.float32)
        count = min(len(own), len(foreign))
        rows.append(
            {
                "own": np.abs(own - true).mean(),
                "foreign": np.abs(foreign[:count] - true[:count]).mean(),
                "still": np.abs(true.mean(axis=0) - true).mean(),
                "distance_own": _distance(scorer, own, film.audio),
                "distance_truth": _distance(scorer, true, film.audio),
                "distance_foreign": _distance(scorer, foreign[:count], film.audio),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


@torch.no_grad()
def _distance(scorer: Scorer, frames: NDArray[np.float32], sound: NDArray[np.float32]) -> float:
    faces = scorer.network.embed_frames(fives(torch.from_numpy(frames)[:, None] / 255, len(frames)))
    count = len(frames) - FRAMES + 1
    windows = stack_columns(mfcc(sound.astype(np.float64)), count)
    sounds = scorer.network.embed_audio(windows)
    return float((faces[: len(sounds)] - sounds).norm(dim=1).mean())


def picture(generator: FaceGenerator, films: Sequence[Film], path: Path, count: int = 12, step: int = 5) -> None:
    """Fig. 3 as a picture: for each film a row of true mouths and, below it, of restored ones, in order of time."""
    rows = []
    for film in films:
        found = restored(generator, film, film.audio)
        frames = slice(50, 50 + count * step, step)
        for mouths in (film.crops[frames], np.clip(np.round(found[frames]), 0, 255).astype(np.uint8)):
            rows.append(np.concatenate(list(mouths), axis=1))
    grey = cv2.resize(np.concatenate(rows), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    written, data = cv2.imencode(path.suffix, grey, [cv2.IMWRITE_WEBP_QUALITY, 80])
    assert written
    files.write_bytes(path, data.tobytes())
