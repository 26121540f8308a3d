"""Pre-training of the audio encoder on lip shapes, before the deformation field is trained.

Learned from pixels alone the encoder overfits within a minute and held-out lips do not move with the voice; a few
seconds of regression on the principal components of the training frames' lip landmarks, after which it is nearly
frozen, is what makes held-out lip motion possible. Ours: the paper's encoder is pre-trained on speech recognition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from audioplane.audio.codes import match_training_statistics, matches_statistics
from audioplane.audio.encoder import AudioEncoder, augment_windows, correlation, pad
from audioplane.audio.features import AugmentedCopies
from audioplane.audio.opening import OpeningReader
from audioplane.config import AudioConfig
from audioplane.deform.mlp import linear

LIPS = slice(48, 68)
RIGID = [*range(27, 36), 36, 39, 42, 45]  # nose and corners of the eyes: they follow the head, not the speech
SEGMENT = 16  # consecutive frames of one sample
ENOUGH = 50  # frames with landmarks, below which lips tell nothing


@dataclass(frozen=True)
class LipShapes:
    """Principal components of lips seen from a still head.

    Attributes:
        scores: (T, K) float32, each with spread 1 over the frames that had landmarks; NaN where there were none.
        share: (K,) share of the variance each explains.
        opening: (T,) distance of the inner lips over the width between the eyes' outer corners.
    """

    scores: np.ndarray
    share: np.ndarray
    opening: np.ndarray


def lip_shapes(landmarks: np.ndarray, components: int, viewmats: np.ndarray | None = None) -> LipShapes:
    """Lips of (T, 68, 2) landmarks, each frame moved onto the mean face by a similarity of its rigid points.

    With the cameras (T, 4, 4), what the head's turning still explains of the lips (they lie in front of the axis) is
    taken out as well: it is not in the voice.
    """
    good = np.isfinite(landmarks).all(axis=(1, 2))
    scores = np.full((len(landmarks), components), np.nan, np.float32)
    opening = np.full(len(landmarks), np.nan, np.float32)
    if good.sum() < 2:
        return LipShapes(scores, np.zeros(components), opening)
    points = landmarks[good].astype(np.float64)
    flat = points[..., 0] + 1j * points[..., 1]
    reference = flat.mean(axis=0)
    for _ in range(3):
        source = flat[:, RIGID] - flat[:, RIGID].mean(axis=1, keepdims=True)
        target = reference[RIGID] - reference[RIGID].mean()
        turn = (source.conj() @ target) / (np.abs(source) ** 2).sum(axis=1)
        aligned = (flat - flat[:, RIGID].mean(axis=1, keepdims=True)) * turn[:, None] + reference[RIGID].mean()
        reference = aligned.mean(axis=0)
    lips = aligned[:, LIPS]
    data = np.concatenate([lips.real, lips.imag], axis=1)
    data = data - data.mean(axis=0)
    if viewmats is not None:
        seen = _pose_terms(viewmats[good])
        data = data - seen @ np.linalg.lstsq(seen, data, rcond=None)[0]
    _, sizes, axes = np.linalg.svd(data, full_matrices=False)
    axes = axes[:components] * np.sign(axes[:components].sum(axis=1, keepdims=True) + 1e-12)
    projected = data @ axes.T
    scores[good, : projected.shape[1]] = projected / np.maximum(projected.std(axis=0), 1e-9)
    eyes = np.abs(reference[45] - reference[36])
    opening[good] = np.abs(aligned[:, [61, 62, 63]] - aligned[:, [67, 66, 65]]).mean(axis=1) / eyes
    share = sizes[:components] ** 2 / max((sizes**2).sum(), 1e-12)
    return LipShapes(scores, share, opening)


def _pose_terms(viewmats: np.ndarray) -> np.ndarray:
    """(T, 4, 4) -> what lips depend on when a head turns: (T, 13)."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_matrix(viewmats[:, :3, :3].astype(np.float64)).as_rotvec()
    pose = np.concatenate([turns, viewmats[:, :3, 3]], axis=1)
    pose = (pose - pose.mean(axis=0)) / np.maximum(pose.std(axis=0), 1e-6)
    x, y, z = pose[:, 0], pose[:, 1], pose[:, 2]
    products = np.stack([np.ones(len(pose)), x * x, y * y, z * z, x * y, y * z, x * z], axis=1)
    return np.concatenate([pose, products], axis=1)


def pretrain(
    encoder: AudioEncoder,
    windows: torch.Tensor,
    shapes: LipShapes,
    config: AudioConfig,
    generator: torch.Generator,
    copies: AugmentedCopies | None = None,
    speech: np.ndarray | None = None,
) -> float:
    """Regresses lip shapes from the encoder's code over the training frames, then standardises the code.

    With `audio.calibration_steps` it also finds how much too little lips would open for unseen speech.

    Args:
        encoder: changed in place.
        windows: (T, window, C) of the training frames. shapes: of the same frames.
        config: steps, batch, rate and augmentation.
        generator: of the batches, the read-out and the augmentation.
        copies: augmented copies of the same frames' voice, to learn from as well, see `Features.augmented_copies`.
        speech: (T,) of bool, the frames in which somebody speaks (`activity.speech_frames`); default all.

    Returns:
        correlation of the first component with its prediction over the training frames.
    """
    lesson = _Lesson(windows, shapes, config, generator, copies)
    readout = lesson.teach(encoder, config.pretrain_steps, np.arange(len(windows)))
    targets = lesson.targets
    with torch.no_grad():
        predicted = readout(encoder.all_codes(windows))[lesson.known]
        reached = float(correlation(predicted, targets[lesson.known])[0]) if lesson.known.any() else 0.0
    encoder.standardise_over(windows)
    if config.calibration_steps and not config.fine_rate:
        _calibrate(encoder, lesson, shapes.opening, np.ones(len(windows), bool) if speech is None else speech)
    return reached


PARTS = 3  # of the training frames, of which an encoder for the calibration does not learn one


def _calibrate(encoder: AudioEncoder, lesson: _Lesson, opening: np.ndarray, speech: np.ndarray) -> None:
    """Fits `encoder.opening` by encoders that learn from the training frames without one part of them each.

    Args:
        encoder: pre-trained; changed in place. lesson: that it has learnt.
        opening: (T,) of the lips; NaN unknown. speech: (T,), frames that count.
    """
    config, windows, count = lesson.config, lesson.windows, len(opening)
    known = np.isfinite(opening)
    guessed, true = [], []
    for part in np.array_split(np.arange(count), PARTS):
        others = np.setdiff1d(np.arange(count), part)
        seen, judged = others[known[others]], known[part] & speech[part]
        if min(len(seen), judged.sum()) < ENOUGH:
            continue
        twin = AudioEncoder(config, encoder.channels, lesson.generator)
        lesson.teach(twin, config.calibration_steps, others)
        twin.standardise_over(windows[others])
        with torch.no_grad():
            learnt, unseen = twin.all_codes(windows[others]), twin.all_codes(windows[part])
        if matches_statistics(config):
            unseen = match_training_statistics(unseen, speech[part])
        reader = OpeningReader.fit(learnt.numpy()[known[others]], opening[seen])
        guessed.append(reader(unseen.numpy())[judged])
        true.append(opening[part][judged])
    if guessed:
        with torch.no_grad():
            codes = encoder.all_codes(windows).numpy()
        reader = OpeningReader.fit(codes[known], opening[known])
        encoder.opening.fit(reader, np.concatenate(guessed), np.concatenate(true))


class _Lesson:
    """What encoders learn of a person's training frames; the arguments are those of `pretrain`."""

    def __init__(
        self,
        windows: torch.Tensor,
        shapes: LipShapes,
        config: AudioConfig,
        generator: torch.Generator,
        copies: AugmentedCopies | None,
    ) -> None:
        self.windows, self.config, self.generator, self.copies = windows, config, generator, copies
        targets = torch.from_numpy(shapes.scores)
        self.known = torch.isfinite(targets).all(dim=1)
        self.targets = targets.nan_to_num(0.0)
        weights = torch.from_numpy(np.sqrt(np.maximum(shapes.share, 1e-3))).float()
        self.weights = weights / weights.mean()

    def teach(self, encoder: AudioEncoder, steps: int, frames: np.ndarray) -> nn.Module:
        """Trains an encoder on segments of consecutive frames out of `frames` (ascending); returns its read-out."""
        config, generator = self.config, self.generator
        readout = linear(config.code, self.targets.shape[1], generator)
        parameters = [*encoder.parameters(), *readout.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=config.pretrain_rate, weight_decay=1e-2, fused=True)
        padded = pad(self.windows, encoder.before, encoder.neighbours - 1 - encoder.before)
        length = min(SEGMENT, len(frames))
        whole = frames[length - 1 :] - frames[: len(frames) - length + 1] == length - 1
        starts = torch.from_numpy(frames[: len(frames) - length + 1][whole])
        segments, offsets = max(1, config.pretrain_batch // length), torch.arange(length + encoder.neighbours - 1)
        encoder.drop_by(generator)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = config.pretrain_rate * (1.0 - step / steps)
            start = starts[torch.randint(0, len(starts), (segments,), generator=generator)][:, None]
            segment = padded[start + offsets]
            if self.copies is not None:
                own = (start + offsets - encoder.before).clamp(0, len(self.targets) - 1)
                segment = _replace_by_copies(segment, self.copies, own, generator)
            batch = augment_windows(segment, config.augment, generator, config.features == "mel")
            wanted, seen = self.targets[start + offsets[:length]], self.known[start + offsets[:length]]
            error = (readout(encoder(batch)) - wanted).square() * self.weights * seen[..., None]
            optimizer.zero_grad(set_to_none=True)
            error.mean().backward()
            optimizer.step()
        encoder.drop_by(None)
        return readout


UNCHANGED = 0.5  # share of segments that stay as they are, where the voice has augmented copies


def _replace_by_copies(
    segments: torch.Tensor, copies: AugmentedCopies, frames: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Segments (B, n, window, C) of the frames (B, n): some as they are, the others each from a random copy."""
    which = torch.randint(0, len(copies.steps), (len(frames), 1, 1), generator=generator)
    augmented = torch.from_numpy(copies.steps)[which, torch.from_numpy(copies.places)[frames]]
    unchanged = torch.rand(len(frames), 1, 1, 1, generator=generator) < UNCHANGED
    return torch.where(unchanged, segments, augmented)
