"""What drives each frame of a training clip: audio codes, and the tracks that the method asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audioplane.audio.activity import speech_frames
from audioplane.audio.features import Features, samples_of
from audioplane.audio.pretrain import ENOUGH, lip_shapes, pretrain
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.methods.base import Method
from audioplane.methods.pose import pose_numbers
from audioplane.methods.types import Condition
from audioplane.motion.own_range import CONTROLS, OwnRange
from audioplane.runtime import seeds, threads
from audioplane.subject.flame import are_flame
from audioplane.training.kept_encoders import kept

if TYPE_CHECKING:
    from audioplane.subject import Subject

CLOSED = 0.4  # of the way from rest to as far as the person closes the eyes


class Conditions:
    """The conditions of a subject's frames.

    Args:
        subject: whose voice. config: of the run.

    Attributes:
        features: of the voice, with the statistics of its training frames.
        windows: (T, window, C), what the encoder takes.
        codes: a of every frame (T, code), while the encoder is frozen; None while it learns.
        own_range: of the training frames' expression. expressions: (T, E) of every frame as the method takes them. Both
            None for a method that takes none. poses: (T, 6), see `pose_numbers`.
        compared: (T, B), weights of `Method.compared`, or None.
    """

    def __init__(self, subject: Subject, config: Config) -> None:
        self.subject, self.config = subject, config
        self.features = Features.fit(config.audio, training_voice(subject))
        self.windows = torch.from_numpy(self._windows())
        self.codes: Tensor | None = None
        self.own_range: OwnRange | None = None
        self.expressions: Tensor | None = None
        self.compared: Tensor | None = None
        self.poses = torch.from_numpy(pose_numbers(subject.viewmats))

    def _windows(self) -> np.ndarray:
        """Of all frames: those of the training frames from their own sound alone, the others' from the whole."""
        subject, train = self.subject, self.subject.train
        windows = self.features(subject.audio, subject.fps, subject.num_frames, own_voice=True)
        if self.config.audio.features != "deepspeech" and len(train) < subject.num_frames:
            own = self.features(training_voice(subject), subject.fps, len(train), own_voice=True)
            windows[train.start : train.stop] = own
        return windows

    def pretrain(self, method: Method, generator: torch.Generator, encoders: Path | None = None) -> dict[str, Any]:
        """Teaches the method's encoder the lip shapes of the training frames.

        Args:
            method: whose encoder learns. generator: of its batches.
            encoders: a folder of encoders that learned the same before; None to learn in any case.

        Returns:
            facts for the record.
        """
        subject, audio = self.subject, self.config.audio
        if not audio.pretrain_steps:
            return {}
        train = slice(subject.train.start, subject.train.stop)
        shapes = lip_shapes(subject.landmarks[train], audio.lip_components, subject.viewmats[train])
        if np.isfinite(shapes.opening).sum() <= ENOUGH:
            return {}
        windows = self.windows[train]

        def make() -> float:
            voice, frames = training_voice(subject), len(subject.train)
            copies = self.features.augmented_copies(voice, subject.fps, frames, self.config.seed)
            speech = speech_frames(voice, subject.fps, frames, audio.longest_pause)
            with threads.one_each():  # its matrices are so small that a second thread slows it
                return pretrain(method.encoder, windows, shapes, audio, generator, copies, speech)

        if encoders is None:
            return {"encoder_correlation": make()}
        return {"encoder_correlation": kept(encoders, self.config, windows, shapes, method.encoder, make)}

    def update(self, method: Method, device: torch.device) -> None:
        """Moves the windows to a device and, with a frozen encoder, computes the codes of all frames once."""
        self.windows, self.poses = self.windows.to(device), self.poses.to(device)
        self.codes = None
        if method.expression:
            track, train = driving_track(self.subject, method), self.subject.train
            self.own_range = OwnRange.fit(track[train.start : train.stop], method.expression)
            self.expressions = torch.from_numpy(self.own_range.standardise(track)).to(device)
        if method.compared and self.subject.weights(method.compared) is not None:
            self.compared = torch.from_numpy(expression_track(self.subject, method.compared)).to(device)
        if self.config.audio.fine_rate == 0.0:
            with torch.no_grad():
                self.codes = method.encoder.all_codes(self.windows)

    def closed_frames(self, method: Method) -> np.ndarray:
        """The training frames in which the eyes are closed by more than `CLOSED`, (k,); none where no method asks."""
        train = np.arange(self.subject.train.start, self.subject.train.stop)
        if self.own_range is None or not self.own_range.is_captured:
            return train[:0]
        return train[self.own_range.closure(driving_track(self.subject, method))[train] > CLOSED]

    def audio_code(self, method: Method, t: int) -> Tensor:
        """a of frame t: (code,)."""
        if self.codes is not None:
            return self.codes[t]
        first = t - method.encoder.before
        index = torch.arange(first, first + method.encoder.neighbours).clamp(0, len(self.windows) - 1)
        return method.encoder(self.windows[index.to(self.windows.device)])[0]

    def compared_with(self, t: int) -> Tensor | None:
        """The weights that the losses of frame t compare with, (B,); None where the method or the subject has none."""
        return None if self.compared is None else self.compared[t]

    def time(self, t: int) -> float:
        """Frame t within the training frames, 0 to 1."""
        return (t - self.subject.train.start) / max(len(self.subject.train) - 1, 1)

    def __call__(self, method: Method, t: int) -> Condition:
        """The condition of frame t."""
        expression = None if self.expressions is None else self.expressions[t]
        return Condition(self.audio_code(method, t), self.time(t), expression, self.poses[t])

    def foreign_expression(self, iteration: int) -> Tensor | None:
        """An expression that is not the frame's own, in `schedule.foreign_expression` of the iterations; else None.

        Mouth and eyes of a short film go together by chance, and a method would learn it: looking aside would open the
        mouth. Half of these expressions are another frame's, half are steered anywhere within the person's range.
        """
        own, train, config = self.own_range, self.subject.train, self.config
        if own is None or self.expressions is None or not own.is_captured:
            return None
        generator = seeds.draws(config.seed, seeds.EXPRESSIONS, iteration)
        if generator.random() >= config.schedule.foreign_expression:
            return None
        if generator.random() < 0.5:
            return self.expressions[train[int(generator.integers(len(train)))]]
        shares = generator.uniform(-1.0, 1.0, (1, len(CONTROLS)))
        return torch.from_numpy(own.standardise(own.steered(shares))[0]).to(self.expressions)


def driving_track(subject: Subject, method: Method) -> np.ndarray:
    """The captured blendshapes that drive a method, (T, E), as it reads them."""
    return method.smoothed(expression_track(subject, method.expression))


def training_voice(subject: Subject) -> np.ndarray:
    """The sound of the training frames alone: whatever is fitted to a voice has heard nothing that is held out."""
    return subject.audio[samples_of(subject.train, subject.fps)]


def expression_track(subject: Subject, names: Sequence[str]) -> np.ndarray:
    """What was captured of the face, by name (`Subject.weights`): (T, E) float32.

    A frame whose face was lost has the median of the others; a subject without blendshapes has zeros.

    Raises:
        UserError: FLAME's coefficients are asked for, and the subject has none.
    """
    track = subject.weights(names)
    if track is None and are_flame(names):
        raise UserError(
            f"subject '{subject.name}' has no coefficients of FLAME: add them with `audioplane subject flame`, or "
            "take method.coefficients=all, which are blendshapes"
        )
    if track is None:
        return np.zeros((subject.num_frames, len(names)), np.float32)
    known = np.isfinite(subject.landmarks).all(axis=(1, 2)) & np.isfinite(track).all(axis=1)
    track[~known] = np.median(track[known], axis=0) if known.any() else 0.0
    return track
