"""The 52 blendshapes of ARKit: names, order, mirror pairs.

"Left" is the person's left, which is image right on a frontal face. Weights lie in [0, 1]. The order is alphabetical by
Apple's names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NAMES: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip

COUNT = len(NAMES)
_INDEX = {name: i for i, name in enumerate(NAMES)}


def index(name: str) -> int:
    """Column of a blendshape.

    Raises:
        ValueError: no blendshape has that name.
    """
    try:
        return _INDEX[name]
    except KeyError:
        raise ValueError(f"no blendshape is named {name!r}; names are ARKit's, such as 'jawOpen'") from None


def columns(weights: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Columns of (T, 52) by name: (T, E)."""
    return weights[:, [index(name) for name in names]]


def mirror(name: str) -> str:
    """The same shape on the other side of the face; a shape without sides is its own mirror."""
    index(name)
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


MIRROR: tuple[int, ...] = tuple(index(mirror(name)) for name in NAMES)
MIRROR_PAIRS: tuple[tuple[str, str], ...] = tuple((name, mirror(name)) for name in NAMES if name.endswith("Left"))
MOUTH: tuple[str, ...] = tuple(n for n in NAMES if n.startswith(("jaw", "mouth", "tongue", "cheekPuff")))
