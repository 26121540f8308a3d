"""Measures by other people's networks: LPIPS, FID and BRISQUE. Each runs where its weights are, and says so where not.

NIQE is not among them: `piq` has none (its issue 124 asks for it), scikit-video has had no release since 2018, pyiqa's
licence is for non-commercial use, and deepinv, which has one, is a library of inverse problems with needs of its own.

Pictures are sequences of (H, W, 3) uint8 or float in [0, 1].
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audioplane.metrics.image import Picture, as_float
from audioplane.metrics.vision_backbones import BACKBONES, Backbone, import_torchvision, lpips_network
from audioplane.runtime import weights

SMALLEST_SET = 50
"""Pictures below which no FID is given: its covariance has 2048 rows, and even 50 pictures bias it upwards."""


def as_batch(pictures: Sequence[Picture]) -> torch.Tensor:
    """(B, 3, H, W) float32 in [0, 1]; one channel is shown as grey."""
    arrays = [as_float(picture) for picture in pictures]
    arrays = [np.repeat(a, 3, axis=2) if a.shape[2] == 1 else a for a in arrays]
    return torch.from_numpy(np.stack(arrays).transpose(0, 3, 1, 2).astype(np.float32))


class Lpips:
    """Learned perceptual image patch similarity, version 0.1 of the `lpips` package; 0 is equal.

    Args:
        backbone: "alex" (what most papers report, if they say), "vgg" or "squeeze".
        network: another network for the same call, for tests.

    Raises:
        MissingWeightsError: the backbone's weights are not on this machine.
    """

    def __init__(self, backbone: Backbone = "alex", network: torch.nn.Module | None = None) -> None:
        self.backbone = backbone
        self._network = lpips_network(backbone) if network is None else network

    @torch.no_grad()
    def __call__(self, picture: Picture, truth: Picture) -> float:
        """Of two pictures of one shape, each side at least 32 pixels; pictures are scaled to [-1, 1]."""
        a: NDArray = np.asarray(picture)
        b: NDArray = np.asarray(truth)
        if a.shape != b.shape or min(a.shape[:2]) < 32:
            raise ValueError(f"picture, truth: expected one shape of 32 x 32 or more, received {a.shape} and {b.shape}")
        return float(self._network(as_batch([a]) * 2 - 1, as_batch([b]) * 2 - 1))


def available(backbones: Iterable[Backbone] = BACKBONES) -> dict[Backbone, str]:
    """For each LPIPS backbone "" where its weights are, else how to get them."""
    return {
        name: "" if weights.find(f"lpips-{name}") else f"weights missing: {weights.REGISTRY[f'lpips-{name}'].how}"
        for name in backbones
    }


def frechet_distance(ours: NDArray, theirs: NDArray) -> float:
    """Fréchet distance of two normal distributions with the means and covariances of these features; never below 0.

    |Δμ|² + tr(Σ + Σ' - 2 (Σ Σ')^½), without a root of a matrix: of centred features A, B over √(n - 1) the covariances
    are Aᵀ A and Bᵀ B, and the trace of the root of their product is the sum of the singular values of A Bᵀ. That is
    exact where there are fewer features than dimensions, as with the frames of one clip.

    Args:
        ours, theirs: (n, D) and (m, D), n and m at least 2.

    Raises:
        ValueError: other shapes.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1] or min(len(ours), len(theirs)) < 2:
        raise ValueError(f"ours, theirs: expected (n, D) and (m, D), received {ours.shape} and {theirs.shape}")
    a, b = (one.astype(np.float64) for one in (ours, theirs))
    between = a.mean(axis=0) - b.mean(axis=0)
    a, b = ((one - one.mean(axis=0)) / np.sqrt(len(one) - 1) for one in (a, b))
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float(between @ between + (a * a).sum() + (b * b).sum() - 2 * shared))


def fid(pictures: Sequence[Picture], truths: Sequence[Picture]) -> float:
    """Fréchet inception distance of two sets (`piq`'s network, with the weights of pytorch-fid); 0 is equal.

    With the few, alike frames of one clip it is biased upwards: compare runs on the same frames only.

    Raises:
        MissingWeightsError: the Inception weights are not on this machine.
        ValueError: fewer than `SMALLEST_SET` pictures in a set.
    """
    path = weights.require("fid-inception")
    if min(len(pictures), len(truths)) < SMALLEST_SET:
        raise ValueError(
            f"pictures, truths: expected {SMALLEST_SET} or more each, received {len(pictures)} and {len(truths)}"
        )
    import_torchvision()
    from piq.feature_extractors import fid_inception

    with _instead_of_download(fid_inception, "load_state_dict_from_url", path):
        network = fid_inception.InceptionV3().eval()
    ours, theirs = (_inception(network, one).numpy() for one in (pictures, truths))
    return frechet_distance(ours, theirs)


@torch.no_grad()
def _inception(network: Any, pictures: Sequence[Picture]) -> torch.Tensor:
    """(n, 2048) features."""
    return torch.cat([network(as_batch([picture]))[0].flatten(1) for picture in pictures])


def brisque(picture: Picture) -> float:
    """BRISQUE of one picture, without a truth, by `piq`; smaller is more natural, 0 to 100 or so.

    Raises:
        MissingWeightsError: its support vectors are not on this machine.
    """
    path = weights.require("brisque")
    piq = import_piq()
    with _instead_of_download(sys.modules["piq.brisque"], "load_url", path):
        return float(piq.brisque(as_batch([picture])))


def import_piq() -> Any:
    """The package `piq`, which imports torchvision."""
    import_torchvision()
    import piq

    return piq


@contextmanager
def _instead_of_download(module: Any, name: str, path: Path) -> Iterator[None]:
    """Hands piq the file that was found: it knows only how to download, behind the user's back."""
    before = getattr(module, name)
    setattr(module, name, lambda *_, **__: torch.load(path, map_location="cpu", weights_only=True))
    try:
        yield
    finally:
        setattr(module, name, before)
