"""What a method is: clouds of Gaussians (branches), what deforms them, stages, and losses.

A method's folder holds a `Method` and its `Branch`es; the trainer, the talking head, evaluation, the experiments and
the browser viewer know no more than this file. The fields of these papers share one shape, on which everything fast
rests:

    offsets, weight = MLP([S * gain, extra])

with S (N, W) free of speech, computed once per head, and a gain (W,) and an extra vector (E,) per frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from audioplane.audio.encoder import AudioEncoder
from audioplane.deform.mlp import DeformationMLP
from audioplane.methods.rates import decayed, warmed
from audioplane.methods.types import (
    Condition,
    Deformed,
    Losses,
    Modulation,
    ParameterGroup,
    Position,
    Sample,
    Stage,
    Start,
    Term,
    Wiring,
)
from audioplane.splat.gaussians import (
    Box,
    Gaussians,
    Picture,
    as_parameters,
    displacement,
    from_parameters,
    layered,
    splat,
)

if TYPE_CHECKING:
    from audioplane.config import Config
    from audioplane.losses.terms import Perceptual


class Branch(nn.Module):
    """One canonical cloud and what deforms it. A method has one, or several (a face and the inside of a mouth).

    A subclass makes `mlp` and says what S and the modulation are. Where the decoder is not of that shape it returns
    None as static features, and overrides `deformation`.

    Args:
        cloud: canonical Gaussians.
        box: the head's, metres.
        units: what an offset of 1 means for each of the P numbers of a packed Gaussian.
        own: further numbers of each Gaussian: name -> how many; zeros at first. Those that are born take their
            parent's.
    """

    units: Tensor
    mlp: DeformationMLP
    is_plain = True
    """Whether offsets and weight are what `mlp` gives, as the viewer in the browser computes them."""

    def __init__(self, cloud: Gaussians, box: Box, units: Tensor, own: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.box = box
        self.params = as_parameters(cloud)
        for name, size in (own or {}).items():
            self.params[name] = nn.Parameter(cloud.means.new_zeros(len(cloud), size))
        self.register_buffer("units", units)

    @property
    def cloud(self) -> Gaussians:
        """The canonical Gaussians G."""
        return from_parameters(self.params)

    def points(self) -> Tensor:
        """Canonical positions in [0, 1]^3, where fields are sampled: (N, 3)."""
        return self.box.normalise(self.params["means"])

    def static_features(self) -> Tensor | None:
        """S, (N, W); None where the decoder cannot be folded."""
        return None

    def vector(self, condition: Condition) -> Tensor:
        """All of a frame that reaches this branch, v (K,); see `wiring`. The expression, if any, stands at its end."""
        return joined(condition.audio, condition.expression)

    def modulation(self, vector: Tensor) -> Modulation:
        """Gain and extra vector of a frame, from its v."""
        return self.wiring().modulation(vector)

    def wiring(self) -> Wiring:
        """`modulation` as indices."""
        return Wiring(extra=range(self.mlp.extra)) if self.mlp.extra else Wiring()

    def decode(self, static: Tensor, modulation: Modulation) -> Deformed:
        """What Gaussians with features S (n, W) do."""
        offsets, weight = self.mlp(static, modulation.gain, modulation.extra)
        return Deformed(offsets, weight)

    def deformation(self, condition: Condition) -> Deformed:
        """What all Gaussians do in a frame."""
        static = self.static_features()
        assert static is not None, "a branch without static features has its own `deformation`"
        return self.decode(static, self.modulation(self.vector(condition)))

    def deform(self, condition: Condition) -> Gaussians:
        """The cloud of a frame, G'."""
        moved = self.deformation(condition)
        return self.cloud.moved(displacement(moved.offsets, moved.weight, self.units))

    def draw(self, condition: Condition | None, viewmat: Tensor, K: Tensor, width: int, height: int) -> Picture:
        """The picture of this branch alone; arguments of `Method.render`."""
        if condition is None:
            return splat(self.cloud, viewmat, K, width, height)
        moved = self.deformation(condition)
        return splat(self.cloud, viewmat, K, width, height, moved.weight, moved.offsets, self.units)

    def own_rates(self, at: Position) -> dict[str, float]:
        """Learning rates of the further numbers of each Gaussian, by name."""
        return {}

    # For files, where a branch has tables of which a head reads a few rows

    def tables(self) -> dict[str, Tensor]:
        """Name in the state -> a table (rows, D) of which only the rows that were touched need be kept."""
        return {}

    def rows_read(self) -> dict[str, Tensor]:
        """Name -> the rows of each of `tables` that the canonical cloud reads: all that a finished head needs."""
        return {}

    def feature_groups(self) -> Sequence[str]:
        """Names of equal parts of S, in their order, that can be looked at one by one."""
        return ()


class Method(nn.Module):
    """Everything of a head that learns. One subclass a method, no deeper.

    Args:
        config: of the run.
        clouds: branch -> its canonical Gaussians; see `branch_names`.
        box: the head's.
        channels: C of the audio features.
        generator: of the initial weights.
    """

    def __init__(
        self, config: Config, clouds: Mapping[str, Gaussians], box: Box, channels: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.config, self.box = config, box
        self.encoder = AudioEncoder(config.audio, channels, generator)
        self.branches = nn.ModuleDict(
            {name: self.make_branch(name, cloud, generator) for name, cloud in clouds.items()}
        )

    # What a method says

    @property
    def expression(self) -> Sequence[str]:
        """Blendshapes that a condition's `expression` holds, in this order; none for methods that take none."""
        return ()

    @property
    def compared(self) -> Sequence[str]:
        """Blendshapes that the losses compare with (`Sample.compared`), in this order."""
        return ()

    @classmethod
    def branch_names(cls, config: Config) -> Sequence[str]:
        """The branches, those in front first."""
        return ("head",)

    @classmethod
    def start(cls, config: Config, name: str) -> Start:
        """Where the cloud of a branch begins."""
        return Start(config.gaussians.initial, config.gaussians.cap)

    @classmethod
    def own_arrays(cls, config: Config, name: str) -> dict[str, int]:
        """Further numbers of each Gaussian of a branch, name -> how many; as `Branch` takes them."""
        return {}

    def make_branch(self, name: str, cloud: Gaussians, generator: torch.Generator) -> Branch:
        """The branch `name` over its canonical cloud."""
        raise NotImplementedError

    def smoothed(self, track: np.ndarray) -> np.ndarray:
        """Captured weights (T, E) of `expression` as the method reads them; by default as they are."""
        return track

    def observe(self, poses: Tensor, landmarks: Tensor) -> None:
        """Is told once, before training, of the training frames.

        Args:
            poses: (T, 6), see `pose.pose_numbers`. landmarks: (68, 3) metres, where they are on the head; NaN for those
                that no frame has.
        """

    def begin(self, stage: Stage) -> None:
        """Is told before each iteration."""

    def stages(self) -> tuple[Stage, ...]:
        """The parts of training: by default the static clouds, then what moves them."""
        return two_stages(self.config, tuple(self.branches))

    def parameter_groups(self) -> list[ParameterGroup]:
        """What is learned beside the clouds: "network", "tables" and "encoder".

        With several branches each has its own, "network-NAME" and "tables-NAME".
        """
        optim, encoder_rate = self.config.optim, self.config.audio.fine_rate
        networks, tables = [], []
        for name, branch in self.named():
            suffix = f"-{name}" if len(self.branches) > 1 else ""
            own = list(branch.tables().values())
            taken = {id(p) for p in (*own, *branch.params.values())}
            rest = [p for p in branch.parameters() if id(p) not in taken]
            networks.append(ParameterGroup(f"network{suffix}", rest, warmed(optim.network, optim.last_share)))
            if own:
                rate = warmed(optim.planes, optim.last_share)
                tables.append(ParameterGroup(f"tables{suffix}", own, rate, tables=True, eps=1e-15))  # type: ignore[arg-type]
        encoder = ParameterGroup("encoder", [*self.encoder.parameters()], decayed(encoder_rate, optim.last_share))
        return [*networks, encoder, *tables]

    def losses(self, picture: Picture, sample: Sample, stage: Stage, perceptual: Perceptual | None) -> Losses:
        """The terms of a picture: by default L1 and the perceptual term (Audio-Plane, Eq. 16)."""
        from audioplane.losses.terms import pixel_terms

        own = self.config.loss
        mouth, eyes = self.region_weights(stage)
        pixels = pixel_terms(picture, sample, mouth, eyes_weight=eyes)
        terms = {"l1": Term(pixels.l1)}
        if perceptual is not None:
            terms["perceptual"] = Term(perceptual(pixels.image, pixels.target), own.perceptual_weight)
        return Losses(terms, pixels.error)

    def region_weights(self, stage: Stage) -> tuple[float, float]:
        """Further weights in L1 of what speech moves, and of eyes and brows where an expression drives them."""
        own = self.config.loss
        if not stage.deforms:
            return 0.0, 0.0
        return own.mouth_weight, own.eyes_weight if self.expression else 0.0

    def render(
        self,
        condition: Condition | None,
        viewmat: Tensor,
        K: Tensor,
        width: int,
        height: int,
        branches: Sequence[str] = (),
    ) -> Picture:
        """The picture of a frame as training sees it, or of the static head for None; branches lie on each other.

        Args:
            condition: of the frame. viewmat: (4, 4) camera-from-head. K: (3, 3) pixels. width, height: pixels.
            branches: that are drawn; () for all.
        """
        chosen = branches or tuple(self.branches)
        layers = {name: self.branch(name).draw(condition, viewmat, K, width, height) for name in chosen}
        return layered(layers)

    # What follows from it

    def named(self) -> Iterator[tuple[str, Branch]]:
        """Name and branch, in order."""
        yield from self.branches.items()  # type: ignore[misc]

    def branch(self, name: str) -> Branch:
        """The branch of that name."""
        return self.branches[name]  # type: ignore[return-value]

    def each(self) -> Iterator[Branch]:
        """The branches, in order."""
        yield from self.branches.values()  # type: ignore[misc]

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.stages())

    def position(self, iteration: int) -> Position:
        """Stage and place in it of an iteration of the run; the last one's end for an iteration beyond."""
        stages = self.stages()
        for number, stage in enumerate(stages):
            if iteration < stage.iterations or number == len(stages) - 1:
                grown = (one.iterations for one in stages[:number] if {*one.densifies} & {*stage.densifies})
                return Position(stage, min(iteration, stage.iterations), sum(grown))
            iteration -= stage.iterations
        raise ValueError("stages: expected one or more, received none")

    def tables(self) -> dict[str, Tensor]:
        """Name in the state of the whole method -> table, see `Branch.tables`."""
        return {f"branches.{name}.{own}": t for name, b in self.named() for own, t in b.tables().items()}

    def rows_read(self) -> dict[str, Tensor]:
        """Name -> rows, see `Branch.rows_read`."""
        return {f"branches.{name}.{own}": rows for name, b in self.named() for own, rows in b.rows_read().items()}


def joined(audio: Tensor, expression: Tensor | None) -> Tensor:
    """A frame's vector v: what of the sound reaches a branch, then the expression."""
    return audio if expression is None else torch.cat([audio, expression])


def two_stages(config: Config, branches: Sequence[str]) -> tuple[Stage, ...]:
    """Static clouds that grow, then what deforms them (Audio-Plane, Sec. III-F; and most methods of the field)."""
    own, names = config.schedule, tuple(branches)
    trains = ("tables", "network", "encoder") if config.audio.fine_rate > 0.0 else ("tables", "network")
    return (
        Stage("coarse", own.coarse, False, (), names, bool(own.early_size), names),
        Stage("fine", own.fine, True, trains, names if config.gaussians.densify_fine_until > 0.0 else ()),
    )


def offset_units(
    half: float, bands: int, position: float, rotation: float, scaling: float, opacity: float, color: float
) -> Tensor:
    """What an offset of 1 means for each number of a packed Gaussian: (11 + 3 bands,).

    Args:
        half: half side of the head's box, metres. bands: harmonics of the colours.
        position: in half box sides. rotation: of the quaternion. scaling: of log-scales. opacity: of the logit.
        color: of the harmonics.
    """
    moved = position * half
    return torch.tensor([moved] * 3 + [rotation] * 4 + [scaling] * 3 + [opacity] + [color] * 3 * bands)
