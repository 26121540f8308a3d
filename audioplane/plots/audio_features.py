"""A voice, its features, its audio code, and the lips predicted from the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioplane.plots.field import INK
from audioplane.plots.theme import themed

PREDICTED = "#0072b2"


@themed
def audio_code(
    audio: NDArray,
    rate: int,
    phonemes: Sequence,
    features: NDArray,
    codes: NDArray,
    opening: NDArray,
    fps: float,
    start: float,
    stop: float,
) -> Figure:
    """From top to bottom: waveform with its sounds, features, the code a of each frame, the true lips.

    Args:
        audio: (n,). rate: its samples a second. phonemes: with `ipa`, `start`, `end` in seconds.
        features: (steps, C), evenly over the whole voice. codes: (T, code), rows are shown in this order.
        opening: (T,) millimetres. fps: frames a second. start, stop: seconds to show.
    """
    figure, (wave, bands, code, lips) = plt.subplots(
        4, 1, figsize=(10, 6.2), sharex=True, layout="constrained", height_ratios=[1, 1.6, 1.9, 0.9]
    )
    first, last, seconds = round(start * fps), round(stop * fps), len(audio) / rate
    piece = audio[int(start * rate) : int(stop * rate)]
    top = 1.05 * float(np.abs(piece).max(initial=0)) or 1.0
    wave.plot(start + np.arange(len(piece)) / rate, piece, color="0.6", linewidth=0.4)
    for phoneme in phonemes:
        if start <= phoneme.start and phoneme.end <= stop:
            for axes in (wave, bands, code):
                axes.axvline(phoneme.start, color="0.85", linewidth=0.5, zorder=0 if axes is wave else 2, alpha=0.6)
            wave.text((phoneme.start + phoneme.end) / 2, 1.1 * top, phoneme.ipa, ha="center", fontsize=8, color=INK)
    wave.set(ylim=(-top, 1.4 * top), yticks=[], ylabel="voice")
    per_step = seconds / len(features)
    low, high = int(start / per_step), int(stop / per_step)
    bands.imshow(
        features[low:high].T,
        aspect="auto",
        origin="lower",
        cmap="magma",
        interpolation="nearest",
        extent=(low * per_step, high * per_step, 0, features.shape[1]),
    )
    bands.set(yticks=[], ylabel="features")
    code.imshow(
        codes[first:last].T,
        aspect="auto",
        cmap="RdBu_r",
        vmin=-2.5,
        vmax=2.5,
        interpolation="nearest",
        extent=(first / fps, last / fps, codes.shape[1], 0),
    )
    code.set(yticks=[], ylabel=f"code $a$, {codes.shape[1]} numbers")
    lips.fill_between((np.arange(first, last) + 0.5) / fps, opening[first:last], color="C3", alpha=0.7, linewidth=0)
    lips.set(ylim=(0, None), ylabel="lips, mm", xlabel="seconds", xlim=(start, stop))
    for axes in (wave, lips):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


@themed
def phonetic_output(
    audio: NDArray,
    rate: int,
    phonemes: Sequence,
    sounds: Mapping[str, NDArray],
    tracks: Mapping[str, tuple[NDArray, NDArray]],
    start: float,
    stop: float,
) -> Figure:
    """Output of the phonetic network: waveform with its sounds, probability of each viseme, movements of the mouth.

    Args:
        audio: (n,). rate: its samples a second. phonemes: with `ipa`, `start`, `end` in seconds.
        sounds: group of sounds -> its probability, (steps,) evenly over the whole voice.
        tracks: name -> (predicted, truth), (steps,). start, stop: seconds to show.
    """
    figure, rows = plt.subplots(
        2 + len(tracks),
        1,
        figsize=(10, 3.9 + 0.62 * len(tracks)),
        sharex=True,
        layout="constrained",
        height_ratios=[1, 2.6, *[0.75] * len(tracks)],
    )
    wave, likely, *moves = rows
    piece = audio[int(start * rate) : int(stop * rate)]
    top = 1.05 * float(np.abs(piece).max(initial=0)) or 1.0
    wave.plot(start + np.arange(len(piece)) / rate, piece, color="0.6", linewidth=0.4)
    wave.set(ylim=(-top, 1.4 * top), yticks=[], ylabel="voice")
    for phoneme in phonemes:
        if start <= phoneme.start and phoneme.end <= stop:
            wave.text((phoneme.start + phoneme.end) / 2, 1.1 * top, phoneme.ipa, ha="center", fontsize=8, color=INK)
            for axes in rows:
                axes.axvline(phoneme.start, color="0.6", linewidth=0.5, alpha=0.5, zorder=2 if axes is likely else 0)
    grid = np.stack(list(sounds.values()))
    step = len(audio) / rate / grid.shape[1]
    low, high = int(start / step), int(stop / step)
    likely.imshow(
        grid[:, low:high],
        aspect="auto",
        cmap="magma",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=((low - 0.5) * step, (high - 0.5) * step, len(grid) - 0.5, -0.5),
    )
    likely.set(yticks=range(len(grid)), ylabel="predicted")
    likely.set_yticklabels(list(sounds), fontsize=7)
    times = np.arange(low, high) * step
    for axes, (name, (predicted, truth)) in zip(moves, tracks.items(), strict=True):
        axes.fill_between(times, truth[low:high], color="0.83", linewidth=0, label="truth")
        axes.plot(times, predicted[low:high], color=PREDICTED, linewidth=1.2, label="predicted")
        axes.set_ylabel(name, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    moves[0].legend(fontsize=8, ncols=2, loc="upper right")
    rows[-1].set(xlabel="seconds", xlim=(start, stop))
    return figure


@themed
def predicted_opening(
    curves: Mapping[str, tuple[NDArray, NDArray]], correlations: Mapping[str, tuple[float, float]], fps: float
) -> Figure:
    """The lip opening predicted from the audio code, over the true one; a row a voice.

    Args:
        curves: voice -> (predicted, truth), millimetres a frame. correlations: voice -> (r, r of the control).
        fps: frames a second.
    """
    figure, rows = plt.subplots(
        len(curves), 1, figsize=(10, 1.75 * len(curves) + 0.3), sharex=True, layout="constrained", squeeze=False
    )
    for axes, (name, (own, truth)) in zip(rows[:, 0], curves.items(), strict=True):
        times = (np.arange(len(truth)) + 0.5) / fps
        axes.fill_between(times, truth, color="0.83", linewidth=0, label="truth")
        axes.plot(times, own, color=PREDICTED, linewidth=1.2, label="predicted from the code")
        r, late = correlations[name]
        axes.set_title(f"{name}: correlation {r:.2f}; with the sound a second late {late:.2f}", fontsize=9, loc="left")
        axes.set(ylabel="lips, mm", ylim=(min(0.0, float(own.min())), None), xlim=(0, times[-1]))
        axes.spines[["top", "right"]].set_visible(False)
    rows[0, 0].legend(fontsize=8, ncols=2, loc="upper right")
    rows[-1, 0].set_xlabel("seconds")
    return figure


@themed
def opening_by_sound(means: Mapping[str, Mapping[str, tuple[float, float]]]) -> Figure:
    """Mean lip opening at each class of sound, predicted from the code and true; a panel a voice.

    Args:
        means: voice -> class of sound -> (predicted, truth), millimetres.
    """
    names = list(dict.fromkeys(sound for own in means.values() for sound in own))
    figure, panels = plt.subplots(
        1,
        len(means),
        figsize=(3.2 * len(means) + 0.9, 0.27 * len(names) + 1),
        sharey=True,
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    for axes, (voice, own) in zip(panels[0], means.items(), strict=True):
        for k, name in enumerate(names):
            if name in own:
                spoken, truth = own[name]
                axes.plot([truth, spoken], [k, k], color="0.75", linewidth=1.5, zorder=1)
                axes.plot(truth, k, "o", color="0.35", markerfacecolor="white", label="truth" if k == 0 else None)
                axes.plot(spoken, k, "o", color=PREDICTED, label="predicted from the code" if k == 0 else None)
        axes.set_title(voice, fontsize=9)
        axes.set(xlabel="mean opening, mm")
        axes.grid(axis="y", color="0.94")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[0, 0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), fontsize=8, ncols=2, loc="outside lower center")
    return figure
