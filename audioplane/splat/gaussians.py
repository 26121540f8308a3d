"""The cloud: N Gaussians with means, quaternions, log-scales, opacity logits and spherical harmonics (Eq. 2).

Positions are metres in head coordinates. The five arrays are kept apart, under the names gsplat's strategies know,
and joined into rows (`pack`) where a field moves them all at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audioplane.splat import rasterization

SH0 = 0.28209479177387814  # the constant harmonic
MOST_LAYERS = 3  # that are drawn in one pass
_SIGNATURE = inspect.signature(rasterization)


@dataclass(frozen=True)
class Box:
    """The cube in head coordinates that fields span; points map to [0, 1]^3 in it.

    Attributes:
        center: (x, y, z) metres. half: half its side, metres.
    """

    center: tuple[float, float, float]
    half: float

    def normalise(self, points: Tensor) -> Tensor:
        """Metres (N, 3) to [0, 1]^3; points outside the box lie outside, and fields take the border's value there."""
        center = torch.tensor(self.center, dtype=points.dtype, device=points.device)
        return (points - center) / (2.0 * self.half) + 0.5


@dataclass
class Gaussians:
    """N Gaussians.

    Audio-Plane, Eq. 2 (journal); SyncTalk++, Eq. 13.

    Attributes:
        means: (N, 3) metres. quats: (N, 4) as (w, x, y, z), of any length. scales: (N, 3) natural logarithms of
            metres. opacities: (N,) logits. sh: (N, K, 3) harmonics, K = (degree + 1)^2.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor

    def __len__(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        return int(self.sh.shape[1] ** 0.5) - 1

    def pack(self) -> Tensor:
        """All parameters as rows: (N, 11 + 3 K), in the order of the attributes."""
        return torch.cat([self.means, self.quats, self.scales, self.opacities[:, None], self.sh.flatten(1)], dim=1)

    @staticmethod
    def unpack(rows: Tensor) -> Gaussians:
        """The inverse of `pack`, without copying."""
        # One split, not five slices: its gradient is one concatenation, not five padded arrays added up.
        means, quats, scales, opacities, sh = rows.split([3, 4, 3, 1, rows.shape[1] - 11], dim=1)
        return Gaussians(means, quats, scales, opacities[:, 0], sh.unflatten(1, (-1, 3)))

    def moved(self, displacement: Tensor) -> Gaussians:
        """G + `displacement` (N, P), see `displacement` (DEGSTalk, Eq. 4 and 6)."""
        return Gaussians.unpack(self.pack() + displacement)

    @staticmethod
    def joined(clouds: Sequence[Gaussians]) -> Gaussians:
        """Clouds of one degree as one, in their order."""
        if len(clouds) == 1:
            return clouds[0]
        names = [item.name for item in fields(Gaussians)]
        return Gaussians(**{name: torch.cat([getattr(cloud, name) for cloud in clouds]) for name in names})

    def to(self, device: torch.device | str) -> Gaussians:
        """The same on a device."""
        return Gaussians(**{name: tensor.to(device) for name, tensor in self.items()})

    def detach(self) -> Gaussians:
        return Gaussians(**{name: tensor.detach() for name, tensor in self.items()})

    def items(self) -> Iterator[tuple[str, Tensor]]:
        for item in fields(self):
            yield item.name, getattr(self, item.name)

    def is_finite(self) -> bool:
        return all(bool(torch.isfinite(tensor).all()) for _, tensor in self.items())

    def normals(self) -> Tensor:
        """The direction in which each is thinnest, away from the head's middle: (N, 3), of length 1."""
        w, x, y, z = torch.nn.functional.normalize(self.quats, dim=1).unbind(1)
        axes = torch.stack(
            [
                torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], dim=1),
                torch.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], dim=1),
                torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], dim=1),
            ],
            dim=1,
        )
        thin = axes[torch.arange(len(axes)), self.scales.argmin(dim=1)]
        return torch.where((thin * self.means).sum(dim=1, keepdim=True) < 0, -thin, thin)

    def colors(self, viewmat: Tensor) -> Tensor:
        """RGB (N, 3) of each Gaussian seen by a camera; 3DGS's shift by one half, not below 0."""
        if self.sh.shape[1] == 1:
            return (SH0 * self.sh[:, 0] + 0.5).clamp_min(0.0)
        if self.means.device.type == "cuda":
            from gsplat import spherical_harmonics

            # -R^T t, not the inverse: for that a GPU is waited for.
            directions = self.means + viewmat[:3, :3].T @ viewmat[:3, 3]
            return (spherical_harmonics(self.sh_degree, directions, self.sh) + 0.5).clamp_min(0.0)
        from audioplane.splat.harmonics import evaluate

        seen = torch.ones(1, len(self), 2, dtype=torch.int32)
        return (evaluate(self.sh_degree, self.sh, self.means, viewmat[None], seen)[0] + 0.5).clamp_min(0.0)


def displacement(offsets: Tensor, weight: Tensor | None, units: Tensor) -> Tensor:
    """What deformation adds to packed Gaussians: d * Delta G, in metres and the other units of `Gaussians.pack`.

    Audio-Plane, Eq. 13 (journal). `splat.moving.Move` is the compiled twin, in one pass with what is drawn.

    Args:
        offsets: Delta G, (N, P). weight: d, (N, 1), or None for 1. units: of an offset of 1, (P,).
    """
    return (offsets if weight is None else weight * offsets) * units


@dataclass
class Picture:
    """What a splat returns.

    Attributes:
        channels: (H, W, 3 or 4), premultiplied RGB and, where it was asked for, the dynamism map.
        alpha: (H, W, 1); of a batch, both begin with (B, ...).
        meta: of the rasterizer; empty for a picture of several layers.
        offsets: Delta G that moved the cloud, (N, P), or None.
        layers: name -> picture, of one that lies several on each other.
    """

    channels: Tensor
    alpha: Tensor
    meta: dict[str, Any]
    offsets: Tensor | None = None
    layers: Mapping[str, Picture] = field(default_factory=dict)

    @property
    def rgb(self) -> Tensor:
        """(H, W, 3), premultiplied."""
        return self.channels[..., :3]

    @property
    def dynamism(self) -> Tensor | None:
        """The map g, (H, W), or None."""
        return self.channels[..., 3] if self.channels.shape[-1] == 4 else None

    def over(self, background: Tensor) -> Tensor:
        """Composited over (H, W, 3) or (3,)."""
        return self.rgb + (1.0 - self.alpha) * background


def layered(layers: Mapping[str, Picture]) -> Picture:
    """Pictures on each other, the first in front (DEGSTalk, Eq. 7); dynamism maps stay with the layers.

    Args:
        layers: name -> picture, of one size.
    """
    if len(layers) == 1:
        return next(iter(layers.values()))
    rgb, alpha = None, None
    for layer in layers.values():
        if rgb is None or alpha is None:
            rgb, alpha = layer.rgb, layer.alpha
        else:
            light = 1.0 - alpha
            rgb, alpha = torch.addcmul(rgb, light, layer.rgb), torch.addcmul(alpha, light, layer.alpha)
    if rgb is None or alpha is None:
        raise ValueError("layers: expected a picture or more, received none")
    return Picture(rgb, alpha, {}, None, dict(layers))


def splat(
    cloud: Gaussians,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    dynamism: Tensor | None = None,
    offsets: Tensor | None = None,
    units: Tensor | None = None,
    tile_size: int = 16,
) -> Picture:
    """Renders a cloud, moved by offsets, and with it the dynamism map in the same pass.

    Audio-Plane, Eq. 4, 13 and 14, G' = G + d Delta G, I = R(G'; P) and g = R(D; P) (journal).

    Args:
        cloud: N Gaussians.
        viewmat: (4, 4) camera-from-head. K: (3, 3) pixels.
        width, height: pixels.
        dynamism: d, (N, 1), splatted as a fourth channel with the Gaussians' own opacities over 0.
        offsets: Delta G, (N, P), in units of (P,) `units`.
        tile_size: pixels a side; the picture is the same whatever it is.
    """
    means, quats, scales, opacities, colors = drawn(cloud, viewmat, dynamism, offsets, units)
    out, alpha, meta = rasterization(
        means,
        quats,
        scales,
        opacities,
        colors,
        viewmat[None],
        K[None],
        width,
        height,
        packed=False,
        tile_size=tile_size,
    )
    return Picture(out[0], alpha[0], meta, offsets)


def splat_layers(
    clouds: Mapping[str, Gaussians], viewmat: Tensor, K: Tensor, width: int, height: int, tile_size: int = 16
) -> Picture:
    """Renders clouds that lie on each other, the first in front (DEGSTalk, Eq. 7).

    It is `layered` of each one's picture; up to three on the CPU in one pass, in which what is hidden is not drawn.
    There gsplat's rule holds over all of them (a pixel ends before the Gaussian that would leave at most 1e-4 of its
    light): of an 8-bit picture one number in some thousands differs, by up to three.

    Args:
        clouds: name -> Gaussians, of one degree. viewmat, K, width, height, tile_size: as for `splat`.

    Raises:
        ValueError: there are none.
    """
    several = list(clouds.values())
    if not 1 < len(several) <= MOST_LAYERS or several[0].means.device.type != "cpu":
        return layered({name: splat(cloud, viewmat, K, width, height, tile_size=tile_size)
                        for name, cloud in clouds.items()})  # fmt: skip
    from audioplane.splat.cpu import rasterize

    layers = torch.repeat_interleave(torch.tensor([len(cloud.means) for cloud in several]))
    means, quats, scales, opacities, colors = drawn(Gaussians.joined(several), viewmat)
    asked = _SIGNATURE.bind(
        means, quats, scales, opacities, colors, viewmat[None], K[None], width, height,
        packed=False, tile_size=tile_size,
    )  # fmt: skip
    asked.apply_defaults()
    out, alpha, _ = rasterize(layers, **asked.arguments)
    return Picture(out[0], alpha[0], {})


def splat_batch(clouds: Sequence[Gaussians], viewmats: Tensor, K: Tensor, width: int, height: int) -> Picture:
    """Renders clouds of one size, each for a camera of its own: in one call of gsplat's on a GPU.

    Args:
        clouds: B of them, of N Gaussians each. viewmats: (B, 4, 4). K: (3, 3) pixels.
        width, height: pixels.

    Returns:
        channels (B, H, W, 3) and alpha (B, H, W, 1), as `splat` has them for each.
    """
    if K.device.type != "cpu":
        return _in_one_call(clouds, viewmats, K, width, height)
    alone = [splat(cloud, view, K, width, height) for cloud, view in zip(clouds, viewmats, strict=True)]
    return Picture(torch.stack([one.channels for one in alone]), torch.stack([one.alpha for one in alone]), {})


def _in_one_call(clouds: Sequence[Gaussians], viewmats: Tensor, K: Tensor, width: int, height: int) -> Picture:
    parts = [drawn(cloud, view) for cloud, view in zip(clouds, viewmats, strict=True)]
    means, quats, scales, opacities, colors = (torch.stack(part) for part in zip(*parts, strict=True))
    cameras = K.expand(len(parts), 1, 3, 3)
    out, alpha, meta = rasterization(
        means, quats, scales, opacities, colors, viewmats[:, None], cameras, width, height, packed=False
    )
    return Picture(out[:, 0], alpha[:, 0], meta)


def drawn(
    cloud: Gaussians,
    viewmat: Tensor,
    dynamism: Tensor | None = None,
    offsets: Tensor | None = None,
    units: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """What the rasterizer takes: means (N, 3), quats (N, 4), scales (N, 3), opacities (N,), colors (N, 3 or 4).

    Audio-Plane, Eq. 13 (journal), G' = G + d Delta G. Arguments as of `splat`.
    """
    if cloud.means.device.type != "cpu" or cloud.means.dtype != torch.float32 or viewmat.requires_grad:
        return drawn_plain(cloud, viewmat, dynamism, offsets, units)
    from audioplane.splat.moving import Move

    centre = torch.inverse(viewmat)[:3, 3]
    return Move.apply(*(tensor for _, tensor in cloud.items()), offsets, dynamism, units, centre)  # type: ignore[no-any-return]


def drawn_plain(
    cloud: Gaussians,
    viewmat: Tensor,
    dynamism: Tensor | None = None,
    offsets: Tensor | None = None,
    units: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """`drawn` in plain torch: the slow twin, any device."""
    if offsets is not None and units is not None:
        cloud = cloud.moved(displacement(offsets, dynamism, units))
    colors = cloud.colors(viewmat)
    if dynamism is not None:
        colors = torch.cat([colors, dynamism], dim=1)
    return cloud.means, cloud.quats, cloud.scales.exp(), torch.sigmoid(cloud.opacities), colors


def random_gaussians(points: Tensor, spacing: float, sh_degree: int, generator: torch.Generator) -> Gaussians:
    """Gray, half transparent round Gaussians of size `spacing` (metres) at `points` (N, 3), randomly turned."""
    count, bands = len(points), (sh_degree + 1) ** 2
    sh = torch.zeros(count, bands, 3)
    sh[:, 0] = 0.1 * torch.randn(count, 3, generator=generator)
    return Gaussians(
        points.clone(),
        torch.randn(count, 4, generator=generator),
        torch.full((count, 3), float(np.log(spacing))) + 0.1 * torch.randn(count, 3, generator=generator),
        torch.full((count,), -1.0),
        sh,
    )


def as_parameters(cloud: Gaussians) -> nn.ParameterDict:
    """The cloud under gsplat's names, harmonics as `sh0` and, above degree 0, `shN`."""
    params = {name: nn.Parameter(t.detach().clone()) for name, t in cloud.items() if name != "sh"}
    params["sh0"] = nn.Parameter(cloud.sh[:, :1].detach().clone())
    if cloud.sh.shape[1] > 1:
        params["shN"] = nn.Parameter(cloud.sh[:, 1:].detach().clone())
    return nn.ParameterDict(params)


def from_parameters(params: nn.ParameterDict | dict[str, Tensor]) -> Gaussians:
    """The inverse of `as_parameters`; gradients pass."""
    sh = torch.cat([params["sh0"], params["shN"]], dim=1) if "shN" in params else params["sh0"]
    return Gaussians(params["means"], params["quats"], params["scales"], params["opacities"], sh)


def morton_order(points: Tensor) -> Tensor:
    """An order of `points` (N, 3) in [0, 1]^3 in which neighbours in space are near each other in memory."""
    cells = (points.detach() * 1024).long().clamp(0, 1023)
    key = torch.zeros(len(points), dtype=torch.long, device=points.device)
    for bit in range(10):
        for axis in range(3):
            key |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return key.argsort(stable=True)
