"""A face parsed into 19 kinds of pixels by BiSeNet, for those who have its file.

BiSeNet (Yu et al. 2018) as face-parsing.PyTorch trained it on CelebAMask-HQ: a ResNet-18 whose features at 1/32 and
1/16 are weighed by attention and joined with those at 1/8. The names of the modules are those of its file,
`79999_iter.pth`; the two further outputs that only its training needs are left out. It takes about 0.4 s a frame on
one core.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audioplane.errors import UserError
from audioplane.runtime import tensors

NAME = "bisenet"  # of its file among `weights.REGISTRY`
KINDS = (
    "background",
    "skin",
    "left brow",
    "right brow",
    "left eye",
    "right eye",
    "glasses",
    "left ear",
    "right ear",
    "earring",
    "nose",
    "mouth",
    "upper lip",
    "lower lip",
    "neck",
    "necklace",
    "cloth",
    "hair",
    "hat",
)
HAIR = ("hair", "hat")
BODY = ("neck", "necklace", "cloth")
SIDE = 512  # of the pictures it was trained on
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of their colours
ONLY_FOR_TRAINING = ("conv_out16.", "conv_out32.")


def _conv(channels: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)


class ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv, self.bn = _conv(channels, out, kernel), nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """ResNet-18's block of two convolutions."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(channels, out, stride=stride), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = _conv(out, out), nn.BatchNorm2d(out)
        self.downsample = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(_conv(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.downsample(x) + self.bn2(self.conv2(inner)))


class ResNet18(nn.Module):
    """Features at 1/8, 1/16 and 1/32: 128, 256 and 512 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class Refinement(nn.Module):
    """Channels weighed by attention to the whole picture ("attention refinement module")."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = ConvNorm(channels, out)
        self.conv_atten, self.bn_atten = _conv(out, out, 1), nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(_whole(x))))


class ContextPath(nn.Module):
    """From a picture to features at 1/8: ResNet-18's own, and those that know what is around."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet18()
        self.arm16, self.arm32 = Refinement(256, 128), Refinement(512, 128)
        self.conv_head16, self.conv_head32 = ConvNorm(128, 128), ConvNorm(128, 128)
        self.conv_avg = ConvNorm(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(x)
        around = self.arm32(last) + self.conv_avg(_whole(last))
        around = self.conv_head32(F.interpolate(around, sixteenth.shape[2:]))
        around = self.arm16(sixteenth) + around
        return eighth, self.conv_head16(F.interpolate(around, eighth.shape[2:]))


class Fusion(nn.Module):
    """Both features in one ("feature fusion module")."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvNorm(256, 256, 1)
        self.conv1, self.conv2 = _conv(256, 64, 1), _conv(64, 256, 1)

    def forward(self, own: Tensor, around: Tensor) -> Tensor:
        x = self.convblk(torch.cat([own, around], 1))
        return x + x * torch.sigmoid(self.conv2(F.relu(self.conv1(_whole(x)))))


class Classes(nn.Module):
    """From features to a score for each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.conv_out = ConvNorm(256, 256), _conv(256, len(KINDS), 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """B x 3 x H x W normalised pictures -> B x 19 x H x W scores; H and W are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.cp, self.ffm, self.conv_out = ContextPath(), Fusion(), Classes()

    def forward(self, x: Tensor) -> Tensor:
        scores = self.conv_out(self.ffm(*self.cp(x)))
        return F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)


def _whole(x: Tensor) -> Tensor:
    """The mean over the picture, B x C x 1 x 1."""
    return x.mean((2, 3), keepdim=True)


def load(path: Path) -> BiSeNet:
    """BiSeNet from `79999_iter.pth`, or from the same tensors as .safetensors; nothing in the file is executed.

    Raises:
        UserError: there is no such file, or it is another network.
    """
    if not path.is_file():
        raise UserError(f"--face-parsing: there is no file {path}")
    advice = "expected 79999_iter.pth of face-parsing.PyTorch"
    try:
        is_ours = path.suffix == ".safetensors"
        state = tensors.read(path, advice)[0] if is_ours else tensors.read_of_torch(path, advice)
    except UserError as error:
        raise UserError(f"--face-parsing: {error}") from error
    network = BiSeNet()
    if not isinstance(state, dict):
        state = {}
    state = {name: value for name, value in state.items() if not str(name).startswith(ONLY_FOR_TRAINING)}
    wanted = network.state_dict()
    for name, value in wanted.items():
        if name.endswith("num_batches_tracked"):  # torch before 0.4.1 wrote none
            state.setdefault(name, value)
    wrong = [
        name
        for name in {**wanted, **state}
        if name not in wanted or not isinstance(state.get(name), Tensor) or state[name].shape != wanted[name].shape
    ]
    if wrong:
        raise UserError(
            f"--face-parsing: {path} is not the 19-kind BiSeNet of face-parsing.PyTorch: {len(wrong)} of its layers "
            f"differ, {wrong[0]} first"
        )
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def _sums() -> Tensor:
    """3 x 19: which kinds are a person, hair, a head."""
    person = [float(kind != "background") for kind in KINDS]
    hair = [float(kind in HAIR) for kind in KINDS]
    head = [float(kind != "background" and kind not in BODY) for kind in KINDS]
    return torch.tensor([person, hair, head])


@torch.no_grad()
def parse(network: BiSeNet, frame: np.ndarray, side: int) -> np.ndarray:
    """How much each pixel is person, hair and head (with its hair): 3 x side x side float32 in [0, 1].

    Args:
        network: see `load`. frame: H x W x 3 uint8, square. side: a divisor of 512.
    """
    if frame.shape[:2] != (SIDE, SIDE):
        way = cv2.INTER_AREA if len(frame) > SIDE else cv2.INTER_LINEAR
        frame = cv2.resize(frame, (SIDE, SIDE), interpolation=way)
    picture = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
    picture = (picture - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(SPREAD).view(3, 1, 1)
    shares = torch.einsum("gk,khw->ghw", _sums(), network(picture)[0].softmax(0))
    return F.avg_pool2d(shares[None], SIDE // side)[0].clamp(0, 1).numpy()
