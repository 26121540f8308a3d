"""The two lip-sync scorers, and their scores of a clip.

Whose number it is stands beside every number: "syncnet_v2" is the published network with its authors' weights,
"audioplane-sync" the small one that ships (`MODEL_CARD.md`). Their distances have different units; never mix them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audioplane.errors import UserError
from audioplane.metrics.sync import SHIFTS, SyncScore, score, shift_distances
from audioplane.metrics.syncnet.crops import cut_face, cut_mouth, face_boxes, mouth_warps
from audioplane.metrics.syncnet.mfcc import SAMPLE_RATE, mfcc
from audioplane.metrics.syncnet.network import COLUMNS, COMPACT, FRAMES, SyncNet, load_published
from audioplane.runtime import files, tensors, weights

FPS = 25.0
SHORTEST = 50
"""Frames that a clip needs: 2 s, so that every shift has more than a second to compare."""

CONTROL_SHIFTS = (1, 3, 7)
BUILT_IN, PUBLISHED = "audioplane-sync", "syncnet_v2"
PIECE = 64  # windows in one batch


@dataclass(frozen=True)
class Scorer:
    """A network and how it is fed.

    Attributes:
        name: stands beside every number. network: its weights.
        beyond: what lies beyond a clip's ends, see `metrics.sync.shift_distances`.
    """

    name: str
    network: SyncNet
    beyond: str

    @classmethod
    def built_in(cls, path: Path | None = None) -> Scorer:
        """The small scorer that ships, or one that `audioplane train-sync` wrote."""
        if path is not None:
            return cls(BUILT_IN, load_built_in(path), "nothing")
        with resources.as_file(resources.files("audioplane.metrics.syncnet") / "weights.safetensors") as found:
            return cls(BUILT_IN, load_built_in(found), "nothing")

    @classmethod
    def published(cls, path: Path | None = None) -> Scorer:
        """SyncNet as everyone reports it.

        Raises:
            MissingWeightsError: `syncnet_v2.model` is not on this machine.
        """
        return cls(PUBLISHED, load_published(path), "zeros")

    @classmethod
    def best_here(cls) -> list[Scorer]:
        """The built-in scorer and, where its weights are, the published one."""
        return [cls.built_in(), *([cls.published()] if weights.find("syncnet") else [])]

    @torch.no_grad()
    def embed_frames(self, frames: Iterable[NDArray[np.uint8]], landmarks: NDArray) -> NDArray[np.float32]:
        """Codes of a clip's windows.

        Args:
            frames: T pictures (H, W, 3) uint8 RGB, 25 a second. landmarks: (T, 68, 2) in their pixels.

        Returns:
            (T - 4, D); none of a clip that is shorter than a window.
        """
        tensors.check_default_dtype()
        if len(landmarks) < FRAMES:
            return np.empty((0, self.network.sizes.code), np.float32)
        count, codes, crops = len(landmarks), [], []
        if self.network.sizes is COMPACT:
            warps = mouth_warps(landmarks)
            cut = (cut_mouth(frame, warp)[..., None] for frame, warp in zip(frames, warps, strict=True))
        else:
            boxes = face_boxes(landmarks)
            cut = (cut_face(frame, box)[..., ::-1] for frame, box in zip(frames, boxes, strict=True))
        for done in range(0, count - FRAMES + 1, PIECE):
            crops = crops[-(FRAMES - 1) :] if done else list(islice(cut, FRAMES - 1))
            crops += list(islice(cut, min(PIECE, count - FRAMES + 1 - done)))
            views = np.lib.stride_tricks.sliding_window_view(np.stack(crops), FRAMES, axis=0)  # (n, S, S, C, 5)
            windows = np.ascontiguousarray(views.transpose(0, 3, 4, 1, 2), np.float32)
            codes.append(self.network.embed_frames(torch.from_numpy(windows)).numpy())
        return np.concatenate(codes)

    @torch.no_grad()
    def embed_audio(self, audio: NDArray[np.floating], count: int) -> NDArray[np.float32]:
        """Codes (count, D) of the sounds of windows 0 to count - 1 of a voice (n,) at 16 kHz; none of a count below 1.

        Raises:
            UserError: the sound is shorter.
        """
        tensors.check_default_dtype()
        if count < 1:
            return np.empty((0, self.network.sizes.code), np.float32)
        cepstra = mfcc(audio)
        missing = 4 * (count - 1) + COLUMNS - len(cepstra)
        if missing > 0:
            raise UserError(f"the sound ends {missing / 100:.2f} s before the pictures; give all of it")
        views = np.lib.stride_tricks.sliding_window_view(cepstra, COLUMNS, axis=0)[::4][:count]
        windows = torch.from_numpy(np.ascontiguousarray(views, np.float32))[:, None]
        return np.concatenate([self.network.embed_audio(part).numpy() for part in windows.split(4 * PIECE)])

    def score(self, visual: NDArray, sounds: NDArray) -> SyncScore:
        """LSE-D, LSE-C and offset of a clip's codes.

        Raises:
            UserError: it is shorter than two seconds.
        """
        if len(visual) < SHORTEST - FRAMES:
            seconds = (len(visual) + FRAMES) / FPS
            raise UserError(f"lip sync needs a clip of {SHORTEST / FPS:g} s or more, this one has {seconds:.2f} s")
        return score(shift_distances(visual, sounds, SHIFTS, self.beyond))

    def count(self, frames: int, samples: int) -> int:
        """Windows of a clip, as `syncnet_python` counts them: its last frames may have no whole sound."""
        return min(frames, samples * 25 // SAMPLE_RATE) - FRAMES


def late(scorer: Scorer, visual: NDArray, sounds: NDArray) -> dict[str, SyncScore]:
    """A scorer's scores of a clip that comes 1, 3 and 7 frames late: "1 late" and so on.

    Of the truth this shows what the scorer can tell apart on this speaker.

    Args:
        visual: codes (n, D) of the pictures.
        sounds: codes (n, D) of the same frames' sound.
    """
    count = len(visual)
    return {
        f"{shift} late": score(shift_distances(visual[: count - shift], sounds[shift:], SHIFTS, scorer.beyond))
        for shift in CONTROL_SHIFTS
    }


def save_built_in(network: SyncNet, path: Path, about: dict[str, Any]) -> None:
    """Writes a trained scorer in half precision, which is precise enough for every digit that is shown."""
    from safetensors.torch import save as to_bytes

    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    files.write_bytes(path, to_bytes(state, {key: str(value) for key, value in about.items()}))


def load_built_in(path: Path) -> SyncNet:
    """The small network from its file; nothing in it is executed.

    Raises:
        UserError: it is no such file.
    """
    tensors.check_default_dtype()
    network = SyncNet(COMPACT)
    found, _ = tensors.read(path, "train one with `audioplane train-sync`")
    try:
        state = {name: tensor.float() for name, tensor in found.items()}
        lacking, foreign = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(f"{path} is not a scorer of lip sync: {str(error).splitlines()[0]}") from error
    if foreign or any(not name.endswith("num_batches_tracked") for name in lacking):
        raise UserError(f"{path} is not a scorer of lip sync: other layers; train one with `audioplane train-sync`")
    return network.eval().requires_grad_(False)
