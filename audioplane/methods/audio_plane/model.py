"""The differentiable head: canonical cloud + audio encoder + field -> the cloud of a moment -> a picture.

a = encoder(windows around the frame)
Delta G, d = field(positions, a)          (Eq. 11, 12)
G' = G + d * Delta G                      (Eq. 13)
I, g = R(G'; P), R(D; P)                  (Eq. 4, 14)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audioplane.audio.encoder import AudioEncoder
from audioplane.config import Config, FieldConfig
from audioplane.methods.audio_plane.fields import build
from audioplane.splat.gaussians import Box, Gaussians, Picture, as_parameters, from_parameters, splat


def offset_scales(config: FieldConfig, half: float, bands: int) -> Tensor:
    """What an output of 1 of D1 means for each number of a packed Gaussian: (11 + 3 bands,)."""
    position, color = config.position_scale * half, config.color_scale
    return torch.tensor(
        [position] * 3
        + [config.rotation_scale] * 4
        + [config.scaling_scale] * 3
        + [config.opacity_scale]
        + [color] * 3 * bands
    )


class HeadModel(nn.Module):
    """Everything of a head that learns.

    Args:
        config: of the run.
        cloud: the canonical Gaussians.
        box: the head's.
        channels: C of the audio features.
        generator: of the initial weights.
    """

    scales: Tensor

    def __init__(self, config: Config, cloud: Gaussians, box: Box, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.box = config, box
        bands = cloud.sh.shape[1]
        self.params = as_parameters(cloud)
        self.encoder = AudioEncoder(config.audio, channels, generator)
        self.field = build(config.field, config.audio.code, 11 + 3 * bands, generator)
        self.register_buffer("scales", offset_scales(config.field, box.half, bands))

    @property
    def cloud(self) -> Gaussians:
        """The canonical Gaussians G."""
        return from_parameters(self.params)

    def points(self) -> Tensor:
        """Canonical positions in [0, 1]^3, where the field is sampled."""
        means = self.params["means"]
        return self.box.normalise(means if self.config.field.move_points else means.detach())

    def offsets(self, audio: Tensor, time: float = 0.0) -> tuple[Tensor, Tensor | None]:
        """Delta G (N, P), before its units, and d (N, 1) under an audio code, or None without saliency splatting.

        Paper: Eq. 5 (journal), F(G; a, x, y, z).
        """
        offsets, dynamism = self.field(self.points(), audio, time)
        return offsets, dynamism if self.config.saliency.enabled else None

    def deform(self, audio: Tensor, time: float = 0.0) -> tuple[Gaussians, Tensor | None]:
        """G' and d of a moment. Paper: Eq. 5 and 13 (journal)."""
        offsets, dynamism = self.offsets(audio, time)
        moved = offsets if dynamism is None else dynamism * offsets
        return Gaussians.unpack(self.cloud.pack() + moved * self.scales), dynamism

    def forward(
        self, audio: Tensor | None, viewmat: Tensor, K: Tensor, width: int, height: int, time: float = 0.0
    ) -> Picture:
        """The picture of a moment, or of the static head for `audio` None."""
        if audio is None:
            return splat(self.cloud, viewmat, K, width, height)
        offsets, dynamism = self.offsets(audio, time)
        return splat(self.cloud, viewmat, K, width, height, dynamism, offsets, self.scales)
