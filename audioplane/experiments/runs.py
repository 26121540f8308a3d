"""One run of a table: a clip is learnt, the head speaks what it never heard, and a record says how well."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane import registry
from audioplane.config import Config
from audioplane.evaluation.evaluate import Evaluation, Render, evaluate, evaluate_all, samples_of, spaced
from audioplane.evaluation.protocols import DEFAULT, Protocol
from audioplane.experiments.records import Record, name, rounded, today, versions
from audioplane.experiments.run_cache import HEAD, TRAINING, forget_head, trained
from audioplane.metrics.mouth import MouthReader
from audioplane.runtime import cache, device, files, weights
from audioplane.runtime.source_hash import source_hash

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject
    from audioplane.training.trainer import Callback

SHIFT = 1.0  # seconds by which the control's audio is late
SPEAKERS = "audioplane.synthetic"
KEPT = (
    "head_psnr",
    "head_ssim",
    "mouth_psnr",
    "mouth_ssim",
    "lip_error",
    "opening",
    "opening_true",
    "sync_distance",
    "sync_unrelated",
)
TIMED = 40  # frames


@dataclass(frozen=True)
class Clip:
    """Somebody who speaks.

    Attributes:
        speaker: an embedded one, or the name of a prepared video. voice: another's that drives this face, "" for its
            own. seconds, size: of the clip.
        folder: of a Subject; "" for an embedded speaker. digest: of that Subject.
    """

    speaker: str
    voice: str = ""
    seconds: float = 0.0
    size: int = 0
    folder: str = ""
    digest: str = ""

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
        """Without the folder: the same Subject elsewhere is the same clip."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}

    def open(self) -> Subject:
        """The Subject; an embedded one is filmed on first use."""
        from audioplane.subject import Subject

        if self.folder:
            return Subject.open(self.folder)
        from audioplane import synthetic

        return synthetic.make(self.speaker, None, self.size, self.seconds, progress=False, voice=self.voice or None)


@dataclass(frozen=True)
class Job:
    """One run: `config` learns `clip` and is judged on its held-out part, or on all of `driven`."""

    clip: Clip
    config: Config
    driven: Clip | None = None

    @property
    def identity(self) -> str:
        return name(json.loads(self.config.to_json()), self.clip.to_dict(), self.driven and self.driven.to_dict())

    def code(self) -> str:
        """A hash of all that this run's numbers depend on: code, data, the kind of device."""
        unused = (SPEAKERS,) if self.clip.folder else ()
        entries = (__name__, *TRAINING, *registry.modules(self.config.method.NAME))
        return name(source_hash(*entries, without=unused), device.kind())

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
    import torch

    from audioplane.inference.talking_head import TalkingHead

    subject = job.clip.open()
    start = time.perf_counter()
    path = trained(subject, job.config, callbacks)
    done = time.perf_counter()
    head = TalkingHead.load(path / HEAD, sparse=False)
    reader = MouthReader(subject)
    if job.driven is not None:
        subject = driven_by(subject, job.driven)
        reader = reader.on(subject)
    measures, series = judge(head, subject, reader)
    gpu = device.kind() == "cuda"
    ran_on = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} thread(s)"
    facts = {
        "gaussians": len(head.cloud),
        "moving": TalkingHead.load(path / HEAD).moving,
        "mouth_share": mouth_share(head, subject),
        "fps": round(_fps(head, subject), 1),
    }
    return Record(
        identity=job.identity,
        key=job.key,
        code=job.code(),
        config=json.loads(job.config.to_json()),
        clip=job.clip.to_dict(),
        driven=job.driven and job.driven.to_dict(),
        versions=versions(),
        device=ran_on,
        made=today(),
        seconds={"train": round(done - start, 2), "judge": round(time.perf_counter() - done, 2)},
        facts=facts,
        measures=measures,
        series={key: rounded(series[key]) for key in KEPT if key in series},
    )


def driven_by(subject: Subject, driven: Clip) -> Subject:
    """The clip in which the subject's face speaks with another voice: what a head driven by it should look like."""
    return replace(driven, speaker=subject.name, size=subject.width).open()


def judge(head: TalkingHead, subject: Subject, reader: MouthReader) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """All measures of a table: pictures, lips, sync by the scorer that ships; and the lips a second late."""
    renders = [renderer(head, subject, shift) for shift in (0.0, SHIFT)]
    (summary, series), (late, _) = evaluate_all(subject, renders, reader=reader)
    sync, distances = _sync(head, subject)
    return {
        **summary.to_dict(),
        "lpips": _lpips(head, subject),
        **sync,
        "shifted_correlation": late.opening_correlation,
        "shifted_lip_error": late.lip_error,
    }, series | distances


def held_out(
    head: TalkingHead,
    subject: Subject,
    reader: MouthReader | None = None,
    shift: float = 0.0,
    frames: range | None = None,
    protocol: Protocol = DEFAULT,
) -> tuple[Evaluation, dict[str, np.ndarray]]:
    """Evaluates a head on a subject's held-out frames, under the subject's own audio or that audio `shift` s late."""
    return evaluate(subject, renderer(head, subject, shift, protocol), frames, reader, protocol)


def renderer(head: TalkingHead, subject: Subject, shift: float = 0.0, protocol: Protocol = DEFAULT) -> Render:
    """What draws frame t of a subject as the head speaks it, in its size: over the truth's torso, or the head's own."""
    audio = np.roll(subject.audio, round(shift * 16_000))
    codes = head.encode(audio)
    last = len(codes) - 1

    def render(t: int) -> np.ndarray:
        time_in_clip = (t - subject.train.start) / max(len(subject.train) - 1, 1)
        behind = None if protocol.pasted == "nothing" else subject.without_head(t)
        return head.render(codes[min(t, last)], subject.viewmats[t], behind, subject.width, time_in_clip)

    return render


def _sync(head: TalkingHead, subject: Subject) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """LSE-C and LSE-D by the scorer that ships, those of the truth and of the head under unrelated sound.

    `sync_distance`: of each window of five frames to its own sound; `sync_unrelated`: to that half a clip away.
    """
    from audioplane.pretrained.syncnet.scorers import FPS, SHORTEST, Scorer

    frames = subject.test
    if subject.fps != FPS or len(frames) < SHORTEST:
        return {"sync": f"missing: lip sync needs {SHORTEST / FPS:g} s at {FPS:g} frames a second"}, {}
    scorer = Scorer.built_in()
    landmarks, audio = subject.landmarks[frames.start : frames.stop], subject.audio[samples_of(frames, FPS)]
    count = scorer.count(len(frames), len(audio))
    draw = renderer(head, subject)
    sights = scorer.see(map(draw, frames), landmarks)[:count]
    true = scorer.see(map(subject.frame, frames), landmarks)[:count]
    own, other = scorer.hear(audio, count), scorer.hear(np.roll(audio, len(audio) // 2), count)
    pairs = {"": (sights, own), "true_": (true, own), "unrelated_": (sights, other)}
    scores = {prefix: scorer.score(*pair) for prefix, pair in pairs.items()}
    found: dict[str, Any] = {"sync": scorer.name, "sync_seconds": len(frames) / FPS}
    for prefix, score in scores.items():
        found |= {f"{prefix}lse_c": score.confidence, f"{prefix}lse_d": score.distance}
    distances = {"sync_distance": own, "sync_unrelated": other}
    return found | {"sync_offset": scores[""].offset}, {
        key: np.linalg.norm(sights - sound, axis=1) for key, sound in distances.items()
    }


def _lpips(head: TalkingHead, subject: Subject) -> float | str:
    """Of whole frames by AlexNet, where its weights are."""
    from audioplane.metrics.perceptual import Lpips

    try:
        network = Lpips("alex")
    except weights.MissingWeightsError:
        return "weights missing"
    draw = renderer(head, subject)
    return float(np.mean([network(draw(t), subject.frame(t)) for t in spaced(subject.test, 100)]))


def _fps(head: TalkingHead, subject: Subject) -> float:
    """Frames a second, one after the other: deformation, splatting, compositing."""
    from audioplane.metrics.speed import measure

    draw, frames = renderer(head, subject), spaced(subject.test, TIMED)
    return measure(lambda k: draw(frames[k]), len(frames), ("deformation", "rasterization", "compositing")).fps


def mouth_share(head: TalkingHead, subject: Subject) -> float:
    """Share of the Gaussians whose centres are seen inside the region that speech moves."""
    means, K = head.cloud.means.numpy(), subject.K
    shares = []
    for t in spaced(subject.test, 10):
        view = subject.viewmats[t]
        seen = (means @ view[:3, :3].T + view[:3, 3]) @ K.T
        x, y = (seen[:, :2] / seen[:, 2:]).astype(int).T
        mask = subject.motion_mask(t)
        inside = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
        shares.append(mask[y[inside], x[inside]].sum() / len(means))
    return float(np.mean(shares))
