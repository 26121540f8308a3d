"""Who a synthetic person is: a few dozen numbers, most of them in standard deviations from the mean adult.

Means and spreads behind the z-scores are those of adult anthropometry (Farkas, Anthropometry of the Head and
Face, 2nd ed. 1994); `anatomy.py` turns them into millimetres. No real person stands behind any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from audioplane.synthetic.specs import Appearance, Colour

HAIR_STYLES = ("short", "long", "bob", "bun", "buzz", "bald")
BEARDS = ("none", "stubble", "full")
CLOTHES = ("tshirt", "jumper", "shirt")

SKIN_TONES: tuple[Colour, ...] = (  # sRGB of an evenly lit cheek, from fair to deep
    (0.92, 0.76, 0.68),
    (0.88, 0.70, 0.59),
    (0.81, 0.62, 0.49),
    (0.70, 0.50, 0.37),
    (0.54, 0.37, 0.27),
    (0.38, 0.25, 0.18),
)
HAIR_COLOURS: tuple[Colour, ...] = (
    (0.09, 0.07, 0.06),
    (0.20, 0.13, 0.08),
    (0.33, 0.21, 0.12),
    (0.52, 0.36, 0.20),
    (0.66, 0.52, 0.33),
    (0.45, 0.20, 0.09),
    (0.58, 0.57, 0.55),
)
IRIS_COLOURS: tuple[Colour, ...] = (
    (0.24, 0.14, 0.07),
    (0.36, 0.23, 0.11),
    (0.37, 0.36, 0.18),
    (0.33, 0.44, 0.50),
    (0.42, 0.47, 0.47),
)
CLOTH_COLOURS: tuple[Colour, ...] = (
    (0.16, 0.22, 0.34),
    (0.47, 0.16, 0.17),
    (0.22, 0.34, 0.27),
    (0.56, 0.54, 0.50),
    (0.14, 0.14, 0.16),
    (0.68, 0.60, 0.44),
)


@dataclass(frozen=True)
class Identity:
    """A synthetic person. Shape fields are z-scores (0 = mean adult, of both sexes); colours are sRGB in [0,
    1].

    `seed` drives what is random about the surface: hair strands, folds, pores, the slight asymmetry.
    """

    seed: int = 0
    masculinity: float = 0.5
    age: float = 35.0

    head_width: float = 0.0
    head_length: float = 0.0
    head_height: float = 0.0
    forehead_slope: float = 0.0
    forehead_height: float = 0.0
    brow_ridge: float = 0.0
    face_width: float = 0.0
    cheekbones: float = 0.0
    cheek_fullness: float = 0.0
    jaw_width: float = 0.0
    jaw_angle: float = 0.0
    lower_face: float = 0.0
    chin_width: float = 0.0
    chin_forward: float = 0.0
    nose_length: float = 0.0
    nose_width: float = 0.0
    nose_forward: float = 0.0
    nose_bridge: float = 0.0
    nose_bridge_width: float = 0.0
    nose_hump: float = 0.0
    nose_tip_up: float = 0.0
    nose_tip_width: float = 0.0
    eye_size: float = 0.0
    eye_opening: float = 0.0
    eye_spacing: float = 0.0
    eye_tilt: float = 0.0
    eye_depth: float = 0.0
    lid_fold: float = 0.0
    brow_height: float = 0.0
    brow_thickness: float = 0.0
    brow_arch: float = 0.0
    mouth_width: float = 0.0
    mouth_forward: float = 0.0
    upper_lip: float = 0.0
    lower_lip: float = 0.0
    cupids_bow: float = 0.0
    philtrum: float = 0.0
    ear_size: float = 0.0
    ear_angle: float = 0.0
    neck_width: float = 0.0
    asymmetry: float = 1.0

    skin: Colour = SKIN_TONES[1]
    redness: float = 0.5
    freckles: float = 0.0
    iris: Colour = IRIS_COLOURS[1]
    hair: str = "short"
    hair_colour: Colour = HAIR_COLOURS[1]
    beard: str = "none"
    glasses: bool = False
    clothes: str = "tshirt"
    cloth_colour: Colour = CLOTH_COLOURS[0]

    def __post_init__(self) -> None:
        for name, value, known in (
            ("hair", self.hair, HAIR_STYLES),
            ("beard", self.beard, BEARDS),
            ("clothes", self.clothes, CLOTHES),
        ):
            if value not in known:
                raise ValueError(f"Identity.{name} must be one of {', '.join(known)}; got {value!r}")
        for name in SHAPE_FIELDS:
            if not np.isfinite(getattr(self, name)) or abs(getattr(self, name)) > 4:
                raise ValueError(f"Identity.{name} must be a finite z-score within +-4; got {getattr(self, name)}")


_NOT_SHAPE = {"seed", "masculinity", "age", "redness", "freckles"}
SHAPE_FIELDS = tuple(f.name for f in fields(Identity) if f.type == "float" and f.name not in _NOT_SHAPE)

# How many standard deviations men's and women's means lie from the common mean (Farkas 1994).
_DIMORPHISM = {
    "head_width": 0.6,
    "head_length": 0.7,
    "head_height": 0.4,
    "forehead_slope": 0.5,
    "brow_ridge": 0.9,
    "face_width": 0.6,
    "cheekbones": -0.2,
    "cheek_fullness": -0.35,
    "jaw_width": 0.8,
    "jaw_angle": 0.4,
    "lower_face": 0.7,
    "chin_width": 0.7,
    "chin_forward": 0.3,
    "nose_length": 0.5,
    "nose_width": 0.5,
    "nose_forward": 0.3,
    "nose_bridge": 0.4,
    "nose_hump": 0.4,
    "nose_tip_up": -0.5,
    "eye_size": -0.2,
    "eye_opening": -0.3,
    "eye_tilt": -0.3,
    "eye_depth": 0.5,
    "brow_height": -0.7,
    "brow_thickness": 0.8,
    "brow_arch": -0.6,
    "mouth_width": 0.4,
    "upper_lip": -0.4,
    "lower_lip": -0.3,
    "philtrum": 0.4,
    "ear_size": 0.6,
    "neck_width": 1.3,
}


def sample_identity(seed: int, appearance: Appearance | None = None, spread: float = 0.9) -> Identity:
    """Draws a person: the same seed and wishes give the same person.

    Args:
        seed: which person.
        appearance: wishes; what is `None` there is drawn.
        spread: standard deviation of the shape z-scores about the mean of the person's sex; 1 is a
            population, less gives more ordinary faces.
    """
    wish = appearance or Appearance()
    rng = np.random.default_rng([seed, 0xFACE])
    drawn = {name: float(np.clip(rng.normal() * spread, -2.0, 2.0)) for name in SHAPE_FIELDS}
    masculinity = _or(wish.masculinity, float(rng.random() < 0.5) * 0.8 + 0.1)
    side = 2.0 * masculinity - 1.0
    for name, shift in _DIMORPHISM.items():
        drawn[name] = float(np.clip(drawn[name] + shift * side, -2.5, 2.5))
    drawn |= wish.shape
    drawn["asymmetry"] = float(rng.uniform(0.6, 1.4))
    tone = _or(wish.skin, float(rng.random()))
    styles = ("short", "buzz", "short") if masculinity > 0.5 else ("long", "bun", "bob")
    hair_colour = HAIR_COLOURS[rng.integers(len(HAIR_COLOURS) - 1)] if tone < 0.5 else HAIR_COLOURS[0]
    iris = IRIS_COLOURS[rng.integers(len(IRIS_COLOURS))] if tone < 0.5 else IRIS_COLOURS[rng.integers(2)]
    beard = BEARDS[rng.integers(len(BEARDS))] if masculinity > 0.5 else "none"
    return Identity(
        seed=seed,
        masculinity=masculinity,
        age=_or(wish.age, float(rng.uniform(22, 60))),
        skin=_mix(SKIN_TONES, tone),
        redness=float(rng.uniform(0.3, 0.8)),
        freckles=float(max(0.0, rng.normal() * 0.4)) if tone < 0.3 else 0.0,
        iris=_or(wish.iris_colour, iris),
        hair=_or(wish.hair, styles[rng.integers(3)]),
        hair_colour=_or(wish.hair_colour, hair_colour),
        beard=_or(wish.beard, beard),
        glasses=_or(wish.glasses, bool(rng.random() < 0.2)),
        clothes=_or(wish.clothes, CLOTHES[rng.integers(len(CLOTHES))]),
        cloth_colour=_or(wish.cloth_colour, CLOTH_COLOURS[rng.integers(len(CLOTH_COLOURS))]),
        **drawn,
    )


def _or(wish, drawn):
    return drawn if wish is None else wish


def _mix(colours: tuple[Colour, ...], at: float) -> Colour:
    table = np.asarray(colours)
    where = np.clip(at, 0, 1) * (len(table) - 1)
    red, green, blue = (float(np.interp(where, np.arange(len(table)), table[:, i])) for i in range(3))
    return red, green, blue
