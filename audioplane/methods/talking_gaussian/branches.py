"""What moves the two clouds: tri-planes sampled at the Gaussians' places, and an MLP.

    face   Delta(mu, s, q) = MLP([f, V_a * a, V_e * e]),  f = H(mu),  V_a, V_e = small networks of f
    mouth  Delta mu        = MLP([f, a])

V_a and V_e weigh sound and expression for each Gaussian (TalkingGaussian's "face-mouth" and region attention); they
are free of the frame, so that [f, V_a, V_e] is S and [1, a, e] its gain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.deform.mlp import DeformationMLP, linear
from audioplane.deform.planes import Planes, rows_at
from audioplane.methods.base import Branch, joined, offset_units
from audioplane.methods.types import Condition, Deformed, Modulation, Wiring
from audioplane.splat.gaussians import Box, Gaussians

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audioplane.config import Config
    from audioplane.methods.talking_gaussian.config import BranchesConfig, TalkingGaussianConfig

UNUSED_WEIGHT = 8  # hidden units of the weight d, which these methods have not


class PlaneBranch(Branch):
    """A cloud with H, tri-planes of several resolutions (the paper's are hashed), and an MLP (DEGSTalk, Eq. 3).

    Args:
        config: of the run. cloud: canonical Gaussians. box: the head's. generator: of the initial weights.
        turns: whether rotation and scale change too, or positions alone.
        further: features beside those of the planes. extra: numbers of a frame beside the features.
        own: further numbers of each Gaussian.
    """

    def __init__(
        self,
        config: Config,
        cloud: Gaussians,
        box: Box,
        generator: torch.Generator,
        turns: bool,
        further: int,
        extra: int,
        own: Mapping[str, int] | None = None,
    ) -> None:
        settings: BranchesConfig = config.method  # type: ignore[assignment]
        turning, scaling = (settings.rotation_scale, settings.scaling_scale) if turns else (0.0, 0.0)
        units = offset_units(box.half, cloud.sh.shape[1], settings.position_scale, turning, scaling, 0.0, 0.0)
        super().__init__(cloud, box, units, own)
        self.planes = Planes(settings.resolution, settings.levels, settings.features, generator, has_lines=False)
        self.width = 3 * settings.levels * settings.features
        sizes = (settings.hidden, UNUSED_WEIGHT)
        self.mlp = DeformationMLP(self.width + further, extra, len(units), *sizes, generator, settings.bf16)

    def features(self) -> Tensor:
        """H at the canonical positions: (N, width)."""
        return self.planes(self.points(), short=self.mlp.bf16)

    def decode(self, static: Tensor, modulation: Modulation) -> Deformed:
        offsets, _ = self.mlp(static, modulation.gain, modulation.extra)
        return Deformed(offsets)

    def tables(self) -> dict[str, Tensor]:
        return {"planes.planes": self.planes.planes}

    def rows_read(self) -> dict[str, Tensor]:
        return {"planes.planes": rows_at(self.points(), self.planes)}


class Attention(nn.Module):
    """How much each of a code's numbers counts for each Gaussian: (N, W) features -> (N, code).

    Args:
        width: W. hidden: units. code: numbers weighed. generator: of the initial weights.
    """

    def __init__(self, width: int, hidden: int, code: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.last = linear(width, hidden, generator), linear(hidden, code, generator)
        nn.init.ones_(self.last.bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.last(functional.relu(self.hidden(features)))


class FaceBranch(PlaneBranch):
    """The face, moved by the sound and by the expression of eyes and brows, each weighed for each Gaussian."""

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator, expression: int) -> None:
        own: TalkingGaussianConfig = config.method  # type: ignore[assignment]
        self.code, self.expressions = config.audio.code, expression
        super().__init__(config, cloud, box, generator, turns=True, further=self.code + expression, extra=0)
        self.hears = Attention(self.width, own.attention_hidden, self.code, generator)
        self.expresses = Attention(self.width, own.attention_hidden, expression, generator) if expression else None

    def static_features(self) -> Tensor:
        """S = [f, V_a, V_e]: (N, W + code + E)."""
        features = self.features()
        own = features.float()
        parts = [features, self.hears(own)]
        if self.expresses is not None:
            parts.append(self.expresses(own))
        return torch.cat([part.to(features) for part in parts], dim=1)

    def vector(self, condition: Condition) -> Tensor:
        """[1, a, e]."""
        return joined(torch.cat([condition.audio.new_ones(1), condition.audio]), condition.expression)

    def wiring(self) -> Wiring:
        """1 for f, then a for V_a and e for V_e."""
        return Wiring(gain=[*[0] * self.width, *range(1, 1 + self.code + self.expressions)])


class MouthBranch(PlaneBranch):
    """The inside of the mouth, which the sound moves; it neither turns nor stretches."""

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator) -> None:
        self.code = config.audio.code
        super().__init__(config, cloud, box, generator, turns=False, further=0, extra=self.code)

    def static_features(self) -> Tensor:
        return self.features()

    def wiring(self) -> Wiring:
        """a alone: what stands behind it, the expression, moves nothing here."""
        return Wiring(extra=range(self.code))
