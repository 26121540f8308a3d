"""Pictures of a head from beside, where no frame was taken: what keeps its sides closed and coloured while it learns.

They are of the fitted surface under the colours that frames show, or the mirrored side (`surface.start`), and
coarse: they say that the head is solid wherever the surface is, and what colour it has where frames hardly see it. What
frames see well is theirs alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audioplane.runtime import seeds
from audioplane.splat import rasterization
from audioplane.splat.gaussians import Picture
from audioplane.surface.field import Surface
from audioplane.surface.start import Spread, along, spacing, spread

if TYPE_CHECKING:
    from audioplane.subject import Subject

COUNT = 24  # cameras
YAW, PITCH = 45.0, 15.0  # degrees to which they stand beside and above or below
SIDE = 80  # pixels of a picture
POINTS = 5000  # of the surface, in these pictures
SOLID = 0.95  # opacity of the surface's picture above which the head must be solid
WEIGHT = 0.5  # of the term at the start; it fades to a share of it
LAST = 0.1
STATIC_EVERY, MOVING_EVERY = 3, 8  # iterations between two of them
FACED = 0.55  # cosine to the mean view above which frames see a place well


@dataclass(frozen=True)
class Beside:
    """Cameras beside a head, and what is to be seen.

    Attributes:
        viewmats: (V, 4, 4). K: (3, 3). rgb: (V, H, W, 3). solid: (V, H, W), 1 where the head must be solid.
        unseen: (V, H, W), 0 where frames see it well, to 1 where they do not.
    """

    viewmats: Tensor
    K: Tensor
    rgb: Tensor
    solid: Tensor
    unseen: Tensor

    def term(self, render: Callable[[Tensor, Tensor, int, int], Picture], seed: int, iteration: int) -> Tensor:
        """How far a head is from it, from one of the cameras: a mean over the pixels.

        Args:
            render: (viewmat, K, width, height) -> the head's picture. seed, iteration: choose the camera.
        """
        k = int(seeds.draws(seed, seeds.BESIDE, iteration).integers(len(self.viewmats)))
        height, width = self.solid.shape[1:]
        picture = render(self.viewmats[k], self.K, width, height)
        hole = (1.0 - picture.alpha[..., 0]) * self.solid[k]
        wrong = (picture.rgb - self.rgb[k]).abs().mean(dim=-1) * self.unseen[k] * self.solid[k]
        return (hole + wrong).mean()


def is_due(deforms: bool, iteration: int) -> bool:
    """Whether an iteration looks from beside."""
    return iteration % (MOVING_EVERY if deforms else STATIC_EVERY) == 0


def weight(done: float) -> float:
    """Of the term, at a share 0 to 1 of the run."""
    return WEIGHT * LAST**done


def beside(surface: Surface, subject: Subject, frames: range, seed: int, device: torch.device) -> Beside:
    """Cameras and pictures of a surface; the same for the same seed."""
    generator = seeds.generator(seed, seeds.SIDES)
    known = spread(surface, subject, frames, POINTS, generator)
    return _pictures(known, _cameras(subject, frames, seed), subject, device)


def _cameras(subject: Subject, frames: range, seed: int) -> Tensor:
    """Turned evenly about the head from its typical pose."""
    from scipy.spatial.transform import Rotation

    views = subject.viewmats[frames.start : frames.stop].astype(np.float64)
    flat = views[:, :3].reshape(len(views), -1)
    middle = views[int(np.square(flat - flat.mean(0)).sum(1).argmin())]
    yaw = np.linspace(-YAW, YAW, COUNT)
    pitch = np.random.default_rng((seed, seeds.SIDES)).permutation(np.linspace(-PITCH, PITCH, COUNT))
    turned = np.tile(middle, (COUNT, 1, 1))
    turned[:, :3, :3] = Rotation.from_euler("yx", np.stack([yaw, pitch], 1), degrees=True).as_matrix() @ middle[:3, :3]
    return torch.from_numpy(turned.astype(np.float32))


def _pictures(known: Spread, viewmats: Tensor, subject: Subject, device: torch.device) -> Beside:
    scale = SIDE / subject.width
    height = round(subject.height * scale)
    K = torch.from_numpy(subject.K.astype(np.float32)) * torch.tensor([[scale], [scale], [1.0]])
    scales = 0.55 * spacing(known.points)[:, None] * torch.tensor([1.0, 1.0, 0.15])
    unseen = 1.0 - (known.facing / FACED).clamp(0.0, 1.0)
    channels = torch.cat([known.colours, unseen[:, None]], dim=1)
    count = len(known.points)
    out, alpha, _ = rasterization(
        known.points,
        along(known.normals),
        scales,
        torch.full((count,), 0.98),
        channels.expand(len(viewmats), count, 4).contiguous(),
        viewmats,
        K.expand(len(viewmats), 3, 3).contiguous(),
        SIDE,
        height,
        packed=False,
    )
    whole = F.avg_pool2d((alpha[..., 0] > SOLID).float()[:, None], 3, 1, 1)[:, 0]
    solid = (whole > 0.999).float()
    return Beside(*(t.to(device) for t in (viewmats, K, out[..., :3], solid, out[..., 3])))
