"""Every stage between a sound and a picture of one frame, as arrays: what Fig. 1, 3 and 5 show of a live model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.evaluation import inspection
from audioplane.evaluation.resized import at_size_of
from audioplane.losses.terms import margin_loss
from audioplane.methods.audio_plane.model import settings
from audioplane.methods.audio_plane.paper import inspection as field_inspection
from audioplane.methods.audio_plane.paper.prototypes import plane_of
from audioplane.plots.pipeline import Stages
from audioplane.splat.gaussians import Gaussians, splat

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

AROUND = 0.3  # seconds of voice to either side of a moment
SHRUNK = 0.45  # of their size is left of Gaussians where each should be seen
SOLID = 4.0  # logit of the opacity that they get
SEEN = 0.05  # opacity below which a Gaussian is left out there


@torch.no_grad()
def stages(subject: Subject, head: TalkingHead, t: int, level: int = 0, point: int | None = None) -> Stages:
    """Everything that happens to frame `t` of a subject's own voice on its way through a head.

    Args:
        subject: whose voice and camera. head: with an audio plane. t: the frame. level: of planes and prototypes that
            are shown, from 0. point: the Gaussian that is followed; default the one whose motion shows most.

    Raises:
        ValueError: the head's field has no prototypes.
    """
    from audioplane.plots.frame_panel import phoneme_at

    subject = at_size_of(head, subject)
    field, view = plane_of(head), subject.viewmats[t]
    codes = head.encode(subject.audio)
    code = codes[t]
    if point is None:
        with torch.enable_grad():
            point = inspection.most_visible_motion(head, codes[:: max(len(codes) // 64, 1)], view)
    centre, reach = (t + 0.5) / subject.fps, round(AROUND * 16_000)
    first = max(0, round(centre * 16_000) - reach)
    pictures, lines = field_inspection.learned_change(head)
    drawn = inspection.frame_picture(head, code, view)
    g = drawn.dynamism if drawn.dynamism is not None else drawn.alpha[..., 0]
    mask = subject.motion_mask(t)
    branch = field_inspection.branch_of(head.method)
    offsets = branch.deformation(head.condition(code)).offsets
    length = 1e3 * (offsets * branch.units)[:, :3].norm(dim=1, keepdim=True)
    moved = branch.deform(head.condition(code))
    return Stages(
        voice=subject.audio[first : first + 2 * reach], mel=head.features(subject.audio, subject.fps)[t],
        code=code.numpy(), weights=field.attention(code)[level].numpy(), prototypes=field.prototypes[level].numpy(),
        audio_code=field.audio_code(code).numpy(), planes={name: own[level] for name, own in pictures.items()},
        lines={name: own[level] for name, own in lines.items()},
        box=square_around(subject.head_mask(t)), point=branch.points()[point].numpy(),
        pixel=centres(head, moved, view)[point],
        feature=field_inspection.factors(branch, point, code)["product"].numpy(),
        canonical=as_points(head, head.cloud, view), deformed=as_points(head, moved, view),
        offset=inspection.splat_values(head, length, view, moved)[..., 0], dynamism=dynamism(head, code, view),
        mask=mask,
        mask_loss=float(margin_loss(g, torch.from_numpy(mask.astype(np.float32)), settings(head.config).margin)),
        picture=head.render(code, view, subject.without_head(t)), truth=subject.frame(t), sound=phoneme_at(subject, t),
    )  # fmt: skip


def spoken(subject: Subject, head: TalkingHead, start: float, stop: float, count: int = 7) -> dict[str, Any]:
    """A stretch of a subject's own voice as a head speaks it at evenly spaced moments.

    Args:
        start, stop: seconds. count: of moments.

    Returns:
        the arguments of `plots.overview`.
    """
    subject = at_size_of(head, subject)
    codes, views = head.encode(subject.audio), subject.viewmats
    edges = np.linspace(start, stop, count + 1) * subject.fps
    frames = [min(int(at), subject.num_frames - 1) for at in (edges[1:] + edges[:-1]) / 2]
    left, right, top, bottom = square_around(np.any([subject.head_mask(t) for t in frames], axis=0))
    width, height = subject.width, subject.height
    return {
        "audio": subject.audio,
        "rate": 16_000,
        "phonemes": subject.phonemes or [],
        "times": [(t + 0.5) / subject.fps for t in frames],
        "start": start,
        "stop": stop,
        "rows": {
            "head": [head.render(codes[t], views[t], subject.without_head(t)) for t in frames],
            "Gaussians": [as_points(head, head.deform(codes[t]), views[t]) for t in frames],
            "dynamism": [dynamism(head, codes[t], views[t]) for t in frames],
        },
        "crop": (left / width, right / width, top / height, bottom / height),
    }


def at_margin(subject: Subject, head: TalkingHead, t: int, cell: int = 0) -> dict[str, NDArray]:
    """What `plots.margin_heads` shows of one head at frame `t`; `cell` pixels a side, 0 for 48 cells across."""
    subject = at_size_of(head, subject)
    code, view = head.encode(subject.audio)[t], subject.viewmats[t]
    cell = cell or max(1, subject.width // 48)
    return {
        "head": head_alone(head, code, view),
        "density": density(head, head.deform(code), view, cell),
        "dynamism": dynamism(head, code, view),
        "mask": subject.motion_mask(t),
    }


@torch.no_grad()
def head_alone(head: TalkingHead, code: Tensor, view: NDArray) -> NDArray:
    """The head of a moment over white: (H, W, 3) in [0, 1]."""
    return inspection.frame_picture(head, code, view).over(torch.ones(3)).clamp(0, 1).numpy()


@torch.no_grad()
def as_points(head: TalkingHead, cloud: Gaussians, view: NDArray, zoom: int = 2) -> NDArray:
    """A cloud whose Gaussians are shrunk and made solid, so that one sees them: (zoom H, zoom W, 3) in [0, 1]."""
    seen = torch.sigmoid(cloud.opacities) > SEEN
    chosen = Gaussians(**{name: tensor[seen] for name, tensor in cloud.items()})
    chosen.scales = chosen.scales + math.log(SHRUNK)
    chosen.opacities = torch.full_like(chosen.opacities, SOLID)
    K = head.K * torch.tensor([[zoom], [zoom], [1.0]])
    drawn = splat(chosen, torch.from_numpy(np.asarray(view)), K, zoom * head.width, zoom * head.height)
    return drawn.over(torch.ones(3)).clamp(0, 1).numpy()


@torch.no_grad()
def dynamism(head: TalkingHead, code: Tensor, view: NDArray) -> NDArray:
    """Eq. 14's map g of a moment: (H, W), NaN where there is no head."""
    drawn = inspection.frame_picture(head, code, view)
    g = drawn.alpha[..., 0] if drawn.dynamism is None else drawn.dynamism
    return torch.where(drawn.alpha[..., 0] > 0.5, g, torch.nan).numpy()


def centres(head: TalkingHead, cloud: Gaussians, view: NDArray) -> NDArray:
    """Where the Gaussians' centres fall in the picture: (N, 2) pixels, NaN behind the camera."""
    seen = cloud.means.numpy() @ np.asarray(view)[:3, :3].T + np.asarray(view)[:3, 3]
    pixels = seen @ head.K.numpy().T
    return np.where(seen[:, 2:] > 0, pixels[:, :2] / pixels[:, 2:], np.nan)


def density(head: TalkingHead, cloud: Gaussians, view: NDArray, cell: int = 1) -> NDArray:
    """How many Gaussians' centres fall into each cell of the picture.

    Paper: Fig. 5 (journal).

    Args:
        head: its camera. cloud: canonical or deformed. view: (4, 4) camera-from-head. cell: pixels a side of a cell.

    Returns:
        (H / cell, W / cell) counts, rounded up; those outside the picture are not counted.
    """
    rows, columns = -(-head.height // cell), -(-head.width // cell)
    x, y = centres(head, cloud, view).T
    inside_picture = (x >= 0) & (x < head.width) & (y >= 0) & (y < head.height)
    at = (y[inside_picture] // cell).astype(int) * columns + (x[inside_picture] // cell).astype(int)
    return np.bincount(at, minlength=rows * columns).reshape(rows, columns)


def square_around(mask: NDArray) -> tuple[float, float, float, float]:
    """A square with a rim around a mask: left, right, top, bottom."""
    rows, columns = np.nonzero(mask)
    half = 0.56 * (max(np.ptp(rows), np.ptp(columns)) + 1)
    x, y = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
    return x - half, x + half, y - half, y + half
