"""One model from sound to picture, each stage with its arrays (Audio-Plane, Fig. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from numpy.typing import NDArray

from audioplane.plots.basic import empty
from audioplane.plots.field import INK
from audioplane.plots.theme import themed

SIZE, FLOOR = (14.75, 6.3), 0.42  # inches; what places below count from
MARK = "#d55e00"  # the Gaussian that is followed
SOUND, SPACE = "#0072b2", "#009e73"  # paths of arrows


@dataclass(frozen=True)
class Stages:
    """One frame from what is heard to what is seen.

    Attributes:
        voice: (n,) samples around the frame. mel: (window, C), what the encoder gets. code: a, (code,).
        weights: Eq. 7's over the prototypes of one level, (sH,). prototypes: A of that level, (sH, D).
        audio_code: f_a, (levels, D).
        planes: "xy", "xz", "yz": (sH, sH, 3) pictures of that level. lines: "z", "y", "x": (sH,) curves.
        box: of the head in the picture, left, right, top, bottom pixels.
        point: where the Gaussian is that is followed, (3,) in [0, 1]^3. pixel: and in the picture, (2,).
        feature: f at that Gaussian, (levels, 3, D).
        canonical, deformed: clouds G and G', shrunk to be seen, (2 H, 2 W, 3) in [0, 1].
        offset: length of Delta G, mm, (H, W), NaN where there is no head. dynamism: g, (H, W), NaN as well.
        mask: m, (H, W) bool.
        mask_loss: Eq. 15. picture, truth: (H, W, 3) uint8. sound: the IPA letter of the frame, or "".
    """

    voice: NDArray
    mel: NDArray
    code: NDArray
    weights: NDArray
    prototypes: NDArray
    audio_code: NDArray
    planes: dict[str, NDArray]
    lines: dict[str, NDArray]
    box: tuple[float, float, float, float]
    point: NDArray
    pixel: NDArray
    feature: NDArray
    canonical: NDArray
    deformed: NDArray
    offset: NDArray
    dynamism: NDArray
    mask: NDArray
    mask_loss: float
    picture: NDArray
    truth: NDArray
    sound: str


@themed
def pipeline(s: Stages) -> Figure:
    """The method from left to right, drawn from a live model: above the audio, below space, then the motion.

    Audio-Plane, Fig. 3 (journal).

    Args:
        s: one frame of a head (the method's `pipeline_trace.stages`).
    """
    figure = plt.figure(figsize=SIZE)
    _hear(figure, s)
    _look_up(figure, s)
    _move(figure, s)
    return figure


def _hear(figure: Figure, s: Stages) -> None:
    """Voice, features, a, prototypes with their attention, f_a."""
    wave = _panel(figure, (0.25, 5.35, 1.7, 0.7), f"voice{f', [{s.sound}]' if s.sound else ''}")
    wave.plot(s.voice, color=SOUND, linewidth=0.4)
    wave.axvline(len(s.voice) / 2, color=MARK, linewidth=1)
    wave.margins(x=0)
    mel = _panel(figure, (0.25, 3.95, 1.7, 0.95), "features of 16 steps")
    mel.imshow(s.mel.T, aspect="auto", origin="lower", cmap="magma")
    code = _panel(figure, (2.75, 3.95, 0.24, 2.1), "$a$")
    code.imshow(s.code[:, None], aspect="auto", cmap="RdBu_r", vmin=-2.5, vmax=2.5)
    weights = _panel(figure, (3.75, 3.95, 0.5, 2.1), "softmax")
    weights.barh(np.arange(len(s.weights)), s.weights, height=1.0, color=SOUND)
    weights.set(ylim=(len(s.weights) - 0.5, -0.5), xlim=(float(s.weights.max()), 0))
    grid = _panel(figure, (4.3, 3.95, 0.8, 2.1), f"prototypes $A$\n{len(s.prototypes)} x {s.prototypes.shape[1]}")
    grid.imshow(s.prototypes, aspect="auto", cmap="RdBu_r", vmin=-2, vmax=4, interpolation="nearest")
    audio = _panel(figure, (5.75, 4.6, 1.0, 0.7), "$f_a$ of each scale")
    audio.imshow(s.audio_code, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=3, interpolation="nearest")
    _arrow(figure, (2.0, 5.0), (2.7, 5.0), "encoder", SOUND)
    _arrow(figure, (3.05, 5.0), (3.7, 5.0), "query", SOUND)
    _arrow(figure, (5.15, 5.0), (5.7, 5.0), "Eq. 7", SOUND)


def _look_up(figure: Figure, s: Stages) -> None:
    """Canonical cloud, planes and lines at one Gaussian, the feature f."""
    cloud = _panel(figure, (0.2, 0.85, 2.0, 2.0), "canonical cloud $G$, Eq. 2")
    _head(cloud, s, s.canonical)
    cloud.plot(*s.pixel, "o", markersize=6, markerfacecolor="none", markeredgecolor=MARK, markeredgewidth=1.5)
    for k, (plane, line) in enumerate(zip(s.planes, s.lines, strict=True)):
        left = 2.95 + 1.25 * k
        across, down = ("z", "y") if plane == "yz" else tuple(plane)
        picture = s.planes[plane].transpose(1, 0, 2) if plane == "yz" else s.planes[plane]
        cell = _panel(figure, (left, 1.75, 1.1, 1.1), f"$P_{{{plane.upper()}}}$")
        cell.imshow(picture, interpolation="nearest", extent=(0, 1, 1, 0))
        at = ["xyz".index(axis) for axis in (across, down)]
        cell.plot(*s.point[at], "o", markersize=6, markerfacecolor="none", markeredgecolor=MARK, markeredgewidth=1.5)
        curve, own = s.lines[line], _panel(figure, (left, 0.95, 1.1, 0.4), f"$L_{line.upper()}$")
        own.plot(np.linspace(0, 1, len(curve)), curve, color=INK, linewidth=0.8)
        own.axvline(s.point["xyz".index(line)], color=MARK, linewidth=1)
        own.set(xlim=(0, 1), ylim=(0, 1.05 * max(float(curve.max()), 1e-6)))
    _words(figure, (4.75, 0.65), "what training wrote there, Eq. 9")
    levels, sets, width = s.feature.shape
    feature = _panel(figure, (7.3, 2.25, 1.15, 1.9), "feature $f$")
    feature.imshow(s.feature.reshape(levels * sets, width), aspect="auto", cmap="RdBu_r", vmin=-2, vmax=2)
    for level in range(1, levels):
        feature.axhline(sets * level - 0.5, color="white", linewidth=1.5)
    _arrow(figure, (2.25, 2.3), (2.9, 2.3), "x, y, z", SPACE)
    _arrow(figure, (6.6, 2.3), (7.0, 2.95), "", SPACE)
    _arrow(figure, (6.3, 4.55), (6.95, 3.4), "", SOUND)
    _words(figure, (7.05, 3.18), "$\\odot$", 17)
    product = r"$f = \bigcup_{s}\,\bigcup_{(i,j,k)}$ Interp$(P^s_{ij}) \odot f^s_k \odot f^s_a$"
    _words(figure, (7.85, 4.75), f"{product}\nEq. 6, 8, 10")


def _move(figure: Figure, s: Stages) -> None:
    """Offsets and dynamism, the deformed cloud, the picture."""
    offset = _panel(figure, (9.2, 3.95, 1.95, 1.95), "$|\\Delta G|$ of positions, Eq. 11")
    top = max(float(np.nanpercentile(s.offset, 99.5)), 1e-3)
    _bar(figure, offset, _head(offset, s, s.offset, cmap="magma", vmin=0, vmax=top), f"{top:.1f} mm")
    g = _panel(figure, (9.2, 0.85, 1.95, 1.95), "dynamism map $g$, Eq. 12, 14")
    _bar(figure, g, _head(g, s, s.dynamism, cmap="viridis", vmin=0, vmax=1), "1")
    g.contour(np.arange(s.mask.shape[1]) + 0.5, np.arange(s.mask.shape[0]) + 0.5, s.mask, [0.5], colors=MARK)
    _words(figure, (10.2, 0.57), f"line: mask $m$; $L_{{mask}}$ = {s.mask_loss:.4f}, Eq. 15")
    cloud = _panel(figure, (12.6, 3.95, 1.95, 1.95), "$G' = G + d\\,\\Delta G$, Eq. 5, 13")
    _head(cloud, s, s.deformed)
    for left, picture, title in ((11.9, s.picture, "$I = \\mathcal{R}(G'; P)$"), (13.3, s.truth, "truth")):
        _panel(figure, (left, 0.85, 1.33, 1.33), title).imshow(picture)
    _arrow(figure, (8.5, 3.5), (9.15, 4.6), "", INK)
    _words(figure, (8.65, 4.15), "$D_1$", 11)
    _arrow(figure, (8.5, 2.9), (9.15, 2.0), "", INK)
    _words(figure, (8.65, 2.2), "$D_2$", 11)
    _arrow(figure, (11.25, 4.9), (11.72, 4.9), "", INK)
    _arrow(figure, (11.4, 2.85), (11.82, 4.72), "", INK)
    _words(figure, (11.48, 3.75), "$d$", 11)
    _words(figure, (11.83, 4.79), "$\\odot$", 16)
    _arrow(figure, (11.94, 4.9), (12.13, 4.9), "", INK)
    _words(figure, (12.24, 4.79), "$\\oplus$", 16)
    _arrow(figure, (12.35, 4.9), (12.55, 4.9), "", INK)
    _arrow(figure, (13.3, 3.85), (12.75, 2.5), "", INK)
    _words(figure, (13.5, 2.9), "Eq. 1, 3, 4")
    _words(figure, (13.25, 0.57), "L1 + perceptual ($+\\,L_{mask}$), Eq. 16, 17")
    # The canonical cloud goes round to the sum untouched.
    _line(figure, [(0.18, 1.85), (0.08, 1.85), (0.08, 6.5), (12.24, 6.5), (12.24, 5.02)])
    _words(figure, (8.0, 6.28), "$G$", 10)


def _head(axes: Axes, s: Stages, picture: NDArray, **how: Any) -> Any:
    """A picture of any resolution, cut to the head."""
    height, width = s.mask.shape
    drawn = axes.imshow(picture, extent=(0, width, height, 0), **how)
    left, right, top, bottom = s.box
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return drawn


def _at(x: float, y: float) -> tuple[float, float]:
    """Inches to shares of the figure."""
    return x / SIZE[0], (y - FLOOR) / SIZE[1]


def _panel(figure: Figure, box: tuple[float, float, float, float], title: str) -> Axes:
    """Axes at (left, bottom, width, height) inches."""
    left, bottom, width, height = box
    axes = figure.add_axes((*_at(left, bottom), width / SIZE[0], height / SIZE[1]))
    axes.set_title(title, fontsize=10.5, color=INK, pad=3)
    empty(axes)
    return axes


def _bar(figure: Figure, axes: Axes, image: object, end: str) -> None:
    bar = axes.inset_axes((1.02, 0.1, 0.035, 0.8))
    figure.colorbar(image, cax=bar, ticks=image.get_clim())  # type: ignore[attr-defined]
    bar.set_yticklabels(["0", end])
    bar.tick_params(labelsize=8.5, length=0, pad=2)


def _arrow(figure: Figure, start: tuple[float, float], end: tuple[float, float], words: str, color: str) -> None:
    """An arrow from one place to another, inches, with words over its middle."""
    line = [_at(*start), _at(*end)]
    figure.add_artist(
        FancyArrowPatch(
            *line,
            arrowstyle="-|>",
            mutation_scale=12,
            linewidth=1.4,
            color=color,
            transform=figure.transFigure,
            shrinkA=0,
            shrinkB=0,
        )
    )
    if words:
        _words(figure, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.12), words)


def _line(figure: Figure, corners: list[tuple[float, float]]) -> None:
    """A bent arrow through corners, inches."""
    from matplotlib.path import Path

    path = Path([_at(*corner) for corner in corners])
    figure.add_artist(
        FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=12, linewidth=1.4, color="0.6", transform=figure.transFigure
        )
    )


def _words(figure: Figure, at: tuple[float, float], words: str, size: float = 10) -> None:
    figure.text(*_at(*at), words, ha="center", va="bottom", fontsize=size, color=INK)
