"""Figures from what was computed elsewhere: arrays in, a matplotlib Figure out, nothing trained or measured here."""

from .basic import side_by_side, training
from .comparing import margin_heads, methods, table_dots
from .field import attention, deformation, factors, memory, planes
from .listening import by_sound, ear, listening, said
from .looking import moment, plane_level, prototypes
from .measuring import by_length, damage, differences, renderings, sync_curves
from .overview import overview
from .pipeline import pipeline
from .preparing import prepared, trajectories, trusted_points
from .saliency import band, dynamism, margins
from .speaking import held_out, learning, lips
from .study import rating_form, user_study

__all__ = [
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
