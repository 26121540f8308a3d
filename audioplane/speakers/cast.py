"""Who the embedded speakers are: a voice, a face, clothes and a room each. None of them exists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane.speakers.face.identity import Appearance, Identity, sample_identity

if TYPE_CHECKING:
    from audioplane.speakers.making import Production


@dataclass(frozen=True)
class Role:
    """One embedded speaker.

    Attributes:
        about: one line for people.
        seed: of the face's shape.
        looks: what is fixed of it.
        room: kind of background.
        light: the side the key light comes from, -1 left or 1 right.
        shape: shape fields of the identity that are not left to the seed.
    """

    about: str
    seed: int
    looks: Appearance
    room: str
    light: float = -1.0
    shape: tuple[tuple[str, float], ...] = ()

    def identity(self) -> Identity:
        """The face: the same bytes every time."""
        return replace(sample_identity(self.seed, self.looks), **dict(self.shape))  # type: ignore[arg-type]


CAST: dict[str, Role] = {
    "english_a": Role(
        "English, a man in his thirties; short brown hair, stubble",
        11,
        Appearance(
            masculinity=0.9, age=34, skin=0.25, hair="short", beard="stubble", clothes="shirt", glasses=False,
            hair_colour=(0.33, 0.21, 0.12), iris_colour=(0.33, 0.44, 0.50), cloth_colour=(0.16, 0.22, 0.34),
        ),
        "shelf",
    ),
    "english_b": Role(
        "English, a woman of about fifty; bun, glasses",
        23,
        Appearance(
            masculinity=0.1, age=50, skin=0.78, hair="bun", beard="none", clothes="jumper", glasses=True,
            hair_colour=(0.09, 0.07, 0.06), iris_colour=(0.24, 0.14, 0.07), cloth_colour=(0.47, 0.16, 0.17),
        ),
        "window",
        1.0,
    ),
    "chinese_m": Role(
        "Chinese (Mandarin), a man of about forty; black hair, glasses",
        37,
        Appearance(
            masculinity=0.9, age=41, skin=0.35, hair="short", beard="none", clothes="tshirt", glasses=True,
            hair_colour=(0.09, 0.07, 0.06), iris_colour=(0.24, 0.14, 0.07), cloth_colour=(0.22, 0.34, 0.27),
        ),
        "office",
    ),
    "french_m": Role(
        "French, a man of about sixty; grey hair, full beard",
        41,
        Appearance(
            masculinity=0.95, age=60, skin=0.15, hair="buzz", beard="full", clothes="jumper", glasses=False,
            hair_colour=(0.58, 0.57, 0.55), iris_colour=(0.37, 0.36, 0.18), cloth_colour=(0.56, 0.54, 0.50),
        ),
        "studio",
        1.0,
    ),
    "french_f": Role(
        "French, a young woman; long auburn hair",
        59,
        Appearance(
            masculinity=0.1, age=26, skin=0.05, hair="long", beard="none", clothes="shirt", glasses=False,
            hair_colour=(0.45, 0.20, 0.09), iris_colour=(0.42, 0.47, 0.47), cloth_colour=(0.68, 0.60, 0.44),
        ),
        "window",
    ),
    "german_f": Role(
        "German, a woman of about forty; long fair hair",
        67,
        Appearance(
            masculinity=0.15, age=40, skin=0.55, hair="long", beard="none", clothes="tshirt", glasses=False,
            hair_colour=(0.20, 0.13, 0.08), iris_colour=(0.36, 0.23, 0.11), cloth_colour=(0.14, 0.14, 0.16),
        ),
        "shelf",
        1.0,
    ),
}  # fmt: skip


def bring_together(name: str, size: int, seconds: float, seed: int) -> Production:
    """Face, performance, camera and room of the speaker `name`."""
    from audioplane.speakers.backgrounds import background
    from audioplane.speakers.face import Face
    from audioplane.speakers.filming import still_camera
    from audioplane.speakers.lights import studio
    from audioplane.speakers.making import Production
    from audioplane.speakers.materials import Paint
    from audioplane.speakers.performance import perform
    from audioplane.speakers.scene import Pose, Scene

    role = CAST[name]
    identity = role.identity()
    face = Face(identity)
    K, rest_pose = still_camera(size)
    room = background(role.room, size, size, role.seed)
    paint = Paint(iris_colour=identity.iris, freckles=identity.freckles, seed=role.seed)
    scene = Scene(face, K, room, paint, studio(role.light), distance=float(rest_pose[2, 3]))

    def camera(vertices: np.ndarray, head: np.ndarray, torso: np.ndarray, gaze: np.ndarray) -> Any:
        return scene.render(Pose(vertices, head, torso, gaze))

    return Production(role.about, face, perform(name, seconds, seed), camera, room)
