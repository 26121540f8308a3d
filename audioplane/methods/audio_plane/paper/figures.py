"""The figures of the Audio-Plane paper, from records and heads that are on this machine. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane import plots
from audioplane.config import preset as find_preset
from audioplane.evaluation import user_study
from audioplane.evaluation.error_budget import error_budget
from audioplane.evaluation.heads import renderer
from audioplane.experiments.paper_figures import Context
from audioplane.experiments.tables import LENGTHS
from audioplane.methods.audio_plane.paper import inspection as field_inspection
from audioplane.methods.audio_plane.paper import pipeline_trace
from audioplane.methods.audio_plane.paper.prototypes import plane_of
from audioplane.methods.audio_plane.paper.tables import OURS
from audioplane.subject import sounds
from audioplane.subject.masks import lips_mask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audioplane.subject import Subject

FULL = ("table2", "+ AP & SS", "test set A")  # the head of Fig. 1, 3 and 4
MARGINS = ("0.05", "0.1", "0.2", "0.3")
METHODS = ("Audio-Plane", "tri-plane + audio", "six-planes over time")
SECONDS = 2.4  # of voice in Fig. 1
SENTENCE = 4.0  # and in Fig. 4


def fig1(context: Context) -> Figure:
    """A held-out stretch of voice and the head that speaks it."""
    subject, head = context.speaking(*FULL)
    start = subject.test.start / subject.fps + 0.2
    stop = min(start + SECONDS, subject.num_frames / subject.fps)
    return plots.overview(**pipeline_trace.spoken(subject, head, start, stop))


def fig2(context: Context) -> Figure:
    """Memory of the representations, at the sizes of the preset."""
    config = find_preset(context.preset)
    return plots.memory(field_inspection.memory(config, LENGTHS[context.preset][0]), np.geomspace(1, 1000, 40).tolist())


def fig3(context: Context) -> Figure:
    """The way from sound to picture at the widest opening of the held-out part."""
    subject, head = context.speaking(*FULL)
    widest = sounds.frames_by_opening(_opening(subject), subject.test, 2)[1]
    return plots.pipeline(pipeline_trace.stages(subject, head, widest))


def fig4(context: Context) -> Figure:
    """Attention over the prototypes during a held-out sentence."""
    subject, head = context.speaking(*FULL)
    weights = field_inspection.attention_over_time(plane_of(head), head.encode(subject.audio))[0]
    start = subject.test.start / subject.fps
    stop = min(start + SENTENCE, subject.num_frames / subject.fps)
    phonemes, fps = subject.phonemes or [], subject.fps
    return plots.attention(subject.audio, 16_000, phonemes, weights, _opening(subject), fps, start, stop)


def fig5(context: Context) -> Figure:
    """Heads trained with different margins at the same moment."""
    columns = {}
    for margin in MARGINS:
        subject, head = context.speaking("table4", margin, "test set A")
        widest = sounds.frames_by_opening(_opening(subject), subject.test, 2)[1]
        columns[float(margin)] = pipeline_trace.at_margin(subject, head, widest)
    return plots.margin_heads(columns)


def fig6(context: Context) -> Figure:
    """Methods beside the truth at moments from closed to open lips."""
    rows: dict[str, list[Any]] = {}
    moments, mouths, titles = [], [], []
    for method in METHODS:
        subject, head = context.speaking("table5", method, "test set A")
        if not rows:
            moments = sounds.frames_by_opening(_opening(subject), subject.test)
            spoken = sounds.sounds(subject)
            titles = [f"sound: {spoken[t]}" for t in moments]
            mouths = [lips_mask(subject, t) for t in moments]
            rows["truth"] = [subject.frame(t) for t in moments]
        draw = renderer(head, subject)
        rows[method] = [draw(t) for t in moments]
    return plots.methods(rows, mouths, titles)


def fig7(context: Context) -> Figure:
    """What people said, or the form that they would fill in."""
    if not context.ratings:
        return plots.rating_form(user_study.CRITERIA, user_study.SCALE, clips=4)
    ratings = user_study.read(*context.ratings)
    context.sources.others.extend(context.ratings)
    methods = list(dict.fromkeys(ratings["method"]))
    return plots.user_study(user_study.summary(ratings), user_study.agreement(ratings), methods)


def where_the_error_lies(context: Context) -> Figure:
    """The error of a head with and without an expression, region by region; ours."""
    budgets = {}
    for row in (FULL[1], OURS):
        subject, head = context.speaking(FULL[0], row, FULL[2])
        budgets[row] = error_budget(subject, renderer(head, subject))
    return plots.error_budget(budgets)


FIGURES: dict[str, Callable[[Context], Figure]] = {
    "fig1": fig1,
    "fig2": fig2,
    "fig3": fig3,
    "fig4": fig4,
    "fig5": fig5,
    "fig6": fig6,
    "fig7": fig7,
    "error_budget": where_the_error_lies,
}


def _opening(subject: Subject) -> Any:
    from audioplane.subject.masks import mouth_opening

    return mouth_opening(subject.landmarks)
