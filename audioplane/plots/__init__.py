"""Figures from what was computed elsewhere: arrays in, a matplotlib Figure out, nothing trained or measured here."""

from audioplane.plots.basic import side_by_side, training
from audioplane.plots.comparing import DotPanel, margin_heads, methods, table_dots
from audioplane.plots.field import attention, deformation, factors, memory, planes
from audioplane.plots.listening import by_sound, ear, listening, said
from audioplane.plots.looking import moment, plane_level, prototypes
from audioplane.plots.measuring import by_length, damage, differences, renderings, sync_curves
from audioplane.plots.overview import overview
from audioplane.plots.pipeline import pipeline
from audioplane.plots.preparing import prepared, trajectories, trusted_points
from audioplane.plots.saliency import band, dynamism, margins
from audioplane.plots.speaking import held_out, learning, lips
from audioplane.plots.study import rating_form, user_study

__all__ = [
    "DotPanel",
    "attention",
    "band",
    "by_length",
    "by_sound",
    "damage",
    "deformation",
    "differences",
    "dynamism",
    "ear",
    "factors",
    "held_out",
    "learning",
    "lips",
    "listening",
    "margin_heads",
    "margins",
    "memory",
    "methods",
    "moment",
    "overview",
    "pipeline",
    "plane_level",
    "planes",
    "prepared",
    "prototypes",
    "rating_form",
    "renderings",
    "said",
    "side_by_side",
    "sync_curves",
    "table_dots",
    "training",
    "trajectories",
    "trusted_points",
    "user_study",
]
