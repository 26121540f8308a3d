"""Gaussian splatting by itself: a still object, pictures of it from around, and a cloud fitted to them.

The object is ray-traced from a signed distance function, so that the learner does not share its renderer. The fit is
the whole of 3D Gaussian Splatting in one function: random points, `rasterization`, an L1 loss, Adam, and gsplat's
density control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm.auto import tqdm

from audioplane.runtime import seeds
from audioplane.splat import rasterization

RADIUS = 3.2  # distance of the cameras from the object
BOX = 1.0  # half side of the cube that holds it


@dataclass(frozen=True)
class Views:
    """V pictures of one object: images (V, H, W, 3) in [0, 1] on white, viewmats (V, 4, 4), one K (3, 3)."""

    images: Tensor
    viewmats: Tensor
    K: Tensor


def _distance(p: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distance of points (..., 3) to a banded ball inside a ring on a plinth, and which of these is nearest."""
    ball = p.norm(dim=-1) - 0.45
    ring = torch.stack([torch.stack([p[..., 0], p[..., 2]], -1).norm(dim=-1) - 0.72, p[..., 1]], -1).norm(dim=-1) - 0.13
    q = (p - torch.tensor([0.0, 0.72, 0.0])).abs() - torch.tensor([0.5, 0.12, 0.5])
    plinth = q.clamp(min=0).norm(dim=-1) + q.amax(-1).clamp(max=0) - 0.03
    return torch.stack([ball, ring, plinth], -1).min(-1)


def _shade(p: Tensor, part: Tensor) -> Tensor:
    """Colours (..., 3) of surface points: painted bands and chequers under one soft light."""
    step = 1e-3 * torch.eye(3)
    normal = torch.stack([_distance(p + step[k])[0] - _distance(p - step[k])[0] for k in range(3)], -1)
    normal = torch.nn.functional.normalize(normal, dim=-1)
    x, y, z = p.unbind(-1)
    bands = torch.sigmoid(8 * torch.sin(14 * y + 4 * x))[..., None]
    around = torch.sigmoid(8 * torch.sin(9 * torch.atan2(z, x)))[..., None]
    chequers = torch.sigmoid(6 * torch.sin(12 * x) * torch.sin(12 * z))[..., None]
    paints = [
        torch.lerp(torch.tensor([0.85, 0.25, 0.2]), torch.tensor([0.95, 0.85, 0.6]), bands),
        torch.lerp(torch.tensor([0.15, 0.35, 0.6]), torch.tensor([0.3, 0.7, 0.75]), around),
        torch.lerp(torch.tensor([0.25, 0.25, 0.28]), torch.tensor([0.75, 0.75, 0.7]), chequers),
    ]
    paint = torch.gather(torch.stack(paints, -1), -1, part[..., None, None].expand(*part.shape, 3, 1))[..., 0]
    light = torch.nn.functional.normalize(torch.tensor([0.5, -1.0, -0.6]), dim=0)
    return paint * (0.45 + 0.55 * (normal @ light).clamp(min=0))[..., None]


def look_from(azimuth: float, elevation: float) -> Tensor:
    """Camera-from-world (4, 4) of a camera on the orbit that looks at the origin; angles in radians, y down."""
    direction = [
        math.cos(elevation) * math.sin(azimuth),
        -math.sin(elevation),
        -math.cos(elevation) * math.cos(azimuth),
    ]
    position = RADIUS * torch.tensor(direction)
    forward = -position / RADIUS
    right = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), forward), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    viewmat = torch.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ position
    return viewmat


def photograph(azimuths: list[float], elevations: list[float], size: int = 128) -> Views:
    """Ray-traces the object from several directions (radians) at size x size pixels, four rays a pixel."""
    K = torch.tensor([[1.4 * size, 0.0, size / 2], [0.0, 1.4 * size, size / 2], [0.0, 0.0, 1.0]])
    viewmats = torch.stack([look_from(a, e) for a, e in zip(azimuths, elevations, strict=True)])
    at = (torch.arange(2 * size) + 0.5) / 2
    pixels = torch.stack([*torch.meshgrid(at, at, indexing="xy"), torch.ones(2 * size, 2 * size)], -1)
    images = []
    for viewmat in viewmats:
        rotation = viewmat[:3, :3]
        rays = torch.nn.functional.normalize(pixels @ torch.linalg.inv(K).T @ rotation, dim=-1)
        origin, travelled = -rotation.T @ viewmat[:3, 3], torch.full((2 * size, 2 * size), RADIUS - 1.75 * BOX)
        for _ in range(80):  # sphere tracing
            travelled = travelled + _distance(origin + travelled[..., None] * rays)[0].clamp(max=0.3)
        points = origin + travelled[..., None] * rays
        distance, part = _distance(points)
        color = torch.where((distance.abs() < 1e-2)[..., None], _shade(points, part), 1.0)
        images.append(color.view(size, 2, size, 2, 3).mean((1, 3)))
    return Views(torch.stack(images), viewmats, K)


def orbit(views: int = 24, held_out: int = 6, size: int = 128) -> tuple[Views, Views]:
    """Training views all around at three heights, and held-out views between them."""
    heights = [0.05, 0.45, -0.25]
    train = photograph([2 * math.pi * k / views for k in range(views)], [heights[k % 3] for k in range(views)], size)
    between = [2 * math.pi * (k + 0.27) / held_out for k in range(held_out)]
    return train, photograph(between, [[0.2, -0.1][k % 2] for k in range(held_out)], size)


@dataclass
class Fit:
    """A fitted cloud and how it came about; `params`: means, log scales, quats, logits of opacities and colours."""

    params: torch.nn.ParameterDict
    losses: list[float] = field(default_factory=list)  # one an iteration
    counts: list[int] = field(default_factory=list)  # Gaussians, one an iteration

    def render(self, views: Views) -> Tensor:
        """The cloud seen from the views: (V, H, W, 3)."""
        with torch.no_grad():
            return draw(self.params, views)[0].clamp(0, 1)


def draw(params: torch.nn.ParameterDict, views: Views) -> tuple[Tensor, dict]:
    """Renders the cloud on white from all views; returns (V, H, W, 3) and the rasterizer's `meta`."""
    count, height, width = views.images.shape[:3]
    image, _, meta = rasterization(
        params["means"],
        params["quats"],
        params["scales"].exp(),
        params["opacities"].sigmoid(),
        params["colors"].sigmoid(),
        views.viewmats,
        views.K.expand(count, 3, 3),
        width,
        height,
        packed=False,
        backgrounds=torch.ones(count, 3),
    )
    return image, meta


def psnr(image: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of images in [0, 1]."""
    return -10 * math.log10(float((image - truth).square().mean()))


def fit(views: Views, iterations: int = 2000, points: int = 1000, seed: int = 0, progress: bool = True) -> Fit:
    """Fits a cloud that starts as random points, under gsplat's `DefaultStrategy`.

    Args:
        views: the training pictures; each iteration uses one.
        iterations: optimisation steps; the cloud grows until three quarters of them.
        points: random Gaussians at the start, uniform in the cube.
        seed: of everything random.
        progress: whether to show a bar.
    """
    # gsplat's strategy draws where split Gaussians go from the global generator
    with seeds.seeded_globally(seed, torch.device("cpu")):
        return _fit(views, iterations, points, torch.Generator().manual_seed(seed), progress)


def _fit(views: Views, iterations: int, points: int, g: torch.Generator, progress: bool) -> Fit:
    from audioplane.splat.strategies import DefaultStrategy

    params = torch.nn.ParameterDict(
        {
            "means": BOX * (2 * torch.rand(points, 3, generator=g) - 1),
            "scales": torch.full((points, 3), math.log(0.5 * BOX / points ** (1 / 3))),
            "quats": torch.nn.functional.normalize(torch.randn(points, 4, generator=g), dim=-1),
            "opacities": torch.full((points,), math.log(0.1 / 0.9)),
            "colors": 0.1 * torch.randn(points, 3, generator=g),
        }
    )
    rates = {"means": 4e-3, "scales": 1e-2, "quats": 5e-3, "opacities": 5e-2, "colors": 3e-2}
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam([params[name]], lr=rate, eps=1e-15) for name, rate in rates.items()
    }
    strategy = DefaultStrategy(
        refine_start_iter=200,
        refine_stop_iter=int(0.75 * iterations),
        refine_every=100,
        grow_grad2d=4e-4,
        reset_every=10 * iterations,
    )
    strategy.check_sanity(params, optimizers)
    state, result = strategy.initialize_state(scene_scale=BOX), Fit(params)
    for step in (bar := tqdm(range(iterations), disable=not progress, leave=False)):
        for name in ("means", "colors"):
            optimizers[name].param_groups[0]["lr"] = rates[name] * 0.05 ** (step / iterations)
        k = int(torch.randint(len(views.images), (1,), generator=g))
        truth = Views(views.images[k : k + 1], views.viewmats[k : k + 1], views.K)
        image, meta = draw(params, truth)
        strategy.step_pre_backward(params, optimizers, state, step, meta)
        loss = (image - truth.images).abs().mean()
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        strategy.step_post_backward(params, optimizers, state, step, meta, packed=False)
        result.losses.append(float(loss.detach()))
        result.counts.append(len(params["means"]))
        if step % 50 == 0:
            bar.set_postfix(loss=f"{result.losses[-1]:.4f}", gaussians=result.counts[-1])
    return result
