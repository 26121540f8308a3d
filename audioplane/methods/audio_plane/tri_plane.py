"""The baseline "w/o AP": spatial planes alone, the audio code concatenated before the MLP (Fig. 2 b)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import Planes
from audioplane.methods.audio_plane.config import AudioPlaneConfig
from audioplane.methods.audio_plane.field import fuse
from audioplane.methods.types import Modulation, Wiring


class TriPlane(nn.Module):
    """Multi-resolution tri-plane, [features, a] into the same D1 and D2.

    Paper: Fig. 2 (b) and Table II, "w/o AP" (journal). Arguments as for `AudioPlane`.
    """

    time_dependent = False

    def __init__(
        self, config: AudioPlaneConfig, code: int, outputs: int, generator: torch.Generator, expression: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.planes = Planes(config.resolution, config.levels, config.features, generator, has_lines=False)
        width = config.levels * config.features * (3 if config.fusion == "concat" else 1)
        self.expression, sizes = expression, (config.hidden, config.dynamism_hidden)
        self.mlp = DeformationMLP(width, code + expression, outputs, *sizes, generator, config.bf16)

    def forward(
        self, points: Tensor, audio: Tensor, time: float = 0.0, expression: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Offsets (N, P) and dynamism (N, 1) of Gaussians at `points` (N, 3); arguments as for `AudioPlane`."""
        return self.modulate(self.static(points), audio, time, expression)

    def static(self, points: Tensor) -> Tensor:
        """Interp(P_ij), fused: (N, W)."""
        return fuse(self.planes(points, short=self.mlp.bf16), self.config)

    def modulate(
        self, static: Tensor, audio: Tensor, time: float = 0.0, expression: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Offsets and dynamism from what `static` returned."""
        rest = audio.new_zeros(self.expression) if expression is None else expression
        quiet = None
        if audio.requires_grad and not self.config.mask_moves_code:
            quiet = (None, torch.cat([audio.detach(), rest]))
        return self.mlp(static, None, torch.cat([audio, rest]), quiet)

    def vector(self, audio: Tensor) -> Tensor:
        """a itself: (code,)."""
        return audio

    def modulation(self, vector: Tensor) -> Modulation:
        """a, and the expression, beside every Gaussian's features."""
        return Modulation(extra=vector)

    def wiring(self) -> Wiring:
        """`modulation` as indices."""
        return Wiring(extra=range(self.mlp.extra))
