"""SyncNet: five frames of a face and a fifth of a second of sound, each to a point; what belongs together lies close.

Source: Chung and Zisserman, "Out of time: automated lip sync in the wild" (2016); layers and names as in
`syncnet_python`, so that its `syncnet_v2.model` loads. The built-in scorer is the same network with narrower layers on
grey mouths of 48 x 48 pixels (`COMPACT`), its points on the unit sphere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.errors import UserError
from audioplane.runtime import tensors, weights

FRAMES = 5  # a window of the video
COLUMNS = 20  # of cepstra, the same fifth of a second


@dataclass(frozen=True)
class Sizes:
    """What distinguishes the two networks.

    Attributes:
        sound, sight: widths of the six convolutions of each trunk. hidden, code: of the layers on top.
        channels: of a frame. pixels: its side.
        first: kernel of sight's first convolution, stride 2. second: kernel and stride of the next.
        third_pool: whether a third pooling follows. last: kernel that leaves one pixel.
        unit: whether frames are standardised window by window, and codes scaled to length 1.
    """

    sound: tuple[int, int, int, int, int, int] = (64, 192, 384, 256, 256, 512)
    sight: tuple[int, int, int, int, int, int] = (96, 256, 256, 256, 256, 512)
    hidden: int = 512
    code: int = 1024
    channels: int = 3
    pixels: int = 224
    first: int = 7
    second: tuple[int, int] = (5, 2)
    third_pool: bool = True
    last: int = 6
    unit: bool = False


FULL = Sizes()
COMPACT = Sizes(
    sound=(16, 32, 48, 48, 48, 128),
    sight=(24, 48, 64, 64, 64, 128),
    hidden=128,
    code=128,
    channels=1,
    pixels=48,
    first=5,
    second=(3, 1),
    third_pool=False,
    last=5,
    unit=True,
)


class SyncNet(nn.Module):
    """The two trunks.

    Args:
        sizes: `FULL` for the published network, `COMPACT` for the built-in one.
    """

    def __init__(self, sizes: Sizes = FULL) -> None:
        super().__init__()
        self.sizes = sizes
        a, b, c, d, e, f = sizes.sound
        self.netcnnaud = nn.Sequential(
            nn.Conv2d(1, a, 3, padding=1), nn.BatchNorm2d(a), nn.ReLU(), nn.MaxPool2d(1),
            nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(3, (1, 2)),
            nn.Conv2d(b, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(),
            nn.Conv2d(c, d, 3, padding=1), nn.BatchNorm2d(d), nn.ReLU(),
            nn.Conv2d(d, e, 3, padding=1), nn.BatchNorm2d(e), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(e, f, (5, 4)), nn.BatchNorm2d(f), nn.ReLU(),
        )  # fmt: skip
        self.netfcaud, self.netfclip = self._top(f), self._top(sizes.sight[-1])
        a, b, c, d, e, f = sizes.sight
        k, (wide, stride), last = sizes.first, sizes.second, sizes.last
        self.netcnnlip = nn.Sequential(
            nn.Conv3d(sizes.channels, a, (FRAMES, k, k), (1, 2, 2)), nn.BatchNorm3d(a), nn.ReLU(),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            nn.Conv3d(a, b, (1, wide, wide), (1, stride, stride), (0, 1, 1)), nn.BatchNorm3d(b), nn.ReLU(),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            nn.Conv3d(b, c, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(c), nn.ReLU(),
            nn.Conv3d(c, d, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(d), nn.ReLU(),
            nn.Conv3d(d, e, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(e), nn.ReLU(),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)) if sizes.third_pool else nn.Identity(),
            nn.Conv3d(e, f, (1, last, last)), nn.BatchNorm3d(f), nn.ReLU(),
        )  # fmt: skip

    def _top(self, inputs: int) -> nn.Sequential:
        hidden = self.sizes.hidden
        return nn.Sequential(
            nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, self.sizes.code)
        )

    def embed_frames(self, windows: Tensor) -> Tensor:
        """Windows of frames (B, channels, 5, pixels, pixels), 0 to 255 (three channels: BGR), to codes (B, code)."""
        if self.sizes.unit:
            spread, mean = torch.std_mean(windows, dim=(1, 2, 3, 4), keepdim=True)
            windows = (windows - mean) / (spread + 4.0)
        codes = self.netfclip(self.netcnnlip(windows).flatten(1))
        return functional.normalize(codes, dim=1) if self.sizes.unit else codes

    def embed_audio(self, windows: Tensor) -> Tensor:
        """Windows of cepstra (B, 1, 13, 20) to codes (B, code)."""
        if self.sizes.unit:
            windows = windows / 10.0
        codes = self.netfcaud(self.netcnnaud(windows).flatten(1))
        return functional.normalize(codes, dim=1) if self.sizes.unit else codes


def load_published(path: Path | None = None) -> SyncNet:
    """SyncNet with the weights of `syncnet_v2.model`; nothing in the file is executed.

    Args:
        path: of the file; None: where `audioplane.runtime.weights` finds it.

    Raises:
        MissingWeightsError: it is not on this machine; the message says how to get it.
        UserError: it is another file.
    """
    path = weights.require("syncnet") if path is None else path
    network = SyncNet(FULL)
    try:
        network.load_state_dict(tensors.read_of_torch(path, "expected syncnet_v2.model"))
    except (UserError, RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the file of SyncNet's weights: {str(error).splitlines()[0]}") from error
    return network.eval().requires_grad_(False)
