"""A head's shape: how deep its pictures are and which way they face, against the truth; and what floats beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.evaluation.evaluate import spaced
from audioplane.evaluation.heads import captured, time_in_clip
from audioplane.inference.poses import turned_about, typical
from audioplane.splat import rasterization
from audioplane.splat.gaussians import Gaussians
from audioplane.subject.masks import FACE
from audioplane.surface import Surface, fit
from audioplane.training.dataset import head_box

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

FRAMES = 12  # held-out frames that are measured
SOLID = 0.5  # opacity below which a pixel has no depth
OFF = 0.010  # metres from the surface beyond which a Gaussian floats
BEHIND_LIPS = 0.030  # metres behind the surface that teeth and tongue may lie, near the lips
NEAR_LIPS = 0.040  # metres from the middle of the lips
AROUND = (-30.0, 30.0)  # degrees of yaw from which floaters are looked for
STEP = 2  # pixels either side over which a normal is taken


@dataclass(frozen=True)
class Drawn:
    """What a cloud looks like to a camera, (H, W) each: metres away (NaN where it is not solid), and its opacity."""

    depth: NDArray[np.float32]
    alpha: NDArray[np.float32]


def drawn(cloud: Gaussians, viewmat: NDArray, K: Tensor, width: int, height: int) -> Drawn:
    """The expected depth of each pixel: the mean of its Gaussians' depths, each by its share."""
    view = torch.from_numpy(np.asarray(viewmat, np.float32))[None]
    out, alpha, _ = rasterization(
        cloud.means,
        cloud.quats,
        cloud.scales.exp(),
        cloud.opacities.sigmoid(),
        cloud.sh[:, 0],
        view,
        K[None],
        width,
        height,
        packed=False,
        render_mode="ED",
    )
    solid = alpha[0, ..., 0].numpy()
    return Drawn(np.where(solid > SOLID, out[0, ..., 0].numpy(), np.nan), solid)


def depth_errors(depth: NDArray, truth: NDArray, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Absolute errors in mm of the pixels of a mask (H, W); infinite where there is no depth.

    Args:
        depth, truth: (H, W) metres. where: pixels with a truth.
    """
    return np.where(np.isnan(depth), np.inf, 1e3 * np.abs(depth - truth))[where]


def normals(depth: NDArray, K: NDArray) -> NDArray[np.float64]:
    """Normals of a depth map, camera axes, towards the camera: (H, W, 3), NaN where a neighbour has no depth."""
    depth, K = np.asarray(depth), np.asarray(K)
    rows, columns = np.indices(depth.shape)
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(depth.shape)], -1) @ np.linalg.inv(K.astype(np.float64)).T
    places = rays * depth[..., None]
    right, down = (np.roll(places, -STEP, axis) - np.roll(places, STEP, axis) for axis in (1, 0))
    found = np.cross(down, right)
    found[[*range(STEP), *range(-STEP, 0)]] = np.nan
    found[:, [*range(STEP), *range(-STEP, 0)]] = np.nan
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def normal_errors(depth: NDArray, truth: NDArray, K: NDArray, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Angles in degrees between the normals of two depth maps, away from the mask's edge."""
    kernel = np.ones((2 * STEP + 1, 2 * STEP + 1), np.uint8)
    inner = cv2.erode(where.astype(np.uint8), kernel, borderValue=0) > 0
    cosine = (normals(depth, K) * normals(np.where(where, truth, np.nan), K)).sum(-1)[inner]
    return np.degrees(np.arccos(np.clip(cosine[np.isfinite(cosine)], -1.0, 1.0)))


def summary(errors: NDArray, angles: NDArray) -> dict[str, float]:
    """Median and 90 % of depth errors (mm), and the median angle of normals (degrees)."""
    known = len(errors) > 0
    return {
        "depth_median_mm": float(np.median(errors)) if known else float("nan"),
        "depth_90_mm": float(np.quantile(errors, 0.9, method="lower")) if known else float("nan"),
        "normals_median_degrees": float(np.median(angles)) if len(angles) else float("nan"),
    }


def errors_of_surface(surface: Surface, subject: Subject, t: int) -> dict[str, float]:
    """How far the true points of the face in frame t lie from a fitted surface: median and 90 %, mm.

    Raises:
        ValueError: the Subject has no true depth.
    """
    depth = subject.depth(t)
    if depth is None:
        raise ValueError(f"{subject.name} has no true depth")
    rows, columns = np.nonzero((subject.label(t) == FACE) & (depth > 0))
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], 1) @ np.linalg.inv(subject.K.astype(np.float64)).T
    view = subject.viewmats[t].astype(np.float64)
    places = (rays * depth[rows, columns, None] - view[:3, 3]) @ view[:3, :3]
    errors = 1e3 * surface.distance(torch.from_numpy(places).float()).abs().numpy()
    return {"median_mm": float(np.median(errors)), "90_mm": float(np.quantile(errors, 0.9))}


def clouds(head: TalkingHead, subject: Subject, frames: list[int]) -> list[Gaussians]:
    """The head's Gaussians in frames of a subject, under its own voice and expression; on the host."""
    codes, faces = head.encode(subject.audio), captured(head, subject)
    last = len(codes) - 1
    return [
        head.deform(codes[min(t, last)], time_in_clip(subject, t), None if faces is None else faces[t]).to("cpu")
        for t in frames
    ]


def of_head(head: TalkingHead, subject: Subject) -> dict[str, Any]:
    """Floaters of any head and, where the depth of the frames is known, its errors on the face as filmed.

    Args:
        head: trained. subject: its own, at its size.

    Returns:
        off_surface: share of the opacity of pictures from `AROUND` that lies more than `OFF` from the fitted surface,
        None where no surface can be fitted; and `summary` over held-out frames.
    """
    frames = spaced(subject.test, FRAMES)
    seen = clouds(head, subject, frames)
    found: dict[str, Any] = {"off_surface": off_surface(head, subject, seen[:4])}
    errors, angles = [], []
    for t, cloud in zip(frames, seen, strict=True):
        truth = subject.depth(t)
        if truth is None:
            return found
        where = (subject.label(t) == FACE) & (truth > 0)
        depth = drawn(cloud, subject.viewmats[t], head.K, head.width, head.height).depth
        errors.append(depth_errors(depth, truth, where))
        angles.append(normal_errors(depth, truth, subject.K, where))
    return found | summary(np.concatenate(errors), np.concatenate(angles))


def off_surface(head: TalkingHead, subject: Subject, seen: list[Gaussians]) -> float | None:
    """The share of opacity off the surface, over clouds of several frames seen from `AROUND`."""
    surface = fit(subject, subject.train, *head_box(subject, subject.train))
    if surface is None:
        return None
    lips = torch.tensor(surface.landmarks[48:68].mean(0), dtype=torch.float32)
    views, off, whole = head.viewmats.numpy(), 0.0, 0.0
    middle = views[typical(views)]
    for cloud in seen:
        distance = surface.distance(cloud.means)
        inside = OFF + (BEHIND_LIPS - OFF) * ((cloud.means - lips).norm(dim=1) < NEAR_LIPS)
        floats = ((distance > OFF) | (distance < -inside)).float()
        for yaw in AROUND:
            view = torch.from_numpy(turned_about(middle, yaw))[None]
            out, alpha, _ = rasterization(
                cloud.means,
                cloud.quats,
                cloud.scales.exp(),
                cloud.opacities.sigmoid(),
                floats[:, None],
                view,
                head.K[None],
                head.width,
                head.height,
                packed=False,
            )
            off, whole = off + float(out.sum()), whole + float(alpha.sum())
    return off / max(whole, 1e-9)
