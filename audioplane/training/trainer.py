"""Training a head: the stages of a method, one after the other.

    trainer = Trainer(config, subject, folder)
    trainer.run()

Every random choice follows from the seed and the iteration. On the CPU a run is a function of the subject, the config
and its seed: one that was killed and resumed ends in the same bytes as one that was not. On CUDA gradients are added up
in any order (atomic additions in gsplat and `grid_sample`), so two runs see the same frames, backgrounds and splits,
but end only close to each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from audioplane import registry
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.losses.terms import perceptual_loss, perceptual_name
from audioplane.methods.base import Method
from audioplane.methods.types import Position, Sample, Stage, Start, Term
from audioplane.runtime import files, seeds, tensors
from audioplane.runtime.device import kind
from audioplane.splat.gaussians import Box, Gaussians, Picture, random_gaussians
from audioplane.subject.masks import mouth_opening
from audioplane.surface import fit
from audioplane.surface.beside import beside, is_due, weight
from audioplane.surface.hold import Holder
from audioplane.surface.start import first_cloud
from audioplane.training import state
from audioplane.training.conditions import Conditions
from audioplane.training.dataset import (
    FrameCache,
    head_box,
    landmark_points,
    order,
    points_in_box,
    points_inside,
    samples,
)
from audioplane.training.densify import Densifier, is_dead, sort_in_space
from audioplane.training.optimizers import Optimizers
from audioplane.training.report import Report, Unread

if TYPE_CHECKING:
    from audioplane.subject import Subject

CHECKPOINT = "state.safetensors"
HOLD_EVERY = 4  # iterations of stages that deform, in which Gaussians hardly stray, between holds of the surface
WIDE = 0.15  # share of the training frames that count as those with widely open lips
CHECK_EVERY = 100  # iterations between looks at whether the clouds are alive


class Callback(Protocol):
    """Is told about every iteration: progress bars, scalars, previews (`callbacks`)."""

    def step(self, trainer: Trainer, report: Report) -> None: ...

    def close(self) -> None: ...


class Trainer:
    """One run.

    Args:
        config: of the run.
        subject: to learn.
        folder: for checkpoints and what callbacks write; None to write nothing.
        callbacks: told about every iteration.
        device: default CUDA when there is one.
        resume: go on from the folder's checkpoint.
        encoders: folder of pre-trained audio encoders that are kept and used again; None to pre-train in any case.

    Raises:
        UserError: the subject cannot be trained on, the checkpoint is of another run, or torch's default type is not
            float32.
    """

    def __init__(
        self,
        config: Config,
        subject: Subject,
        folder: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
        device: str | torch.device | None = None,
        resume: bool = False,
        encoders: Path | None = None,
    ) -> None:
        tensors.check_default_dtype()
        check(subject, config)
        self.config, self.subject, self.callbacks = config, subject, list(callbacks)
        self.folder = None if folder is None else Path(folder)
        self.device = torch.device(device or kind())
        self.iteration = 0
        self._finite = torch.ones((), dtype=torch.bool, device=self.device)  # whether all losses since a look were
        self.facts: dict[str, Any] = {}  # what was found on the way, for the record
        self.perceptual = perceptual_loss(config.loss, self.device)
        self.facts["perceptual"] = perceptual_name(config.loss)
        saved = state.load(self.folder / CHECKPOINT, config, subject) if resume and self.folder else None
        self._load_frames()
        self.conditions = Conditions(subject, config)
        self.method = self._make_method()
        self.untouched = {name: table.detach().clone() for name, table in self.method.tables().items()}
        if saved is None:
            generator = seeds.generator(self.config.seed, seeds.PRETRAINING)
            first = itertools.islice(order(subject.train, config.seed), self.method.iterations)
            with self.cache.ahead(first):
                self.facts |= self.conditions.pretrain(self.method, generator, encoders)
        self.method.to(self.device)
        self.hold, self.beside = None, None
        if self.surface is not None:
            self.hold = Holder(self.surface, self.device)
            self.beside = beside(self.surface, subject, subject.train, config.seed, self.device)
        self.optimizers = Optimizers(self.method, self.device)
        caps = {name: self.method.start(config, name).cap for name in self.method.branches}
        self.densifiers = {name: Densifier(config, self.box.half, cap) for name, cap in caps.items()}
        if saved is not None:
            state.restore(self, saved)
        elif self.folder:
            files.make_folder(self.folder)
            files.write_text(self.folder / "config.json", config.to_json())
        self.conditions.update(self.method, self.device)

    # Setting up

    def _load_frames(self) -> None:
        own, subject = self.config.schedule, self.subject
        narrow = self.config.loss.motion_mask == "narrow"
        self.cache = FrameCache(subject, own.size, own.cache_mib, narrow=narrow)
        self.caches = {own.size: self.cache}
        if own.early_size:
            self.caches[own.early_size] = FrameCache(subject, own.early_size, own.cache_mib, self.cache)
        half = self.config.gaussians.half_box
        self.box = Box((0.0, 0.0, 0.0), half) if half else Box(*head_box(subject, subject.train))
        self.surface = None
        if self.config.gaussians.surface:
            self.surface = fit(subject, subject.train, self.box.center, self.box.half)

    def _make_method(self) -> Method:
        kind = registry.load(registry.spec(self.config.method.NAME).model)
        clouds = {name: self._first_cloud(kind.start(self.config, name)) for name in kind.branch_names(self.config)}
        generator = seeds.generator(self.config.seed, seeds.WEIGHTS)
        method = kind(self.config, clouds, self.box, self.conditions.windows.shape[-1], generator)
        train = self.subject.train
        method.observe(self.conditions.poses[train.start : train.stop], landmark_points(self.subject, train))
        return method

    def _first_cloud(self, start: Start) -> Gaussians:
        box, seed, train, count = self.box, self.config.seed, self.subject.train, start.initial
        generator = seeds.generator(seed, seeds.POINTS)
        if self.surface is not None and start.region == "head":
            degree = self.config.gaussians.sh_degree
            return first_cloud(self.surface, self.subject, train, count, start.cap, degree, generator)
        if start.region == "head" and self.config.gaussians.start == "box":
            points = points_in_box(box.center, box.half, count, generator)
        else:
            points = points_inside(self.subject, train, box.center, box.half, count, generator, region=start.region)
        width = box.half
        if start.region != "head":  # a small part of the box; how deep it lies is not known
            width = min(width, float((points[:, :2].amax(dim=0) - points[:, :2].amin(dim=0)).mean()) / 2)
        spacing = width / count ** (1 / 3)
        return random_gaussians(points, spacing, self.config.gaussians.sh_degree, seeds.generator(seed, seeds.CLOUD))

    # One step

    def size(self, iteration: int) -> int:
        """Picture width of an iteration; 0 is the subject's own."""
        at, own = self.method.position(iteration), self.config.schedule
        small = at.stage.starts_small and at.iteration < at.stage.iterations // 2
        return own.early_size if small and own.early_size else own.size

    def render(self, t: int, deforms: bool = True, branches: Sequence[str] = ()) -> Picture:
        """Frame t as the method has it now, or its static head; of some branches, () for all."""
        return self._render(self.cache, t, deforms, None, branches)

    def _render(
        self,
        cache: FrameCache,
        t: int,
        deforms: bool,
        expression: Tensor | None = None,
        branches: Sequence[str] = (),
    ) -> Picture:
        condition = self.conditions(self.method, t) if deforms else None
        if condition is not None and expression is not None:
            condition = replace(condition, expression=expression)
        viewmats, K = cache.cameras(self.device)
        return self.method.render(condition, viewmats[t], K, cache.width, cache.height, branches)

    def step(self, sample: Sample) -> Report:
        """One iteration on one sample; advances `iteration`.

        Raises:
            UserError: the loss is not finite or a cloud is dead; the last checkpoint is good.
        """
        config, at = self.config, self.method.position(self.iteration)
        self.method.begin(at.stage)
        self.optimizers.set_rates(at, config.optim)
        sample, expression = replace(sample.to(self.device), compared=self.conditions.compared_with(sample.index)), None
        if at.stage.deforms and at.stage.foreign:
            expression = self.conditions.foreign_expression(self.iteration)
        if expression is not None:  # its picture is known where the expression moves nothing
            sample = replace(sample, known=sample.known & (sample.motion > 0))
        try:
            cache = self.caches[self.size(self.iteration)]
            picture = self._render(cache, sample.index, at.stage.deforms, expression, at.stage.branches)
        except ValueError as error:  # the rasterizer refuses NaN
            raise UserError(self._stopped(self._dead() or "the method moves Gaussians to infinity")) from error
        losses = self.method.losses(picture, sample, at.stage, self.perceptual)
        for name in at.stage.densifies:
            losses.terms.update(self.densifiers[name].regularisers(self.method.branch(name).params))
        if self.beside is not None and not at.stage.branches and is_due(at.stage.deforms, self.iteration):
            condition = self.conditions(self.method, sample.index) if at.stage.deforms else None
            term = self.beside.term(partial(self.method.render, condition), config.seed, self.iteration)
            losses.terms["beside"] = Term(term, weight(self.iteration / self.method.iterations))
        loss = losses.total()
        for name in at.stage.densifies:
            self.densifiers[name].before_backward(at, layer_of(picture, name).meta)
        loss.backward()
        terms = {"loss": loss, **{name: term.value for name, term in losses.terms.items()}}
        numbers = Unread(terms, losses.error)
        self._finite &= torch.isfinite(loss.detach())
        if self.device.type == "cpu":  # elsewhere a look would wait for the device
            self._check_losses(numbers)
        self.optimizers.step(at)
        self._change_clouds(at, picture)
        self.optimizers.zero_grad()
        self.iteration += 1
        if self.iteration % CHECK_EVERY == 0:
            self._check_losses(numbers)
            if why := self._dead():
                self.iteration -= 1
                raise UserError(self._stopped(why))
        count = sum(len(branch.params["means"]) for branch in self.method.each())
        return Report(self.iteration - 1, self.method.iterations, at.stage.name, numbers, count)

    def _check_losses(self, numbers: Unread | None = None) -> None:
        """Stops a run of which a loss since the last look was not finite; waits for the device."""
        if not bool(self._finite):
            last = float("nan") if numbers is None else numbers.terms["loss"]
            raise UserError(self._stopped("a loss was not finite" if np.isfinite(last) else f"the loss is {last}"))

    def _change_clouds(self, at: Position, picture: Picture) -> None:
        """Density control, the hold of the surface, and the order in space at the end of a stage that asks for it."""
        for name in at.stage.densifies:
            params = self.method.branch(name).params
            meta = layer_of(picture, name).meta
            self.densifiers[name].after_step(params, self.optimizers.clouds[name], at, meta)
        last = self.iteration + 1 == self.method.iterations
        if self.hold is not None and (last or not at.stage.deforms or self.iteration % HOLD_EVERY == 0):
            for name, branch in self.method.named():
                if self.method.start(self.config, name).region != "mouth":
                    self.hold(branch.params)
        if at.iteration + 1 == at.stage.iterations:
            for name in at.stage.sorts:
                params = self.method.branch(name).params
                sort_in_space(params, self.optimizers.clouds[name], self.box.normalise(params["means"]))

    def _dead(self) -> str | None:
        for name, branch in self.method.named():
            why = is_dead(branch.cloud.detach(), self.method.start(self.config, name).may_vanish)
            if why:
                return why
        return None

    def _stopped(self, why: str) -> str:
        kept = ""
        if self.folder and (self.folder / CHECKPOINT).exists():
            kept = f" The last good checkpoint is kept in {self.folder}."
        return f"Training stopped at iteration {self.iteration}: {why}; lower the learning rates in optim.*.{kept}"

    # The whole run

    def run(self) -> None:
        """Trains from the current iteration to the end, with checkpoints on the way and at the end."""
        own, end = self.config.schedule, self.method.iterations
        try:
            for start, stop in self._pieces():
                cache = self.caches[self.size(start)]
                choose, seed = self._choose(start), self.config.seed
                pinned = self.device.type == "cuda"
                for sample in samples(cache, self.subject.train, own, seed, start, stop, choose=choose, pinned=pinned):
                    report = self.step(sample)
                    for callback in self.callbacks:
                        callback.step(self, report)
                    if self.iteration % own.checkpoint_every == 0 or self.iteration == end:
                        self.save()
        finally:
            for callback in self.callbacks:
                callback.close()

    def _pieces(self) -> list[tuple[int, int]]:
        """From the current iteration on, stretches [start, stop) of one stage and one picture size."""
        edges, at = [self.iteration], 0
        for stage in self.method.stages():
            edges += [at, at + stage.iterations // 2] if stage.starts_small else [at]
            at += stage.iterations
        edges = [edges[0], *(edge for edge in edges[1:] if edge > self.iteration), at]
        return [(a, b) for a, b in itertools.pairwise(edges) if a < b]

    def _choose(self, start: int) -> Callable[[int], int] | None:
        """The frame of each iteration of the stage that has iteration `start`; None if it sees all in turn.

        Some see frames of which a clip has few (`_often`); others have the mouth openings that the stage asks for.
        """
        at, seed = self.method.position(start), self.config.seed
        window, first = at.stage.opening, start - at.iteration
        often = self._often(at.stage)
        if window is None and not often:
            return None
        frames = np.array(self.subject.train) if window is None else by_opening(self.subject)
        if not len(frames):
            return None

        def choose(iteration: int) -> int:
            draws = seeds.draws(seed, seeds.FRAMES, iteration)
            some = next((few for share, few in often if draws.random() < share), frames)
            if some is frames and window is not None:
                low, high = window((iteration - first) / at.stage.iterations)
                lowest = int(low * (len(some) - 1))
                some = some[lowest : max(lowest + 1, round(high * len(some)))]
            return int(some[draws.integers(len(some))])

        return choose

    def _often(self, stage: Stage) -> list[tuple[float, np.ndarray]]:
        """Training frames that a stage is to see often, each kind with its share of the iterations that are left."""
        own, found = self.config.schedule, []
        if own.closed_eyes and stage.deforms and stage.foreign:
            found.append((own.closed_eyes, self.conditions.closed_frames(self.method)))
        if own.wide_lips and stage.deforms and stage.opening is None:
            ranked = by_opening(self.subject)
            found.append((own.wide_lips, ranked[int((1.0 - WIDE) * len(ranked)) :]))
        return [(share, few) for share, few in found if len(few)]

    def save(self) -> None:
        """Writes the checkpoint.

        Raises:
            UserError: a loss on the way was not finite; the last checkpoint stays.
        """
        self._check_losses()
        if self.folder is not None:
            state.save(self, self.folder / CHECKPOINT)


def layer_of(picture: Picture, name: str) -> Picture:
    """The layer of a branch in a picture; a picture of one branch is that layer."""
    return picture.layers.get(name, picture)


def by_opening(subject: Subject) -> np.ndarray:
    """Training frames whose landmarks are known, in the order of the mouth's opening."""
    train = subject.train
    opening = mouth_opening(subject.landmarks[train.start : train.stop])
    known = np.isfinite(opening)
    return np.arange(train.start, train.stop)[known][np.argsort(opening[known], kind="stable")]


def check(subject: Subject, config: Config) -> None:
    """Refuses a subject that cannot be trained on.

    Raises:
        UserError: too few frames, cameras that are not finite, or a picture size of which nothing is left.
    """
    if len(subject.train) < config.audio.filter:
        raise UserError(
            f"subject '{subject.name}' has {len(subject.train)} training frames; it takes {config.audio.filter}"
        )
    _ = subject.landmarks  # damaged ones are refused here, not after minutes of work
    used = subject.viewmats[subject.train.start : subject.train.stop]
    if not (np.isfinite(used).all() and np.isfinite(subject.K).all()):
        raise UserError(f"subject '{subject.name}' has NaN in its cameras; check it with `audioplane subject check`")
    if not np.isfinite(subject.audio).all():
        raise UserError(f"subject '{subject.name}' has NaN in its audio; check it with `audioplane subject check`")
    if config.schedule.size and config.schedule.size > 4 * subject.width:
        raise UserError(f"schedule.size={config.schedule.size} is far above the subject's {subject.width} pixels")
