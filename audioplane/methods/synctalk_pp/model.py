"""SyncTalk++ as it is trained: one cloud, what its places say of it, and what moves it.

f_mu = planes(positions)                                      (Eq. 16, 17)
G_can = F_can(f_mu), in the static stage                      (Eq. 18, 21)
f_l = f_lip * V_lip(f_mu), f_e = f_exp * V_exp(f_mu)          (Eq. 6)
Delta G = F_deform(f_mu, f_l, f_e, R, T)                      (Eq. 19)
G' = G_can + Delta G, I = R(G'; V)                            (Eq. 20, 23)

F_deform folds: S = [f_mu, V_lip, V_exp * w] is free of the frame, f_lip and the blendshapes are its gain, and the pose
is the extra vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.signal import savgol_filter
from torch import Tensor, nn

from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import Planes, rows_at
from audioplane.losses.terms import Perceptual, pixel_terms, structural_similarity
from audioplane.methods.base import Branch, Method, offset_units
from audioplane.methods.rates import warmed
from audioplane.methods.synctalk_pp.attention import Attention, masked, stray
from audioplane.methods.synctalk_pp.canonical import GIVEN, CanonicalField
from audioplane.methods.synctalk_pp.config import SyncTalkConfig
from audioplane.methods.types import (
    UPPER_FACE,
    Condition,
    Deformed,
    Losses,
    Modulation,
    ParameterGroup,
    Sample,
    Stage,
    Term,
    Wiring,
)
from audioplane.splat.gaussians import Box, Gaussians, Picture, from_parameters, splat

if TYPE_CHECKING:
    from audioplane.config import Config

CORE = UPPER_FACE[:7]
"""The seven blendshapes of SyncTalk++, Eq. 5: brows down, inner brows up, outer brows up, blinks."""
EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "core": CORE,
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "upper": UPPER_FACE,
    "none": (),
}
NOSE_TIP = 30  # of the 68 landmarks
POSE = 6  # numbers of R and T
FARTHEST = 3.0  # spreads from the mean pose, beyond which a pose counts as this far


class SyncTalkBranch(Branch):
    """The head's cloud under F_can and F_deform.

    Args:
        config: of the run. cloud: canonical Gaussians. box: the head's. generator: of the initial weights.

    Attributes:
        settled: whether the canonical attributes are the cloud's own parameters; in the static stage F_can gives some.
        nose: height of the tip of the nose, metres down from the head's origin.
    """

    settled: Tensor
    nose: Tensor
    pose_mean: Tensor
    pose_spread: Tensor

    def __init__(self, config: Config, cloud: Gaussians, box: Box, generator: torch.Generator) -> None:
        own, code = settings(config), config.audio.code
        scales = (own.position_scale, own.rotation_scale, own.scaling_scale, own.opacity_scale, own.color_scale)
        super().__init__(cloud, box, offset_units(box.half, cloud.sh.shape[1], *scales))
        self.own, self.code, self.shapes = own, code, len(EXPRESSIONS[own.expression])
        self.planes = Planes(own.resolution, own.levels, own.features, generator, has_lines=False)
        width = own.levels * own.features * (3 if own.fusion == "concat" else 1)
        self.attention = Attention(width, code, self.shapes, own.attention_hidden, generator)
        self.weights = nn.Parameter(torch.ones(self.shapes)) if self.shapes else None  # w of Eq. 5
        self.canonical = None
        if GIVEN[own.initialisation]:
            self.canonical = CanonicalField(own.initialisation, width, own.canonical_hidden, cloud, generator)
        extra = POSE if own.pose else 0
        sizes = (own.hidden, 8)
        self.mlp = DeformationMLP(width + code + self.shapes, extra, len(self.units), *sizes, generator, own.bf16)
        self.register_buffer("settled", torch.tensor(True))
        self._known_settled: bool | None = None  # the same on the host, once it was asked for: a GPU is waited for once
        self.register_buffer("nose", torch.tensor(float(box.center[1])))
        self.register_buffer("pose_mean", torch.zeros(POSE))
        self.register_buffer("pose_spread", torch.ones(POSE))

    # What the place of a Gaussian says

    def place_features(self) -> Tensor:
        """f_mu, (N, W): the three planes of every level, side by side.

        SyncTalk++, Eq. 16 and 17.
        """
        found = self.planes(self.points(), short=self.mlp.bf16)
        if self.own.fusion == "concat":
            return found
        sets = found.view(len(found), self.own.levels, 3, self.own.features)
        return (sets[:, :, 0] * sets[:, :, 1] * sets[:, :, 2]).flatten(1)

    def below(self) -> Tensor:
        """M_lip of SyncTalk++, Eq. 6: (N, 1), 1 for Gaussians below the tip of the nose, 0 above."""
        return (self.params["means"].detach()[:, 1:2] > self.nose).float()

    def attended(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """V_lip (N, A) and V_exp (N, E) from f_mu, as the setting `mask` has them."""
        lips, face = self.attention(features)
        return masked(lips, face, self.below()) if self.own.mask == "nose" else (lips, face)

    def stray(self) -> Tensor:
        """What V does outside of its half of the face."""
        lips, face = self.attention(self.place_features())
        return stray(lips, face, self.below())

    def static_features(self) -> Tensor:
        """S, (N, W + A + E): f_mu, V_lip, and V_exp times the weights of the blendshapes."""
        features = self.place_features()
        lips, face = self.attended(features)
        return torch.cat([features, lips, face if self.weights is None else face * self.weights.to(face)], dim=1)

    # What a frame says

    def vector(self, condition: Condition) -> Tensor:
        """v = [1, f_lip, (R, T), B]: the pose in spreads from the mean one, the blendshapes in spreads from rest.

        SyncTalk++, Eq. 4 and 5: each w_j B_j of E_core is one feature; w stands in `static_features`.
        """
        audio, parts = condition.audio, [condition.audio.new_ones(1), condition.audio]
        if self.own.pose:
            pose = self.pose_mean if condition.pose is None else condition.pose.to(audio)
            parts.append(((pose - self.pose_mean) / self.pose_spread).clamp(-FARTHEST, FARTHEST))
        if self.shapes:
            parts.append(audio.new_zeros(self.shapes) if condition.expression is None else condition.expression)
        return torch.cat(parts)

    def wiring(self) -> Wiring:
        """1 for f_mu, f_lip for V_lip, B for V_exp; the pose beside them.

        SyncTalk++, Eq. 6: f_l = f_lip * V_lip and f_e = f_exp * V_exp.
        """
        lips, pose = range(1, 1 + self.code), range(1 + self.code, 1 + self.code + self.mlp.extra)
        places = [0] * (self.mlp.width - self.code - self.shapes)
        gain = [*places, *lips, *range(pose.stop, pose.stop + self.shapes)]
        return Wiring(gain, pose if self.mlp.extra else None)

    def decode(self, static: Tensor, modulation: Modulation) -> Deformed:
        """Delta G = F_deform(f_mu, f_l, f_e, R, T) of every attribute.

        SyncTalk++, Eq. 19; `Branch.deform` adds it, Eq. 20.
        """
        return Deformed(self.mlp(static, modulation.gain, modulation.extra)[0])

    # The canonical Gaussians

    @property
    def is_settled(self) -> bool:
        """`settled`, read from the device once."""
        if self._known_settled is None:
            self._known_settled = bool(self.settled)
        return self._known_settled

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._known_settled = None
        super()._load_from_state_dict(*args, **kwargs)

    @property
    def cloud(self) -> Gaussians:
        """G_can: the cloud's own parameters, of which F_can gives some in the static stage.

        SyncTalk++, Eq. 18. The parameters that F_can stands in for get its gradient, which density control looks at.
        """
        if self.canonical is None or self.is_settled:
            return from_parameters(self.params)
        own = from_parameters(self.params)
        given = self.canonical(self.place_features())
        return replace(own, **{name: value + _nothing(getattr(own, name)) for name, value in given.items()})

    def draw(self, condition: Condition | None, viewmat: Tensor, K: Tensor, width: int, height: int) -> Picture:
        """As of every branch; in the static stage F_can's attributes take the place of the parameters.

        As GaussianTalker's code does at every static step.
        """
        if condition is not None or self.canonical is None or self.is_settled:
            return super().draw(condition, viewmat, K, width, height)
        cloud = self.cloud
        self._take(cloud)
        return splat(cloud, viewmat, K, width, height)

    def begin(self, deforms: bool) -> None:
        """Before an iteration: when deformation begins, F_can's attributes become ordinary parameters, for good.

        SyncTalk++, Table IV.
        """
        if self.canonical is None or deforms == self.is_settled:
            return
        if deforms:
            self._take(self.cloud)
        self.settled.fill_(deforms)
        self._known_settled = deforms

    @torch.no_grad()
    def _take(self, cloud: Gaussians) -> None:
        """Puts the attributes that F_can gives, as `cloud` has them, into the parameters."""
        for name in GIVEN[self.own.initialisation]:
            value = getattr(cloud, name)
            if name == "sh":
                self.params["sh0"].copy_(value[:, :1])
                if "shN" in self.params:
                    self.params["shN"].copy_(value[:, 1:])
            else:
                self.params[name].copy_(value)

    # For files

    def tables(self) -> dict[str, Tensor]:
        return {"planes.planes": self.planes.planes}

    def rows_read(self) -> dict[str, Tensor]:
        return {"planes.planes": rows_at(self.points(), self.planes)}


class SyncTalkMethod(Method):
    """SyncTalk++'s Dynamic Portrait Renderer, driven by its Face-Sync Controller and Head-Sync Stabilizer."""

    @property
    def expression(self) -> Sequence[str]:
        """The blendshapes that drive it beside the voice: seven of brows and lids (SyncTalk++, Eq. 5)."""
        return EXPRESSIONS[settings(self.config).expression]

    def make_branch(self, name: str, cloud: Gaussians, generator: torch.Generator) -> SyncTalkBranch:
        return SyncTalkBranch(self.config, cloud, self.box, generator)

    def each_own(self) -> list[SyncTalkBranch]:
        return [branch for branch in self.each() if isinstance(branch, SyncTalkBranch)]

    def smoothed(self, track: np.ndarray) -> np.ndarray:
        """Captured weights (T, E) through a Savitzky-Golay filter, as SyncTalk's code has it."""
        if not settings(self.config).smoothing or len(track) < 5:
            return track
        return np.clip(np.asarray(savgol_filter(track, 5, 3, axis=0)), 0.0, 1.0).astype(track.dtype)

    def observe(self, poses: Tensor, landmarks: Tensor) -> None:
        for branch in self.each_own():
            branch.pose_mean.copy_(poses.mean(dim=0))
            branch.pose_spread.copy_(poses.std(dim=0, unbiased=False).clamp_min(1e-3))
            if bool(torch.isfinite(landmarks[NOSE_TIP]).all()):
                branch.nose.copy_(landmarks[NOSE_TIP, 1])

    def stages(self) -> tuple[Stage, ...]:
        """The static head, then what moves it; F_can learns in the first alone (SyncTalk++, Eq. 21 and 23)."""
        static, dynamic = super().stages()
        learns = ("tables", "canonical") if GIVEN[settings(self.config).initialisation] else ()
        return replace(static, trains=learns), dynamic

    def begin(self, stage: Stage) -> None:
        for branch in self.each_own():
            branch.begin(stage.deforms)

    def parameter_groups(self) -> list[ParameterGroup]:
        """As of every method, F_can apart; the weight d of other methods is not used and does not learn."""
        optim, apart = self.config.optim, {id(p) for b in self.each() for p in b.mlp.dynamism.parameters()}
        canonical = [p for branch in self.each_own() if branch.canonical for p in branch.canonical.parameters()]
        apart |= {id(p) for p in canonical}
        groups = [replace(g, params=[p for p in g.params if id(p) not in apart]) for g in super().parameter_groups()]
        if canonical:
            groups.append(ParameterGroup("canonical", canonical, warmed(optim.network, optim.last_share)))
        return groups

    def losses(self, picture: Picture, sample: Sample, stage: Stage, perceptual: Perceptual | None) -> Losses:
        """L1, LPIPS with a weight that rises when deformation begins, and a further perceptual term.

        SyncTalk++, Eq. 22 (static) and Eq. 24 (deforming). Without LPIPS's weights D-SSIM stands for both perceptual
        terms. With mask=loss also what V does outside of its half, with a weight that grows (SyncTalk's code).
        """
        loss, own = self.config.loss, settings(self.config)
        mouth, eyes = self.region_weights(stage)
        pixels = pixel_terms(picture, sample, mouth, eyes_weight=eyes)
        terms = {"l1": Term(pixels.l1)}
        if perceptual is not None:
            share = 1.0 if stage.deforms else own.static_perceptual
            terms["perceptual"] = Term(perceptual(pixels.image, pixels.target), share * loss.perceptual_weight)
        if loss.perceptual.startswith("lpips"):
            unlike = 1.0 - structural_similarity(pixels.image, pixels.target)
            terms["structure"] = Term(unlike, own.structure_weight)
        if stage.deforms and own.mask == "loss":
            beyond = torch.stack([branch.stray() for branch in self.each_own()]).sum()
            done = (sample.iteration - self.config.schedule.coarse) / max(self.config.schedule.fine, 1)
            terms["stray"] = Term(beyond, own.mask_weight * min(max(done, 0.0), 1.0))
        return Losses(terms, pixels.error)


def _nothing(param: Tensor) -> Tensor:
    """Zero, with the gradient of `param`."""
    return param - param.detach()


def settings(config: Config) -> SyncTalkConfig:
    """The method's own settings of a run.

    Raises:
        TypeError: the run is of another method.
    """
    if not isinstance(config.method, SyncTalkConfig):
        raise TypeError(f"config: expected the settings of {SyncTalkConfig.NAME}, received {config.method}")
    return config.method
