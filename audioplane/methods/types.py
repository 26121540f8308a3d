"""What methods and those that use them hand to each other: conditions, modulations, samples, stages, losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

UPPER_FACE: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft",
    "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft",
    "eyeWideRight",
)  # fmt: skip
"""Blendshapes (ARKit's names) of eyes and brows: what a voice does not tell."""


@dataclass(frozen=True)
class Condition:
    """What drives one frame.

    Attributes:
        audio: a, the audio code, (code,).
        time: of the frame in the training clip, 0 to 1; beyond the clip it may lie outside.
        expression: weights of the blendshapes that the method takes (`Method.expression`), in spreads from the person's
            rest pose, (E,); None for the rest pose.
        pose: of the head, (6,), see `pose.pose_numbers`; None for the typical one.
    """

    audio: Tensor
    time: float = 0.0
    expression: Tensor | None = None
    pose: Tensor | None = None


@dataclass(frozen=True)
class Modulation:
    """How a frame enters a decoder: `MLP([S * gain, extra])`; None for ones, and for nothing."""

    gain: Tensor | None = None
    extra: Tensor | None = None


@dataclass(frozen=True)
class Wiring:
    """`Modulation` from a frame's vector v (K,), for those that cannot run Python: gain = v[gain] ** power, v[extra].

    Attributes:
        gain: index of each of W gains in v, or None. extra: index of each of E extra numbers, or None.
        power: of the gains.
        handles: parts of v that a person may steer by hand.
    """

    gain: Sequence[int] | None = None
    extra: Sequence[int] | None = None
    power: int = 1
    handles: Sequence[Handle] = ()

    def modulation(self, vector: Tensor) -> Modulation:
        """The same in torch; the twin of what the browser does."""
        gain = None if self.gain is None else vector[torch.as_tensor(self.gain, device=vector.device)] ** self.power
        extra = None if self.extra is None else vector[torch.as_tensor(self.extra, device=vector.device)]
        return Modulation(gain, extra)


@dataclass(frozen=True)
class Handle:
    """Rows (n, D) of which each may replace v[first : first + D] by a share: a level's prototypes, an expression.

    Attributes:
        title: for people. first: where in v. rows: (n, D).
    """

    title: str
    first: int
    rows: Tensor


@dataclass(frozen=True)
class Deformed:
    """What a branch's Gaussians do in a frame.

    Attributes:
        offsets: Delta G, (N, P), in units of `Branch.units`. weight: d, (N, 1) in [0, 1], or None for 1.
    """

    offsets: Tensor
    weight: Tensor | None = None


@dataclass(frozen=True)
class Sample:
    """A frame ready for a step, float32.

    Attributes:
        index: t. target: (H, W, 3), the head over `background`. background: (3,) or (H, W, 3).
        known: (H, W) bool, where the target can be trusted. head, motion, eyes: (H, W) float masks of the head, of what
        speech moves, and of eyes and brows.
        regions: (H, W) float masks of further parts of the head by name: "hair", and "inner_mouth" between the lips.
        iteration: of the run.
        compared: (B,), the frame's weights of `Method.compared`; None where they are not known.
    """

    index: int
    target: Tensor
    background: Tensor
    known: Tensor
    head: Tensor
    motion: Tensor
    eyes: Tensor
    regions: Mapping[str, Tensor] = field(default_factory=dict)
    iteration: int = 0
    compared: Tensor | None = None

    def to(self, device: torch.device) -> Sample:
        """The same on a device; from `pinned` memory the host does not wait for it."""
        return self if device.type == "cpu" else self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Sample:
        """The same in memory that a GPU can read by itself."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Sample:
        names = ("target", "background", "known", "head", "motion", "eyes")
        regions = {name: change(mask) for name, mask in self.regions.items()}
        return replace(self, regions=regions, **{name: change(getattr(self, name)) for name in names})


@dataclass(frozen=True)
class Start:
    """Where a branch's cloud begins.

    Attributes:
        initial: random points. cap: most Gaussians that it grows to.
        region: in which most masks agree that the points lie: "head", "hair" or "mouth".
        may_vanish: whether a film may show nothing of it, such as hair.
    """

    initial: int
    cap: int
    region: str = "head"
    may_vanish: bool = False


@dataclass(frozen=True)
class Stage:
    """A part of training.

    Attributes:
        name: in logs. iterations: how many.
        deforms: whether the frame's condition moves the Gaussians; the static stages learn the clouds alone.
        trains: names of the parameter groups that are updated, beside the clouds.
        densifies: branches whose clouds grow.
        starts_small: whether the first half sees pictures of `schedule.early_size`.
        sorts: branches whose clouds are put in the order of space at the end, which is faster from then on.
        branches: that are drawn and learn; () for all.
        arrays: of the clouds, by their names in files, that learn; () for all.
        opening: share of the stage that is done -> lowest and highest quantile of the mouth's opening that the frames
            of an iteration have; None for all frames in turn.
        foreign: whether it learns what an expression does: some iterations see one that is not their frame's
            (`schedule.foreign_expression`), and some closed eyes (`schedule.closed_eyes`).
    """

    name: str
    iterations: int
    deforms: bool = True
    trains: tuple[str, ...] = ()
    densifies: tuple[str, ...] = ()
    starts_small: bool = False
    sorts: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    opening: Callable[[float], tuple[float, float]] | None = None
    foreign: bool = True


@dataclass(frozen=True)
class Position:
    """Where a run is: the stage, the iteration within it, and in how many before its clouds could grow already."""

    stage: Stage
    iteration: int
    before: int = 0

    @property
    def done(self) -> float:
        """Share of the stage, 0 to 1."""
        return self.iteration / max(self.stage.iterations, 1)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with one optimizer.

    Attributes:
        name: in checkpoints and in `Stage.trains`. params: which.
        rate: learning rate of an iteration.
        tables: whether gradients name the rows that they touch, each once (as those of `deform.planes`).
        eps: Adam's.
    """

    name: str
    params: Sequence[nn.Parameter]
    rate: Callable[[Position], float]
    tables: bool = False
    eps: float = 1e-8


@dataclass(frozen=True)
class Term:
    """One term of a loss: its value and its weight."""

    value: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Losses:
    """What a picture comes to: terms by name, in the order in which they are added; the head's mean squared error."""

    terms: dict[str, Term]
    error: Tensor

    def total(self) -> Tensor:
        terms = list(self.terms.values())
        loss = terms[0].value if terms[0].weight == 1.0 else terms[0].weight * terms[0].value
        for term in terms[1:]:
            loss = loss + term.weight * term.value
        return loss
