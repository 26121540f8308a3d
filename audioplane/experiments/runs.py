"""One run of a table: a clip is learnt, the head speaks what it never heard, and a record says how well."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from audioplane import registry
from audioplane.config import Config
from audioplane.evaluation import lip_sync
from audioplane.evaluation.evaluate import spaced
from audioplane.evaluation.heads import SHIFT, evaluate_head, head_speed, renderer, time_in_clip
from audioplane.evaluation.inspection import movement, visibility
from audioplane.evaluation.networks import lpips
from audioplane.evaluation.resized import at_size_of
from audioplane.experiments import other_voice
from audioplane.experiments.records import Record, identity, name, rounded, today, versions
from audioplane.experiments.run_cache import HEAD, TRAINING, forget_head, trained
from audioplane.metrics.mouth import MouthReader
from audioplane.runtime import cache, device, files, weights
from audioplane.runtime.source_hash import source_hash
from audioplane.runtime.threads import one_each

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject
    from audioplane.training.trainer import Callback

SPEAKERS = "audioplane.synthetic"
FOUND_POSES = "audioplane.preprocess.found_poses:with_found_poses"
"""By name, so that other runs do not depend on how poses are found."""
LPIPS = "lpips-alex"
KEPT = (
    "head_psnr",
    "head_ssim",
    "mouth_psnr",
    "mouth_ssim",
    "eyes_psnr",
    "lip_error",
    "opening",
    "opening_true",
    "sync_distance",
    "sync_unrelated",
    "rest_motion",
)
COMPARED = 100  # frames of which LPIPS is taken


@dataclass(frozen=True)
class Clip:
    """Somebody who speaks.

    Attributes:
        speaker: an embedded one, or the name of a prepared video. voice: another's that drives this face, "" for its
            own. seconds, size: of the clip.
        folder: of a Subject; "" for an embedded speaker. digest: of that Subject.
        poses: how an embedded speaker's are found (`preprocess.found_poses.WAYS`); "" for the true ones.
    """

    speaker: str
    voice: str = ""
    seconds: float = 0.0
    size: int = 0
    folder: str = ""
    digest: str = ""
    poses: str = ""

    @staticmethod
    def of(folder: str | Path) -> Clip:
        """That of a prepared video or any other Subject.

        Raises:
            UserError: the folder holds none.
        """
        from audioplane.subject import Subject

        subject = Subject.open(folder)
        seconds = subject.num_frames / subject.fps
        return Clip(subject.name, "", seconds, subject.width, str(Path(folder).absolute()), subject.digest)

    def to_dict(self) -> dict[str, Any]:
        """Without the folder, as the same Subject elsewhere is the same clip, and without poses where they are true."""
        unsaid = {"folder"} if self.poses else {"folder", "poses"}
        return {key: value for key, value in asdict(self).items() if key not in unsaid}

    def open(self) -> Subject:
        """The Subject; an embedded one is filmed on first use."""
        from audioplane.subject import Subject

        if self.folder:
            return Subject.open(self.folder)
        from audioplane import synthetic

        subject = synthetic.make(self.speaker, None, self.size, self.seconds, progress=False, voice=self.voice or None)
        return registry.load(FOUND_POSES)(subject, self.poses) if self.poses else subject


@dataclass(frozen=True)
class Job:
    """One run: `config` learns `clip` and is judged on its held-out part, or on all of `driven`."""

    clip: Clip
    config: Config
    driven: Clip | None = None

    @property
    def identity(self) -> str:
        return identity(self.config, self.clip.to_dict(), self.driven and self.driven.to_dict())

    @property
    def training(self) -> tuple[Clip, str]:
        """What makes the head: jobs with the same are judged on one that is trained once."""
        return self.clip, self.config.to_json()

    def code(self) -> str:
        """A hash of all that this run's numbers depend on: code, data, the kind of device, optional model files."""
        unused = (SPEAKERS,) if self.clip.folder else ()
        entries = (__name__, *TRAINING, *registry.modules(self.config.method.NAME))
        audio, optional = self.config.audio, [LPIPS]
        if self.clip.poses:
            entries, optional = (*entries, FOUND_POSES.partition(":")[0]), [LPIPS, "face-landmarker"]
        networks = weights.contents(*optional, audio.features, audio.model, self.config.loss.perceptual)
        return name(source_hash(*entries, without=unused), device.kind(), networks)

    @property
    def key(self) -> str:
        return name(self.identity, self.code())


def folder() -> Path:
    """Where live records lie."""
    return cache.folder("records")


def find(job: Job) -> Record | None:
    """The live record of a job, made by this version of the code."""
    path = folder() / f"{job.key}.json"
    try:
        return Record.load(path) if path.is_file() else None
    except ValueError:
        return None


def forget(job: Job) -> None:
    """Removes the live record of a job and the head behind it."""
    (folder() / f"{job.key}.json").unlink(missing_ok=True)
    forget_head(job.clip.speaker, job.config)


def run(job: Job, callbacks: Sequence[Callback] = ()) -> Record:
    """The record of a job: read if it is there, else made. One process at a time makes it.

    Args:
        job: what to do. callbacks: of the training.
    """
    with files.lock(cache.make("records") / job.key):
        record = find(job)
        if record is None:
            record = _make(job, callbacks)
            record.save(folder())
    return record


def _make(job: Job, callbacks: Sequence[Callback]) -> Record:
    from audioplane.inference.talking_head import TalkingHead

    subject = job.clip.open()
    start = time.perf_counter()
    path = trained(subject, job.config, callbacks)
    done = time.perf_counter()
    head = TalkingHead.load(path / HEAD, sparse=False)
    subject = at_size_of(head, subject)
    reader = MouthReader(subject)
    if job.driven is not None and job.clip.folder:
        measures, series = other_voice.judge(head, subject, job.driven.voice, job.driven.seconds, reader)
    else:
        if job.driven is not None:
            subject = at_size_of(head, driven_by(subject, job.driven))
            reader = reader.on(subject)
        measures, series = judge(head, subject, reader)
    facts = {
        "gaussians": len(head.cloud),
        "moving": TalkingHead.load(path / HEAD).moving,
        "perceptual": head.about["facts"].get("perceptual", job.config.loss.perceptual),
        "mouth_share": mouth_share(head, subject),
    }
    return Record(
        identity=job.identity,
        key=job.key,
        code=job.code(),
        config=json.loads(job.config.to_json()),
        clip=job.clip.to_dict(),
        driven=job.driven and job.driven.to_dict(),
        versions=versions(),
        device=head.about["facts"].get("device", "unknown"),
        made=today(),
        seconds={"train": round(done - start, 2), "judge": round(time.perf_counter() - done, 2)},
        facts=facts,
        measures=measures,
        series={key: rounded(series[key]) for key in KEPT if key in series},
    )


def with_speed(job: Job) -> Record:
    """The record of a job with its head's speed, measured now: nothing else should run on this machine.

    Raises:
        ValueError: the job has no record.
    """
    from audioplane.inference.talking_head import TalkingHead

    record = find(job)
    if record is None:
        raise ValueError("job: expected one with a record; run it first")
    if "fps" in record.facts:
        return record
    subject = job.clip.open()
    head = TalkingHead.load(trained(subject, job.config) / HEAD, sparse=False)
    with one_each():
        speed = head_speed(head, subject if job.driven is None or job.clip.folder else driven_by(subject, job.driven))
    facts = record.facts | {"fps": round(speed.fps, 1), "fps_device": speed.device}
    record = replace(record, facts=facts)
    record.save(folder())
    return record


def driven_by(subject: Subject, driven: Clip) -> Subject:
    """The clip in which the subject's face speaks with another voice: what a head driven by it should look like."""
    return replace(driven, speaker=subject.name, size=subject.width).open()


def judge(head: TalkingHead, subject: Subject, reader: MouthReader) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """All measures of a table: pictures, lips, sync by the scorer that ships; and the lips a second late."""
    (summary, series), (late, _) = evaluate_head(head, subject, (0.0, SHIFT), reader)
    sync, distances = _sync(head, subject)
    resting = rest_motion(head, subject)
    draw = renderer(head, subject)
    return {
        **summary.to_dict(),
        "lpips": _lpips((draw(t), subject.frame(t)) for t in spaced(subject.test, COMPARED)),
        **sync,
        "shifted_correlation": late.opening_correlation,
        "shifted_lip_error": late.lip_error,
        "rest_motion": float(resting.mean()),
    }, series | distances | {"rest_motion": resting}


def _lpips(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float | str:
    """The mean LPIPS, or how to get its weights, without a folder of this machine: records are compared."""
    from audioplane.metrics.perceptual import available

    return available(["alex"])["alex"] or lpips(pairs)


def _sync(head: TalkingHead, subject: Subject) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Lip sync by the scorer that ships: of the head, of the truth, of the head under unrelated sound; its series."""
    from audioplane.metrics.syncnet.scorers import Scorer

    why = lip_sync.missing(subject.fps, len(subject.test))
    if why:
        return {"sync": f"missing: {why}"}, {}
    found = lip_sync.of_subject(Scorer.built_in(), subject, {"head": renderer(head, subject, ahead=subject.test)})
    measures: dict[str, Any] = {"sync": found.scorer, "sync_seconds": found.seconds}
    for prefix, clip in (("", "head"), ("true_", "truth"), ("unrelated_", f"head, {lip_sync.UNRELATED}")):
        score = found.scores[clip]
        measures |= {f"{prefix}lse_c": score.confidence, f"{prefix}lse_d": score.distance}
    own = found.scores["head"]
    measures |= {"sync_offset": own.offset, "sync_at_zero": own.at_zero}
    return measures, {"sync_distance": found.distances["head"], "sync_unrelated": found.unrelated["head"]}


def rest_motion(head: TalkingHead, subject: Subject) -> np.ndarray:
    """How far what speech should not move strays from its mean place, millimetres: (T,) of the held-out frames.

    Gaussians count by the pixels that they make up outside of the region that speech moves, eyes and brows left out.
    """
    frames, codes = list(subject.test), head.encode(subject.audio)
    weight = torch.zeros(len(head.cloud))
    for t in spaced(subject.test, 6):
        outside = subject.head_mask(t) & ~subject.motion_mask(t) & ~subject.eyes_mask(t)
        weight += visibility(head, subject.viewmats[t], outside)
    last, times = len(codes) - 1, [time_in_clip(subject, t) for t in frames]
    places = movement(head, torch.stack([codes[min(t, last)] for t in frames]), times)[0]
    away = (places - places.mean(dim=0)).norm(dim=2)
    return ((away @ weight) / weight.sum().clamp_min(1e-9)).numpy()


def mouth_share(head: TalkingHead, subject: Subject) -> float:
    """Share of the Gaussians whose centres are seen inside the region that speech moves."""
    means, K = head.cloud.means.numpy(), subject.K
    shares = []
    for t in spaced(subject.test, 10):
        view = subject.viewmats[t]
        seen = (means @ view[:3, :3].T + view[:3, 3]) @ K.T
        x, y = (seen[:, :2] / seen[:, 2:]).astype(int).T
        mask = subject.motion_mask(t)
        if not mask.any():  # the face is lost
            continue
        inside = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
        shares.append(mask[y[inside], x[inside]].sum() / len(means))
    return float(np.mean(shares)) if shares else float("nan")
