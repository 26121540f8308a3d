"""`TalkingHead`: a trained head in one file, and what it says.

    head = TalkingHead.load("runs/ada/head.safetensors")
    head.speak("voice.wav", out="talk.mp4")

Inference is folded: the canonical points rest, so Interp(P_ij) * f_k (Eq. 10) is computed once per head, and the audio
enters through one small matrix per frame (`fields.heads`). Gaussians whose offsets hardly change over the training
voice keep their mean offset (sparse evaluation); `sparse=False` moves them all, exactly as in training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audioplane.audio.features import SAMPLE_RATE, Features, check_audio, count_frames, load_audio
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.inference import compositing
from audioplane.media.marks import mark_stamp, put_mark
from audioplane.media.writer import write_video
from audioplane.methods.audio_plane.model import HeadModel
from audioplane.runtime.threads import in_parallel
from audioplane.splat.gaussians import Box, Gaussians, splat
from audioplane.training import checkpoint

if TYPE_CHECKING:
    from audioplane.training.trainer import Trainer

POSES = ("test", "still", "natural")
TORSO_BYTES = 5_000_000  # of JPEG for the torso's motion in the test clip
FAMILIAR = 100  # frames that the training voice counts for, where another voice's codes are standardised
STILL = 0.15
"""Sparse evaluation: largest change, in units of `offset_scales`, of a Gaussian that keeps its mean offset."""


class TalkingHead:
    """A head that speaks.

    Args:
        model: trained. about: JSON of the file. extras: tensors of the file that are not the model's.
        sparse: evaluate the field only for Gaussians that move.
    """

    def __init__(self, model: HeadModel, about: dict[str, Any], extras: dict[str, Tensor], sparse: bool = True) -> None:
        self.model, self.about, self.extras = model.eval().requires_grad_(False), about, extras
        self.config, self.fps = model.config, float(about["fps"])
        self.width, self.height = int(about["width"]), int(about["height"])
        self.K, self.viewmats = extras["K"], extras["viewmats"]
        statistics = extras.get("statistics")
        self.features = Features(self.config.audio, None if statistics is None else tuple(statistics.numpy()))
        self._rows = model.cloud.pack()
        self._moving = torch.arange(len(self._rows))
        self._static = self._fold()
        if sparse and self._static is not None:
            self._rest()

    # Files

    @staticmethod
    def export(trainer: Trainer, path: str | Path) -> TalkingHead:
        """Writes what a run has learned, with what speaking needs, to one file."""
        import cv2

        subject, model = trainer.subject, trainer.model
        state = {f"model/{name}": tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        rows = touched_rows(model)
        state["model/field.planes.planes"], state["touched"] = state["model/field.planes.planes"][rows], rows
        test = subject.test if len(subject.test) else subject.train

        state |= {
            "K": trainer.cache.K,
            "viewmats": torch.from_numpy(subject.viewmats[subject.train.start : subject.train.stop].copy()),
        }
        typical = subject.train.start + compositing.typical(subject.viewmats[subject.train.start : subject.train.stop])
        packs, budget = [], TORSO_BYTES
        for t in [typical, *test]:
            image = still_torso(trainer, typical) if not packs else trainer.cache[t].behind
            data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            budget -= len(data)
            if budget < 0:
                break
            packs.append(data)
        state["torso"] = torch.from_numpy(np.concatenate(packs))
        state["torso_ends"] = torch.from_numpy(np.cumsum([len(pack) for pack in packs]))
        state["test_viewmats"] = torch.from_numpy(subject.viewmats[test.start : test.start + len(packs) - 1].copy())
        with torch.no_grad():
            codes = model.encoder.all_codes(trainer.windows)
        state["codes"] = codes[subject.train.start : subject.train.stop : 8].cpu().contiguous()
        if trainer.features.statistics is not None:
            state["statistics"] = torch.from_numpy(np.stack(trainer.features.statistics).astype(np.float32))
        about = {
            "kind": "head",
            "config": json.loads(trainer.config.to_json()),
            "fps": subject.fps,
            "name": subject.name,
            "width": trainer.cache.width,
            "height": trainer.cache.height,
            "box": [*trainer.box.center, trainer.box.half],
            "gaussians": len(model.params["means"]),
            "channels": trainer.windows.shape[-1],
            "iteration": trainer.iteration,
            "facts": trainer.facts,
        }
        checkpoint.save(path, state, about)
        return TalkingHead.load(path)

    @staticmethod
    def load(path: str | Path, sparse: bool = True) -> TalkingHead:
        """A head from its file, or from the folder of its run. Nothing in the file is executed.

        Raises:
            UserError: no such file, damaged, of another version, or not a head.
        """
        path = Path(path)
        tensors, about = checkpoint.load(path / "head.safetensors" if path.is_dir() else path)
        if about.get("kind") != "head":
            raise UserError(f"{path} is not a talking head; train one with `audioplane train`")
        try:
            model = _rebuild(tensors, about)
        except (KeyError, RuntimeError, IndexError) as error:
            reason = str(error).splitlines()[-1].strip()[:120]
            raise UserError(f"{path} does not fit this version of audioplane ({reason}); train it again") from error
        return TalkingHead(model, about, {n: t for n, t in tensors.items() if not n.startswith("model/")}, sparse)

    @property
    def cloud(self) -> Gaussians:
        """The canonical Gaussians."""
        return self.model.cloud.detach()

    # Folding

    def _fold(self) -> Tensor | None:
        """What of the field does not depend on the audio: (N, W); None where time runs through it."""
        field = self.model.field
        return None if field.time_dependent else field.static(self.model.points())  # type: ignore[union-attr]

    def _rest(self) -> None:
        """Gives Gaussians that hardly change their mean offset, once, and keeps the others for every frame."""
        assert self._static is not None
        changes = [self._change(code, self._static) for code in self.extras["codes"]]
        mean = torch.stack(changes).mean(dim=0)
        largest = torch.stack([(change - mean).abs().amax(dim=1) for change in changes]).quantile(0.98, dim=0)
        moving = largest > STILL
        self._rows = torch.where(moving[:, None], self._rows, self._rows + mean * self.model.scales)
        self._moving = moving.nonzero()[:, 0]
        self._static = self._static[self._moving].contiguous()

    def _change(self, audio: Tensor, static: Tensor) -> Tensor:
        """d * Delta G in D1's units: (n, P)."""
        offsets, dynamism = self.model.field.modulate(static, audio)  # type: ignore[union-attr]
        return offsets * dynamism if self.config.saliency.enabled else offsets

    @property
    def moving(self) -> int:
        """How many Gaussians are evaluated at every frame."""
        return len(self._moving)

    # From sound to pictures

    def encode(self, audio: np.ndarray, features: str = "", sample: np.ndarray | None = None) -> Tensor:
        """Audio codes of every frame of a voice.

        Args:
            audio: (n,) 16 kHz mono float32. features: DeepSpeech heads only, this voice's .npy.
            sample: a few more seconds of the same voice, by which it is judged too; a word alone says little of it.

        Returns:
            (T, code), T = ceil of the audio's length in frames.

        Raises:
            UserError: a voice that cannot be spoken, or a sample where features come from a file.
        """
        audio, before = check_audio(audio), 0
        if sample is not None:
            if self.config.audio.features == "deepspeech":
                raise UserError("a head with DeepSpeech features is told the voice by its .npy; it takes no sample")
            before = count_frames(check_audio(sample, "sample"), self.fps)
            space = np.zeros(round(before * SAMPLE_RATE / self.fps) - len(sample), np.float32)
            audio = np.concatenate([sample, space, audio])
        windows = torch.from_numpy(self.features(audio, self.fps, model=features))
        with torch.no_grad():
            codes = self.model.encoder.all_codes(windows)
        own = self.config.audio
        return (own.emphasis * as_loud_as_training(codes) if own.normalise == "voice" else codes)[before:]

    @torch.no_grad()
    def deform(self, audio_code: Tensor, time: float = 0.0) -> Gaussians:
        """The cloud of a moment, G', folded. Paper: Eq. 13 (journal)."""
        if self._static is None:
            return self.model.deform(audio_code, time)[0]
        change = self._change(audio_code, self._static) * self.model.scales
        return Gaussians.unpack(self._rows.index_add(0, self._moving, change))

    @torch.no_grad()
    def render(
        self,
        audio_code: Tensor,
        viewmat: np.ndarray | Tensor,
        behind: np.ndarray | None = None,
        size: int = 0,
        time: float = 0.0,
    ) -> np.ndarray:
        """One picture.

        Args:
            audio_code: (code,) from `encode`. viewmat: (4, 4) camera-from-head.
            behind: (H, W, 3) uint8; default the still torso. size: width in pixels; 0 for the trained one.
            time: within the training clip; only six planes listen.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        width, height, K = self._camera(size)
        view = torch.as_tensor(viewmat, dtype=torch.float32)
        picture = splat(self.deform(audio_code, time), view, K, width, height)
        if behind is None:
            behind = self._torso(0, width, height)
        return compositing.composite(picture.rgb.numpy(), picture.alpha.numpy(), behind)

    def _camera(self, size: int) -> tuple[int, int, Tensor]:
        if size == 0 or size == self.width:
            return self.width, self.height, self.K
        scale = size / self.width
        return size, round(self.height * scale), self.K * torch.tensor([[scale], [scale], [1.0]])

    def _torso(self, index: int, width: int, height: int) -> np.ndarray:
        """Torso and background, 0 the still one, then those of the test clip: (H, W, 3) uint8."""
        import cv2

        ends = self.extras["torso_ends"]
        start = int(ends[index - 1]) if index else 0
        image = cv2.imdecode(self.extras["torso"][start : int(ends[index])].numpy(), cv2.IMREAD_COLOR)
        assert image is not None  # checked when the file was read
        image = np.ascontiguousarray(image[..., ::-1])
        return image if image.shape[1] == width else cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)

    def frames(
        self,
        audio: np.ndarray,
        poses: str | np.ndarray = "test",
        size: int = 0,
        seed: int = 0,
        mark: bool = True,
        features: str = "",
        sample: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Pictures of a voice, one by one; they are rendered ahead, one frame a core.

        Args:
            audio: (n,) 16 kHz mono float32.
            poses: "test" (the held-out clip, forth and back), "still", "natural", or viewmats (T, 4, 4).
            size: width in pixels; 0 for the trained one. seed: of natural poses.
            mark: whether to write "synthetic" into a corner. features, sample: as for `encode`.

        Yields:
            (H, W, 3) uint8 RGB.
        """
        codes = self.encode(audio, features, sample)
        width, height, _ = self._camera(size)
        views, torsos = self._poses(poses, len(codes), seed)
        stamp, still = mark_stamp(width), self._torso(0, width, height)

        def draw(t: int) -> np.ndarray:
            behind = self._torso(int(torsos[t]), width, height) if torsos[t] else still
            image = self.render(codes[t], views[t], behind, size, t / max(len(codes) - 1, 1))
            if mark:
                put_mark(image, stamp)
            return image

        yield from in_parallel(draw, range(len(codes)), torch.get_num_threads())

    def _poses(self, poses: str | np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Viewmats (count, 4, 4) and the torso's picture of each frame."""
        still = np.zeros(count, dtype=int)
        if not isinstance(poses, str):
            if np.shape(poses) != (count, 4, 4):
                raise UserError(f"poses must be ({count}, 4, 4), one camera a frame, not {np.shape(poses)}")
            return np.asarray(poses, np.float32), still
        seen = self.viewmats.numpy()
        if poses == "test":
            at = compositing.back_and_forth(count, len(self.extras["test_viewmats"]))
            return self.extras["test_viewmats"].numpy()[at], at + 1
        if poses == "still":
            return np.tile(seen[compositing.typical(seen)], (count, 1, 1)), still
        if poses == "natural":
            return compositing.natural_poses(seen, count, self.fps, seed), still
        raise UserError(f"poses are one of {', '.join(POSES)}, not '{poses}'")

    def speak(
        self,
        voice: str | Path | np.ndarray,
        out: str | Path,
        poses: str | np.ndarray = "test",
        size: int = 0,
        seed: int = 0,
        mark: bool = True,
        features: str = "",
        sample: str | Path | None = None,
    ) -> Path:
        """Makes a film of the head speaking a voice.

        Args:
            voice: a sound file, or (n,) float32 at 16 kHz.
            out: mp4 to write (H.264 and AAC). sample: a sound file. Other arguments as for `frames`.

        Returns:
            `out`.

        Raises:
            UserError: the voice cannot be read or is empty, or the film cannot be written.
        """
        audio = check_audio(voice) if isinstance(voice, np.ndarray) else load_audio(voice)
        more = None if sample is None else load_audio(sample)
        pictures = self.frames(audio, poses, size, seed, mark, features, more)
        write_video(out, pictures, self.fps, audio, SAMPLE_RATE)
        return Path(out)


def as_loud_as_training(codes: Tensor) -> Tensor:
    """Codes (T, code) of a voice with the mean and spread that those of the training voice had, 0 and 1.

    An encoder is surest of the voice it learned from: other voices' codes are drawn towards the middle, and the lips
    would hardly open. The training voice's own spread counts as four further seconds, and no code is stretched more
    than twofold: a cough or a pause is not made speech.
    """
    own = len(codes) / (len(codes) + FAMILIAR)
    spread = (own * codes.var(dim=0, unbiased=False) + (1.0 - own)).sqrt()
    return (codes - own * codes.mean(dim=0)) / spread.clamp_min(0.5)


def still_torso(trainer: Trainer, typical: int, views: int = 64) -> np.ndarray:
    """The torso of frame `typical` as it goes on under the head, for poses that are not its own.

    A torso alone ends in a cut neck and in the shadow of the jaw where its own frame's head begins, and another pose
    would look into both. Near the head the median of what other frames show there takes its place; what no frame
    shows goes on, column by column, in the colour it has a little below.
    """
    import cv2

    train, frame = trainer.subject.train, trainer.cache[typical]
    out, hidden = frame.behind.astype(np.float32), (frame.masks & 1) > 0
    rim = max(2, len(hidden) // 48)
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    near = cv2.dilate(hidden.astype(np.uint8), wide, iterations=2) > 0

    times = np.linspace(train.start, train.stop - 1, min(views, len(train))).astype(int)
    others = [trainer.cache[int(t)] for t in times]
    seen = np.stack([cv2.dilate(other.masks & 1, wide)[near] == 0 for other in others])
    colors = np.stack([other.behind[near] for other in others]).astype(np.float32)
    colors[~seen] = np.nan
    shown = seen.sum(axis=0) >= 3
    replaced = out[near]
    replaced[shown] = np.nanmedian(colors[:, shown], axis=0)
    out[near] = replaced
    known = ~near
    known[near] = shown

    background = cv2.resize(trainer.subject.background, frame.image.shape[1::-1], interpolation=cv2.INTER_AREA)
    _continue_upwards(out, known & (np.abs(out - background).max(axis=2) > 8), known, rim)
    # Towards the outer edge of the replaced band the frame itself fades in.
    share = cv2.GaussianBlur(cv2.erode(near.astype(np.float32), wide), (0, 0), rim / 2)[..., None]
    return np.clip(out * share + frame.behind * (1.0 - share) + 0.5, 0, 255).astype(np.uint8)


def _continue_upwards(image: np.ndarray, torso: np.ndarray, known: np.ndarray, rim: int) -> None:
    """Fills what is unknown above a torso's top edge with the colour of the column below it, in place.

    Args:
        image: (H, W, 3) float32. torso: (H, W) bool, known torso. known: (H, W) bool. rim: pixels that a colour is
            taken from; the neck goes on for eight of them.
    """
    import cv2

    filled = np.zeros(known.shape, np.uint8)
    for x in np.flatnonzero(torso.any(axis=0)):
        top = int(torso[:, x].argmax())
        rows = np.arange(max(0, top - 8 * rim), top)
        rows = rows[~known[rows, x]]
        if len(rows) and rows[-1] == top - 1:  # hidden right above, not the outline of a shoulder
            image[rows, x], filled[rows, x] = np.median(image[top : top + rim, x], axis=0), 1
    # Neighbouring columns flow into each other.
    share = cv2.GaussianBlur(filled.astype(np.float32), (0, 0), rim / 2)[..., None]
    smooth = cv2.GaussianBlur(image * filled[..., None], (0, 0), rim / 2) / np.maximum(share, 1e-3)
    image[filled > 0] = smooth[filled > 0]


def _rebuild(tensors: dict[str, Tensor], about: dict[str, Any]) -> HeadModel:
    """The model that a head's file describes; takes "touched" out of `tensors`."""
    config = Config.from_json(json.dumps(about["config"]))
    state = {name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")}
    sh = torch.cat([state[f"params.{name}"] for name in ("sh0", "shN") if f"params.{name}" in state], dim=1)
    cloud = Gaussians(sh=sh, **{name: state[f"params.{name}"] for name in ("means", "quats", "scales", "opacities")})
    *center, half = about["box"]
    box = Box((center[0], center[1], center[2]), half)
    model = HeadModel(config, cloud, box, about["channels"], torch.Generator().manual_seed(0))
    planes = torch.zeros_like(model.field.planes.planes)
    planes[tensors.pop("touched")] = state["field.planes.planes"]
    model.load_state_dict({**state, "field.planes.planes": planes})
    return model


def touched_rows(model: HeadModel) -> Tensor:
    """Rows of the planes that the canonical cloud reads: all that a finished head needs, (k,) int64."""
    from audioplane.deform import plane_kernels

    points, layout = model.points().detach().cpu().numpy(), model.field.planes.layout
    slots = np.full(len(model.field.planes.planes), -1, np.int32)
    rows, counts = np.empty((len(layout), 4 * len(points)), np.int64), np.zeros(len(layout), np.int64)
    corners = np.empty((len(layout), len(points), 4), np.int32)
    plane_kernels.touch(0, len(layout), points, layout, slots, rows, counts, corners)
    return torch.from_numpy((slots >= 0).nonzero()[0])


__all__: Sequence[str] = ["POSES", "TalkingHead"]
