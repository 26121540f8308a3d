"""A subject's restorer is learned from its own frames, impaired by construction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from audioplane.config import LossConfig
from audioplane.errors import UserError
from audioplane.losses.terms import Perceptual, perceptual_loss, perceptual_name, weighted_l1
from audioplane.restore.network import Inpainter
from audioplane.restore.restorer import About, Restorer
from audioplane.restore.seam import Impaired, band, impaired, pixels
from audioplane.restore.settings import GAPS, WEIGHTS, RestorerConfig
from audioplane.runtime import seeds
from audioplane.runtime.tensors import check_default_dtype
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.subject import Subject

View = tuple[np.ndarray, np.ndarray]
"""A frame (H, W, 3) uint8 and its head (H, W) bool."""
Watch = Callable[[int, float], None]
"""Is told of each step and its loss."""


def train(subject: Subject, width: int, config: RestorerConfig | None = None, watch: Watch | None = None) -> Restorer:
    """Learns a subject's restorer. The same seed gives the same bytes on the same machine, with any number of threads.

    Each frame of a step is computed on a thread of its own, and their gradients are added in the frames' order.

    Args:
        subject: whose training frames are looked at. width: of the pictures to learn from, that of the head.
        config: see there. watch: is told how it goes.

    Raises:
        UserError: no frame shows a torso below a head.
    """
    check_default_dtype()
    config = config or RestorerConfig()
    seen = views(subject, width, config)
    network = Inpainter(seeds.generator(config.seed, WEIGHTS))
    loss = LossConfig(perceptual=config.perceptual)
    term, params = perceptual_loss(loss, torch.device("cpu")), list(network.parameters())
    optimizer = torch.optim.Adam(params, lr=config.rate)

    def work(index: int) -> tuple[float, tuple[Tensor, ...]]:
        pair = draw_pair(seen, index, config)
        with torch.enable_grad(), torch.autocast("cpu", enabled=False):
            value = seam_loss(network, pair, term, config.perceptual_weight)
            gradients = torch.autograd.grad(value, params)
            return float(value.detach()), gradients

    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = config.rate * (0.5 + 0.5 * math.cos(math.pi * step / config.steps))
        numbers = range(step * config.batch, (step + 1) * config.batch)
        results = list(in_parallel(work, numbers, torch.get_num_threads()))
        for param, *parts in zip(params, *(gradient for _, gradient in results), strict=True):
            param.grad = torch.stack(parts).sum(dim=0) / config.batch
        optimizer.step()
        if watch is not None:
            watch(step, sum(value for value, _ in results) / config.batch)
    return Restorer(network, About(subject.name, width, config.rendering, perceptual_name(loss)))


def seam_loss(network: Inpainter, pair: Impaired, perceptual: Perceptual | None, weight: float) -> Tensor:
    """L_inpaint = L1 + LPIPS of the restored against the true frame (SyncTalk++, Eq. 29).

    What was not removed is the restored frame's as it is.

    Args:
        network: that fills the gap. pair: impaired and true. perceptual: LPIPS or what stands for it, see
            `losses.terms`; None leaves it out. weight: of the perceptual term.
    """
    filled = network(pair.seen)[0].permute(1, 2, 0)
    restored = torch.where(pair.gap[..., None], filled, pair.kept).contiguous()
    value = weighted_l1(restored, pair.target)
    return value if perceptual is None or not weight else value + weight * perceptual(restored, pair.target)


def views(subject: Subject, width: int, config: RestorerConfig) -> list[View]:
    """The frames that are learned from: those of the training split that show a torso below a head.

    Raises:
        UserError: there are none.
    """
    train, height = subject.train, round(subject.height * width / subject.width)
    times = np.unique(np.linspace(train.start, train.stop - 1, min(config.frames, len(train))).astype(int))

    def look(t: int) -> View:
        frame, head = subject.frame(t), subject.head_mask(t).astype(np.uint8) * 255
        if frame.shape[1] != width:
            frame, head = (cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in (frame, head))
        return frame, head > 127

    found = [view for view in _each(look, times) if band(view[1], pixels(config.narrowest, width)).any()]
    if not found:
        raise UserError(f"no training frame of {subject.name} shows a torso below a head; take another clip")
    return found


def _each(look: Callable[[int], View], times: Iterable[int]) -> Iterable[View]:
    return in_parallel(look, [int(t) for t in times], torch.get_num_threads())


def draw_pair(seen: list[View], index: int, config: RestorerConfig) -> Impaired:
    """The training pair of that number; a draw that moves the seam out of the picture is drawn again.

    Raises:
        UserError: it is moved out time and again.
    """
    draw = seeds.draws(config.seed, GAPS, index)
    for _ in range(100):
        frame, head = seen[int(draw.integers(len(seen)))]
        pair = impaired(frame, head, draw, config)
        if pair is not None:
            return pair
    raise UserError("turned and moved that far, no frame shows a torso below a head; lower rotation and shift")
