"""Training a head: a coarse stage for the static cloud, a fine stage for what speech moves (Sec. III-F).

    trainer = Trainer(config, subject, folder)
    trainer.run()

A run is a function of the subject, the config and its seed: every random choice follows from the seed and the
iteration, so a run that was killed and resumed ends in the same bytes as one that was not.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from audioplane.audio.features import Features
from audioplane.audio.pretrain import lip_shapes, pretrain
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.methods.audio_plane.model import HeadModel
from audioplane.splat.gaussians import Box, Picture, random_gaussians
from audioplane.training import checkpoint, schedule
from audioplane.training.dataset import FrameCache, Sample, head_box, points_inside, samples
from audioplane.training.densify import Densifier, is_dead, sort_in_space
from audioplane.training.losses import Perceptual, perceptual_loss, pixel_terms
from audioplane.training.sparse_adam import RowAdam

if TYPE_CHECKING:
    from audioplane.subject import Subject

CHECKPOINT = "state.safetensors"


@dataclass(frozen=True)
class Report:
    """What one iteration came to.

    Attributes:
        iteration: from 0. total: of the run. stage: "coarse" or "fine". terms: the loss and its parts.
        psnr: of the head, dB. gaussians: N.
    """

    iteration: int
    total: int
    stage: str
    terms: dict[str, float]
    psnr: float
    gaussians: int


class Watcher(Protocol):
    """Looks on: progress bars, scalars, previews (`watch`)."""

    def step(self, trainer: Trainer, report: Report) -> None: ...

    def close(self) -> None: ...


def losses(
    picture: Picture, sample: Sample, config: Config, perceptual: Perceptual | None, fine: bool
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """The loss of a picture.

    Paper: Eq. 16 in the coarse stage, Eq. 17 in the fine one (journal).

    Returns:
        the loss, its named terms before weighting, and the mean squared error over the head.
    """
    pixels = pixel_terms(picture, sample, config.loss.mouth_weight if fine else 0.0, config.saliency.margin)
    terms = {"l1": pixels.l1}
    loss = terms["l1"]
    if perceptual is not None:
        terms["perceptual"] = perceptual(pixels.image, pixels.target)
        loss = loss + config.loss.perceptual_weight * terms["perceptual"]
    if fine and pixels.mask is not None:
        terms["mask"] = pixels.mask
        loss = loss + config.saliency.weight * terms["mask"]
    return loss, terms, pixels.error


class Trainer:
    """One run.

    Args:
        config: of the run.
        subject: to learn.
        folder: for checkpoints and what watchers write; None to write nothing.
        watchers: told about every iteration.
        device: default CUDA when there is one.
        resume: go on from the folder's checkpoint.

    Raises:
        UserError: the subject cannot be trained on, or the checkpoint is of another run.
    """

    def __init__(
        self,
        config: Config,
        subject: Subject,
        folder: str | Path | None = None,
        watchers: Sequence[Watcher] = (),
        device: str | torch.device | None = None,
        resume: bool = False,
    ) -> None:
        check(subject, config)
        self.config, self.subject, self.watchers = config, subject, list(watchers)
        self.folder = None if folder is None else Path(folder)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.iteration = 0
        self.facts: dict[str, Any] = {}  # what was found on the way, for the record
        self.perceptual = perceptual_loss(config.loss, self.device)
        tensors, about = checkpoint.load(self.folder / CHECKPOINT) if resume and self.folder else ({}, {})
        self._prepare_data()
        self._make_model(fresh=not tensors)
        if tensors:
            self._restore(tensors, about)
        elif self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "config.json").write_text(config.to_json())

    # Setting up

    def _generator(self, purpose: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.config.seed * 7919 + purpose)

    def _prepare_data(self) -> None:
        own, subject = self.config.schedule, self.subject
        self.cache = FrameCache(subject, own.size, own.cache_mib)
        self.caches = {own.size: self.cache}
        if own.early_size:
            self.caches[own.early_size] = FrameCache(subject, own.early_size, own.cache_mib, self.cache)
        self.features = Features.fit(self.config.audio, subject.audio)
        windows = self.features(subject.audio, subject.fps, subject.num_frames, own_voice=True)
        self.windows = torch.from_numpy(windows)

    def _make_model(self, fresh: bool) -> None:
        config, subject = self.config, self.subject
        if config.gaussians.half_box:
            self.box = Box((0.0, 0.0, 0.0), config.gaussians.half_box)
        else:
            self.box = Box(*head_box(subject, subject.train))
        points = points_inside(
            subject, subject.train, self.box.center, self.box.half, config.gaussians.initial, self._generator(1)
        )
        spacing = self.box.half / config.gaussians.initial ** (1 / 3)
        cloud = random_gaussians(points, spacing, config.gaussians.sh_degree, self._generator(2))
        self.model = HeadModel(config, cloud, self.box, self.windows.shape[-1], self._generator(3))
        self._untouched = self.model.field.planes.planes.detach().clone()
        if fresh and config.audio.pretrain_steps:
            shapes = lip_shapes(subject.landmarks, config.audio.lip_components, subject.viewmats)
            if np.isfinite(shapes.opening[subject.train.start : subject.train.stop]).sum() > 50:
                others = self.features.others(subject.audio, subject.fps, subject.num_frames, config.seed)
                reached = pretrain(
                    self.model.encoder, self.windows, shapes, subject.train, config.audio, self._generator(4), others
                )
                self.facts["encoder_correlation"] = reached
        self.model.to(self.device)
        self._make_optimizers()
        self.densifier = Densifier(config, self.box.half)
        self.windows = self.windows.to(self.device)
        self._update_codes()

    def _make_optimizers(self) -> None:
        model = self.model
        # Each is the faster one where it is used: ours one pass without a thread pool to wake, torch's one launch.
        adam: Any = RowAdam if self.device.type == "cpu" else functools.partial(torch.optim.Adam, fused=True)
        own: Any = {"lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-15}
        self.cloud_optimizers: dict[str, torch.optim.Optimizer] = {
            name: adam([param], **own) for name, param in model.params.items()
        }
        tables = [
            p for name, p in model.field.named_parameters() if name == "planes.planes" or name.startswith("moments")
        ]
        known = {id(p) for p in tables}
        rest = [p for p in model.field.parameters() if id(p) not in known]
        self.table_optimizer = RowAdam(tables, **own, distinct=True)
        self.network_optimizer = adam(rest, **{**own, "eps": 1e-8})
        self.encoder_optimizer = adam(model.encoder.parameters(), **{**own, "eps": 1e-8})

    def _update_codes(self) -> None:
        """With a frozen encoder, the codes of all frames once."""
        self.codes: Tensor | None = None
        if self.config.audio.fine_rate == 0.0:
            with torch.no_grad():
                self.codes = self.model.encoder.all_codes(self.windows)

    # One step

    def audio_code(self, t: int) -> Tensor:
        """a of frame t: (code,)."""
        if self.codes is not None:
            return self.codes[t]
        before = self.config.audio.filter // 2
        index = torch.arange(t - before, t - before + self.config.audio.filter).clamp(0, len(self.windows) - 1)
        return self.model.encoder(self.windows[index.to(self.device)])[0]

    def time(self, t: int) -> float:
        """Frame t within the training frames, 0 to 1."""
        return (t - self.subject.train.start) / max(len(self.subject.train) - 1, 1)

    def render(self, t: int, fine: bool = True) -> Picture:
        """Frame t as the model has it now."""
        cache, code = self.cache, self.audio_code(t) if fine else None
        view, K = cache.viewmats[t].to(self.device), cache.K.to(self.device)
        return self.model(code, view, K, cache.width, cache.height, self.time(t))

    def step(self, sample: Sample) -> Report:
        """One iteration on one sample; advances `iteration`.

        Raises:
            UserError: the loss is not finite or the cloud is dead; the last checkpoint is good.
        """
        config, iteration = self.config, self.iteration
        coarse = schedule.is_coarse(config, iteration)
        now = self._set_rates()
        cache = self.caches[schedule.size(config, iteration)]
        sample = sample.to(self.device)
        view, K = cache.viewmats[sample.index].to(self.device), cache.K.to(self.device)
        code = None if coarse else self.audio_code(sample.index)
        try:
            picture = self.model(code, view, K, cache.width, cache.height, self.time(sample.index))
        except ValueError as error:  # the rasterizer refuses NaN
            why = is_dead(self.model.cloud.detach()) or "the field moves Gaussians to infinity"
            raise UserError(self._stopped(why)) from error
        loss, terms, error = losses(picture, sample, config, self.perceptual, not coarse)
        if coarse:
            self.densifier.before_backward(self.model.params, self.cloud_optimizers, iteration, picture.meta)
        loss.backward()
        named = {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items()}}
        if not np.isfinite(named["loss"]):
            raise UserError(self._stopped(f"the loss is {named['loss']}"))
        self._update(coarse)
        if coarse:
            meta, rate = picture.meta, now.cloud["means"]
            self.densifier.after_step(self.model.params, self.cloud_optimizers, iteration, meta, rate)
        for optimizer in self._optimizers().values():
            optimizer.zero_grad(set_to_none=True)
        if iteration + 1 == config.schedule.coarse:
            sort_in_space(self.model.params, self.cloud_optimizers, self.box.normalise(self.model.params["means"]))
        if iteration % 100 == 99:
            why = is_dead(self.model.cloud.detach())
            if why:
                raise UserError(self._stopped(why))
        self.iteration += 1
        stage, count = "coarse" if coarse else "fine", len(self.model.params["means"])
        psnr = -10.0 * float(np.log10(max(float(error), 1e-10)))
        return Report(iteration, schedule.total(config), stage, named, psnr, count)

    def _stopped(self, why: str) -> str:
        kept = ""
        if self.folder and (self.folder / CHECKPOINT).exists():
            kept = f" The last good checkpoint is kept in {self.folder}."
        return f"Training stopped at iteration {self.iteration}: {why}; lower the learning rates in optim.*.{kept}"

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        own = {f"cloud-{name}": optimizer for name, optimizer in self.cloud_optimizers.items()}
        return {
            **own,
            "tables": self.table_optimizer,
            "network": self.network_optimizer,
            "encoder": self.encoder_optimizer,
        }

    def _set_rates(self) -> schedule.Rates:
        now = schedule.rates(self.config, self.iteration, self.box.half)
        for name, optimizer in self.cloud_optimizers.items():
            optimizer.param_groups[0]["lr"] = now.cloud[name]
        self.table_optimizer.param_groups[0]["lr"] = now.planes
        self.network_optimizer.param_groups[0]["lr"] = now.network
        self.encoder_optimizer.param_groups[0]["lr"] = now.encoder
        return now

    def _update(self, coarse: bool) -> None:
        for optimizer in self.cloud_optimizers.values():
            optimizer.step()
        if not coarse:
            self.table_optimizer.step()
            self.network_optimizer.step()
            if self.codes is None:
                self.encoder_optimizer.step()

    # The whole run

    def run(self) -> None:
        """Trains from the current iteration to the end, with checkpoints on the way and at the end."""
        own, end = self.config.schedule, schedule.total(self.config)
        switch = own.coarse // 2 if own.early_size else 0
        try:
            for start, stop in ((0, switch), (switch, end)):
                start = max(start, self.iteration)
                if start >= stop:
                    continue
                cache = self.caches[schedule.size(self.config, start)]
                for sample in samples(cache, self.subject.train, own, self.config.seed, start, stop):
                    report = self.step(sample)
                    for watcher in self.watchers:
                        watcher.step(self, report)
                    if self.iteration % own.checkpoint_every == 0 or self.iteration == end:
                        self.save()
        finally:
            for watcher in self.watchers:
                watcher.close()

    def save(self) -> None:
        """Writes the checkpoint."""
        if self.folder is None:
            return
        names = {param: name for name, param in self.model.named_parameters()}
        tensors: dict[str, Tensor] = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        planes = self.model.field.planes.planes.detach().cpu()
        rows = checkpoint.touched_rows(planes, self._untouched)
        tensors["model/field.planes.planes"], tensors["touched"] = planes[rows], rows
        for name, optimizer in self._optimizers().items():
            tensors |= checkpoint.pack_optimizer(name, optimizer, names)
        tensors |= {f"densify/{k}": v for k, v in self.densifier.state.items() if isinstance(v, Tensor)}
        about = {
            "iteration": self.iteration,
            "config": json.loads(self.config.to_json()),
            "subject": identity(self.subject),
            "facts": self.facts,
        }
        checkpoint.save(self.folder / CHECKPOINT, tensors, about)

    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        saved = Config.from_json(json.dumps(about["config"]))
        changed = saved.differences(self.config)
        if changed:
            path, (was, asked) = next(iter(changed.items()))
            raise UserError(f"{self.folder} was started with {path}={was}, not {asked}; resume with the same settings")
        if about["subject"] != identity(self.subject):
            raise UserError(f"{self.folder} was started with another subject, {about['subject'].get('name')}")
        self.iteration, self.facts = about["iteration"], about["facts"]
        model = {name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")}
        planes = self._untouched.clone()
        planes[tensors["touched"]] = model["field.planes.planes"]
        model["field.planes.planes"] = planes
        for name in self.model.params:
            self.model.params[name] = torch.nn.Parameter(model[f"params.{name}"].to(self.device))
        try:
            self.model.load_state_dict(model)
        except RuntimeError as error:
            raise UserError(f"{self.folder} was begun by another version of audioplane; start anew") from error
        self._make_optimizers()
        names = {param: name for name, param in self.model.named_parameters()}
        for name, optimizer in self._optimizers().items():
            checkpoint.unpack_optimizer(name, optimizer, names, tensors)
        for name, tensor in tensors.items():
            if name.startswith("densify/"):
                self.densifier.state[name.removeprefix("densify/")] = tensor.to(self.device)
        self._update_codes()


def identity(subject: Subject) -> dict[str, Any]:
    """What tells a subject from another: name, size, length, hash of its parts where it has one."""
    return {
        "name": subject.name,
        "frames": subject.num_frames,
        "width": subject.width,
        "height": subject.height,
        "digest": str(getattr(subject, "digest", "")),
    }


def check(subject: Subject, config: Config) -> None:
    """Refuses a subject that cannot be trained on.

    Raises:
        UserError: too few frames, cameras that are not finite, or a picture size of which nothing is left.
    """
    if len(subject.train) < config.audio.filter:
        raise UserError(
            f"subject '{subject.name}' has {len(subject.train)} training frames; it takes {config.audio.filter}"
        )
    used = subject.viewmats[subject.train.start : subject.train.stop]
    if not (np.isfinite(used).all() and np.isfinite(subject.K).all()):
        raise UserError(f"subject '{subject.name}' has NaN in its cameras; check it with `audioplane subject check`")
    if not np.isfinite(subject.audio).all():
        raise UserError(f"subject '{subject.name}' has NaN in its audio; check it with `audioplane subject check`")
    if config.schedule.size and config.schedule.size > 4 * subject.width:
        raise UserError(f"schedule.size={config.schedule.size} is far above the subject's {subject.width} pixels")
