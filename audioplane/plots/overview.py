"""A voice, and the head that speaks it (Audio-Plane, Fig. 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from numpy.typing import NDArray

from audioplane.plots.basic import empty
from audioplane.plots.field import INK
from audioplane.plots.theme import themed

VOICE = "#0072b2"


@themed
def overview(
    audio: NDArray,
    rate: int,
    phonemes: Sequence,
    times: Sequence[float],
    start: float,
    stop: float,
    rows: Mapping[str, Sequence[NDArray]],
    crop: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0),
) -> Figure:
    """A voice with its sounds, and under it pictures of the head at some times.

    Audio-Plane, Fig. 1 (journal).

    Args:
        audio: (n,). rate: its samples a second. phonemes: with `ipa`, `start`, `end` in seconds.
        times: seconds, of the columns. start, stop: seconds of voice to show.
        rows: name -> pictures (H, W, 3), or maps (H, W) in [0, 1], NaN left white, which get one colour bar.
        crop: what of the pictures to show: left, right, top, bottom as shares of their sides.
    """
    count = len(times)
    figure = plt.figure(figsize=(1.55 * count + 0.9, 1.3 + 1.6 * len(rows)), layout="constrained")
    cells = figure.subplot_mosaic(
        [["voice"] * count, *([f"{name} {k}" for k in range(count)] for name in rows)],
        height_ratios=[0.75, *[1.0] * len(rows)],
    )
    wave = cells["voice"]
    piece = audio[int(start * rate) : int(stop * rate)]
    top = 1.05 * float(np.abs(piece).max(initial=0)) or 1.0
    wave.plot(start + np.arange(len(piece)) / rate, piece, color=VOICE, linewidth=0.5)
    for phoneme in phonemes:
        if start <= phoneme.start and phoneme.end <= stop:
            wave.axvline(phoneme.start, color="0.88", linewidth=0.6, zorder=0)
            wave.text((phoneme.start + phoneme.end) / 2, 1.15 * top, phoneme.ipa, ha="center", fontsize=9, color=INK)
    wave.set(xlim=(start, stop), ylim=(-top, 1.5 * top), yticks=[], xticks=[], ylabel="voice")
    wave.spines[:].set_visible(False)
    image = None
    for name, pictures in rows.items():
        for k, picture in enumerate(pictures):
            cell = cells[f"{name} {k}"]
            drawn = cell.imshow(picture, cmap="viridis", vmin=0, vmax=1, extent=(0, 1, 1, 0))
            cell.set(xlim=crop[:2], ylim=crop[:1:-1])
            image = drawn if np.ndim(picture) == 2 else image
            empty(cell)
        cells[f"{name} 0"].set_ylabel(name)
    if image is not None:
        last = [cells[f"{name} {count - 1}"] for name, pictures in rows.items() if np.ndim(pictures[0]) == 2]
        bar = figure.colorbar(image, ax=last, shrink=0.8, aspect=14, ticks=[0, 0.5, 1])
        bar.ax.tick_params(labelsize=7, length=2)
    first = next(iter(rows))
    for k, time in enumerate(times):
        wave.plot([time, time], [-top, top], color="#d55e00", linewidth=1.0)
        figure.add_artist(
            ConnectionPatch(
                (time, -top),
                (0.5, 1.0),
                "data",
                "axes fraction",
                axesA=wave,
                axesB=cells[f"{first} {k}"],
                color="#d55e00",
                linewidth=0.8,
            )
        )
    return figure
