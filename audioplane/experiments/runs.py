"""One run of a table: train, evaluate on the held-out frames with its controls, keep the record."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audioplane.config import Config
from audioplane.evaluate import Evaluation, Render, evaluate, evaluate_all
from audioplane.experiments.records import Record, key, versions
from audioplane.head import TalkingHead
from audioplane.metrics.mouth import MouthReader
from audioplane.protocols import DEFAULT, Protocol
from audioplane.subject import Subject
from audioplane.train import Trainer, Watcher

SHIFT = 1.0  # seconds by which the control's audio is late


def describe(subject: Subject) -> dict[str, Any]:
    """What of a Subject a result depends on."""
    return {
        "name": subject.name,
        "digest": subject.digest,
        "size": [subject.width, subject.height],
        "train": [subject.train.start, subject.train.stop],
        "test": [subject.test.start, subject.test.stop],
    }


def held_out(head: TalkingHead, subject: Subject, reader: MouthReader | None = None, shift: float = 0.0,
             frames: range | None = None, protocol: Protocol = DEFAULT
             ) -> tuple[Evaluation, dict[str, np.ndarray]]:  # fmt: skip
    """Evaluates a head on a subject's held-out frames, under the subject's own audio or that audio `shift` s late."""
    return evaluate(subject, renderer(head, subject, shift, protocol), frames, reader, protocol)


def renderer(head: TalkingHead, subject: Subject, shift: float = 0.0, protocol: Protocol = DEFAULT) -> Render:
    """What draws frame t of a subject as the head speaks it: over the truth's torso, or over its own."""
    audio = np.roll(subject.audio, round(shift * 16_000))
    codes = head.encode(audio)
    last = len(codes) - 1

    def render(t: int) -> np.ndarray:
        time_in_clip = (t - subject.train.start) / max(len(subject.train) - 1, 1)
        behind = None if protocol.pasted == "nothing" else subject.without_head(t)
        return head.render(codes[min(t, last)], subject.viewmats[t], behind, time=time_in_clip)

    return render


def run(
    subject: Subject, config: Config, folder: Path, watchers: tuple[Watcher, ...] = (), fresh: bool = False
) -> Record:
    """The record of this config on this subject: read if it is there, else made.

    Args:
        subject: what is learnt. config: of the run, seed included.
        folder: of records; the trained head lies beside its record.
        watchers: of the training. fresh: train even if the record is there.
    """
    settings = json.loads(config.to_json())
    about = describe(subject)
    name = key(settings, about)
    path = folder / f"{name}.json"
    if path.exists() and not fresh:
        return Record.load(path)
    start = time.perf_counter()
    trainer = Trainer(config, subject, folder / name, watchers, resume=(folder / name / "state.safetensors").exists())
    prepared = time.perf_counter()
    trainer.run()
    head = TalkingHead.export(trainer, folder / name / "head.safetensors")
    head = TalkingHead.load(folder / name / "head.safetensors", sparse=False)
    trained = time.perf_counter()
    own, delayed = (renderer(head, subject, shift) for shift in (0.0, SHIFT))
    (summary, series), (late, _) = evaluate_all(subject, [own, delayed])
    done = time.perf_counter()
    record = Record(
        config=settings,
        subject=about,
        versions=versions(),
        device=f"{trainer.device.type}, {torch.get_num_threads()} thread(s)",
        seconds={"prepare": prepared - start, "train": trained - prepared, "evaluate": done - trained},
        facts={**trainer.facts, "gaussians": len(head.cloud), "moving": TalkingHead.load(folder / name).moving},
        measures={**summary.to_dict(), "shifted": late.to_dict()},
        series={name: [round(float(v), 6) for v in values] for name, values in series.items()},
    )
    record.save(path)
    return record
