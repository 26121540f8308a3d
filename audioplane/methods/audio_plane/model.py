"""Audio-Plane as it is trained: one cloud, the field that moves it, and the mask loss.

a = encoder(windows around the frame)
Delta G, d = field(positions, a)          (Eq. 11, 12)
G' = G + d * Delta G                      (Eq. 13)
I, g = R(G'; P), R(D; P)                  (Eq. 4, 14)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import rows_at
from audioplane.losses.terms import Perceptual, pixel_terms
from audioplane.methods.audio_plane.config import AudioPlaneConfig
from audioplane.methods.audio_plane.fields import build
from audioplane.methods.base import Branch, Method, joined, offset_units
from audioplane.methods.types import UPPER_FACE, Condition, Deformed, Losses, Modulation, Sample, Stage, Term, Wiring
from audioplane.splat.gaussians import Box, Gaussians, Picture

if TYPE_CHECKING:
    from audioplane.config import Config


class AudioPlaneBranch(Branch):
    """The head's cloud under one of the fields.

    Args:
        config: of the run. cloud: canonical Gaussians. box: the head's. generator: of the initial weights.
    """

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator) -> None:
        own, bands = settings(config), cloud.sh.shape[1]
        scales = (own.position_scale, own.rotation_scale, own.scaling_scale, own.opacity_scale, own.color_scale)
        super().__init__(cloud, box, offset_units(box.half, bands, *scales))
        self.own, self.is_plain = own, not own.bounded
        expression = len(UPPER_FACE) if own.expression else 0
        self.field = build(own, config.audio.code, len(self.units), generator, expression)

    @property
    def mlp(self) -> DeformationMLP:  # type: ignore[override] - the field's, not a second module
        return self.field.mlp

    def points(self) -> Tensor:
        """Canonical positions in [0, 1]^3, where the field is sampled: (N, 3)."""
        means = self.params["means"]
        return self.box.normalise(means if self.own.move_points else means.detach())

    def static_features(self) -> Tensor | None:
        """Eq. 10 without f_a, (N, W); None where time runs through the field."""
        return None if self.field.time_dependent else self.field.static(self.points())  # type: ignore[operator]

    def vector(self, condition: Condition) -> Tensor:
        """f_a of every level (levels x D,), a itself without prototypes; then the expression."""
        return joined(self.field.vector(condition.audio), condition.expression)

    def modulation(self, vector: Tensor) -> Modulation:
        return self.field.modulation(vector)

    def wiring(self) -> Wiring:
        return self.field.wiring()

    def deformation(self, condition: Condition) -> Deformed:
        """Delta G and d of a frame; d is None without saliency splatting.

        Paper: Eq. 5 (journal), F(G; a, x, y, z).
        """
        return self._deformed(*self.field(self.points(), condition.audio, condition.time, condition.expression))

    def decode(self, static: Tensor, modulation: Modulation) -> Deformed:
        return self._deformed(*self.mlp(static, modulation.gain, modulation.extra))

    def _deformed(self, offsets: Tensor, dynamism: Tensor) -> Deformed:
        return Deformed(offsets.tanh() if self.own.bounded else offsets, dynamism if self.own.saliency else None)

    def tables(self) -> dict[str, Tensor]:
        kept = ("planes.planes", "moments")
        return {f"field.{name}": p for name, p in self.field.named_parameters() if name.startswith(kept)}

    def rows_read(self) -> dict[str, Tensor]:
        return {"field.planes.planes": rows_at(self.points(), self.field.planes)}

    def feature_groups(self) -> Sequence[str]:
        levels = [f"s = {s}" for s in range(1, self.own.levels + 1)]
        if self.own.fusion != "concat":
            return levels
        return [f"{level}, {planes}" for level in levels for planes in ("XY Z", "XZ Y", "YZ X")]


class AudioPlaneMethod(Method):
    """Audio-Plane, its tri-plane and its six-plane baseline (`method.field`)."""

    @property
    def expression(self) -> Sequence[str]:
        """Eyes and brows, where the config asks for them: our extension, the paper has none."""
        return UPPER_FACE if settings(self.config).expression else ()

    def make_branch(self, name: str, cloud: Gaussians, generator: torch.Generator) -> AudioPlaneBranch:
        return AudioPlaneBranch(self.config, cloud, self.box, generator)

    def losses(self, picture: Picture, sample: Sample, stage: Stage, perceptual: Perceptual | None) -> Losses:
        """L1 and the perceptual term, and in the fine stage the mask loss.

        Paper: Eq. 16 and 17 (journal). With an expression, m holds eyes and brows too, with a margin and a weight of
        their own (ours).
        """
        loss, own = self.config.loss, settings(self.config)
        mouth, eyes = self.region_weights(stage)
        pixels = pixel_terms(picture, sample, mouth, own.margin, eyes, own.eyes_margin if own.expression else None)
        terms = {"l1": Term(pixels.l1)}
        if perceptual is not None:
            terms["perceptual"] = Term(perceptual(pixels.image, pixels.target), loss.perceptual_weight)
        if stage.deforms and pixels.mask is not None:
            terms["mask"] = Term(pixels.mask, own.mask_weight)
            if pixels.eyes_mask is not None:
                terms["eyes_mask"] = Term(pixels.eyes_mask, own.eyes_mask_weight)
        return Losses(terms, pixels.error)


def settings(config: Config) -> AudioPlaneConfig:
    """The method's own settings of a run.

    Raises:
        TypeError: the run is of another method.
    """
    if not isinstance(config.method, AudioPlaneConfig):
        raise TypeError(f"config: expected the settings of {AudioPlaneConfig.NAME}, received {config.method}")
    return config.method
