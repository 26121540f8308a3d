"""Eyes and brows for a voice: brows that a network hears in it, blinks and gaze by their processes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from audioplane.errors import UserError
from audioplane.expression.generator import ExpressionGenerator, speaking
from audioplane.motion.natural import natural_expression
from audioplane.motion.own_range import OwnRange

UPPER = ("brow", "eyeWide", "eyeSquint", "cheekSquint", "noseSneer")
"""What the names of the shapes begin with that the voice drives; lips follow the voice by the head itself."""
LIDS = ("eyeWide", "eyeSquint")
"""Of these, what gives way to a blink."""
SMOOTH = 0.08  # seconds, sigma: a brow takes a tenth of a second or more to rise


def expression_of_voice(
    own: OwnRange,
    audio: np.ndarray,
    count: int,
    fps: float,
    seed: int = 0,
    head: np.ndarray | None = None,
    generator: ExpressionGenerator | None = None,
) -> np.ndarray:
    """Expression that matches a voice, in a person's range (SyncTalk++, Sec. III-E, Eq. 25 and 26).

    Brows and what moves with them come from the voice by way of the VQ-VAE's codebook. Blinks and gaze are those of
    `motion.natural`, with people's rates and durations: a voice does not tell them, and the public code of EmoTalk,
    which the paper uses, puts canned blinks in place of its own as well.

    Args:
        own: range of the person. audio: (n,) 16 kHz mono.
        count: frames wanted. fps: frames a second; frame t shows second (t + 0.5) / fps.
        seed: of blinks and gaze; brows do not depend on it.
        head: (count, 2) yaw and pitch of the head in degrees, see `natural_expression`.
        generator: default the one that ships.

    Returns:
        (count, E) weights of `own.names`, within `own`.

    Raises:
        UserError: this person's brows are not driven, so there is nothing that the voice could move.
    """
    upper = np.array([name.startswith(UPPER) for name in own.names])
    if not upper.any():
        raise UserError(
            f"a voice moves brows, and this head has none to drive (its expression is {', '.join(own.names[:7])}); "
            "take --expression natural, or train a head with brows"
        )
    generator = generator or ExpressionGenerator.load()
    found = natural_expression(own, audio, count, fps, seed, head, without=("brows",))
    change = generator.in_range(generator.blendshapes(audio, fps), own, fps)[:count] - own.rest
    change = gaussian_filter1d(change, SMOOTH * fps, axis=0, mode="nearest") * upper * speaking(audio, fps, count)
    lids = np.array([name.startswith(LIDS) for name in own.names])
    change[:, lids] *= np.clip(1 - own.closure(found), 0, 1)[:, None]
    return own.clip(found + change)
