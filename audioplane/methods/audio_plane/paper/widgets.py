"""Saliency, prototypes and planes of a trained head, moment by moment; each picture is a static figure of `figures`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from audioplane import plots
from audioplane.evaluation import inspection
from audioplane.inference import compositing
from audioplane.losses.terms import margin_loss
from audioplane.methods.audio_plane.model import settings
from audioplane.methods.audio_plane.paper import inspection as field_inspection
from audioplane.methods.audio_plane.paper import prototypes
from audioplane.subject import sounds
from audioplane.subject.masks import mouth_opening
from audioplane.widgets.figure_widget import FigureWidget, menu, slider, sound_of
from audioplane.widgets.given import checked_frames, head_of, own_subject, subject_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.widgets.given import AnyHead, AnySubject

RATE = 16_000
WINDOW = 4.0  # seconds of a sentence that are shown
DOTS = 4000  # Gaussians drawn on a plane


def saliency_scrubber(subject: AnySubject, head: AnyHead, frames: Iterable[int] | None = None) -> FigureWidget:
    """Frame, render, error, g, m and the margin's band over time, with sound; the margin is a slider.

    Args:
        subject: the truth, of any size: it is shown at the head's. head: trained on it.
        frames: to scrub through; default the test split.

    Raises:
        ValueError: the head was trained without saliency splatting, or `frames` are none of the subject's.
    """
    head = head_of(head)
    if not settings(head.config).saliency:
        raise ValueError("head: expected one with saliency splatting, received one without (method.saliency=false)")
    subject = own_subject(head, subject_of(subject))
    frames, codes = checked_frames(subject, frames), head.encode(subject.audio)
    trained = settings(head.config).margin

    def draw(values: dict[str, Any]) -> tuple[Figure, str]:
        t, margin = int(values["frame"]), float(values["margin"])
        picture = inspection.frame_picture(head, codes[t], subject.viewmats[t])
        assert picture.dynamism is not None
        render = compositing.composite(picture.rgb.numpy(), picture.alpha.numpy(), subject.without_head(t))
        g, m = picture.dynamism, subject.motion_mask(t)
        loss = float(margin_loss(g, torch.from_numpy(1.0 * m), margin))
        figure = plots.saliency_panel(subject.frame(t), render, g.numpy(), m, margin, trained, f"frame {t}")
        free = float(((torch.from_numpy(1.0 * m) - g).abs() <= margin).float().mean())
        return figure, f"Frame {t}: at margin {margin:.2f} the loss is {loss:.4f}; {free:.0%} of the pixels are free."

    controls = [slider("frame", "time", frames.start, frames.stop - 1), slider("margin", "margin", 0.0, 0.6, 0.01)]
    return FigureWidget(
        draw,
        controls,
        {"frame": frames.start, "margin": trained},
        f"Saliency of {subject.name}'s head.",
        "frame",
        sound_of(subject, frames),
        subject.fps,
    )


def prototype_explorer(subject: AnySubject, head: AnyHead, frames: Iterable[int] | None = None) -> FigureWidget:
    """Attention over the prototypes of a level through time, by sound, and what one of them does to the face.

    Args:
        subject: with phonemes. head: trained on it, with an audio plane. frames: default the test split.

    Raises:
        ValueError: the head has no prototypes, the subject no phonemes, or `frames` are none of its own.
    """
    head = head_of(head)
    subject = own_subject(head, subject_of(subject))
    field, frames = prototypes.plane_of(head), checked_frames(subject, frames)
    codes, spoken = head.encode(subject.audio), sounds.sounds(subject)
    weights, opening = field_inspection.attention_over_time(field, codes), mouth_opening(subject.landmarks)
    sizes = [level.shape[1] for level in weights]
    reaches = cache(lambda level: prototypes.reaches(head, level))
    seen = inspection.visibility(head, subject.viewmats[frames.start])

    def draw(values: dict[str, Any]) -> tuple[Figure, str]:
        t, level, amount = int(values["frame"]), int(values["level"]), float(values["amount"])
        row, view = min(int(values["row"]), sizes[level] - 1), subject.viewmats[t]
        f_a = prototypes.steered(head, field.audio_code(codes[t]), level, row, amount)
        cloud = prototypes.deform(head, f_a)
        face = _face(head, cloud, view, subject.without_head(t))
        reach = inspection.splat_values(head, reaches(level)[row][:, None], view)[..., 0]
        totals = (reaches(level) @ seen / seen.sum()).numpy()
        names, means = sounds.mean_by_sound(weights[level], spoken)
        start = float(
            np.clip(
                (t + 0.5) / subject.fps - WINDOW / 2,
                frames.start / subject.fps,
                max(frames.stop / subject.fps - WINDOW, frames.start / subject.fps),
            )
        )
        sentence = {
            "audio": subject.audio,
            "rate": RATE,
            "phonemes": subject.phonemes or [],
            "weights": weights[level],
            "opening": opening,
            "fps": subject.fps,
            "start": start,
            "stop": min(start + WINDOW, frames.stop / subject.fps),
            "order": np.argsort(weights[level].argmax(axis=0), kind="stable"),  # the same in every window
        }
        words = "as it speaks" if amount == 0 else f"led to prototype {row} by {amount:.0%}"
        figure = plots.prototypes(sentence, t, row, names, means, face, reach, totals, words)
        loudest = names[int(means[:, row].argmax())]
        return figure, (
            f"Level {level + 1}, prototype {row}: attended most in '{loudest}', "
            f"{weights[level][t, row]:.1%} in frame {t}; "
            f"alone it moves what one sees by {totals[row]:.2f} mm on average."
        )

    controls = [
        slider("frame", "time", frames.start, frames.stop - 1),
        menu("level", "level", {s: f"{s + 1}: {size} rows" for s, size in enumerate(sizes)}),
        slider("row", "prototype", 0, max(sizes) - 1, limits=("level", {s: size - 1 for s, size in enumerate(sizes)})),
        slider("amount", "attention led to it", 0.0, 1.0, 0.05),
    ]
    values = {"frame": frames.start, "level": 0, "row": int(weights[0].mean(0).argmax()), "amount": 0.0}
    return FigureWidget(
        draw,
        controls,
        values,
        f"Audio prototypes of {subject.name}'s head.",
        "frame",
        sound_of(subject, frames),
        subject.fps,
    )


def plane_explorer(head: AnyHead) -> FigureWidget:
    """The planes and lines of each level as pictures, with the Gaussians where they read them.

    Raises:
        ValueError: the field has a time axis of its own and is not read this way.
    """
    head = head_of(head)
    branch = field_inspection.branch_of(head.method)
    if branch.field.time_dependent:
        raise ValueError(
            "head: expected audio planes or a tri-plane, received planes over time (method.field=six_planes)"
        )
    shown = cache(
        lambda what: (field_inspection.learned_change if what == "change" else field_inspection.table_pictures)(head)
    )
    with torch.no_grad():
        points = branch.points().clamp(0, 1).numpy()
        d = inspection.movement(head, head.extras["codes"][::4])[1].mean(0).numpy()

    def draw(values: dict[str, Any]) -> tuple[Figure, str]:
        level, what, dots = int(values["level"]), values["what"], values["dots"]
        pictures, curves = shown(what)
        chosen = np.flatnonzero(d > 0.5) if dots == "moving" else np.arange(len(points) if dots != "none" else 0)
        chosen = chosen[:: max(1, len(chosen) // DOTS)]
        figure = plots.plane_level(
            {name: own[level - 1] for name, own in pictures.items()},
            {name: own[level - 1] for name, own in curves.items() if own},
            points[chosen],
            d[chosen] if dots == "all" else None,
            level,
            "written by training" if what == "change" else "as they stand",
        )
        cells = len(pictures["xy"][level - 1])
        return figure, f"Level {level}: {cells} cells a side; {len(chosen)} Gaussians drawn where they read."

    controls = [
        menu("level", "level", {s: f"s = {s}" for s in range(1, settings(head.config).levels + 1)}),
        menu("what", "planes show", {"change": "what training wrote", "values": "what stands there"}),
        menu("dots", "Gaussians", {"all": "all, by dynamism", "moving": "those with d above one half", "none": "none"}),
    ]
    values = {"level": 1, "what": "change", "dots": "all"}
    return FigureWidget(draw, controls, values, f"Planes and lines of {head.about['name']}'s head.")


def _face(head: TalkingHead, cloud: Any, view: np.ndarray, behind: np.ndarray) -> np.ndarray:
    from audioplane.splat.gaussians import splat

    with torch.no_grad():
        picture = splat(cloud, torch.from_numpy(np.asarray(view)), head.K, head.width, head.height)
    return compositing.composite(picture.rgb.numpy(), picture.alpha.numpy(), behind)
