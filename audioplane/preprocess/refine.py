"""Poses made finer by the pictures themselves, against a still cloud of Gaussians, outside of what speech moves.

A small cloud is fitted to all frames as if the head were stiff. With the cloud held, each frame's camera moves to
where the render agrees best: the rasterizer gives the exact gradient by `viewmats`, and a Gauss-Newton matrix from the
image's slopes and the rendered depth says how far to go. What comes out is held together by inertia, as in
`trajectory`.

The mouth, the chin and all that lies below the nose have no say, brows and lids little. It uses frames that are held
out later, as all of `prepare` does: the pose is an input of every test, and the protocol says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from audioplane.config import Config, GaussianConfig
from audioplane.methods.types import Position
from audioplane.methods.types import Stage as TrainingStage
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.slopes import normal_matrices
from audioplane.preprocess.trajectory import Band, add_inertia
from audioplane.runtime.threads import in_parallel
from audioplane.splat import rasterization
from audioplane.splat.gaussians import Box, as_parameters, from_parameters, random_gaussians, splat
from audioplane.training.dataset import head_box, points_inside
from audioplane.training.densify import Densifier, sort_in_space

BATCH = 16  # frames whose poses are refined together
FIRST, AGAIN = 500, 250  # iterations of the cloud before the first and every further round
STEPS = 3  # of each pose in a round
EARLY_EVERY = 2  # rounds before the last look at every second frame: they only make the cloud sharper
GAUSSIANS = 3000
NOISE = 12.0  # neighbouring pixels err together: so many count as one
LEASH = np.array([np.radians(1.0)] * 3 + [0.004, 0.004, 0.012])  # how far a pose may usually move, radians, metres
RATES = {"means": 1e-2, "quats": 5e-3, "scales": 1e-2, "opacities": 5e-2, "sh0": 1e-2}


@dataclass(frozen=True)
class Stage:
    """What the cloud is fitted to.

    Attributes:
        images: T x S x S x 3 uint8. heads: T x S x S uint8, bit 0 the head, bit 1 where poses may look.
        K: 3 x 3, of these pictures. viewmats: T x 4 x 4. seen: frames that have a face.
    """

    images: np.ndarray
    heads: np.ndarray
    K: np.ndarray
    viewmats: np.ndarray
    seen: np.ndarray

    def head_mask(self, t: int) -> np.ndarray:
        """As of a Subject: H x W bool."""
        return (self.heads[t] & 1) > 0


class Still:
    """The still cloud and its optimizers."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.g = stage, torch.Generator().manual_seed(seed)
        everything = range(len(stage.images))
        self.box = Box(*head_box(stage, everything))  # type: ignore[arg-type]
        points = points_inside(stage, everything, self.box.center, self.box.half, 1000, self.g)  # type: ignore[arg-type]
        cloud = random_gaussians(points, self.box.half / 10, 0, self.g)
        self.params = as_parameters(cloud)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam([p], lr=RATES[name], betas=(0.9, 0.99), eps=1e-15, fused=True)
            for name, p in self.params.items()
        }
        own = GaussianConfig(cap=GAUSSIANS, densify_from=60, densify_every=40, densify_until=1.0)
        self.growing = TrainingStage("still", int(0.8 * FIRST), deforms=False)
        self.densifier = Densifier(Config(gaussians=own, seed=seed), self.box.half)
        self.done = 0

    def learn(self, viewmats: Tensor, iterations: int, progress: Callable[[int], object]) -> None:
        """Goes on fitting the cloud."""
        stage, K = self.stage, torch.from_numpy(self.stage.K).float()
        size = stage.images.shape[1]
        frames = np.flatnonzero(stage.seen)
        for k in range(iterations):
            t = int(frames[int(torch.randint(len(frames), (1,), generator=self.g))])
            self._set_rates(k / iterations)
            image = torch.from_numpy(stage.images[t]).float() / 255
            head = torch.from_numpy((stage.heads[t] & 1).astype(np.float32))[..., None]
            look = torch.from_numpy(np.where(stage.heads[t] == 1, 0.1, 1.0).astype(np.float32))[..., None]
            behind = torch.rand(3, generator=self.g)
            picture = splat(from_parameters(self.params), viewmats[t], K, size, size)
            at = Position(self.growing, self.done)
            self.densifier.before_backward(at, picture.meta)
            loss = (look * (picture.over(behind) - torch.lerp(behind, image, head)).abs()).mean()
            loss.backward()
            for optimizer in self.optimizers.values():
                optimizer.step()
            self.densifier.after_step(self.params, self.optimizers, at, picture.meta)
            for optimizer in self.optimizers.values():
                optimizer.zero_grad(set_to_none=True)
            self.done += 1
            progress(1)
        sort_in_space(self.params, self.optimizers, self.box.normalise(self.params["means"]))

    def _set_rates(self, through: float) -> None:
        again = 0.3 if self.done >= FIRST else 1.0
        for name, optimizer in self.optimizers.items():
            scale = self.box.half if name == "means" else 1.0
            optimizer.param_groups[0]["lr"] = RATES[name] * scale * again * 0.1**through

    def render(self, viewmats: Tensor, depth: bool) -> tuple[Tensor, Tensor]:
        """Colours (and expected depth) B x S x S x 3 (4), and alpha B x S x S x 1."""
        cloud, size = from_parameters(self.params).detach(), self.stage.images.shape[1]
        K = torch.from_numpy(self.stage.K).float().expand(len(viewmats), 3, 3)
        out, alpha, _ = rasterization(
            cloud.means,
            cloud.quats,
            cloud.scales.exp(),
            torch.sigmoid(cloud.opacities),
            cloud.colors(viewmats[0]),
            viewmats,
            K,
            size,
            size,
            packed=False,
            render_mode="RGB+ED" if depth else "RGB",
        )
        return out, alpha


def _turned(gradient: np.ndarray, poses: Poses) -> np.ndarray:
    """The gradient by viewmats (B x 4 x 4) as one by steps (B x 6)."""
    A = gradient[:, :3, :3] @ poses.R.transpose(0, 2, 1)
    turn = np.stack([A[:, 2, 1] - A[:, 1, 2], A[:, 0, 2] - A[:, 2, 0], A[:, 1, 0] - A[:, 0, 1]], 1)
    return np.concatenate([turn, gradient[:, :3, 3]], 1)


def align(still: Still, frames: np.ndarray, poses: Poses, lens: Lens, steps: int = STEPS) -> tuple[Poses, np.ndarray]:
    """Moves the cameras of some frames to where the render agrees best, never to where it agrees less.

    Levenberg and Marquardt's steps: a frame whose render got worse goes back and tries a shorter way.

    Returns:
        poses, and how sure they are: B x 6 x 6, the Gauss-Newton matrix over the noise.
    """
    image = torch.from_numpy(still.stage.images[frames]).float() / 255
    look = torch.from_numpy((still.stage.heads[frames] >> 1).astype(np.float32))[..., None]
    leash, start = np.diag(1 / LEASH**2), poses
    damping, least = np.full(len(frames), 0.05), np.full(len(frames), np.inf)
    best, slope, matrix, sigma = poses, np.zeros((len(frames), 6)), np.zeros((len(frames), 6, 6)), 0.0
    for k in range(steps + 1):
        viewmats = torch.from_numpy(poses.matrices()).float().requires_grad_()
        out, alpha = still.render(viewmats, depth=k == 0)
        r = out[..., :3] - alpha * image
        size = r.detach().abs().mean(-1, keepdim=True)
        if k == 0:
            sigma = max(float(size[look > 0].median()), 0.004) if bool((look > 0).any()) else 1.0
        w = look * (2 * sigma / size.clamp_min(1e-6)).clamp_max(1.0) / (NOISE * sigma**2)
        loss = (w * r.square()).sum((1, 2, 3))
        if k == 0:
            picture, depth = out[..., :3].detach().numpy(), out[..., 3].detach().numpy()
            depth = np.where(depth > 0.1, depth, poses.t[:, 2, None, None].astype(np.float32))
            matrix = normal_matrices(picture, depth, w[..., 0].numpy(), poses, lens)
        moved = _difference(poses, start)
        worth = loss.detach().double().numpy() + np.einsum("bi,ij,bj->b", moved, leash, moved)
        better = worth < least
        damping = np.where(better, damping / 3, damping * 8)
        least = np.where(better, worth, least)
        if k < steps:
            (0.5 * loss).sum().backward()
            assert viewmats.grad is not None
            gradient = _turned(viewmats.grad.numpy().astype(np.float64), poses) + moved @ leash
            slope = np.where(better[:, None], gradient, slope)
        chosen = better[:, None]
        best = Poses(np.where(chosen[..., None], poses.R, best.R), np.where(chosen, poses.t, best.t))
        whole = matrix + leash
        damped = whole + damping[:, None, None] * whole * np.eye(6)
        poses = best.moved(-np.linalg.solve(damped, slope[..., None])[..., 0])
    return best, matrix


def _aligned(still: Still, poses: Poses, lens: Lens, frames: np.ndarray) -> tuple[Poses, np.ndarray]:
    return align(still, frames, poses[frames], lens)


def _difference(poses: Poses, start: Poses) -> np.ndarray:
    """The steps (B x 6) from `start` to `poses`."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_matrix(poses.R @ start.R.transpose(0, 2, 1)).as_rotvec()
    return np.concatenate([turn, poses.t - start.t], 1)


def together(poses: Poses, found: Poses, sure: np.ndarray, breaks: list[int], inertia: float = 1.0) -> Poses:
    """The path nearest to the `found` poses, each as much as it is sure, that heads can take."""
    for _ in range(2):
        band = Band(len(poses), 3)
        band.blocks[:, 0] += sure + 1e-6 * np.eye(6)
        band.rhs += (sure @ _difference(found, poses)[..., None])[..., 0]
        add_inertia(band, poses, breaks, inertia)
        poses = poses.moved(band.solve())
    return poses


def refine(
    stage: Stage, poses: Poses, breaks: list[int], rounds: int, seed: int, progress: Callable[[int], object]
) -> Poses:
    """Cloud and poses in turn.

    Args:
        stage: pictures and masks of all frames. poses: T, where to start. breaks: frames that do not go on from the one
            before. rounds: how often. seed: of the cloud. progress: called with work done, of `work` in all.
    """
    lens = Lens(float(stage.K[0, 0]), float(stage.K[0, 2]), float(stage.K[1, 2]))
    still, frames = Still(stage, seed), np.flatnonzero(stage.seen)
    for k in range(rounds):
        still.learn(torch.from_numpy(poses.matrices()).float(), AGAIN if k else FIRST, progress)
        R, t, sure = poses.R.copy(), poses.t.copy(), np.zeros((len(poses), 6, 6))
        looked = frames if k == rounds - 1 else frames[::EARLY_EVERY]
        batches = [looked[start : start + BATCH] for start in range(0, len(looked), BATCH)]
        aligned = in_parallel(partial(_aligned, still, poses, lens), batches, torch.get_num_threads())
        for chosen, (found, own) in zip(batches, aligned, strict=True):
            R[chosen], t[chosen], sure[chosen] = found.R, found.t, own
            progress(len(chosen))
        poses = together(poses, Poses(R, t), sure, breaks)
    return poses


def work(frames: int, rounds: int) -> int:
    """What `refine` tells its `progress` in all."""
    return frames + (rounds - 1) * -(-frames // EARLY_EVERY) + FIRST + (rounds - 1) * AGAIN
