"""Figures from what was computed elsewhere: arrays in, a matplotlib Figure out, nothing trained or measured here."""

from audioplane.plots.audio_features import audio_code, opening_by_sound, phonetic_output, predicted_opening
from audioplane.plots.basic import side_by_side, training
from audioplane.plots.comparison import DotPanel, margin_heads, methods, table_dots
from audioplane.plots.error_budget import error_budget
from audioplane.plots.expression import blendshape_curves, codebook_usage
from audioplane.plots.field import attention, deformation, factors, memory, planes
from audioplane.plots.measures import confidence_by_length, differences, renderings, sensitivity, sync_curves
from audioplane.plots.overview import overview
from audioplane.plots.pipeline import pipeline
from audioplane.plots.preparation import head_rotation, landmark_weights, prepared_frames
from audioplane.plots.saliency import band, dynamism, margins
from audioplane.plots.training_run import held_out_frames, learning_curves, lip_opening
from audioplane.plots.turned_heads import turned_heads
from audioplane.plots.user_study import rating_form, user_study
from audioplane.plots.widget_panels import plane_level, prototypes, saliency_panel

__all__ = [
    "DotPanel",
    "attention",
    "audio_code",
    "band",
    "blendshape_curves",
    "codebook_usage",
    "confidence_by_length",
    "deformation",
    "differences",
    "dynamism",
    "error_budget",
    "factors",
    "head_rotation",
    "held_out_frames",
    "landmark_weights",
    "learning_curves",
    "lip_opening",
    "margin_heads",
    "margins",
    "memory",
    "methods",
    "opening_by_sound",
    "overview",
    "phonetic_output",
    "pipeline",
    "plane_level",
    "planes",
    "predicted_opening",
    "prepared_frames",
    "prototypes",
    "rating_form",
    "renderings",
    "saliency_panel",
    "sensitivity",
    "side_by_side",
    "sync_curves",
    "table_dots",
    "training",
    "turned_heads",
    "user_study",
]
