"""One frame of a Subject: the picture and what is known about it, the sound around it, the shapes of the face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audioplane.plots.contact_sheet import ACCENT, FAINT, INK, VOICE, label_overlay
from audioplane.plots.theme import themed
from audioplane.subject import Subject, blendshapes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AROUND = 0.6  # seconds of sound to either side
BARS = 12
REACH = 15.0  # millimetres of motion at the end of the colour scale


@themed
def draw(subject: Subject, t: int) -> Figure:
    """Draws frame t: picture, labels, depth, motion of the true mesh; the sounds around it; the strongest blendshapes.

    Parts that the Subject does not know (a real video has no true mesh) stay empty.

    Raises:
        IndexError: there is no frame t.
    """
    from matplotlib.figure import Figure

    if not 0 <= t < subject.num_frames:
        raise IndexError(f"frame {t} of {subject.name!r}, which has frames 0 to {subject.num_frames - 1}")
    figure = Figure(figsize=(9.6, 4.4), dpi=100, facecolor="white", layout="constrained")
    grid = figure.add_gridspec(2, 5, width_ratios=(1, 1, 1, 1, 0.7), height_ratios=(1, 0.62))
    for column, (name, paint) in enumerate(
        (("frame", _frame), ("labels, landmarks", _labels), ("depth", _depth), ("motion from rest", _motion))
    ):
        axes = figure.add_subplot(grid[0, column])
        axes.set_title(name, size=9, color=INK)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        paint(axes, subject, t)
    _sound(figure.add_subplot(grid[1, :4]), subject, t)
    _shapes(figure.add_subplot(grid[:, 4]), subject, t)
    return figure


def phoneme_at(subject: Subject, t: int) -> str:
    """The sound that frame t shows, "" in silence or where none are known."""
    moment = (t + 0.5) / subject.fps
    return next((p.ipa for p in subject.phonemes or [] if p.start <= moment < p.end), "")


def _frame(axes: Axes, subject: Subject, t: int) -> None:
    axes.imshow(subject.frame(t))


def _labels(axes: Axes, subject: Subject, t: int) -> None:
    axes.imshow(label_overlay(subject, t))


def _depth(axes: Axes, subject: Subject, t: int) -> None:
    depth, head = subject.depth(t), subject.head_mask(t)
    if depth is None or not depth[head].any():
        return
    near, far = np.percentile(depth[head & (depth > 0)], [0.5, 99.5])
    axes.imshow(np.where(depth > 0, depth, np.nan), cmap="bone_r", vmin=near, vmax=far)


def _motion(axes: Axes, subject: Subject, t: int) -> None:
    """The vertices that the camera sees, coloured by how far they are from where they rest in the head."""
    vertices, rest, depth = subject.vertices(t), subject.rest_vertices, subject.depth(t)
    if vertices is None or rest is None or depth is None:
        return
    seen = vertices @ subject.viewmats[t][:3, :3].T + subject.viewmats[t][:3, 3]
    pixels = seen @ subject.K.T
    x, y = (pixels[:, :2] / pixels[:, 2:]).T
    j = np.clip(x.astype(int), 0, subject.width - 1)
    i = np.clip(y.astype(int), 0, subject.height - 1)
    visible = np.abs(depth[i, j] - seen[:, 2]) < 0.008
    far = 1000 * np.linalg.norm(vertices - rest, axis=1)[visible]
    dots = axes.scatter(x[visible], y[visible], c=far, s=2.5, linewidths=0, cmap="magma", vmin=0, vmax=REACH)
    axes.set(xlim=(0, subject.width), ylim=(subject.height, 0), aspect="equal")
    bar = axes.inset_axes((0.1, 0.02, 0.8, 0.035))
    axes.figure.colorbar(dots, cax=bar, orientation="horizontal", ticks=[0, REACH])
    bar.xaxis.set_ticks_position("top")
    bar.set_xticklabels(["0", f"{REACH:g} mm"], size=7)
    bar.tick_params(length=0, pad=1)


def _sound(axes: Axes, subject: Subject, t: int) -> None:
    moment, rate = (t + 0.5) / subject.fps, subject.manifest.sample_rate
    start, stop = moment - AROUND, moment + AROUND
    first, last = max(0, int(start * rate)), min(len(subject.audio), int(stop * rate))
    axes.plot(np.arange(first, last) / rate, subject.audio[first:last], color=VOICE, linewidth=0.5)
    loudest = float(np.abs(subject.audio).max()) or 1.0
    for p in subject.phonemes or []:
        if p.end <= start or p.start >= stop:
            continue
        now = p.start <= moment < p.end
        axes.axvspan(max(p.start, start), min(p.end, stop), color=ACCENT if now else FAINT, alpha=0.18 if now else 0.06)
        middle = (max(p.start, start) + min(p.end, stop)) / 2
        colour, weight = (ACCENT, "bold") if now else (INK, "normal")
        axes.text(middle, 1.08 * loudest, p.ipa, size=11, color=colour, weight=weight, ha="center", va="center")
    axes.axvline(moment, color=ACCENT, linewidth=1)
    axes.set(xlim=(start, stop), ylim=(-loudest, 1.25 * loudest), yticks=[])
    axes.set_xlabel(f"seconds (frame {t})", size=8, color=INK)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "left", "right"]].set_visible(False)


def _shapes(axes: Axes, subject: Subject, t: int) -> None:
    """The shapes that vary most over the clip, always the same ones, so that scrubbing shows them move."""
    axes.tick_params(labelsize=7.5)
    if subject.blendshapes is None:
        axes.set(xticks=[], yticks=[])
        return
    strongest = np.argsort(-subject.blendshapes.std(0))[:BARS]
    strongest = sorted(strongest, key=lambda n: blendshapes.NAMES[n], reverse=True)
    axes.barh([blendshapes.NAMES[n] for n in strongest], subject.blendshapes[t, strongest], color=VOICE, height=0.6)
    axes.set_xlim(0, max(0.5, float(subject.blendshapes[:, strongest].max())))
    axes.set_title("blendshapes", size=9, color=INK)
