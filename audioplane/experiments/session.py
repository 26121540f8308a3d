"""What the notebooks share: the size of their runs, and a speaker and heads that are made once and then cached.

`AUDIOPLANE_PRESET` chooses: `smoke` (seconds; the tests), `demo` (the default), `paper` (hours, on a GPU).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane import config, registry
from audioplane.config import Config
from audioplane.experiments.tables import LENGTHS
from audioplane.runtime import cache, documents

if TYPE_CHECKING:
    from torch import Tensor

    from audioplane.evaluation.evaluate import Evaluation
    from audioplane.experiments.results import Result
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject
    from audioplane.training.report import Report
    from audioplane.training.trainer import Trainer

VARIABLE = "AUDIOPLANE_PRESET"


def preset() -> str:
    """The preset of this session.

    Raises:
        UserError: the variable names none.
    """
    name = os.environ.get(VARIABLE) or "demo"
    config.preset(name)
    return name


def settings(method: str = registry.DEFAULT) -> Config:
    """The session's preset of a method at the size of its clip."""
    name, size = preset(), LENGTHS[preset()][1]
    chosen = config.preset(name, method).replace(schedule__size=size)
    return chosen.replace(schedule__early_size=size // 2) if chosen.schedule.early_size else chosen


def subject(name: str = "adam", seconds: float = 0.0, size: int = 0) -> Subject:
    """An embedded speaker from the speakers' cache, made on first use.

    Args:
        name: of the speaker. seconds, size: of the clip; 0 for the preset's.
    """
    from audioplane import synthetic

    length, pixels, _ = LENGTHS[preset()]
    return synthetic.make(name, None, size or pixels, seconds or length, progress=not is_quiet())


def is_quiet() -> bool:
    """Whether progress bars are off, as they are under test."""
    return preset() == "smoke"


def compact_pictures(quality: int = 88) -> None:
    """Embeds figures as JPEG from here on, to keep notebooks small, and shows whole texts in tables."""
    import pandas as pd
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("jpeg", pil_kwargs={"quality": quality})
    pd.set_option("display.max_colwidth", None)


def trained(subject: Subject, config: Config) -> Path:
    """The folder of a finished run in the user's cache; trains on first use (`experiments.run_cache`)."""
    from audioplane.experiments import run_cache

    return run_cache.trained(subject, config, [_Bar(is_quiet())])


def trained_all(subject: Subject, configs: Sequence[Config]) -> list[Path]:
    """`trained` of several configs: what is missing is trained side by side, a run a core."""
    from audioplane.experiments import workers

    return workers.train_all(subject, configs, count=_workers(), quiet=is_quiet())


def _workers() -> int | None:
    """None: one a core. Under test, where notebooks run beside each other, a run takes less than a process's start."""
    return 0 if is_quiet() else None


def table(name: str, films: str | Path | None = None) -> Result:
    """A table of the paper at the session's preset, one seed; trains what has no record yet.

    Args:
        name: such as "table2". films: a folder of other methods' films (Audio-Plane, Table V).
    """
    from audioplane.experiments import runner

    shown = Path(films) if films else None
    return runner.reproduce([name], preset(), workers=_workers(), films=shown, quiet=is_quiet())[name]


def heads_of(name: str, rows: Sequence[str], column: str) -> tuple[Subject, dict[str, TalkingHead]]:
    """The clip of a table's column and the heads of some of its rows, seed 0; trained if they are not there yet.

    Args:
        name: of the table. rows, column: names in it.
    """
    from audioplane.experiments import run_cache, runs, tables
    from audioplane.inference.talking_head import TalkingHead

    cells = tables.jobs(tables.find(name), preset(), 1)
    jobs = {row: cells[row, column, 0] for row in rows}
    subject = jobs[rows[0]].clip.open()
    found = {
        row: TalkingHead.load(run_cache.trained(subject, job.config, [_Bar(is_quiet())]), sparse=False)
        for row, job in jobs.items()
    }
    driven = jobs[rows[0]].driven
    return (subject if driven is None else runs.driven_by(subject, driven)), found


def scalars(run: Path) -> dict[str, np.ndarray]:
    """The scalars logged in training, one array a quantity; NaN where a stage lacks it.

    Args:
        run: a folder of `audioplane train`.

    Raises:
        UserError: its log is missing or damaged; says at which line.
    """
    path, advice, rows = run / "scalars.jsonl", "resume the run, or train anew", []
    for number, line in enumerate(documents.read_bytes(path).splitlines(), 1):
        what = f"{path}, line {number},"
        row = documents.parse(line, dict[str, Any], what, advice)
        row.pop("stage", None)
        rows.append(documents.convert(row, dict[str, float | None], what, advice))
    return {name: np.array([row.get(name) for row in rows], float) for name in (rows[-1] if rows else ())}


def held_out(subject: Subject, head: TalkingHead) -> tuple[Evaluation, dict[str, np.ndarray]]:
    """The head's measures on the subject's test frames, at the head's size and driven by its own voice."""
    from audioplane.evaluation.heads import evaluate_head

    return evaluate_head(head, subject)[0]


def draw(subject: Subject, head: TalkingHead, codes: Tensor, t: int) -> np.ndarray:
    """Frame t of the subject as the head speaks it, over the true torso, in the head's size: (H, W, 3) uint8.

    As where heads are measured: a head that an expression drives has the frame's own.
    """
    from audioplane.evaluation.heads import captured
    from audioplane.evaluation.resized import at_size_of

    subject = at_size_of(head, subject)
    faces = captured(head, subject)
    face = None if faces is None else faces[t]
    return head.render(codes[t], subject.viewmats[t], subject.without_head(t), expression=face)


def film(name: str, frames: Iterable[np.ndarray], audio: np.ndarray, quality: int = 30) -> Film:
    """A video with sound that lives inside the notebook.

    Args:
        name: of its file in the cache. frames: (H, W, 3) uint8. audio: (n,) float32 at 16 kHz.
        quality: x264's constant rate factor.
    """
    from audioplane.media.writer import write_video
    from audioplane.widgets.page import jpeg

    path, first = cache.make("films") / f"{name}.mp4", list[np.ndarray]()

    def noted() -> Iterator[np.ndarray]:
        for frame in frames:
            if not first:
                first.append(frame)
            yield frame

    count = write_video(path, noted(), 25.0, audio, quality=quality)
    assert count == -(-len(audio) // 640), "one frame for every 640 samples"
    return Film(path.read_bytes(), jpeg(first[0]))


@dataclass(frozen=True)
class Film:
    """An mp4 film and its first picture (JPEG), which is what a page shows that does not play it."""

    film: bytes
    picture: bytes

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        picture, film = (base64.b64encode(part).decode() for part in (self.picture, self.film))
        source = f"data:image/jpeg;base64,{picture}"
        html = (
            f'<video controls loop width="384" poster="{source}"><source src="data:video/mp4;base64,{film}" '
            f'type="video/mp4"><img src="{source}" alt="the first picture of a film" width="384">'
            "A film: trust the notebook, or run the cell, to play it.</video>"
        )
        return {"text/html": html, "image/jpeg": picture, "text/plain": "A film with its sound."}


def beside_truth(subject: Subject, head: TalkingHead, frames: range) -> Iterator[np.ndarray]:
    """The truth and, right of it, the head: (H, 2 W, 3) uint8, marked as synthetic."""
    from audioplane.evaluation.resized import at_size_of
    from audioplane.media.marks import mark_stamp, put_mark

    subject = at_size_of(head, subject)
    codes, stamp = head.encode(subject.audio), mark_stamp(subject.width)
    for t in frames:
        pair = np.concatenate([subject.frame(t), draw(subject, head, codes, t)], axis=1)
        put_mark(pair, stamp)
        yield pair


def sound_of(subject: Subject, frames: range) -> np.ndarray:
    """The voice of these frames: (n,) float32 at 16 kHz."""
    samples = int(16_000 / subject.fps)
    return subject.audio[frames.start * samples : frames.stop * samples]


def other_voice(name: str, seconds: float) -> np.ndarray:
    """The beginning of a voice that ships: (n,) float32 at 16 kHz."""
    from audioplane.synthetic.voice import load_voice

    return load_voice(name).audio[: int(16_000 * seconds)].copy()


class _Bar:
    """A progress bar that is removed when the run is done."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._bar = quiet, None

    def step(self, trainer: Trainer, report: Report) -> None:
        from tqdm.auto import tqdm

        if self._bar is None:
            self._bar = tqdm(total=report.total, disable=self._quiet, leave=False, unit="it", mininterval=0.5)
        self._bar.update()
        if report.iteration % 50 == 0:
            postfix = {"psnr": f"{report.psnr:.1f}", "gaussians": report.gaussians}
            self._bar.set_description(report.stage, refresh=False)
            self._bar.set_postfix(postfix, refresh=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
