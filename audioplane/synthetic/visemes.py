"""Articulation → ARKit blendshapes, and the contract a face keeps so that the lips do what the phonemes demand.

What a face must do (mean adult, about 42 mm wide mouth; larger and smaller faces in proportion):

- `jawOpen` = 1 swings the jaw until the inner lips stand `JAW_GAP` mm apart and the chin has sunk about 29 mm; speech
  uses up to about 0.4. Below 1 both grow nearly in proportion.
- `mouthClose` = w takes away exactly the opening that `jawOpen` = w makes, by the lips alone: the jaw stays where it
  is, and with equal weights the lips just touch. Here `mouthClose` <= `jawOpen` always, and wherever lips must meet
  (p, b, m, pauses) the two are equal and no other shape parts the lips.
- `mouthUpperUp*` and `mouthLowerDown*` = 1 (both sides) part the lips by `UPPER_GAP` and `LOWER_GAP` mm.
- `mouthFunnel` = 1 flares the lips: `FUNNEL_GAP` mm apart, 6 mm narrower, 6 mm forward. `mouthPucker` = 1 narrows the
  mouth by 9 mm and brings it 8 mm forward without parting the lips.
- `mouthStretch*` = 1 and `mouthSmile*` = 1 (both sides) each widen the mouth by `WIDEN` mm.
- f, v: `mouthRollLower` with `mouthClose` < `jawOpen` puts the lower lip's inner edge at the upper teeth; the extra
  track "labiodental" says how far (1 = contact), so that a face can make the contact exact.
- extras: "tongueUp" (tip at the ridge behind the upper teeth), "tongueBetween" (tip visible between the teeth; θ, ð),
  "tongueBack" (back of the tongue raised), "labiodental", all 0..1. `tongueOut` is used a little on θ, ð only.

The reaches were chosen so that they agree with a scanned head's shapes (ICT-FaceKit) to within about a fifth.
"""

from __future__ import annotations

import numpy as np

from audioplane.subject import blendshapes
from audioplane.synthetic.articulation import Articulation

JAW_GAP = 32.0
JAW_TEETH = 29.0  # mm the lower teeth sink at jawOpen = 1
UPPER_GAP = 7.0
LOWER_GAP = 6.6
FUNNEL_GAP = 12.0
WIDEN = 12.5
EXTRAS = ("tongueUp", "tongueBetween", "tongueBack", "labiodental")


def mouth_shapes(
    articulation: Articulation, times: np.ndarray, asymmetry: float = 0.0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Solves for the blendshapes that give the articulation.

    Args:
        articulation: tracks.
        times: (T,) seconds at which to sample them.
        asymmetry: -1..1; > 0 lets the left side of the mouth move a little more than the right.

    Returns:
        Weights (T, 52) float32, zero for what does not belong to the mouth; extras, each (T,) float32.
    """

    def at(track: np.ndarray) -> np.ndarray:
        return np.interp(times, np.arange(len(track)) / articulation.rate, track)

    closure, press, labiodental = at(articulation.closure), at(articulation.press), at(articulation.labiodental)
    pucker, funnel = at(articulation.pucker), at(articulation.funnel)
    spread = at(articulation.spread) / WIDEN
    jaw = at(articulation.jaw) / JAW_TEETH
    lacking = at(articulation.aperture) - JAW_GAP * jaw - FUNNEL_GAP * funnel  # mm that the lips must add or take
    lacking = np.where(closure >= 1 - 1e-6, -JAW_GAP * jaw, lacking)
    close = np.clip(-lacking / JAW_GAP, 0, jaw)
    part = np.maximum(lacking, 0)
    # The upper lip does a third of the parting in speech, more on f and v, where it uncovers the teeth.
    upper = part / UPPER_GAP * (0.35 + 0.45 * labiodental)
    lower = part / LOWER_GAP * (0.65 - 0.45 * labiodental)
    left, right = 1 + 0.08 * asymmetry, 1 - 0.08 * asymmetry

    weights = np.zeros((len(times), blendshapes.COUNT))

    def put(name: str, value: np.ndarray) -> None:
        weights[:, blendshapes.index(name)] = value

    def put_both(name: str, value: np.ndarray) -> None:
        put(name + "Left", value * left)
        put(name + "Right", value * right)

    put("jawOpen", jaw)
    put("mouthClose", close)
    put("mouthFunnel", funnel)
    put("mouthPucker", pucker)
    put("mouthRollLower", 0.14 * press + 0.50 * labiodental)
    put("mouthRollUpper", 0.10 * press)
    put_both("mouthPress", 0.22 * press + 0.12 * np.maximum(closure - press, 0))
    put_both("mouthStretch", 0.6 * spread)
    put_both("mouthSmile", 0.4 * spread)
    put_both("mouthUpperUp", upper + 0.10 * labiodental)
    put_both("mouthLowerDown", lower)
    put("tongueOut", 0.15 * at(articulation.tongue_between))
    extras = {
        "tongueUp": at(articulation.tongue_up),
        "tongueBetween": at(articulation.tongue_between),
        "tongueBack": at(articulation.tongue_back),
        "labiodental": labiodental,
    }
    return (
        np.clip(weights, 0, 1).astype(np.float32),
        {name: np.clip(track, 0, 1).astype(np.float32) for name, track in extras.items()},
    )
