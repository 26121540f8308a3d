"""`TalkingHead`: a trained head in one file, and what it says.

    head = TalkingHead.load("runs/adam/head.safetensors")
    head.speak("voice.wav", out="talk.mp4")

Inference is folded (`inference.folding`); `sparse=False` moves all Gaussians, exactly as in training.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from audioplane.audio.features import SAMPLE_RATE, Features
from audioplane.errors import UserError
from audioplane.inference import arguments, drawing, encoding, expressions, packing
from audioplane.inference import poses as head_poses
from audioplane.inference.folding import FoldedBranch
from audioplane.media.marks import mark_stamp
from audioplane.media.writer import write_video
from audioplane.methods.base import Method
from audioplane.methods.pose import pose_numbers
from audioplane.methods.types import Condition
from audioplane.motion.own_range import OwnRange
from audioplane.runtime.memory import give_back
from audioplane.runtime.tensors import check_default_dtype
from audioplane.splat.gaussians import Gaussians
from audioplane.training import checkpoint

if TYPE_CHECKING:
    from audioplane.inference.packing import Stored
    from audioplane.inference.portrait import Portrait
    from audioplane.restore.restorer import Restorer
    from audioplane.training.trainer import Trainer

F = TypeVar("F", bound=Callable[..., Any])


def _exact(function: F) -> F:
    """What a head computes: without gradients, and the same inside of somebody's autocast."""

    @wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        check_default_dtype()
        device = getattr(args[0], "device", torch.device("cpu"))
        with torch.no_grad(), torch.autocast("cpu", enabled=False), torch.autocast(device.type, enabled=False):
            return function(*args, **kwargs)

    return cast("F", inner)


class TalkingHead:
    """A head that speaks.

    Args:
        method: trained. about: JSON of the file. extras: tensors of the file that are not the method's.
        sparse: evaluate only the Gaussians that move.
        stored: what a packed head's file holds of each branch, see `inference.packing`.
        device: where it is computed and drawn; cameras, codes, pictures are given and returned on the host.

    Attributes:
        branches: name -> the folded branch, see `inference.folding`.
        is_packed: whether it comes from a packed file.
    """

    @_exact
    def __init__(
        self,
        method: Method,
        about: dict[str, Any],
        extras: dict[str, Tensor],
        sparse: bool = True,
        stored: Mapping[str, Stored] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.opening = copy.deepcopy(method.encoder.opening).cpu()  # codes are finished on the host
        method = method.to(self.device)
        self.method, self.about, self.extras = method.eval().requires_grad_(False), about, extras
        self.config, self.fps = method.config, float(about["fps"])
        self.width, self.height = int(about["width"]), int(about["height"])
        self.K, self.viewmats = extras["K"], extras["viewmats"]
        statistics = extras.get("statistics")
        self.features = Features(self.config.audio, None if statistics is None else tuple(statistics.numpy()))
        self.own_range = None
        if method.expression:
            self.own_range = OwnRange.fit(extras["expression"].numpy(), method.expression)
        self.is_packed = bool(stored)
        if stored:
            self.branches = packing.restore(method, stored)
            return
        known = self._known_conditions() if sparse else []
        self.branches = {name: FoldedBranch(branch, known) for name, branch in method.named()}

    # Files

    @staticmethod
    def export(trainer: Trainer, path: str | Path) -> TalkingHead:
        """Writes what a run has learned, with what speaking needs, to one file, and reads it."""
        from audioplane.inference.export import export

        export(trainer, path)
        return TalkingHead.load(path)

    @staticmethod
    def load(path: str | Path, sparse: bool = True, device: str | torch.device = "cpu") -> TalkingHead:
        """A head from its file, or from the folder of its run, on a device. Nothing in the file is executed.

        Args:
            path: of the file or folder, or the name of a head that ships ("adam").
            sparse: evaluate only the Gaussians that move.
            device: where it is computed and drawn.

        Raises:
            UserError: no such file, damaged, of another version, or not a head; a packed head that is to evaluate
                every Gaussian.
        """
        from audioplane.inference import shipped
        from audioplane.inference.export import KIND, rebuild

        path = shipped.find(path)
        path = path / "head.safetensors" if path.is_dir() else path
        tensors, about = checkpoint.load(path)
        if about.get("kind") != KIND:
            raise UserError(f"{path} is not a talking head; train one with `audioplane train`")
        tensors, stored = packing.unpack(tensors, about, str(path))
        if stored and not sparse:
            raise UserError(f"{path}: {packing.HELP}")
        try:
            method = rebuild(tensors, about, str(path))
        except (KeyError, RuntimeError, IndexError, TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[-1].strip()[:120]
            raise UserError(f"{path} does not fit this version of audioplane ({reason}); train it again") from error
        extras = {name: t for name, t in tensors.items() if not name.startswith(("model/", "rows/"))}
        return TalkingHead(method, about, extras, sparse, stored, device)

    # Gaussians

    @property
    def cloud(self) -> Gaussians:
        """The canonical Gaussians, of all branches."""
        return Gaussians.joined([branch.cloud.detach() for branch in self.method.each()])

    @property
    def moving(self) -> int:
        """How many Gaussians are evaluated at every frame."""
        return sum(len(branch.moving) for branch in self.branches.values())

    @_exact
    def let_rest(self, still: float) -> None:
        """Tells anew which Gaussians are evaluated at every frame.

        Args:
            still: largest change of one that rests, in units of `Branch.units` (`folding.STILL` otherwise).

        Raises:
            UserError: the head is packed, and does not know any more what its resting Gaussians did.
        """
        if self.is_packed:
            raise UserError(packing.HELP)
        known = self._known_conditions()
        self.branches = {name: FoldedBranch(own, known, still=still) for name, own in self.method.named()}

    @property
    def is_folded(self) -> bool:
        """Whether everything but one small matrix a frame is computed once."""
        return all(branch.static is not None for branch in self.branches.values())

    @property
    def can_turn(self) -> bool:
        """Whether it was trained on a surface, and so holds together seen from beside."""
        return self.config.gaussians.surface

    def save_ply(self, path: str | Path, audio_code: Tensor | None = None) -> Path:
        """Writes its Gaussians for other viewers: the head at rest, or as it says one sound; upright in viewers whose y
        points up.

        Args:
            path: of the .ply. audio_code: (code,) from `encode`; default that of closed lips.

        Raises:
            UserError: the file cannot be written.
        """
        from audioplane.splat.ply import save_ply, upright

        rest = self.extras.get("rest", self.extras["codes"].mean(0))
        save_ply(upright(self.deform(rest if audio_code is None else audio_code)), path)
        return Path(path)

    def condition(
        self,
        audio_code: Tensor,
        time: float = 0.0,
        expression: np.ndarray | Tensor | None = None,
        viewmat: np.ndarray | Tensor | None = None,
    ) -> Condition:
        """What drives a frame.

        Args:
            audio_code: (code,) from `encode`. time: within the training clip; only fields over time ask for it.
            expression: (E,) weights of `expression_names`; None for the person's rest pose. Heads that take none
                ignore it.
            viewmat: (4, 4) camera-from-head, for methods that the head's pose enters; None for the typical one.

        Raises:
            UserError: an expression of another shape.
        """
        pose = None if viewmat is None else torch.from_numpy(pose_numbers(np.asarray(viewmat))).to(self.device)
        audio_code = audio_code.to(self.device)
        if self.own_range is None:
            return Condition(audio_code, time, None, pose)
        weights = self.own_range.rest if expression is None else expression
        given = arguments.numbers(weights, (len(self.expression_names),), "expression")
        face = torch.from_numpy(self.own_range.standardise(given.numpy())).to(self.device)
        return Condition(audio_code, time, face, pose)

    @property
    def expression_names(self) -> Sequence[str]:
        """Blendshapes that drive it beside the voice; none where the voice is all."""
        return self.method.expression

    def filmed_expression(self, fps: float) -> np.ndarray:
        """The expression of the frames that it learned from, for another head: (T, 52) at a frame rate.

        Raises:
            UserError: the head takes none.
        """
        return expressions.filmed(self.own_range, self.extras.get("expression"), self.fps, fps)

    def _known_conditions(self) -> list[Condition]:
        """Of the training frames: every few of them, and those in which a blendshape goes farthest."""
        codes, count = self.extras["codes"], len(self.viewmats)
        every = -(-count // len(codes))
        frames = [min(k * every, count - 1) for k in range(len(codes))]
        if self.own_range is None:
            return [self.condition(code, viewmat=self.viewmats[t]) for code, t in zip(codes, frames, strict=True)]
        track = self.extras["expression"]
        frames += sorted({int(t) for t in track.argmax(dim=0)})
        own = [codes[min(t // every, len(codes) - 1)] for t in frames]
        return [self.condition(a, 0.0, track[t], self.viewmats[t]) for a, t in zip(own, frames, strict=True)]

    @_exact
    def deform(
        self,
        audio_code: Tensor,
        time: float = 0.0,
        expression: np.ndarray | Tensor | None = None,
        viewmat: np.ndarray | Tensor | None = None,
    ) -> Gaussians:
        """The cloud of a frame, of all branches, G' = G + d Delta G (Audio-Plane, Eq. 13); arguments of `condition`."""
        return Gaussians.joined(list(self._deformed(self.condition(audio_code, time, expression, viewmat)).values()))

    def _deformed(self, condition: Condition) -> dict[str, Gaussians]:
        return {name: branch.deform(condition) for name, branch in self.branches.items()}

    # From sound to pictures

    @_exact
    def encode(self, audio: np.ndarray, features: str = "", sample: np.ndarray | None = None) -> Tensor:
        """Audio codes of every frame of a voice.

        Args:
            audio: (n,) 16 kHz mono float32. features: DeepSpeech heads only, this voice's .npy.
            sample: a few more seconds of the same voice, by which it is judged too; a word alone says little of it.

        Returns:
            (T, code), T = ceil of the audio's length in frames.

        Raises:
            UserError: a voice that cannot be spoken; a sample, or no features of this voice, where they come from a
                file.
        """
        return encoding.codes_of(self, audio, features, sample)

    @_exact
    def render(
        self,
        audio_code: Tensor,
        viewmat: np.ndarray | Tensor,
        behind: np.ndarray | None = None,
        size: int = 0,
        time: float = 0.0,
        expression: np.ndarray | Tensor | None = None,
        restorer: Restorer | None = None,
    ) -> np.ndarray:
        """One picture.

        Args:
            audio_code: (code,) from `encode`. viewmat: (4, 4) camera-from-head.
            behind: (H, W, 3) uint8; default the still torso. size: width in pixels; 0 for the trained one.
            time, expression: as for `condition`. restorer: of the seam between head and torso.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            UserError: an argument of another shape or kind; says what was expected.
        """
        return drawing.host(drawing.frame(self, audio_code, viewmat, behind, size, time, expression, restorer))

    def frames(
        self,
        audio: np.ndarray,
        poses: str | np.ndarray = "test",
        size: int = 0,
        seed: int = 0,
        mark: bool = True,
        features: str = "",
        sample: np.ndarray | None = None,
        expression: str | np.ndarray = "natural",
        steer: Sequence[float] = (),
        portrait: Portrait | None = None,
        restorer: Restorer | None = None,
    ) -> Iterator[np.ndarray]:
        """Pictures of a voice, one by one; they are rendered ahead, one frame a core, or in batches on a GPU.

        Args:
            audio: (n,) 16 kHz mono float32.
            poses: "test" (the held-out clip, forth and back), "still", "natural", or viewmats (T, 4, 4).
            size: width in pixels; 0 for the trained one. seed: of natural poses and expression.
            mark: whether to write "synthetic" into a corner. features, sample: as for `encode`.
            expression, steer: as for `expressions`.
            portrait: puts the face into the frames of its source clip, in their size, poses and order.
            restorer: paints the seam between head and torso anew; None leaves the torso as the head's file has it.

        Yields:
            (H, W, 3) uint8 RGB.

        Raises:
            UserError: what `encode` and `expressions` refuse; poses or a size that a portrait's frames do not have;
                somebody else's restorer, or one for a portrait.
        """
        if restorer is not None:
            drawing.check_restorer(self, restorer, portrait)
        codes = self.encode(audio, features, sample)
        if portrait is not None:
            if not isinstance(poses, str) or poses != "test" or size not in (0, portrait.subject.width):
                raise UserError("a portrait has the poses and the size of its source clip; leave poses and size away")
            views = drawing.portrait_views(self, portrait, len(codes))
            faces = self.expressions(audio, expression, seed, views, steer)
            yield from drawing.portrait_film(self, portrait, codes, faces, mark)
            return
        width, height, _ = drawing.camera(self, size)
        views, torsos = self._poses(poses, len(codes), seed)
        faces = self.expressions(audio, expression, seed, views, steer)
        give_back()
        still = drawing.torso(self, 0, width, height)

        def shot(t: int) -> drawing.Shot:
            behind = drawing.torso(self, int(torsos[t]), width, height) if torsos[t] else still
            face = None if faces is None else faces[t]
            return drawing.Shot(codes[t], views[t], behind, t / max(len(codes) - 1, 1), face)

        yield from drawing.film(self, shot, len(codes), size, mark_stamp(width) if mark else None, restorer=restorer)

    def expressions(
        self,
        audio: np.ndarray,
        expression: str | np.ndarray = "natural",
        seed: int = 0,
        views: np.ndarray | None = None,
        steer: Sequence[float] = (),
    ) -> np.ndarray | None:
        """Eyes and brows for every frame of a voice.

        Args:
            audio: (n,) 16 kHz mono. seed: of what is natural.
            expression: "natural" (blinks, gaze and brows that go with the voice), "none" (the rest pose), or a capture
                (S, 52) of `audioplane.subject.blendshapes.NAMES` at the head's frame rate, of any face: it is brought
                into this person's range, and runs back and forth where the voice is longer.
            views: (T, 4, 4) camera-from-head of the frames; eyes make good for the head's turns.
            steer: shares, -1 to 1, of `audioplane.motion.own_range.CONTROLS` that are added to every frame.

        Returns:
            (T, E) weights of `expression_names`; None for a head that takes none, which then keeps its eyes still.

        Raises:
            UserError: a capture for a head that takes none, or no such expression.
        """
        turned = None if views is None else head_poses.yaw_and_pitch(views, self.viewmats.numpy())
        return expressions.of_voice(self.own_range, audio, self.fps, expression, seed, turned, steer)

    def _poses(self, poses: str | np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Viewmats (count, 4, 4) and the torso's picture of each frame."""
        if not isinstance(poses, str):
            given = arguments.numbers(poses, (count, 4, 4), "poses, one camera a frame").numpy()
            return given, np.zeros(count, dtype=int)
        seen, held_out = self.viewmats.numpy(), self.extras["test_viewmats"].numpy()
        return head_poses.named(poses, count, self.fps, seed, seen, held_out, self.can_turn)

    def speak(
        self,
        voice: str | Path | np.ndarray | Sequence[float] | Tensor,
        out: str | Path,
        poses: str | np.ndarray = "test",
        size: int = 0,
        seed: int = 0,
        mark: bool = True,
        features: str = "",
        sample: str | Path | None = None,
        expression: str | np.ndarray = "natural",
        portrait: Portrait | None = None,
        restorer: Restorer | None = None,
    ) -> Path:
        """Makes a film of the head speaking a voice.

        Args:
            voice: a sound file, or (n,) numbers at 16 kHz, as array, list or tensor.
            out: mp4 to write (H.264 and AAC). sample: a sound file. Other arguments as for `frames`.

        Returns:
            `out`.

        Raises:
            UserError: the voice cannot be read or is empty, or the film cannot be written.
        """
        audio = arguments.voice(voice)
        more = None if sample is None else arguments.voice(sample, "sample")
        pictures = self.frames(audio, poses, size, seed, mark, features, more, expression, (), portrait, restorer)
        write_video(out, pictures, self.fps, audio, SAMPLE_RATE)
        return Path(out)
