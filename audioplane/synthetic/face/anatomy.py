"""Millimetres: where the landmarks of one person lie.

Head coordinates throughout (x to the image's right, y down, z to the back), origin between the ears;
millimetres in the building of a face, metres only at its edge. Means: Farkas 1994 (face height
nasion-gnathion 118, bizygomatic 135, intercanthal 32, biocular 90, nose width 34, mouth width 52, ...),
spreads about one standard deviation a z-unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from audioplane.synthetic.face.identity import Identity

# Heights (y) of the mean face that the control net of the skull is written in.
CROWN, HAIRLINE, BROW, EYE, CHEEK, SUBNASALE, STOMION, LABIOMENTAL, CHIN, GNATHION = (
    -127.0,
    -88.0,
    -38.0,
    -18.0,
    5.0,
    30.0,
    52.0,
    68.0,
    84.0,
    97.0,
)


@dataclass(frozen=True)
class Anatomy:
    """Lengths of one person in millimetres (see the module's note on coordinates)."""

    brow_y: float
    subnasale_y: float
    stomion_y: float
    gnathion_y: float
    crown_y: float
    hairline_y: float
    eye: tuple[float, float, float]  # centre of the left (image right) eyeball
    eye_radius: float
    canthus_in: float  # |x| of the inner corner
    canthus_out: float
    canthus_in_y: float
    canthus_out_y: float
    lid_up: float  # height of the upper lid's edge above the line of the corners, at the pupil
    lid_down: float
    crease: float  # height of the lid fold above the lid's edge
    nose_half_width: float
    mouth_half_width: float
    upper_vermilion: float
    lower_vermilion: float
    cupids_bow: float
    lip_forward: float

    def height(self, y: np.ndarray) -> np.ndarray:
        """Maps heights of the mean face to this person's."""
        mean = [-160.0, CROWN, HAIRLINE, BROW, EYE, SUBNASALE, STOMION, GNATHION, 130.0, 400.0]
        own = [
            self.crown_y - 33,
            self.crown_y,
            self.hairline_y,
            self.brow_y,
            EYE,
            self.subnasale_y,
            self.stomion_y,
            self.gnathion_y,
            130.0 + 0.7 * (self.gnathion_y - GNATHION),
            400.0,
        ]
        return PchipInterpolator(mean, own)(y)


def anatomy(who: Identity) -> Anatomy:
    """The lengths of this person."""
    subnasale = SUBNASALE - 3.2 + 2.4 * who.nose_length
    stomion = subnasale + 21.5 + 1.6 * who.philtrum
    gnathion = stomion + 45.0 + 3.2 * who.lower_face
    spacing = 31.5 + 1.5 * who.eye_spacing
    half_fissure = 15.1 + 0.65 * who.eye_size
    depth = -74.8 + 1.4 * who.eye_depth
    tilt = 2.0 + 0.9 * who.eye_tilt
    aging = max(0.0, who.age - 35.0) / 30.0
    return Anatomy(
        brow_y=BROW - 1.8 * who.brow_height,
        subnasale_y=subnasale,
        stomion_y=stomion,
        gnathion_y=gnathion,
        crown_y=CROWN - 4.0 * who.head_height,
        hairline_y=HAIRLINE - 4.0 * who.forehead_height - 3.0 * aging,
        eye=(spacing, EYE, depth),
        eye_radius=12.3,
        canthus_in=spacing - 0.3 - half_fissure,
        canthus_out=spacing - 0.3 + half_fissure,
        canthus_in_y=EYE + 1.2,
        canthus_out_y=EYE + 1.2 - tilt,
        lid_up=4.5 + 0.5 * who.eye_opening - 0.5 * aging,
        lid_down=5.4 + 0.35 * who.eye_opening,
        crease=float(np.clip(4.0 + 1.0 * who.lid_fold, 2.0, 6.5)),
        nose_half_width=17.6 + 1.5 * who.nose_width,
        mouth_half_width=25.8 + 1.7 * who.mouth_width,
        upper_vermilion=float(np.clip(8.0 + 1.2 * who.upper_lip - 1.2 * aging, 4.0, 13.0)),
        lower_vermilion=float(np.clip(9.0 + 1.2 * who.lower_lip - 0.8 * aging, 5.0, 15.0)),
        cupids_bow=float(np.clip(1.2 + 0.5 * who.cupids_bow, 0.1, 3.0)),
        lip_forward=1.0 * who.mouth_forward,
    )
