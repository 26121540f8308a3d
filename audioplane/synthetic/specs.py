"""Who the embedded speakers are: a table. None of them is, or is meant to resemble, a real person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from audioplane.errors import UserError

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Appearance:
    """The appearance of a person; what is `None` is drawn from the identity's seed.

    Attributes:
        masculinity: 0 (a woman's mean face) to 1 (a man's).
        age: years, 18 to 75.
        skin: 0 (fair) to 1 (deep).
        hair: "short", "long", "bob", "bun", "buzz" or "bald".
        beard: "none", "stubble" or "full".
        clothes: "tshirt", "jumper" or "shirt".
        glasses: whether a thin frame is worn.
        hair_colour, iris_colour, cloth_colour: sRGB in [0, 1].
        shape: z-scores of some of the face's shape fields (see `Identity`).
    """

    masculinity: float | None = None
    age: float | None = None
    skin: float | None = None
    hair: str | None = None
    beard: str | None = None
    clothes: str | None = None
    glasses: bool | None = None
    hair_colour: Colour | None = None
    iris_colour: Colour | None = None
    cloth_colour: Colour | None = None
    shape: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SpeakerSpec:
    """One speaker.

    Attributes:
        name: what users type.
        about: one line for lists.
        language: "en", "zh", "fr" or "de".
        sex: "m" or "f".
        voice: name of the voice that ships.
        identity_seed: seed of the face's shape and surface.
        appearance: wishes for the face.
        background_seed: seed of the still background.
        voice_speed: how fast the recording is played; it changes pitch and rate together, as another person's would.
        shuffled: whether the sentences come in an order drawn from `identity_seed`.
    """

    name: str
    about: str
    language: str
    sex: str
    voice: str
    identity_seed: int
    appearance: Appearance = field(default_factory=Appearance)
    background_seed: int = 0
    voice_speed: float = 1.0
    shuffled: bool = False


SPEAKERS: dict[str, SpeakerSpec] = {
    spec.name: spec
    for spec in (
        SpeakerSpec(
            "adam", "English, man, short hair: test set A", "en", "m", "english_a", 101,
            Appearance(masculinity=0.95, age=34, skin=0.22, hair="short", beard="none", glasses=False,
                       hair_colour=(0.20, 0.13, 0.08), iris_colour=(0.36, 0.23, 0.11), clothes="shirt",
                       cloth_colour=(0.16, 0.22, 0.34),
                       shape={"face_width": 0.6, "jaw_width": 1.6, "jaw_angle": 1.2, "lower_face": 0.4,
                              "chin_width": 1.4, "nose_length": 0.2, "nose_width": -0.4, "nose_hump": 0.3,
                              "brow_height": -0.9, "eye_opening": -0.3}),
            background_seed=1,
        ),
        SpeakerSpec(
            "beth", "English, woman, hair in a bun, glasses: test set B", "en", "f", "english_b", 202,
            Appearance(masculinity=0.08, age=41, skin=0.85, hair="bun", beard="none", glasses=True,
                       hair_colour=(0.09, 0.07, 0.06), iris_colour=(0.24, 0.14, 0.07), clothes="jumper",
                       cloth_colour=(0.68, 0.60, 0.44),
                       shape={"face_width": 0.3, "jaw_width": -1.3, "jaw_angle": -0.6, "chin_width": -0.8,
                              "lower_face": -0.7, "nose_length": -0.7, "nose_width": 0.9, "nose_tip_width": 1.2,
                              "nose_bridge": -1.6, "nose_bridge_width": 1.0, "nose_forward": -0.6, "upper_lip": 1.8,
                              "lower_lip": 1.8, "mouth_forward": 1.4, "eye_size": 0.8, "eye_opening": 0.6,
                              "brow_thickness": -1.4, "brow_height": 0.8, "brow_arch": 0.6, "forehead_slope": -1.0}),
            background_seed=2,
        ),
        SpeakerSpec(
            "chen", "Chinese (Mandarin), man, short hair", "zh", "m", "chinese_m", 303,
            Appearance(masculinity=0.90, age=29, skin=0.32, hair="short", beard="none", glasses=False,
                       hair_colour=(0.06, 0.05, 0.05), iris_colour=(0.20, 0.12, 0.07), clothes="tshirt",
                       cloth_colour=(0.22, 0.34, 0.27),
                       shape={"face_width": 1.8, "head_width": 1.2, "cheekbones": 1.6, "cheek_fullness": 0.6,
                              "jaw_width": 0.3, "jaw_angle": -0.2, "chin_width": -0.6, "lower_face": 0.0,
                              "nose_length": -0.8, "nose_width": 1.2, "nose_tip_width": 0.8, "nose_bridge": -2.2,
                              "nose_bridge_width": 1.4, "nose_hump": -1.2, "nose_forward": -1.0, "lid_fold": -2.0,
                              "eye_depth": -1.4, "eye_tilt": 1.4, "eye_opening": -0.8, "eye_spacing": 0.8,
                              "brow_ridge": -0.6, "brow_height": 0.2, "brow_arch": -0.8, "brow_thickness": 0.2,
                              "upper_lip": 0.6, "lower_lip": 0.8, "mouth_width": -0.6}),
            background_seed=3,
        ),
        SpeakerSpec(
            "denis", "French, man, full beard", "fr", "m", "french_m", 404,
            Appearance(masculinity=0.95, age=47, skin=0.40, hair="short", beard="full", glasses=False,
                       hair_colour=(0.33, 0.21, 0.12), iris_colour=(0.37, 0.36, 0.18), clothes="jumper",
                       cloth_colour=(0.14, 0.14, 0.16),
                       shape={"face_width": -0.8, "head_width": -0.4, "jaw_width": -0.2, "cheek_fullness": -0.8,
                              "nose_length": 1.4, "nose_forward": 1.4, "nose_hump": 1.6, "nose_bridge": 1.2,
                              "nose_width": 0.4, "nose_tip_up": -1.2, "eye_depth": 1.2, "brow_ridge": 1.4,
                              "lower_lip": -0.2, "eye_opening": 0.1}),
            background_seed=4,
        ),
        SpeakerSpec(
            "elise", "French, woman, long hair", "fr", "f", "french_f", 505,
            Appearance(masculinity=0.05, age=27, skin=0.12, hair="long", beard="none", glasses=False,
                       hair_colour=(0.45, 0.20, 0.09), iris_colour=(0.33, 0.44, 0.50), clothes="tshirt",
                       cloth_colour=(0.47, 0.16, 0.17),
                       shape={"face_width": -0.6, "jaw_width": -2.0, "jaw_angle": -1.2, "chin_width": -1.4,
                              "lower_face": -1.2, "nose_length": -0.9, "nose_width": -0.8, "nose_tip_width": -1.0,
                              "nose_tip_up": 1.6, "nose_hump": -1.2, "nose_bridge_width": -0.6, "eye_size": 1.2,
                              "eye_opening": 1.0, "brow_thickness": -1.7, "brow_height": 1.4, "brow_arch": 0.9,
                              "mouth_width": -0.6, "upper_lip": 0.8, "lower_lip": 0.8, "cheekbones": 1.0,
                              "neck_width": -1.8}),
            background_seed=5,
        ),
        SpeakerSpec(
            "frida", "German, woman, fair hair in a bob", "de", "f", "german_f", 606,
            Appearance(masculinity=0.08, age=36, skin=0.15, hair="bob", beard="none", glasses=False,
                       hair_colour=(0.66, 0.52, 0.33), iris_colour=(0.42, 0.47, 0.47), clothes="shirt",
                       cloth_colour=(0.56, 0.54, 0.50),
                       shape={"face_width": 0.5, "jaw_width": -2.0, "jaw_angle": -1.2, "chin_width": -0.9,
                              "lower_face": -1.4, "cheek_fullness": 1.6, "nose_length": -0.4, "nose_width": 0.2,
                              "nose_tip_up": 0.6, "nose_hump": -0.8, "nose_bridge_width": -0.4, "nose_forward": -0.6,
                              "eye_size": 1.5, "eye_opening": 0.8, "brow_thickness": -1.6, "brow_height": 1.2,
                              "brow_arch": 0.4, "mouth_width": 0.6, "upper_lip": 0.6, "lower_lip": 0.8,
                              "neck_width": -1.6}),
            background_seed=6,
        ),
    )
}  # fmt: skip

# Voices without a face, which speak texts that are in no speaker's training part (cross-driving).
DRIVING_VOICES: dict[str, str] = {
    "english_drive": "English, man, another voice than adam's",
    "chinese_drive": "Chinese (Mandarin), man, another voice than chen's",
    "french_drive": "French, woman: elise's voice, new texts",
    "german_drive": "German, woman: frida's voice, new texts",
}


def find_spec(name: str) -> SpeakerSpec:
    """The embedded speaker of that name.

    Raises:
        UserError: there is none.
    """
    if name not in SPEAKERS:
        raise UserError(f"no speaker is named {name!r}; there are {', '.join(SPEAKERS)}")
    return SPEAKERS[name]


def held_out_spec(i: int) -> SpeakerSpec:
    """Person number i of an endless family that no table shows: for training scorers that judge the embedded speakers.

    Their faces are drawn anew. Their words are those of the shipped voices, played up to 8 % faster or slower, in a new
    order, and with their own head motion, blinks and expressions.
    """
    if i < 0:
        raise ValueError(f"held_out_spec: i must be 0 or more; got {i}")
    rng = np.random.default_rng([i, 0x0E1D])
    base = list(SPEAKERS.values())[int(rng.integers(len(SPEAKERS)))]
    masculinity = float(np.clip(rng.normal(0.88 if base.sex == "m" else 0.12, 0.08), 0, 1))
    return SpeakerSpec(
        name=f"held_out_{i}",
        about=f"a held-out person who speaks {base.language}",
        language=base.language,
        sex=base.sex,
        voice=base.voice,
        identity_seed=1_000_000 + i,
        appearance=Appearance(masculinity=masculinity),
        background_seed=1_000_000 + i,
        voice_speed=float(rng.integers(92, 109)) / 100,
        shuffled=True,
    )
