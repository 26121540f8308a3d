"""`Restorer`: one subject's, as it is kept in a file and as it repairs rendered pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from audioplane.errors import UserError
from audioplane.restore.network import Inpainter
from audioplane.restore.seam import CONTEXT, box, distances, pixels, seen_by_network, share_of_fill
from audioplane.restore.settings import RestorerConfig
from audioplane.runtime import documents, tensors
from audioplane.runtime.names import check_name
from audioplane.training import checkpoint

KIND = "torso restorer"
FILE = "restorer.safetensors"  # beside the head that it belongs to
ADVICE = "make it anew with `audioplane train-torso`"
HEAD = 0.5  # opacity from which a pixel is the head's


@dataclass(frozen=True)
class About:
    """What a restorer's file says of it.

    Attributes:
        name: whose torso. width: of the pictures that it learned from. rendering: see `RestorerConfig`.
        perceptual: the term that stood for LPIPS of SyncTalk++, Eq. 29.
    """

    name: str
    width: Annotated[int, Meta(ge=1, le=2**14)]
    rendering: Annotated[float, Meta(ge=1, le=200)]
    perceptual: str = "none"


class Restorer:
    """Repairs the seam of rendered pictures.

    Args:
        network: trained; its weights are rounded to half precision, as files hold them. about: whose it is.
    """

    def __init__(self, network: Inpainter, about: About) -> None:
        self.about = about
        self.network = network.half().float().eval().requires_grad_(False)
        for weight in self.network.parameters():
            if weight.dim() == 4:  # as `_filled` gives pictures: a quarter faster
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def save(self, path: str | Path, config: RestorerConfig | None = None) -> None:
        """Writes it, whole or not at all; `config`: what it was trained with, for the record.

        Raises:
            UserError: it cannot be written.
        """
        weights = {name: tensor.half() for name, tensor in self.network.state_dict().items()}
        used = {} if config is None else {"config": asdict(config)}
        checkpoint.save(path, weights, {"kind": KIND, **asdict(self.about), **used})

    @staticmethod
    def load(path: str | Path) -> Restorer:
        """A restorer from its file. Nothing in it is executed.

        Raises:
            UserError: no such file, damaged, of another version, or no restorer.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"there is no torso restorer {path}; {ADVICE}")
        found, kept = checkpoint.load(path)
        if kept.get("kind") != KIND:
            raise UserError(f"{path} is not a torso restorer; {ADVICE}")
        about = documents.convert(
            {k: v for k, v in kept.items() if k in About.__annotations__}, About, str(path), ADVICE
        )
        check_name(about.name, f"{path}: the speaker's name")
        network = Inpainter(torch.Generator().manual_seed(0))
        wanted = network.state_dict()
        if strange := next((name for name in found if name not in wanted), None):
            raise UserError(f"{path} has a tensor {strange[:60]!r}, which no restorer has; {ADVICE}")
        own = {
            name: tensors.check(found, name, tuple(tensor.shape), str(path), ADVICE, torch.float16).float()
            for name, tensor in wanted.items()
        }
        network.load_state_dict(own)
        return Restorer(network, about)

    def __call__(self, picture: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """A picture whose torso ends where the head begins, with the gap between them filled.

        SyncTalk++, Eq. 28, at rendering: M is where the rendered head is, delta has the width `rendering`.

        Args:
            picture: (H, W, 3) uint8, the head over a torso; of any width, best of that it was trained for.
            alpha: (H, W) or (H, W, 1), the rendered head's opacity.

        Returns:
            (H, W, 3) uint8; pixels outside of the band are the picture's.
        """
        width = picture.shape[1]
        head, reach = alpha.reshape(picture.shape[:2]) > HEAD, pixels(self.about.rendering, width)
        away = distances(head, reach)
        if not away.any():
            return picture
        place = box(away > 0, round(pixels(CONTEXT, width)))
        away, part = away[place], picture[place].astype(np.float32)
        gap = away > 0
        filled = self._filled(seen_by_network(part / 255, head[place], gap))[gap]
        share, out = share_of_fill(away[gap], reach)[:, None], picture.copy()
        out[place][gap] = np.rint(part[gap] + share * (filled - part[gap]))
        return out

    @torch.no_grad()
    def _filled(self, seen: Tensor) -> np.ndarray:
        shown = self.network(seen.contiguous(memory_format=torch.channels_last))[0]
        return (shown.permute(1, 2, 0) * 255).clamp(0, 255).numpy()


def beside(head: Path) -> Path:
    """Where the restorer of a head's file, or of a run's folder, lies."""
    return (head if head.is_dir() else head.parent) / FILE
