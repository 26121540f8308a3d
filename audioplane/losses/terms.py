"""The loss terms (Audio-Plane, Eq. 15 to 17), with the perceptual ones.

    static = L1 + w_p L_perceptual                                 (Audio-Plane, Eq. 16)
    fine   = L1 + w_p L_perceptual + w_m L_mask                    (Audio-Plane, Eq. 17)
    L_mask = mean over pixels of max(0, |m - g| - margin)          (Audio-Plane, Eq. 15)

Images are (H, W, 3) in [0, 1]. L_perceptual is LPIPS where its weights are to be had, else D-SSIM = 1 - SSIM; which
one a run used stands in its record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audioplane.config import LossConfig
from audioplane.runtime import threads
from audioplane.runtime.contracts import expect

if TYPE_CHECKING:
    from audioplane.methods.types import Sample
    from audioplane.splat.gaussians import Picture

Perceptual = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class PixelTerms:
    """What a picture comes to, pixel by pixel.

    Attributes:
        image: (H, W, 3), the picture over the sample's background. target: (H, W, 3); where the sample's is not known
        the picture is its own target, so that no term pulls there. l1: weighted. mask: L_mask, or None without a
        dynamism map; eyes_mask: its part at eyes and brows, where they count as moving. error: mean squared error over
        the head's pixels, without a gradient.
    """

    image: Tensor
    target: Tensor
    l1: Tensor
    mask: Tensor | None
    eyes_mask: Tensor | None
    error: Tensor


def pixel_terms(
    picture: Picture,
    sample: Sample,
    mouth_weight: float,
    margin: float = 0.0,
    eyes_weight: float = 0.0,
    eyes_margin: float | None = None,
) -> PixelTerms:
    """Weighted L1 and mask loss of a picture, and what other terms need.

    Audio-Plane, Eq. 15 and the first term of Eq. 16 (journal).

    Args:
        picture: rendered. sample: of the same size.
        mouth_weight, eyes_weight: further weights in L1 of what speech moves, and of eyes and brows.
        margin: tolerance of L_mask. eyes_margin: the same at eyes and brows; None: they should hold still.
    """
    channels, settings = picture.channels, (mouth_weight, margin, eyes_weight, eyes_margin)
    if channels.device.type != "cpu" or channels.dtype != torch.float32:
        return pixel_terms_plain(picture, sample, *settings)
    image, target, l1, mask, eyes_mask, error = _PixelTerms.apply(channels, picture.alpha, sample, settings)
    has_map = channels.shape[-1] == 4
    parts = (mask if has_map else None, eyes_mask if has_map and eyes_margin is not None else None)
    return PixelTerms(image, target, l1, *parts, error)


def pixel_terms_plain(
    picture: Picture,
    sample: Sample,
    mouth_weight: float,
    margin: float,
    eyes_weight: float = 0.0,
    eyes_margin: float | None = None,
) -> PixelTerms:
    """`pixel_terms` in plain torch: the slow twin, any device."""
    image = picture.over(sample.background)
    target = torch.where(sample.known[..., None], sample.target, image.detach())
    l1 = weighted_l1(image, target, 1.0 + mouth_weight * sample.motion + eyes_weight * sample.eyes)
    mask = eyes_mask = None
    if picture.dynamism is not None:
        apart = torch.zeros_like(sample.eyes) if eyes_margin is None else sample.eyes * (1.0 - sample.motion)
        away = (sample.motion + apart - picture.dynamism).abs()
        mask = (functional.relu(away - margin) * (1.0 - apart)).mean()
        eyes_mask = None if eyes_margin is None else (functional.relu(away - eyes_margin) * apart).mean()
    square = (image.detach() - sample.target).square() * sample.head[..., None]
    return PixelTerms(image, target, l1, mask, eyes_mask, square.sum() / (3.0 * sample.head.sum()).clamp_min(1.0))


class _PixelTerms(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        channels: Tensor,
        alpha: Tensor,
        sample: Sample,
        settings: tuple[float, float, float, float | None],
    ) -> tuple[Tensor, ...]:
        from audioplane.losses import pixel_kernels as kernels

        height, width = alpha.shape[:2]
        expect("channels", channels, (height, width, 4 if channels.shape[-1] == 4 else 3))
        expect("alpha", alpha, (height, width, 1))
        expect("target", sample.target, (height, width, 3))
        expect("background", sample.background, (3,) if sample.background.dim() == 1 else (height, width, 3))
        expect("known", sample.known, (height, width), torch.bool)
        for name in ("head", "motion", "eyes"):
            expect(name, getattr(sample, name), (height, width))
        inputs = [t.detach().contiguous().numpy() for t in (channels, alpha)]
        own = _rows_of(sample.background, width)
        image, target = (channels.new_empty(height, width, 3) for _ in range(2))
        sums = np.empty((height, 5), "f4")
        weights = tuple(np.float32(-1.0 if value is None else value) for value in settings)
        rows = threads.split(height, 2 * torch.get_num_threads())
        given = [t.numpy() for t in (sample.target, sample.known, sample.head, sample.motion, sample.eyes)]
        threads.run(kernels.compare, rows, *inputs, own, *given, *weights, image.numpy(), target.numpy(), sums)
        l1, mask, eyes_mask, error, head = sums.sum(axis=0, dtype=np.float64)
        ctx.save_for_backward(image, target, channels, sample.background, sample.motion, sample.eyes)
        ctx.rows, ctx.pixels, ctx.weights = rows, height * width, weights
        values = [
            torch.tensor(x, dtype=torch.float32)
            for x in (l1 / (3 * ctx.pixels), mask / ctx.pixels, eyes_mask / ctx.pixels, error / max(3.0 * head, 1.0))
        ]
        ctx.mark_non_differentiable(target, values[3])
        return image, target, *values

    @staticmethod
    def backward(
        ctx: Any, v_image: Tensor, _target: Tensor, v_l1: Tensor, v_mask: Tensor, v_eyes_mask: Tensor, _error: Tensor
    ) -> tuple[Any, ...]:
        from audioplane.losses import pixel_kernels as kernels

        image, target, channels, background, motion, eyes = (t.detach() for t in ctx.saved_tensors)
        v_channels = torch.empty_like(channels, memory_format=torch.contiguous_format)
        v_alpha = channels.new_empty(*v_image.shape[:2], 1)
        pulls = (float(v_l1) / 3, float(v_mask), float(v_eyes_mask))
        scales = tuple(np.float32(pull / ctx.pixels) for pull in pulls)
        threads.run(
            kernels.spread,
            ctx.rows,
            image.numpy(),
            target.numpy(),
            channels.contiguous().numpy(),
            _rows_of(background, image.shape[1]),
            motion.numpy(),
            eyes.numpy(),
            *ctx.weights,
            v_image.contiguous().numpy(),
            *scales,
            v_channels.numpy(),
            v_alpha.numpy(),
        )
        return v_channels, v_alpha, None, None


def _rows_of(background: Tensor, width: int) -> np.ndarray:
    """A sample's background, (H, W, 3) or (3,), as the kernels take it: (H, W, 3) or (1, 1, 3)."""
    return background.view(-1, width if background.dim() == 3 else 1, 3).numpy()


def weighted_l1(image: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over pixels and colours of weight x |image - target|; `weight` (H, W) or None for 1."""
    error = (image - target).abs()
    return error.mean() if weight is None else (error * weight[..., None]).mean()


def margin_loss(dynamism_map: Tensor, motion_mask: Tensor, margin: float) -> Tensor:
    """How far the dynamism map leaves the mask, beyond the tolerance.

    Audio-Plane, Eq. 15 (journal), per pixel: mean of max(0, |m - g| - margin).

    Args:
        dynamism_map: g, (H, W). motion_mask: m, (H, W) in {0, 1}. margin: in [0, 1].
    """
    return functional.relu((motion_mask - dynamism_map).abs() - margin).mean()


def perceptual_name(config: LossConfig) -> str:
    """Which perceptual term a run has: of "lpips-or-dssim" the one whose weights are there."""
    if config.perceptual != "lpips-or-dssim":
        return config.perceptual
    from audioplane.runtime import weights

    return "lpips-alex" if weights.find("lpips-alex") else "dssim"


def perceptual_loss(config: LossConfig, device: torch.device) -> Perceptual | None:
    """The perceptual term that the config names.

    Raises:
        UserError: LPIPS is asked for and its weights are missing.
    """
    name = perceptual_name(config)
    if name == "none":
        return None
    if name == "dssim":
        return lambda image, target: 1.0 - structural_similarity(image, target)
    from audioplane.metrics.vision_backbones import lpips_network

    network = lpips_network("alex" if name == "lpips-alex" else "vgg").to(device)
    return lambda image, target: network(_centred(image), _centred(target)).mean()


def _centred(image: Tensor) -> Tensor:
    """(H, W, 3) in [0, 1] -> (1, 3, H, W) in [-1, 1]."""
    return image.permute(2, 0, 1)[None] * 2.0 - 1.0


def structural_similarity(image: Tensor, target: Tensor) -> Tensor:
    """Mean SSIM with an 11 x 11 Gaussian window (sigma 1.5) over zero-padded images, as in 3DGS.

    Args:
        image: (H, W, 3), gets a gradient. target: (H, W, 3), gets none.
    """
    if image.device.type == "cpu" and image.dtype == torch.float32:
        return _Similarity.apply(image, target)
    return similarity_by_convolution(image, target)


def similarity_by_convolution(image: Tensor, target: Tensor) -> Tensor:
    """`structural_similarity` in plain torch: the slow twin, any device."""
    from audioplane.losses.ssim_kernels import C1, C2, KERNEL, REACH

    bell = torch.from_numpy(KERNEL).to(image)
    window = (bell[:, None] * bell[None]).expand(3, 1, -1, -1)
    x, y = image.permute(2, 0, 1), target.permute(2, 0, 1)
    blur = lambda z: functional.conv2d(z[None], window, padding=REACH, groups=3)[0]  # noqa: E731
    mx, my = blur(x), blur(y)
    xx, yy, xy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    similar = (2 * mx * my + float(C1)) * (2 * xy + float(C2))
    return (similar / ((mx * mx + my * my + float(C1)) * (xx + yy + float(C2)))).mean()


class _Similarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:
        from audioplane.losses import ssim_kernels as kernels

        height, width = image.shape[:2]
        expect("image", image, (height, width, 3))
        expect("target", target, (height, width, 3))
        stride = -(-(3 * width + 2 * kernels.SIDE) // kernels.LANES) * kernels.LANES + kernels.LANES
        planes = np.zeros((5, height + 2 * kernels.REACH, stride), np.float32)
        inner = (slice(kernels.REACH, kernels.REACH + height), slice(kernels.SIDE, kernels.SIDE + 3 * width))
        planes[(0, *inner)] = image.detach().reshape(height, -1).numpy()
        planes[(1, *inner)] = target.detach().reshape(height, -1).numpy()
        flat, sums = [plane.reshape(-1) for plane in planes], np.empty(height, np.float32)
        rows = threads.split(height, 2 * torch.get_num_threads())
        threads.run(kernels.compare, rows, width, stride, *flat, sums)
        ctx.save_for_backward(torch.from_numpy(planes))  # copies: the images may change in place meanwhile
        ctx.rows, ctx.width, ctx.stride = rows, width, stride
        return image.new_tensor(float(sums.sum(dtype=np.float64)) / (3 * height * width))

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        from audioplane.losses import ssim_kernels as kernels

        (planes,), rows, width, stride = ctx.saved_tensors, ctx.rows, ctx.width, ctx.stride
        flat = [plane.view(-1).numpy() for plane in planes]
        height = rows[-1][1]
        gradient = planes.new_empty(height, width, 3)
        scale = float(v) / (3 * height * width)
        threads.run(kernels.spread, rows, width, stride, *flat, scale, gradient.view(-1).numpy())
        return gradient, None
