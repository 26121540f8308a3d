"""Eyes and brows for a voice: natural ones, brows by the voice, the rest pose, or a capture in this person's range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from audioplane.audio.features import count_frames
from audioplane.errors import UserError
from audioplane.expression.of_voice import expression_of_voice
from audioplane.inference import arguments
from audioplane.inference.poses import back_and_forth
from audioplane.motion.captures import at_rate
from audioplane.motion.natural import natural_expression
from audioplane.motion.own_range import OwnRange
from audioplane.subject import blendshapes, flame

EXPRESSIONS = ("natural", "voice", "none")
NO_EXPRESSION = (
    "this head's eyes and brows cannot be driven: it was trained without an expression; train it with the preset demo "
    "on a Subject that has blendshapes"
)


def of_voice(
    own: OwnRange | None,
    audio: np.ndarray,
    fps: float,
    expression: str | np.ndarray,
    seed: int,
    turned: np.ndarray | None,
    steer: Sequence[float],
) -> np.ndarray | None:
    """Weights (T, E) for every frame of a voice; None for a head that takes none.

    Args:
        own: the person's range. audio: (n,) 16 kHz mono. fps: frame rate.
        expression, seed, steer: see `TalkingHead.expressions`.
        turned: (T, 2) yaw and pitch of the head in degrees, see `poses.yaw_and_pitch`; None where it keeps still.

    Raises:
        UserError: a capture, or brows by the voice, for a head that takes none; no such expression.
    """
    if isinstance(expression, str) and expression not in EXPRESSIONS:
        raise UserError(f"expression is one of {', '.join(EXPRESSIONS)}, or a capture, not '{expression}'")
    if own is None or not own.is_captured:
        if not isinstance(expression, str) or expression == "voice":
            raise UserError(NO_EXPRESSION)
        return None
    count = count_frames(audio, fps)
    if not isinstance(expression, str):
        given = arguments.capture(expression, "expression")
        found = own.adopt(given)[back_and_forth(count, len(given))]
    elif expression == "none":
        found = np.tile(own.rest, (count, 1))
    elif expression == "voice":
        found = expression_of_voice(own, audio, count, fps, seed, turned)
    else:
        found = natural_expression(own, audio, count, fps, seed, turned)
    return own.clip(found + own.steered(np.asarray([steer])) - own.rest) if len(steer) else found


def filmed(own: OwnRange | None, track: Tensor | None, fps: float, wanted: float) -> np.ndarray:
    """The captured expression that a head learned from, for another head: (T, 52) at a frame rate.

    Args:
        own: the person's range. track: (S, E) at `fps`. wanted: frame rate.

    Raises:
        UserError: the head takes none.
    """
    if own is None or track is None or not own.is_captured:
        raise UserError(NO_EXPRESSION)
    weights, given = np.zeros((len(track), blendshapes.COUNT)), track.numpy().astype(np.float64)
    for name, values in zip(own.names, given.T, strict=True):
        meant = flame.ALIKE.get(name, name)
        if meant in blendshapes.NAMES:
            weights[:, blendshapes.index(meant)] = values
    return at_rate(weights, fps, wanted)
