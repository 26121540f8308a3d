"""The audio factorization plane: the paper's field.

| here | paper | shape | what |
| --- | --- | --- | --- |
| `audio` | a | (code,) | the smoothed audio code of a frame |
| `prototypes[s - 1]` | A^s | (sH, D) | the audio prototype grid, keys and values of the attention |
| `audio_code` | f_a^s | (levels, D) | what the attention reads from A^s |
| `planes.plane(s, "xy")` | P^s_XY | (sH, sH, D) | spatial planes, also XZ and YZ |
| `planes.line(s, "z")` | L^s_Z | (sH, D) | spatial lines, also Y and X; with A^s they span P_ZA, P_YA, P_XA (Eq. 6) |
| `static` | Interp(P_ij) * f_k | (N, W) | Eq. 10 without f_a, fused over (i, j, k) |
| `gain` | f_a, once for each of its places | (W,) | so that f = static * gain |
| `offsets` | Delta G | (N, P) | of D1, Eq. 11 |
| `dynamism` | d | (N, 1) | of D2, Eq. 12 |
| `level` | s | 1..levels | scale; level s has s x H cells a side |

f_a does not depend on the Gaussian, and Eq. 10 multiplies it in last, so f = static * gain holds for every fusion:
concat repeats f_a for the three (i, j, k), add has it once, multiply has its cube.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.deform.mlp import DeformationMLP, linear
from audioplane.deform.planes import Planes
from audioplane.errors import UserError
from audioplane.methods.audio_plane.config import AudioPlaneConfig
from audioplane.methods.types import Handle, Modulation, Wiring


class AudioPlane(nn.Module):
    """Audio factorization plane, D1 and D2.

    Paper: Eq. 6 to 12 (journal), Sec. III-D and Table III.

    Args:
        config: sizes, fusion and where the attention's scores come from.
        code: size of `audio`.
        outputs: P, numbers in a Gaussian's offset.
        generator: of the initial values.
        expression: E, blendshapes that D1 and D2 see beside the features (ours); 0 is the paper.
    """

    time_dependent = False

    def __init__(
        self, config: AudioPlaneConfig, code: int, outputs: int, generator: torch.Generator, expression: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        features, sizes = config.features, [s * config.resolution for s in range(1, config.levels + 1)]
        self.planes = Planes(config.resolution, config.levels, features, generator)
        # Around 1, so that at the start f_a neither hides the planes nor drowns in the average over prototypes.
        self.prototypes = nn.ParameterList(
            nn.Parameter(1.0 + torch.randn(size, features, generator=generator)) for size in sizes
        )
        self.query: nn.Linear | None = None
        if config.scores == "attention" and config.query == "projected":
            self.query = linear(code, features, generator)
            nn.init.normal_(self.query.weight, std=code**-0.5, generator=generator)
        elif config.scores == "attention":
            if code != features:
                raise UserError(
                    f"method.query=code compares a with the prototypes, so audio.code={code} must be "
                    f"method.features={features}; set one of them, or method.query=projected"
                )
        else:
            self.score_hidden = linear(code, config.hidden, generator)
            self.scores = nn.ModuleList(linear(config.hidden, size, generator) for size in sizes)
        width = config.levels * features * (3 if config.fusion == "concat" else 1)
        sizes = (config.hidden, config.dynamism_hidden)
        self.mlp = DeformationMLP(width, expression, outputs, *sizes, generator, config.bf16)

    def forward(
        self, points: Tensor, audio: Tensor, time: float = 0.0, expression: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Offsets (N, P) and dynamism (N, 1) of Gaussians at `points` (N, 3) in [0, 1]^3.

        Args:
            audio: a, (code,). time: not used. expression: (E,), or None for the rest pose.
        """
        return self.modulate(self.static(points), audio, time, expression)

    def static(self, points: Tensor) -> Tensor:
        """Interp(P_ij) * f_k fused over (i, j, k): (N, W), free of audio. Paper: Eq. 10 (journal)."""
        return fuse(self.planes(points, short=self.mlp.bf16), self.config)

    def modulate(
        self, static: Tensor, audio: Tensor, time: float = 0.0, expression: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Offsets and dynamism from what `static` returned."""
        quiet = None
        if audio.requires_grad and not self.config.mask_moves_code:
            quiet = (self.gain(audio.detach()), expression)
        return self.mlp(static, self.gain(audio), expression, quiet)

    def vector(self, audio: Tensor) -> Tensor:
        """f_a of every level, one behind the other: (levels x D,)."""
        return self.audio_code(audio).flatten()

    def modulation(self, vector: Tensor) -> Modulation:
        """f_a's factor of every static feature, and the expression; `vector` as from `vector`, then the expression."""
        codes, rest = vector.split([self.config.levels * self.config.features, self.mlp.extra])
        return Modulation(self.spread(codes.view(self.config.levels, -1)), rest if self.mlp.extra else None)

    def gain(self, audio: Tensor) -> Tensor:
        """The audio's factor of every static feature: (W,)."""
        return self.spread(self.audio_code(audio))

    def wiring(self) -> Wiring:
        """`modulation` as indices; the prototypes of a level may take the place of its f_a."""
        levels, features = self.config.levels, self.config.features
        places = torch.arange(levels * features).view(levels, 1, features)
        if self.config.fusion == "concat":
            places = places.expand(-1, 3, -1)
        handles = [Handle(f"s = {s + 1}", s * features, grid.detach()) for s, grid in enumerate(self.prototypes)]
        power, first = 3 if self.config.fusion == "multiply" else 1, levels * features
        extra = range(first, first + self.mlp.extra) if self.mlp.extra else None
        return Wiring(places.reshape(-1).tolist(), extra, power, handles)

    def spread(self, audio_code: Tensor) -> Tensor:
        """f_a (levels, D) at each of its places in the features: (W,). Paper: Eq. 8 and 10 (journal)."""
        if self.config.fusion == "concat":
            return audio_code[:, None].expand(-1, 3, -1).reshape(-1)
        if self.config.fusion == "multiply":
            return audio_code.reshape(-1) ** 3
        return audio_code.reshape(-1)

    def audio_code(self, audio: Tensor) -> Tensor:
        """f_a of every level: (levels, D). Paper: Eq. 7 (journal)."""
        weights = self.attention(audio)
        return torch.stack([w @ grid for w, grid in zip(weights, self.prototypes, strict=True)])

    def attention(self, audio: Tensor) -> list[Tensor]:
        """Weights over each level's prototypes, (sH,), positive with sum one. Paper: Eq. 7 (journal)."""
        if self.config.scores == "attention":
            query = (audio if self.query is None else self.query(audio)) / math.sqrt(self.config.features)
            scores = [grid @ query for grid in self.prototypes]
        else:
            hidden = functional.relu(self.score_hidden(audio))
            scores = [layer(hidden) for layer in self.scores]
        return [score.softmax(dim=0) for score in scores]


def fuse(products: Tensor, config: AudioPlaneConfig) -> Tensor:
    """Joins the three sets (i, j, k) of every level: (N, levels x 3 x D) -> (N, W). Table III."""
    if config.fusion == "concat":
        return products
    sets = products.view(len(products), config.levels, 3, config.features)
    fused = sets.sum(dim=2) if config.fusion == "add" else sets[:, :, 0] * sets[:, :, 1] * sets[:, :, 2]
    return fused.reshape(len(products), -1)
