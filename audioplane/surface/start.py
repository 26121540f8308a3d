"""A first cloud on a surface: flat Gaussians with the colours that the frames show, the far side's from its mirror."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.splat.gaussians import SH0, Gaussians
from audioplane.surface.field import Surface
from audioplane.surface.fit import pixels_of, read

if TYPE_CHECKING:
    from audioplane.subject import Subject

DENSER = 2
VIEWS = 12  # frames whose colours are averaged
TRIED = 5  # random points for each one that is kept
REACH = -0.5  # cosine to the mean view of the outermost points: what heads turned by 60 degrees show
THICKNESS = 0.2  # of a Gaussian along the normal, times its breadth
OPACITY = 2.2  # logit at the start
FACING = 0.2  # cosine to the camera above which a point's colour is read
HIDDEN = 0.012  # metres behind the nearest points of its pixel, from which a point is hidden
MIRRORED = 0.012  # metres from a mirror image within which a point that frames show lends its colour
RIM = 0.006  # metres from the outline within which colours are mixed with those behind
BLOCK = 0.008  # metres, the pixels in which points hide each other


@dataclass(frozen=True)
class Spread:
    """Points of a surface, evenly apart.

    Attributes:
        points, normals: (N, 3). colours: (N, 3), RGB, 0 to 1. facing: (N,), cosine to the mean view where frames show
        the point, 0 where they do not.
    """

    points: Tensor
    normals: Tensor
    colours: Tensor
    facing: Tensor


def first_cloud(
    surface: Surface,
    subject: Subject,
    frames: range,
    count: int,
    most: int,
    sh_degree: int,
    generator: torch.Generator,
) -> Gaussians:
    """`DENSER` times `count` Gaussians on a surface: a surface needs more than a cloud to be closed.

    Args:
        surface: of the head. subject, frames: whose colours. most: Gaussians that there may be.
        sh_degree: of the harmonics; the higher ones are 0.
        generator: of the points.
    """
    known = spread(surface, subject, frames, min(DENSER * count, most), generator)
    scales = torch.log(0.6 * spacing(known.points)[:, None] * torch.tensor([1.0, 1.0, THICKNESS]))
    sh = torch.zeros(len(scales), (sh_degree + 1) ** 2, 3)
    sh[:, 0] = (known.colours - 0.5) / SH0
    return Gaussians(known.points, along(known.normals), scales, torch.full((len(scales),), OPACITY), sh)


def mean_view(subject: Subject, frames: range) -> NDArray[np.float64]:
    """The camera's direction, in head coordinates, from which the head is seen on the mean: (3,), of length 1."""
    out = -subject.viewmats[frames.start : frames.stop, 2, :3].astype(np.float64).mean(0)
    return out / np.linalg.norm(out)


def spread(surface: Surface, subject: Subject, frames: range, count: int, generator: torch.Generator) -> Spread:
    """`count` points of a surface, evenly apart, that look at least a little towards the frames' cameras."""
    view = mean_view(subject, frames)
    points, normals = _tried(surface, view, TRIED * count, generator)
    chosen = farthest(points.double().numpy(), count)
    points, normals = points[chosen], normals[chosen]
    colours, seen = _colours(points, normals, surface, subject, frames)
    facing = np.where(seen, normals.double().numpy() @ view, 0.0)
    return Spread(points, normals, torch.from_numpy(colours).float(), torch.from_numpy(facing).float())


def farthest(places: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices of `count` of `places` (P, 3), or of all: the first, then each the farthest from all before it."""
    columns = np.ascontiguousarray(places.T)
    away, chosen, at = np.full(len(places), np.inf), np.empty(min(count, len(places)), np.int64), 0
    square, term = np.empty_like(away), np.empty_like(away)
    for n in range(len(chosen)):
        chosen[n] = at
        square.fill(0.0)
        for column in columns:  # by hand: sums over rows of three cost ten times as much
            np.subtract(column, column[at], out=term)
            square += np.multiply(term, term, out=term)
        np.minimum(away, square, out=away)
        at = int(away.argmax())
    return chosen


def _tried(surface: Surface, view: NDArray, wanted: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random points of a surface within `REACH` of a view, and their normals."""
    kept, normals = torch.empty(0, 3), torch.empty(0, 3)
    center = torch.tensor(surface.center)
    for _ in range(40):
        tried = center + (torch.rand(8 * wanted, 3, generator=generator) * 2 - 1) * surface.half
        tried = surface.nearest(tried[surface.distance(tried).abs() < 0.006])
        distance, out = surface.look(tried)
        good = (distance.abs() < 5e-4) & (out @ torch.from_numpy(view).float() > REACH)
        good &= ((tried - center).abs() < 0.97 * surface.half).all(dim=1)
        kept, normals = torch.cat([kept, tried[good]]), torch.cat([normals, out[good]])
        if len(kept) >= wanted:
            break
    return kept[:wanted], normals[:wanted]


def spacing(points: Tensor) -> Tensor:
    """The distance of each point to its fourth neighbour, metres: (N,)."""
    from scipy.spatial import KDTree

    away, _ = KDTree(points.numpy()).query(points.numpy(), k=5)
    return torch.from_numpy(away[:, 4]).float()


def along(normals: Tensor) -> Tensor:
    """Quaternions (N, 4), (w, x, y, z), that turn the third axis to `normals` (N, 3)."""
    x, y, z = normals.unbind(1)
    quats = torch.stack([1.0 + z, -y, x, torch.zeros_like(x)], dim=1)
    flipped = z < -0.9999
    quats[flipped] = quats.new_tensor([0.0, 1.0, 0.0, 0.0])
    return torch.nn.functional.normalize(quats, dim=1)


def _colours(
    points: Tensor, normals: Tensor, surface: Surface, subject: Subject, frames: range
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """RGB of each point, 0 to 1: as frames show it, else as they show its mirror image or its neighbours; and which."""
    from scipy.spatial import KDTree

    places, ways = points.double().numpy(), normals.double().numpy()
    total, weight = np.zeros((len(places), 3)), np.zeros(len(places))
    for t in np.linspace(frames.start, frames.stop - 1, min(VIEWS, len(frames))).astype(int):
        pixels, depth = pixels_of(places, subject, int(t))
        facing = -(ways @ subject.viewmats[t][:3, :3].T.astype(np.float64))[:, 2]
        rim = round(RIM * float(subject.K[0, 0]) / float(np.median(depth)))
        inner = cv2.erode(subject.head_mask(int(t)).astype(np.uint8), np.ones((2 * rim + 1,) * 2, np.uint8)) > 0
        seen = (facing > FACING) & read(inner, pixels) & ~_hidden(pixels, depth, subject)
        share = np.where(seen, facing, 0.0)
        total += share[:, None] * read(subject.frame(int(t)), pixels) / 255
        weight += share
    known = weight > 0
    if not known.any():
        return np.full((len(places), 3), 0.5), known
    colours = total / np.maximum(weight, 1e-9)[:, None]
    tree, own = KDTree(places[known]), colours[known]
    middle = surface.landmarks[:, 0].mean()
    mirrored = places * [-1, 1, 1] + [2 * middle, 0, 0]
    away, index = tree.query(mirrored[~known])
    _, beside = tree.query(places[~known])
    colours[~known] = np.where((away < MIRRORED)[:, None], own[index], own[beside])
    return colours, known


def _hidden(pixels: NDArray, depth: NDArray, subject: Subject) -> NDArray[np.bool_]:
    """Which points lie behind others."""
    side = BLOCK * float(subject.K[0, 0]) / float(np.median(depth))
    column, row = np.floor(pixels / side).astype(int).T
    key = (row - row.min()) * (np.ptp(column) + 1) + column - column.min()
    nearest = np.full(key.max() + 1, np.inf)
    np.minimum.at(nearest, key, depth)
    return depth > nearest[key] + HIDDEN
