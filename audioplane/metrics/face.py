"""What a face does against what it should do: landmarks, blendshapes, closures, vertices, Gaussians, masks.

Series are over T frames; landmarks are iBUG's 68 (T, 68, 2) in pixels; meshes are in metres and head coordinates.
"""

# ruff: noqa: RUF001 (IPA)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from audioplane.subject import blendshapes

MOUTH = slice(48, 68)
EYE_CORNERS = (36, 45)
BILABIALS, OPEN_VOWELS = "pbm", "aɑæɐɒ"
CLOSED = 2.0
"""Millimetres between the inner lips below which they count as closed: what a pixel of a 256-pixel head can tell."""


def lmd(landmarks: NDArray, truth: NDArray, region: str = "mouth") -> float:
    """Landmark distance: the mean distance of corresponding points, in percent of the distance between the eyes.

    As in the evaluation of AD-NeRF and its successors, each frame's points are first moved to their common mean, so
    that a shifted but equal mouth has 0. They report pixels; here the unit is the true outer corners' mean distance, so
    that pictures of two sizes give one number.

    Args:
        landmarks, truth: (T, 68, 2) pixels; frames with NaN in either are left out.
        region: "mouth" (points 48 to 67) or "face" (all).

    Raises:
        ValueError: shapes differ, no such region, or no frame has both.
    """
    landmarks, truth = np.asarray(landmarks), np.asarray(truth)
    if landmarks.shape != truth.shape or truth.ndim != 3 or truth.shape[1:] != (68, 2):
        raise ValueError(f"landmarks, truth: expected (T, 68, 2) twice, received {landmarks.shape}, {truth.shape}")
    if region not in ("mouth", "face"):
        raise ValueError(f"region: expected 'mouth' or 'face', received {region!r}")
    both = np.isfinite(landmarks).all(axis=(1, 2)) & np.isfinite(truth).all(axis=(1, 2))
    if not both.any():
        raise ValueError("landmarks, truth: expected a frame in which both know the face, found none")
    a, b = landmarks[both].astype(np.float64), truth[both].astype(np.float64)
    left, right = EYE_CORNERS
    unit = np.linalg.norm(b[:, left] - b[:, right], axis=1).mean()
    if region == "mouth":
        a, b = a[:, MOUTH], b[:, MOUTH]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return float(100 * np.linalg.norm(a - b, axis=2).mean() / unit)


def aue(weights: NDArray, truth: NDArray, part: str = "lower") -> float:
    """Action unit error through blendshapes: the mean over frames of the summed squared differences.

    The papers take intensities of OpenFace's action units; ARKit's 52 weights stand for them here, since an embedded
    speaker has them exactly and MediaPipe reads them off pictures. Compare numbers of one source only.

    Args:
        weights, truth: (T, 52) in [0, 1], `audioplane.subject.blendshapes.NAMES`.
        part: "lower" (jaw, mouth, cheeks' puff, tongue), "upper" (all else) or "all".

    Raises:
        ValueError: shapes differ, or no such part.
    """
    weights, truth = np.asarray(weights), np.asarray(truth)
    if weights.shape != truth.shape or truth.ndim != 2 or truth.shape[1] != blendshapes.COUNT or not len(truth):
        raise ValueError(f"weights, truth: expected (T, 52) twice, received {weights.shape} and {truth.shape}")
    if part not in ("lower", "upper", "all"):
        raise ValueError(f"part: expected 'lower', 'upper' or 'all', received {part!r}")
    lower = np.isin(blendshapes.NAMES, blendshapes.MOUTH)
    chosen = {"lower": lower, "upper": ~lower, "all": np.ones(blendshapes.COUNT, bool)}[part]
    return float(((weights - truth)[:, chosen].astype(np.float64) ** 2).sum(axis=1).mean())


class Spoken(Protocol):
    """A phoneme as `audioplane.subject.Phoneme` has it; times in seconds."""

    @property
    def ipa(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def release(self) -> float | None: ...


@dataclass(frozen=True)
class Closure:
    """Lips at p, b, m and at open vowels.

    Attributes:
        closed: share of bilabials at which the lips meet. opened: share of open vowels at which they part.
        accuracy: the mean of both: lips that never part, or never meet, have one half.
        bilabials, vowels: how many there were.
    """

    closed: float
    opened: float
    accuracy: float
    bilabials: int
    vowels: int


def closure(
    opening: NDArray, phonemes: Sequence[Spoken], fps: float, first: float = 0.0, threshold: float = CLOSED
) -> Closure | None:
    """Lip-closure accuracy: do the lips meet where p, b and m ask them to, and only there?

    Args:
        opening: (T,) mm between the inner lips; frame t shows second `first` + (t + 0.5) / fps.
        phonemes: with their times in the same clock; a stop counts until its release.
        fps: frames a second. first: second at which frame 0 begins. threshold: mm below which lips are closed.

    Returns:
        None where the clip has no frame, no bilabial or no open vowel.
    """
    opening = np.asarray(opening)
    if not len(opening):
        return None
    times = first + (np.arange(len(opening)) + 0.5) / fps
    closed, opened = [], []
    for p in phonemes:
        letter, end = p.ipa[:1], p.release or p.end
        if letter not in BILABIALS + OPEN_VOWELS or not letter or p.start < times[0] or end > times[-1]:
            continue
        # Shorter than a frame: the frames on both sides say it; what lies between frames is interpolated.
        at = np.interp(np.linspace(p.start, max(end, p.start + 1 / fps), 9), times, opening)
        if letter in BILABIALS:
            closed.append(at.min() < threshold)
        else:
            opened.append(at.max() >= threshold)
    if not closed or not opened:
        return None
    met, parted = float(np.mean(closed)), float(np.mean(opened))
    return Closure(met, parted, (met + parted) / 2, len(closed), len(opened))


def lip_vertex_error(vertices: NDArray, truth: NDArray) -> float:
    """Lip vertex error: the mean over frames of the largest distance of any lip vertex from its true place, mm.

    Source: Richard et al., MeshTalk (2021), as FaceFormer and its successors report it.

    Args:
        vertices, truth: (T, V, 3) metres, of the lips alone.

    Raises:
        ValueError: shapes differ.
    """
    vertices, truth = np.asarray(vertices), np.asarray(truth)
    if vertices.shape != truth.shape or truth.ndim != 3 or truth.shape[2] != 3 or not truth.size:
        raise ValueError(f"vertices, truth: expected (T, V, 3) twice, received {vertices.shape} and {truth.shape}")
    return float(1e3 * np.linalg.norm(vertices.astype(np.float64) - truth, axis=2).max(axis=1).mean())


@dataclass(frozen=True)
class Deformation:
    """How far a cloud's motion is from that of the skin it lies on, mm.

    Attributes:
        error: mean distance of a Gaussian's offset from its skin's, over frames and Gaussians.
        standing_still: the same for a cloud that never moves: what the error has to be held against.
        lips: mean over frames of the largest error of a lip vertex, whose motion is that of the Gaussians near it.
        lips_still: the same for a cloud that never moves.
        across, across_still: `error` and `standing_still` in the face's plane (x, y), which a camera in front sees.
        along, along_still: the same in depth (z), which it hardly sees.
        lips_gain: how much of the true motion in that plane the Gaussians near the lips make, by least squares; 1 is
            all of it, 0 none.
        gaussians: how many lie on moving skin. covered: share of the lip vertices with Gaussians near them.
    """

    error: float
    standing_still: float
    lips: float
    lips_still: float
    across: float
    across_still: float
    along: float
    along_still: float
    lips_gain: float
    gaussians: int
    covered: float


def deformation(
    points: NDArray, weights: NDArray, vertices: NDArray, lips: NDArray, reach: float = 0.004
) -> Deformation:
    """Compares the motion of Gaussians with the true motion of the mesh beneath them.

    Offsets on both sides are from the mean over the frames: a cloud is not told where the neutral face is. A Gaussian
    belongs to the vertex nearest to its mean place, if that is within `reach`, and counts by its weight. Only skin that
    moves counts: vertices whose offsets reach 1 mm in some frame; those of teeth, gums and tongue are among them.

    A head that learnt from one camera can well have a larger `error` than a cloud that stands still. Of adam at 192
    pixels (6,000 Gaussians, demo preset) it was 1.26 mm against 1.11: in the face's plane .77 against .78, in depth .85
    against .68, because pictures from the front do not tell depth apart from size and colour. The lips went the right
    way (vertical motion seen within 6 mm of a lip vertex: correlation .81, gain .45), the few Gaussians at tongue,
    teeth and gums the wrong one (2.5 to 3.1 mm against 1.5 to 1.8). So frames, units and vertices are right: the
    field paints motion as much as it moves skin.

    Args:
        points: (T, N, 3) metres, head coordinates, of each frame. weights: (N,) such as opacities.
        vertices: (T, V, 3) of the same frames. lips: indices of the lips' vertices.
        reach: metres.

    Raises:
        ValueError: other shapes, or no Gaussian lies on moving skin.
    """
    points, weights, vertices = np.asarray(points), np.asarray(weights), np.asarray(vertices)
    if points.ndim != 3 or vertices.ndim != 3 or len(points) != len(vertices) or len(weights) != points.shape[1]:
        raise ValueError(
            f"points, vertices: expected (T, N, 3) and (T, V, 3) of the same frames and N weights, received "
            f"{points.shape}, {vertices.shape} and {weights.shape}"
        )
    places, skin = points.mean(axis=0), vertices.mean(axis=0)
    moved, true = points - places, vertices - skin
    lively = np.linalg.norm(true, axis=2).max(axis=0) > 1e-3
    distance, nearest = (np.asarray(found) for found in KDTree(skin).query(places))
    near = (distance < reach) & lively[nearest]
    if not near.any():
        raise ValueError(f"points: expected some within {1e3 * reach:g} mm of skin that moves, found none")
    share = weights[near] / weights[near].sum()
    below = true[:, nearest[near]]
    wrong = moved[:, near] - below
    around = KDTree(places).query_ball_point(skin[lips], reach)
    known = np.array([len(index) > 0 for index in around])
    followed = np.stack(
        [np.average(moved[:, index], axis=1, weights=weights[index]) for index in around if index] or [true[:, 0] * 0],
        axis=1,
    )
    at_lips = true[:, lips][:, known] if known.any() else true[:, :1] * np.nan
    wished, made = at_lips[..., :2], followed[..., :2]

    def mean(offsets: NDArray) -> float:
        return float(1e3 * (np.linalg.norm(offsets, axis=2) @ share).mean())

    return Deformation(
        error=mean(wrong),
        standing_still=mean(below),
        lips=float(1e3 * np.linalg.norm(followed - at_lips, axis=2).max(axis=1).mean()),
        lips_still=float(1e3 * np.linalg.norm(at_lips, axis=2).max(axis=1).mean()),
        across=mean(wrong[..., :2]),
        across_still=mean(below[..., :2]),
        along=mean(wrong[..., 2:]),
        along_still=mean(below[..., 2:]),
        lips_gain=float((made * wished).sum() / max((wished * wished).sum(), 1e-12)),
        gaussians=int(near.sum()),
        covered=float(known.mean()),
    )


def iou(mask: NDArray, truth: NDArray, threshold: float = 0.5) -> float:
    """Intersection over union of two masks, such as a dynamism map g and the mask m; 1 where both are empty.

    Args:
        mask, truth: one shape; bool, or float of which `threshold` and more is in.

    Raises:
        ValueError: shapes differ.
    """
    mask, truth = np.asarray(mask), np.asarray(truth)
    if mask.shape != truth.shape:
        raise ValueError(f"mask, truth: expected one shape, received {mask.shape} and {truth.shape}")
    a, b = (x if x.dtype == bool else x >= threshold for x in (mask, truth))
    union = int((a | b).sum())
    return 1.0 if union == 0 else float((a & b).sum() / union)
