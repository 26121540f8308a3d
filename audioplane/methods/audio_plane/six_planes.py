"""Six planes over space and time, without audio (Fig. 2 a): what a 4D volume learns from a clip, and only from it.

P_ij at a point times P_kT at (its remaining axis, t). Beyond the clip t is clamped: the face stops.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import Planes, sample
from audioplane.methods.audio_plane.config import AudioPlaneConfig
from audioplane.methods.audio_plane.field import fuse
from audioplane.methods.types import Modulation, Wiring


class SixPlanes(nn.Module):
    """P_XY, P_XZ, P_YZ and P_ZT, P_YT, P_XT on every level, then D1 and D2.

    Paper: Fig. 2 (a) (journal); the planes over time have as many cells along time as along space. Arguments as for
    `AudioPlane`; `code` is ignored.
    """

    time_dependent = True

    def __init__(
        self, config: AudioPlaneConfig, code: int, outputs: int, generator: torch.Generator, expression: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        sizes = [s * config.resolution for s in range(1, config.levels + 1)]
        self.planes = Planes(config.resolution, config.levels, config.features, generator, has_lines=False)
        # One row is one moment: the three lines Z, Y, X of a level.
        self.moments = nn.ParameterList(
            nn.Parameter(1.0 + 0.2 * torch.randn(size, 3 * size * config.features, generator=generator))
            for size in sizes
        )
        width = config.levels * config.features * (3 if config.fusion == "concat" else 1)
        sizes = (config.hidden, config.dynamism_hidden)
        self.mlp = DeformationMLP(width, expression, outputs, *sizes, generator, config.bf16)

    def forward(
        self, points: Tensor, audio: Tensor, time: float = 0.0, expression: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Offsets (N, P) and dynamism (N, 1) at `points` (N, 3) in [0, 1]^3 and `time`, [0, 1] over the clip."""
        products = sample(points, self.planes.planes, self.lines_at(time), self.planes.layout, self.mlp.bf16)
        return self.mlp(fuse(products, self.config), extra=expression)

    def lines_at(self, time: float) -> Tensor:
        """The planes over time cut at `time`: (line rows, D), between two moments linearly."""
        cuts = []
        for table in self.moments:
            at = min(max(time, 0.0), 1.0) * (len(table) - 1)
            left = min(int(at), len(table) - 2)
            if table.device.type == "cpu":
                near = functional.embedding(torch.tensor([left, left + 1]), table, sparse=True)
            else:  # a gradient of the whole table, and nothing that a GPU is waited for
                near = table[left : left + 2]
            cuts.append(torch.lerp(near[0], near[1], at - left).view(-1, self.config.features))
        return torch.cat(cuts)

    def vector(self, audio: Tensor) -> Tensor:
        """Nothing of the audio reaches it."""
        return audio[:0]

    def modulation(self, vector: Tensor) -> Modulation:
        return self.wiring().modulation(vector)

    def wiring(self) -> Wiring:
        return Wiring(extra=range(self.mlp.extra)) if self.mlp.extra else Wiring()
