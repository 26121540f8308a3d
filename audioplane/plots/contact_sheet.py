"""The contact sheet of a Subject: frames, labels, depth, the sounds of the voice, and the opening of the mouth."""

# ruff: noqa: RUF001 (IPA)

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from audioplane.plots.theme import themed
from audioplane.runtime import files
from audioplane.subject import Phoneme, Subject
from audioplane.subject.masks import LABEL_COLOURS, LABEL_NAMES, mouth_opening

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILE = 168  # pixels
GAP = 4
MARGIN = 26
LEFT = 88  # room for the names of the rows
STRIPS = (34, 92, 70)  # heights of the whole clip, the close-up of the voice, the mouth
IPA_ROW = 18  # below the voice
WINDOW = 4.0  # seconds of the close-up
INK, FAINT, ACCENT, VOICE = "#22262e", "#9aa1ad", "#c8394f", "#3f6fb5"
NEUTRAL = (232, 232, 228)

# What the columns should show, by the first letter of the IPA; one sound of each group takes a column.
WANTED = ("mbp", "ɑaɐæɔ", "uʊoyɥ", "iɪe", "fv")


def choose_frames(subject: Subject, columns: int) -> list[tuple[int, str]]:
    """Frames worth showing with their captions: telling sounds where they are known, else evenly spaced.

    Returns:
        `columns` pairs of frame number and caption, in the order of time.
    """
    chosen: dict[int, str] = {}
    for phoneme in _telling_sounds(subject):
        t = int(np.clip((phoneme.start + phoneme.end) / 2 * subject.fps, 0, subject.num_frames - 1))
        chosen.setdefault(t, phoneme.ipa)
    evenly = np.linspace(0, subject.num_frames - 1, 2 * columns + 1).astype(int)[1::2].tolist()
    while len(chosen) < min(columns, subject.num_frames):  # those farthest from what is chosen already
        free = [t for t in evenly if t not in chosen] or [t for t in range(subject.num_frames) if t not in chosen]
        chosen[max(free, key=lambda t: min((abs(t - c) for c in chosen), default=0))] = ""
    frames = sorted(chosen.items())[:columns]
    return [(t, f"{t / subject.fps:.2f} s" + (f"   [{ipa}]" if ipa else "")) for t, ipa in frames]


def _telling_sounds(subject: Subject) -> list[Phoneme]:
    """One sound a group of `WANTED`, from different parts of the clip; the longest there."""
    phonemes, found = subject.phonemes or [], []
    for line, letters in enumerate(WANTED):
        matches = [p for p in phonemes if p.ipa[:1] and p.ipa[0] in letters]
        if matches:
            middle = (line + 0.5) / len(WANTED) * subject.num_frames / subject.fps
            near = sorted(matches, key=lambda p: abs(p.start - middle))[:8]
            found.append(max(near, key=lambda p: p.end - p.start))
    return found


def label_overlay(subject: Subject, t: int) -> np.ndarray:
    """Frame t tinted by label, with its landmarks: S x S x 3 uint8 at twice the tile's size."""
    size = 2 * TILE
    frame = _fit(subject.frame(t), size).astype(np.float32)
    label = cv2.resize(subject.label(t), _size(subject, size), interpolation=cv2.INTER_NEAREST)
    tint = np.array(LABEL_COLOURS, np.float32)[label.astype(np.intp)]
    grey = frame.mean(2, keepdims=True)
    picture = np.where(label[..., None] > 0, 0.45 * grey + 0.55 * tint, 0.55 * grey + 0.45 * tint)
    picture = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    scale = picture.shape[1] / subject.width
    for x, y in subject.landmarks[t][np.isfinite(subject.landmarks[t]).all(1)]:
        centre = (round((x * scale - 0.5) * 16), round((y * scale - 0.5) * 16))
        cv2.circle(picture, centre, 40, (20, 22, 28), -1, cv2.LINE_AA, 4)
        cv2.circle(picture, centre, 26, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return picture


def _head_alone(subject: Subject, t: int) -> np.ndarray:
    return np.where(subject.head_mask(t)[..., None], subject.frame(t), np.array(NEUTRAL, np.uint8))


def _motion(subject: Subject, t: int) -> np.ndarray:
    frame = subject.frame(t)
    return np.where(subject.motion_mask(t)[..., None], frame, (0.25 * frame + 0.75 * 60).astype(np.uint8))


def _depth(subject: Subject, t: int) -> np.ndarray | None:
    """Near is bright; the range is the head's own."""
    depth, head = subject.depth(t), subject.head_mask(t)
    if depth is None or not (depth[head] > 0).any():
        return None
    near, far = np.percentile(depth[head & (depth > 0)], [0.5, 99.5])
    tone = np.clip(1 - (depth - near) / max(far - near, 1e-6), 0, 1) * 205 + 40
    return np.repeat(np.where(depth > 0, tone, 20).astype(np.uint8)[..., None], 3, 2)


ROWS: tuple[tuple[str, Callable[[Subject, int], np.ndarray | None]], ...] = (
    ("frame", lambda s, t: s.frame(t)),
    ("labels,\nlandmarks", label_overlay),
    ("head\nalone", _head_alone),
    ("without\nhead", lambda s, t: s.without_head(t)),
    ("what\nspeech\nmoves", _motion),
    ("depth", _depth),
)


def _size(subject: Subject, longest: int) -> tuple[int, int]:
    scale = longest / max(subject.width, subject.height)
    return max(1, round(subject.width * scale)), max(1, round(subject.height * scale))


def _fit(image: np.ndarray, longest: int) -> np.ndarray:
    scale = longest / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


@themed
def draw(subject: Subject, columns: int = 6) -> Figure:
    """Draws the contact sheet; `savefig` writes it at 100 dpi."""
    from matplotlib.figure import Figure

    frames = choose_frames(subject, columns)
    rows = [row for row in ROWS if row[0] != "depth" or _depth(subject, frames[0][0]) is not None]
    tile_width, tile_height = _size(subject, TILE)
    width = LEFT + columns * (tile_width + GAP) + MARGIN
    top = 84
    sound_top = top + 22 + len(rows) * (tile_height + GAP) + 16
    height = sound_top + sum(STRIPS) + 74 + (IPA_ROW if subject.phonemes else 0)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")

    def axes(x: float, y: float, w: float, h: float) -> Axes:
        return figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))

    _title(figure, subject, width, height)
    for j, (t, caption) in enumerate(frames):
        x = LEFT + j * (tile_width + GAP)
        figure.text(x / width, 1 - (top + 14) / height, caption, size=8.5, color=INK, va="baseline")
        for i, (_, render) in enumerate(rows):
            image = render(subject, t)
            if image is None:
                continue
            cell = axes(x, top + 22 + i * (tile_height + GAP), tile_width, tile_height)
            cell.imshow(_fit(image, TILE), interpolation="none", aspect="auto")
            cell.set_axis_off()
    for i, (name, _) in enumerate(rows):
        y = top + 22 + i * (tile_height + GAP) + tile_height / 2
        figure.text((LEFT - 12) / width, 1 - y / height, name, size=9, color=INK, ha="right", va="center")
    _sound(subject, axes, sound_top, width - LEFT - MARGIN, frames)
    return figure


def _title(figure: Figure, subject: Subject, width: int, height: int) -> None:
    left = (LEFT - 62) / width
    figure.text(left, 1 - 34 / height, subject.name, size=19, weight="bold", color=INK, va="baseline")
    facts = [
        f"{subject.num_frames} frames, {subject.num_frames / subject.fps:.1f} s at {subject.fps:g}/s",
        f"{subject.width} x {subject.height}",
        f"train {subject.train.start}-{subject.train.stop}, test {subject.test.start}-{subject.test.stop}",
        f"licence: {subject.manifest.licence}",
    ]
    figure.text(left, 1 - 55 / height, "   ·   ".join(facts), size=9, color="#5b626e", va="baseline")
    x = left
    for name, colour in zip(LABEL_NAMES, LABEL_COLOURS, strict=True):
        figure.text(x, 1 - 73 / height, "■", size=9, color=np.array(colour) / 255, va="baseline")
        figure.text(x + 13 / width, 1 - 73 / height, name, size=8.5, color="#5b626e", va="baseline")
        x += (32 + 6.6 * len(name)) / width


def _quiet(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(labelsize=7.5, colors="#5b626e", length=2, width=0.6)
    axes.set_yticks([])


def _window(subject: Subject, frames: list[tuple[int, str]]) -> tuple[float, float]:
    """Four seconds around the shown frame that has the most sound near it."""
    total = subject.num_frames / subject.fps
    if total <= WINDOW:
        return 0.0, total
    starts = [float(np.clip(t / subject.fps - WINDOW / 2, 0, total - WINDOW)) for t, _ in frames]
    rate = subject.manifest.sample_rate
    power = [float(np.square(subject.audio[int(s * rate) : int((s + WINDOW) * rate)]).sum()) for s in starts]
    start = starts[int(np.argmax(power))]
    return start, start + WINDOW


def _wave(axes: Axes, subject: Subject, start: float, stop: float, points: int, colour: str) -> None:
    """The envelope of the waveform between two times, `points` steps wide."""
    rate = subject.manifest.sample_rate
    edges = np.linspace(start * rate, stop * rate, points + 1).astype(int)
    pieces = [subject.audio[a : max(b, a + 1)] for a, b in itertools.pairwise(edges)]
    low = [float(piece.min()) if len(piece) else 0.0 for piece in pieces]
    high = [float(piece.max()) if len(piece) else 0.0 for piece in pieces]
    axes.fill_between(np.linspace(start, stop, points), low, high, color=colour, linewidth=0.3)
    reach = float(np.abs(subject.audio).max()) or 1.0
    axes.set(xlim=(start, stop), ylim=(-1.05 * reach, 1.05 * reach))


def _sound(
    subject: Subject,
    axes: Callable[[float, float, float, float], Axes],
    y: float,
    width: float,
    frames: list[tuple[int, str]],
) -> None:
    start, stop = _window(subject, frames)
    whole = axes(LEFT, y, width, STRIPS[0])
    _wave(whole, subject, 0, subject.num_frames / subject.fps, int(width), FAINT)
    whole.axvspan(start, stop, color=VOICE, alpha=0.18, linewidth=0)
    whole.axvspan(
        subject.test.start / subject.fps,
        subject.test.stop / subject.fps,
        color=ACCENT,
        alpha=0.10,
        linewidth=0,
    )
    for t, _ in frames:
        whole.plot([t / subject.fps], [whole.get_ylim()[0]], "^", ms=4, color=INK, clip_on=False)
    whole.text(0.998, 0.95, "test", transform=whole.transAxes, size=7.5, color=ACCENT, ha="right", va="top")
    _quiet(whole)
    y += STRIPS[0] + 26
    close = axes(LEFT, y, width, STRIPS[1])
    _wave(close, subject, start, stop, int(width), VOICE)
    _quiet(close)
    close.set_xticks([])
    close.set_ylabel("voice", size=8.5, color=INK)
    if subject.phonemes:
        _phonemes(close, subject, start, stop)
        y += IPA_ROW
    y += STRIPS[1] + 8
    opening = axes(LEFT, y, width, STRIPS[2])
    t = np.arange(subject.num_frames) + 0.5  # a frame shows the middle of its time
    curve = mouth_opening(subject.landmarks)
    opening.fill_between(t / subject.fps, 0, curve, color=ACCENT, alpha=0.25, linewidth=0)
    opening.plot(t / subject.fps, curve, color=ACCENT, linewidth=1.2)
    shown = curve[(t >= start * subject.fps) & (t <= stop * subject.fps)]
    highest = float(np.nanmax(shown)) if np.isfinite(shown).any() else 0.0
    opening.set(xlim=(start, stop), ylim=(0, max(highest * 1.1, 1e-3)))
    _quiet(opening)
    opening.set_ylabel("mouth\nopening", size=8.5, color=INK)
    opening.set_xlabel("seconds", size=8, color="#5b626e", labelpad=1)


def _phonemes(axes: Axes, subject: Subject, start: float, stop: float) -> None:
    """Sounds below the waveform, with faint bounds."""
    for phoneme in subject.phonemes or []:
        if phoneme.end <= start or phoneme.start >= stop:
            continue
        axes.axvline(max(phoneme.start, start), color=FAINT, linewidth=0.4, alpha=0.7)
        middle = (max(phoneme.start, start) + min(phoneme.end, stop)) / 2
        sound = phoneme.ipa.strip("ˈˌ_: ")
        axes.text(middle, -0.03, sound, transform=axes.get_xaxis_transform(), size=7.5, ha="center", va="top")


def save(subject: Subject, out: Path, columns: int = 6) -> Path:
    """Draws the contact sheet into the PNG file `out` (256 colours keep it small); returns `out`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure = draw(subject, columns)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    swatches = np.repeat(np.array(LABEL_COLOURS, np.uint8)[:, None], pixels.shape[1], 1).repeat(12, 0)
    colours = Image.fromarray(np.concatenate([pixels, swatches])).quantize(256)  # the legend's among them
    picture = Image.fromarray(np.ascontiguousarray(pixels)).quantize(
        palette=colours, dither=Image.Dither.FLOYDSTEINBERG
    )
    data = io.BytesIO()
    picture.save(data, format="PNG", optimize=True)
    files.make_folder(out.parent)
    files.write_bytes(out, data.getvalue())
    return out
