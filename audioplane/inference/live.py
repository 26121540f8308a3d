"""Audio codes of a voice while it is spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.audio.activity import PAUSE, RunningActivity
from audioplane.audio.features import SAMPLE_RATE, count_frames, last_steps
from audioplane.audio.live import LOOK_AHEAD, LiveSteps
from audioplane.audio.mel import STEP
from audioplane.errors import UserError

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead

AHEAD = int((LOOK_AHEAD * SAMPLE_RATE - STEP // 2) / STEP)  # steps ahead that are looked at for speech
OPEN, CLOSE = 2, 9  # frames in which lips leave their rest before speech, and go back to it after
PUSHED = 10 * SAMPLE_RATE  # samples of a whole voice that are pushed at once


class LiveCodes:
    """Codes of a voice as it arrives: `push` samples in pieces of any length, `end` gives the rest.

    A frame's code comes out as soon as `audio.live.LOOK_AHEAD` seconds after the frame's middle have been pushed. The
    codes are joined what `TalkingHead.encode` gives for the whole voice.

    Args:
        head: trained with `audio.features=live`.

    Raises:
        UserError: a head with other features.
    """

    def __init__(self, head: TalkingHead) -> None:
        if not head.features.is_live:
            raise UserError(
                f"this head was trained with audio.features={head.config.audio.features}, which look at a whole voice; "
                "train one with audio.features=live"
            )
        self.encoder, self.fps, self.window = head.method.encoder, head.fps, head.config.audio.window
        self.rest = head.extras.get("rest")
        self.stream, self.activity = LiveSteps(head.features), RunningActivity()
        self.steps: list[NDArray[np.float32]] = []  # those that coming frames need, from step `first` on
        self.first = self.heard = self.pushed = self.given = 0  # step; steps; samples; frames
        self.open = 0.0  # how far the lips are from their rest

    def push(self, samples: NDArray[np.float32]) -> Tensor:
        """The next samples (n,) at 16 kHz; returns the codes of frames that are complete, (k, code), perhaps none."""
        self.pushed += len(samples)
        self.activity.push(samples)
        self._keep(self.stream.push(samples))
        known, ready = min(self.heard, self.activity.known - AHEAD), self.given
        while self._last_step(ready) < known:
            ready += 1
        return self._codes(ready)

    def end(self) -> Tensor:
        """The last codes; nothing can be pushed after it."""
        self.activity.end()
        self._keep(self.stream.end())
        return self._codes(count_frames(range(self.pushed), self.fps))

    def of(self, samples: NDArray[np.float32]) -> Tensor:
        """The codes of a whole voice (n,): (T, code)."""
        found = [self.push(samples[start : start + PUSHED]) for start in range(0, len(samples), PUSHED)]
        return torch.cat([*found, self.end()])

    def _keep(self, steps: NDArray[np.float32]) -> None:
        self.steps.append(steps)
        self.heard += len(steps)

    def _last_step(self, frame: int) -> int:
        """The last step of a frame's window."""
        return int(last_steps(np.array(frame), self.fps))

    @torch.no_grad()
    def _codes(self, ready: int) -> Tensor:
        """The codes of the frames up to `ready` that have not come out yet."""
        if ready <= self.given:
            return torch.zeros(0, self.encoder.code.out_features)
        frames = np.arange(self.given - self.encoder.before, ready).clip(0)
        last, steps = last_steps(frames, self.fps), np.concatenate(self.steps)
        places = np.clip(last[:, None] + np.arange(1 - self.window, 1), 0, self.heard - 1) - self.first
        windows = torch.from_numpy(steps[places]).to(self.encoder.shift.device)
        codes = self.encoder.opening(self.encoder(windows)).cpu()
        if self.rest is not None:
            codes = torch.lerp(self.rest, codes, torch.tensor(self._opened(ready))[:, None])
        coming = max(0, ready - self.encoder.before)
        keep = max(self.first, self._last_step(coming) - self.window + 1)
        self.steps, self.first = [steps[keep - self.first :]], keep
        self.given = ready
        return codes

    def _opened(self, ready: int) -> list[float]:
        """How far the lips of each coming frame are from their rest, 0 to 1."""
        found = []
        for frame in range(self.given, ready):
            step = self._last_step(frame)
            change = 1.0 / OPEN if self.activity.is_speech(step - PAUSE, step + AHEAD) else -1.0 / CLOSE
            self.open = min(max(self.open + change, 0.0), 1.0)
            found.append(self.open)
        return found
