"""Scenes that the rasterizer's tests share, and the dense twin run on them in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from audioplane.splat import rasterization, reference

NAMES = ("means", "quats", "scales", "opacities", "colors", "viewmats", "backgrounds")


@dataclass(frozen=True)
class Scene:
    """N Gaussians, C cameras; everything float32."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    viewmats: Tensor
    backgrounds: Tensor
    Ks: Tensor
    width: int
    height: int

    def leaves(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Fresh differentiable copies of all that gradients flow to."""
        return {name: getattr(self, name).to(dtype).clone().requires_grad_(True) for name in NAMES}


def scene(
    seed: int,
    count: int = 40,
    size: tuple[int, int] = (41, 33),
    cameras: int = 2,
    channels: int = 3,
    kind: str = "cloud",
) -> Scene:
    """A random scene; `kind` makes it adversarial: "needles", "huge", "pile", "faint", "opaque", "edge"."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g)

    means, scales, opacities = normal(count, 3) * 0.3, uniform(count, 3) * 0.15 + 0.01, uniform(count)
    if kind == "needles":
        scales = torch.tensor([0.4, 1e-4, 1e-3]) * (0.5 + uniform(count, 3))
    elif kind == "huge":
        scales = 1.0 + 4.0 * uniform(count, 3)
        opacities = opacities * 0.3
    elif kind == "pile":  # all of them on one pixel
        means = torch.tensor([0.02, 0.01, 0.0]) + normal(count, 3) * torch.tensor([1e-3, 1e-3, 0.3])
        scales = uniform(count, 3) * 0.02 + 0.005
    elif kind == "faint":
        opacities = opacities * 0.03
    elif kind == "opaque":
        opacities = torch.where(uniform(count) < 0.5, torch.ones(count), 0.995 + 0.005 * uniform(count))
    elif kind == "edge":  # around the border of the view and of the near plane
        means = normal(count, 3) * torch.tensor([1.5, 1.5, 0.9])
    viewmats = torch.eye(4).repeat(cameras, 1, 1)
    for c in range(cameras):
        turn = reference.covariance(torch.cat([torch.ones(1, 1), 0.2 * normal(1, 3)], 1), torch.ones(1, 3))
        q, _ = torch.linalg.qr(torch.eye(3) + 0.15 * normal(3, 3))
        viewmats[c, :3, :3] = q * torch.sign(torch.diagonal(q))[None] @ turn[0].round(decimals=6)
        viewmats[c, :3, 3] = torch.tensor([0.0, 0.0, 2.0]) + 0.1 * normal(3)
    width, height = size
    focal = 1.2 * max(size)
    K = torch.tensor([[focal, 0.0, width / 2 + 0.3], [0.0, 1.1 * focal, height / 2 - 0.2], [0.0, 0.0, 1.0]])
    return Scene(
        means,
        normal(count, 4),
        scales,
        opacities,
        uniform(count, channels),
        viewmats,
        uniform(cameras, channels),
        K.repeat(cameras, 1, 1),
        width,
        height,
    )


def draw(s: Scene, leaves: dict[str, Tensor], **options: object) -> tuple[Tensor, Tensor, dict]:
    """The rasterizer under test."""
    options = {"packed": False, **options}
    return rasterization(**leaves, Ks=s.Ks, width=s.width, height=s.height, **options)  # type: ignore[arg-type]


def draw_twin(s: Scene, leaves: dict[str, Tensor], **options: object) -> tuple[Tensor, Tensor]:
    """The dense twin in float64."""
    return reference.rasterization(**leaves, Ks=s.Ks.double(), width=s.width, height=s.height, **options)  # type: ignore[arg-type]


def doubtful(s: Scene, monkeypatch: object, **options: object) -> Tensor:
    """(C, H, W, 1) pixels where a threshold falls so close that float32 and float64 may decide differently."""
    images = []
    with torch.no_grad():
        for factor in (1.0 - 2e-4, 1.0 + 2e-4):
            for name in ("ALPHA_THRESHOLD", "MIN_LIGHT"):
                with monkeypatch.context() as m:  # type: ignore[attr-defined]
                    m.setattr(reference, name, getattr(reference, name) * factor)
                    images.append(draw_twin(s, s.leaves(torch.float64), **options)[1])
    stack = torch.stack(images)
    return (stack.amax(0) - stack.amin(0)) > 0
