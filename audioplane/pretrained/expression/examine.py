"""What the generator can and cannot do, on people, voices and words that it has not learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audioplane.expression.codebook import nearest, perplexity
from audioplane.expression.generator import ExpressionGenerator
from audioplane.expression.vq_vae import VqVae
from audioplane.motion.own_range import OwnRange
from audioplane.pretrained.expression.data import Clip, shuffled
from audioplane.subject import blendshapes
from audioplane.synthetic.face.model import RiggedFace

Weights = NDArray[np.floating]
GROUPS: Mapping[str, tuple[str, ...]] = {
    "brows raised": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "brows lowered": ("browDownLeft", "browDownRight"),
    "squint and cheeks": ("eyeSquintLeft", "eyeSquintRight", "cheekSquintLeft", "cheekSquintRight"),
    "jaw": ("jawOpen",),
    "rounded lips": ("mouthFunnel", "mouthPucker"),
    "closed lips": ("mouthPressLeft", "mouthPressRight", "mouthRollLower", "mouthRollUpper"),
    "parted lips": ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
}
PARTS: Mapping[str, slice] = {"brows": slice(17, 27), "lids": slice(36, 48), "mouth": slice(48, 68)}
"""Landmarks of parts of a face."""
STILL = 1e-3  # spread of a shape, or of what is predicted, that has no correlation
EXAGGERATION, UNLIKE = 1.8, 0.25


@dataclass(frozen=True)
class Told:
    """How well a voice tells a group of shapes.

    Attributes:
        r: correlation with the true weights, a mean over shapes and clips. chance: the same with the weights of
            another time. amplitude: spread over the true one.
    """

    r: float
    chance: float
    amplitude: float


def told_by_voice(generator: ExpressionGenerator, clips: Sequence[Clip]) -> dict[str, Told]:
    """`Told` of each of `GROUPS` that the clips have.

    Args:
        generator: whose voice network is measured, before any codebook. clips: of one source, not learned from.
    """
    said = [generator.blendshapes(clip.audio, source=clip.source)[: len(clip.weights)] for clip in clips]
    true, other = [clip.weights for clip in clips], [shuffled(clip).weights for clip in clips]
    sizes = [np.concatenate(tracks).std(axis=0) for tracks in (said, true)]
    found = {}
    for group, names in GROUPS.items():
        own = [k for k in map(blendshapes.index, names) if any(track[:, k].std() > STILL for track in true)]
        if own:
            amplitude = float((sizes[0][own] / sizes[1][own]).mean())
            found[group] = Told(mean_correlation(said, true, own), mean_correlation(said, other, own), amplitude)
    return found


def mean_correlation(said: Sequence[Weights], true: Sequence[Weights], shapes: Sequence[int]) -> float:
    """Mean of `correlation` over tracks (T, 52) and some of their shapes, of those that move."""
    pairs = zip(said, true, strict=True)
    return float(np.nanmean([[correlation(a[:, k], b[:, k]) for k in shapes] for a, b in pairs]))


def correlation(a: Weights, b: Weights) -> float:
    """Pearson's r of two tracks (T,): 0 where what is predicted stands still, NaN where the truth does."""
    if b.std() <= STILL:
        return float("nan")
    return 0.0 if a.std() <= STILL else float(np.corrcoef(a, b)[0, 1])


def uses(vq_vae: VqVae, tracks: Sequence[Weights]) -> NDArray[np.int64]:
    """How often each entry of the codebook is used by coefficients (T, 52) of some clips: (N,)."""
    total = torch.zeros(vq_vae.settings.entries, dtype=torch.long)
    for track in tracks:
        with torch.no_grad():
            latents = vq_vae.encode(torch.from_numpy(np.asarray(track, np.float32))[None])
        total += torch.bincount(nearest(latents, vq_vae.entries).flatten(), minlength=len(total))
    return total.numpy()


def usage(vq_vae: VqVae, tracks: Sequence[Weights]) -> dict[str, float]:
    """Share of the entries that are used at all, and their perplexity."""
    found = uses(vq_vae, tracks)
    return {"used": float((found > 0).mean()), "perplexity": perplexity(torch.from_numpy(found))}


def exaggerated(weights: Weights, seed: int = 0) -> Weights:
    """Coefficients of somebody who does the same 1.8 times as much, each shape more or less so.

    Args:
        weights: (T, 52). seed: who it is.
    """
    factors = EXAGGERATION * np.exp(np.random.default_rng([seed, 0xE3]).normal(0, UNLIKE, blendshapes.COUNT))
    return np.clip(weights * factors, 0, 1)


def ways(generator: ExpressionGenerator, own: OwnRange) -> dict[str, Callable[[Weights], Weights]]:
    """Ways to let coefficients (T, 52) of somebody else drive a person whose 52 shapes have the range `own`."""
    return {
        "as they are": lambda given: given,
        "clipped to the person's range": own.clip,
        "through the VQ-VAE": lambda given: generator.in_range(given, own),
        "stretched to the range (whole clip known)": own.adopt,
    }


def vertex_errors(face: RiggedFace, driven: Weights, true: Weights, every: int = 5) -> dict[str, float]:
    """How far a face's vertices lie from where they should, millimetres.

    Args:
        face: of the person. driven, true: (T, 52) coefficients. every: frames of which one is looked at.

    Returns:
        "face" (mean over vertices that ever move), "worst" (its 99th percentile over vertices and frames), and the
        means over the landmarks of `PARTS`.
    """
    shown, wanted = (face.vertices_batch(weights[::every]) for weights in (driven, true))
    moving = np.abs(wanted - face.rest).max(axis=(0, 2)) > 1e-4
    away = np.linalg.norm((shown - wanted)[:, moving], axis=2) * 1000
    marks = np.linalg.norm(face.landmarks(shown) - face.landmarks(wanted), axis=2) * 1000
    parts = {name: float(marks[:, part].mean()) for name, part in PARTS.items()}
    return {"face": float(away.mean()), "worst": float(np.percentile(away, 99)), **parts}


def driven_by_another(
    generator: ExpressionGenerator, face: RiggedFace, train: Weights, true: Weights, seed: int = 0
) -> dict[str, dict[str, float]]:
    """`vertex_errors` of a person under the coefficients of somebody extreme, by each of `ways`.

    Args:
        generator: whose VQ-VAE is used. face: of the person.
        train: (S, 52), by which the person's range is known. true: (T, 52), what the person would do.
        seed: who drives, see `exaggerated`.
    """
    own, given = OwnRange.fit(train, blendshapes.NAMES), exaggerated(true, seed)
    found = {name: vertex_errors(face, way(given), true) for name, way in ways(generator, own).items()}
    return found | {"the person's own, through the VQ-VAE": vertex_errors(face, generator.in_range(true, own), true)}
