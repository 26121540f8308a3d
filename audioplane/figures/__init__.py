"""Figures from what was computed elsewhere: arrays in, a matplotlib Figure out, nothing trained or measured here."""

from .basic import side_by_side, training
from .field import attention, deformation, factors, memory, planes
from .preparing import prepared, trajectories, trusted_points
from .saliency import band, dynamism, margins
from .speaking import held_out, learning, lips

__all__ = [
    "attention",
    "band",
    "deformation",
    "dynamism",
    "factors",
    "held_out",
    "learning",
    "lips",
    "margins",
    "memory",
    "planes",
    "prepared",
    "side_by_side",
    "training",
    "trajectories",
    "trusted_points",
]
