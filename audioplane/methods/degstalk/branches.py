"""Pre-embedding Gaussian fields: z of each Gaussian joins its position, and the field moves both.

    delta = MLP(H(mu + z) + f_a + f_e),  + for concatenation          (DEGSTalk, Eq. 5)
    theta_D = theta_C + delta                                         (DEGSTalk, Eq. 6)

H is three planes over three axes. What it encodes with z is therefore a point of three axes too: mu moved by a learned
linear map of z, which is mu itself while z is 0. The authors' code has z beside H(mu) instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from audioplane.deform.mlp import linear
from audioplane.methods.base import joined
from audioplane.methods.rates import fading
from audioplane.methods.talking_gaussian.branches import PlaneBranch
from audioplane.methods.types import Condition, Deformed, Position, Wiring
from audioplane.splat.gaussians import Box, Gaussians

if TYPE_CHECKING:
    from audioplane.config import Config
    from audioplane.methods.degstalk.config import DEGSTalkConfig

EMBEDDING = "embedding"
TURN = 5.0  # what a radian of the head's rotation counts for
JAW_SCALE = 100.0  # of the mean displacement in half boxes, which is some hundredths


class EmbeddedBranch(PlaneBranch):
    """A cloud whose Gaussians each have an embedding z (DEGSTalk, Sec. II-B).

    Args:
        config: of the run. cloud: canonical Gaussians. box: the head's. generator: of the initial weights.
        turns: whether rotation and scale change too. extra: numbers of a frame that enter the MLP.
    """

    def __init__(
        self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator, turns: bool, extra: int
    ) -> None:
        settings: DEGSTalkConfig = config.method  # type: ignore[assignment]
        size, self.is_after = settings.embedding, settings.embedding_place == "after"
        own = {EMBEDDING: size} if size else {}
        self.rate, self.last_share = settings.embedding_rate, config.optim.last_share
        super().__init__(config, cloud, box, generator, turns, size if self.is_after else 0, extra, own)
        before = size > 0 and not self.is_after
        self.place = nn.Parameter(linear(size, 3, generator).weight.detach()) if before else None

    def points(self) -> Tensor:
        """mu joined with z, where H is sampled: (N, 3) (DEGSTalk, Eq. 5)."""
        points = super().points()
        return points if self.place is None else points + self.params[EMBEDDING] @ self.place.t()

    def static_features(self) -> Tensor:
        """H of position and embedding, (N, W) (DEGSTalk, Eq. 5)."""
        features = self.features()
        if EMBEDDING not in self.params or not self.is_after:
            return features
        return torch.cat([features, self.params[EMBEDDING].to(features)], dim=1)

    def own_rates(self, at: Position) -> dict[str, float]:
        """Of the embeddings."""
        return {EMBEDDING: self.rate * fading(at.done, self.last_share)}


class FaceBranch(EmbeddedBranch):
    """The face, moved by sound and expression coefficients; and the jaw's opening read from its displacements."""

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator, expression: int) -> None:
        super().__init__(config, cloud, box, generator, turns=True, extra=config.audio.code + expression)
        settings: DEGSTalkConfig = config.method  # type: ignore[assignment]
        self.jaw = linear(3, 1, generator) if settings.jaw_weight > 0 else None

    def deformation(self, condition: Condition) -> Deformed:
        """delta = {Delta mu, Delta s, Delta q} of a frame, which `deform` adds to theta_C (DEGSTalk, Eq. 5 and 6)."""
        return super().deformation(condition)

    def jaw_opening(self, offsets: Tensor) -> Tensor:
        """The weight of jawOpen that displacements tell: a learned direction of their mean.

        Args:
            offsets: Delta G, (N, P).
        """
        assert self.jaw is not None
        mean = (offsets[:, :3] * self.units[:3]).mean(dim=0) / self.box.half
        return self.jaw(JAW_SCALE * mean)[0]


class MouthBranch(EmbeddedBranch):
    """The inside of the mouth, moved by the sound alone."""

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator) -> None:
        self.code = config.audio.code
        super().__init__(config, cloud, box, generator, turns=False, extra=self.code)

    def wiring(self) -> Wiring:
        """a alone: what stands behind it, the expression, moves nothing here."""
        return Wiring(extra=range(self.code))


class HairBranch(EmbeddedBranch):
    """Hair as we learn it: it moves with the head, and hangs otherwise when the head turns (ours)."""

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator) -> None:
        super().__init__(config, cloud, box, generator, turns=True, extra=3)

    def vector(self, condition: Condition) -> Tensor:
        """How the head is turned, then the expression, which moves nothing here."""
        pose = condition.pose
        turned = condition.audio.new_zeros(3) if pose is None else TURN * pose[:3]
        return joined(turned, condition.expression)

    def wiring(self) -> Wiring:
        return Wiring(extra=range(3))
