"""One cloud whose features attend to four tokens of a frame.

    f  = product over the three planes of H(mu), of each level        (N, levels x features)
    f' = W_f f + sum over tokens of softmax(q . k / sqrt(D)) v        q = W_q f
    Delta G = MLP(f'),   G' = G + Delta G

Tokens: the sound, the eyes, the camera, and a learned one. The weights over them depend on the Gaussian and on the
frame together, so the frame does not enter as a gain and an extra vector: this method is not folded. What is free of
the frame (W_f f and the queries) is kept while nothing learns, and the attention itself is a matrix of N x 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from audioplane.deform.mlp import DeformationMLP, linear
from audioplane.deform.planes import Planes, rows_at
from audioplane.losses.terms import Perceptual, pixel_terms, structural_similarity
from audioplane.methods.base import Branch, Method, offset_units
from audioplane.methods.gaussian_talker.config import GaussianTalkerConfig
from audioplane.methods.types import UPPER_FACE, Condition, Deformed, Losses, Sample, Stage, Term
from audioplane.splat.gaussians import Box, Gaussians, Picture

if TYPE_CHECKING:
    from audioplane.config import Config

POSE = 6  # numbers of a camera
TURN, MOVE = 5.0, 10.0  # what a radian and a metre of it count for
DSSIM_WEIGHT = 0.2  # as in 3DGS
UNUSED_WEIGHT = 8  # hidden units of the weight d, which this method has not


class GaussianTalkerBranch(Branch):
    """The head's cloud, its planes and the attention.

    Args:
        config: of the run. cloud: canonical Gaussians. box: the head's. generator: of the initial weights.
        expression: blendshapes of the eye token, 0 for none.
    """

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator, expression: int) -> None:
        own = settings(config)
        scales = (own.position_scale, own.rotation_scale, own.scaling_scale, own.opacity_scale, own.color_scale)
        super().__init__(cloud, box, offset_units(box.half, cloud.sh.shape[1], *scales))
        self.planes = Planes(own.resolution, own.levels, own.features, generator, has_lines=False)
        width, size = own.levels * own.features, own.width
        self.own, self.expressions = own, expression
        self.query, self.keep = linear(width, size, generator), linear(width, size, generator)
        self.sound = linear(config.audio.code, size, generator)
        self.eyes = linear(expression, size, generator) if expression else None
        self.camera = linear(POSE, size, generator)
        self.learned = nn.Parameter(torch.randn(size, generator=generator))
        self.key, self.value = linear(size, size, generator), linear(size, size, generator)
        self.mlp = DeformationMLP(size, 0, len(self.units), own.hidden, UNUSED_WEIGHT, generator)
        self._kept: tuple[Tensor, Tensor] | None = None

    def features(self) -> Tensor:
        """f: the product of the three planes of every level, (N, levels x features)."""
        sets = self.planes(self.points()).view(-1, self.own.levels, 3, self.own.features)
        return (sets[:, :, 0] * sets[:, :, 1] * sets[:, :, 2]).flatten(1)

    def place(self) -> tuple[Tensor, Tensor]:
        """Queries and kept features of all Gaussians, (N, width) each; they are free of the frame."""
        if self.training or torch.is_grad_enabled():
            self._kept = None
            features = self.features()
            return self.query(features), self.keep(features)
        if self._kept is None:
            features = self.features()
            self._kept = self.query(features), self.keep(features)
        return self._kept

    def tokens(self, condition: Condition) -> Tensor:
        """What a frame says: sound, eyes where there are any, camera, and the learned token; (3 or 4, width)."""
        found = [self.sound(condition.audio)]
        if self.eyes is not None:
            face = condition.expression
            found.append(self.eyes(condition.audio.new_zeros(self.expressions) if face is None else face))
        units = condition.audio.new_tensor([TURN] * 3 + [MOVE] * 3)
        pose = condition.audio.new_zeros(POSE) if condition.pose is None else condition.pose.to(units)
        return torch.stack([*found, self.camera(units * pose), self.learned])

    def attention(self, condition: Condition) -> tuple[Tensor, Tensor]:
        """f' (N, width), and the weights over the tokens, (N, tokens)."""
        query, kept = self.place()
        tokens = self.tokens(condition)
        weights = (query @ self.key(tokens).t() / math.sqrt(self.own.width)).softmax(dim=1)
        return torch.addmm(kept, weights, self.value(tokens)), weights

    def deformation(self, condition: Condition) -> Deformed:
        return Deformed(self.mlp(self.attention(condition)[0])[0])

    def tables(self) -> dict[str, Tensor]:
        return {"planes.planes": self.planes.planes}

    def rows_read(self) -> dict[str, Tensor]:
        return {"planes.planes": rows_at(self.points(), self.planes)}


class GaussianTalkerMethod(Method):
    """The static cloud, then what moves it."""

    @property
    def expression(self) -> Sequence[str]:
        """Eyes and brows: the eye token."""
        return UPPER_FACE if settings(self.config).expression else ()

    def make_branch(self, name: str, cloud: Gaussians, generator: torch.Generator) -> GaussianTalkerBranch:
        return GaussianTalkerBranch(self.config, cloud, self.box, generator, len(self.expression))

    def losses(self, picture: Picture, sample: Sample, stage: Stage, perceptual: Perceptual | None) -> Losses:
        """L1 and D-SSIM, and LPIPS where the config has it."""
        mouth, eyes = self.region_weights(stage)
        pixels = pixel_terms(picture, sample, mouth, eyes_weight=eyes)
        similarity = structural_similarity(pixels.image, pixels.target)
        terms = {"l1": Term(pixels.l1), "dssim": Term(1.0 - similarity, DSSIM_WEIGHT)}
        if perceptual is not None and self.config.loss.perceptual.startswith("lpips"):
            terms["perceptual"] = Term(perceptual(pixels.image, pixels.target), self.config.loss.perceptual_weight)
        return Losses(terms, pixels.error)


def settings(config: Config) -> GaussianTalkerConfig:
    """The method's own settings of a run.

    Raises:
        TypeError: the run is of another method.
    """
    if not isinstance(config.method, GaussianTalkerConfig):
        raise TypeError(f"config: expected the settings of {GaussianTalkerConfig.NAME}, received {config.method}")
    return config.method
