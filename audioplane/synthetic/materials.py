"""What surfaces there are, and the numbers a person's surfaces are painted with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np


class Material(IntEnum):
    """How a triangle is shaded, whether it has holes (`CUTOUT`) and two sides (`TWO_SIDED`)."""

    SKIN = 0
    LIPS = 1
    EYE = 2  # the whole ball: sclera, iris and pupil are painted by `iris.py`
    TEETH = 3
    GUM = 4
    TONGUE = 5
    MOUTH = 6  # the lining behind the teeth
    HAIR = 7
    BROW = 8
    LASH = 9
    BEARD = 10
    CLOTH = 11
    FRAME = 12  # glasses


HAIRY = (Material.HAIR, Material.BROW, Material.LASH, Material.BEARD)
CUTOUT = HAIRY
TWO_SIDED = (*HAIRY, Material.CLOTH, Material.FRAME)
CASTS_NO_SHADOW = (
    Material.EYE,
    Material.LASH,
    Material.BROW,
    Material.BEARD,
    Material.TEETH,
    Material.TONGUE,
)

# Columns of the per-vertex array that the shader interpolates.
POSITION, NORMAL, REST, UV, ALBEDO, OCCLUSION, ROUGHNESS, FLOW, TORSO, LIPS = (
    0,
    3,
    6,
    9,
    11,
    14,
    15,
    16,
    19,
    20,
)
COLUMNS = 24


def srgb_to_linear(colour: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """sRGB in [0, 1] to linear light in [0, 1] (IEC 61966-2-1)."""
    c = np.asarray(colour, np.float64)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """The inverse of `srgb_to_linear`."""
    c = np.asarray(light, np.float64)
    return np.where(c <= 0.0031308, c * 12.92, 1.055 * np.maximum(c, 1e-9) ** (1 / 2.4) - 0.055)


@dataclass(frozen=True)
class Paint:
    """A person's uniform surface settings (what does not vary over the mesh). Colours are sRGB in [0, 1].

    Attributes:
        iris_colour: the middle of the iris.
        iris_radius: the iris' edge as the sine of its angle from the optical axis (5.9 mm on a 12.2 mm ball).
        pupil: pupil radius over iris radius.
        freckles: 0 to 1.
        pores: depth of skin relief, 1 = an adult's cheek.
        weave: metres between threads of the cloth.
        ribs: how strongly the cloth is knitted (0 a plain T-shirt, 1 a jumper).
        seed: shifts every procedural texture.
    """

    iris_colour: tuple[float, float, float] = (0.36, 0.23, 0.11)
    iris_radius: float = 0.485
    pupil: float = 0.33
    freckles: float = 0.2
    pores: float = 1.0
    weave: float = 0.0022
    ribs: float = 0.0
    seed: int = 0
    array: np.ndarray = field(init=False, repr=False, compare=False, default_factory=lambda: np.zeros(16))

    def __post_init__(self) -> None:
        self.array[:3] = srgb_to_linear(self.iris_colour)
        self.array[3:10] = (
            self.iris_radius,
            self.pupil,
            self.freckles,
            self.pores,
            self.weave,
            self.ribs,
            (self.seed * 7.31) % 1000.0,
        )
