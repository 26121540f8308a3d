"""Real people as training data: films of faces, of which only lip measures and sound are kept, and sound recordings.

A film gives its log-mel and three measures of the lips, standardised over all films of one person, so that a small
mouth counts as much as a large one. The offset of sound and picture is found for each person, by comparing the lips
with the prediction of a network trained on synthesized voices, and removed. The sounds in a film or a recording are
not known: they are labelled by that network itself, where it is sure (pseudo-labels).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.audio.features import load_audio
from audioplane.audio.mel import log_mel
from audioplane.audio.phonetic import BANDS, TRACKS, PhoneticNetwork
from audioplane.errors import UserError
from audioplane.metrics.mouth import correlation
from audioplane.pretrained.phonetic import films
from audioplane.pretrained.phonetic.examine import predict
from audioplane.runtime import arrays, cache, weights
from audioplane.runtime.source_hash import source_hash

FILMS = (".mpg", ".mp4", ".mov", ".mkv", ".avi", ".webm")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
LONGEST_LAG, CLEAR = 10, 0.3  # steps that are searched; correlation below which a lag counts as 0
SURE = 0.6  # probability above which a predicted sound is taken as a label


@dataclass(frozen=True)
class Recording:
    """One film or recording.

    Attributes:
        person: who speaks. mel: (n, BANDS) float16, log-mel in dB, 50 steps a second.
        lips: (n, 3) float32, `films.LIPS` at the same moments, with mean 0 and spread 1 over the person; NaN unknown.
    """

    person: str
    mel: NDArray[np.float16]
    lips: NDArray[np.float32]


def list_files(folder: Path, kinds: Sequence[str]) -> list[Path]:
    """The files of some kinds in a folder, by name.

    Raises:
        UserError: there is none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in kinds) if folder.is_dir() else []
    if not found:
        raise UserError(f"there is no {' or '.join(kinds)} in {folder}")
    return found


def read_recording(path: Path) -> Recording:
    """A recording of somebody.

    Raises:
        UserError: it cannot be read.
    """
    mel = log_mel(load_audio(path), BANDS).astype(np.float16)
    return Recording(path.stem, mel, np.full((len(mel), len(films.LIPS)), np.nan, np.float32))


def read_films(
    people: Mapping[str, Sequence[Path]], jobs: int = 2, report: Callable[[str], Any] = lambda line: None
) -> list[Recording]:
    """The films of each person, measured once and kept in the cache.

    Args:
        people: name -> films. jobs: processes. report: called with a line of text from time to time.

    Raises:
        UserError: a film cannot be read, or the landmark model is missing.
    """
    folder, code = cache.make("phonetic"), source_hash("audioplane.pretrained.phonetic.films")
    kept = {path: folder / f"{weights.digest(path)[:16]}-{code}.npz" for own in people.values() for path in own}
    missing = [(path, place) for path, place in kept.items() if not place.exists()]
    if missing:
        weights.require("face-landmarker")  # says what is missing before anything starts
        with multiprocessing.get_context("spawn").Pool(min(jobs, len(missing))) as pool:
            for done, _ in enumerate(pool.imap_unordered(films.measure, missing, chunksize=4), 1):
                if done % 50 == 0 or done == len(missing):
                    report(f"measured {done} of {len(missing)} films")
    recordings = []
    for person, paths in people.items():
        own = []
        for path in paths:
            found = arrays.read_npz(kept[path])
            own.append((found["mel"], found["lips"]))
        whole = np.concatenate([lips for _, lips in own])
        seen = whole[np.isfinite(whole).all(axis=1)]
        mean, spread = (seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-3)) if len(seen) else (0.0, 1.0)
        recordings += [Recording(person, mel, (lips - mean) / spread) for mel, lips in own]
    return recordings


def lag(pairs: Sequence[tuple[NDArray, NDArray]]) -> int:
    """Steps by which the picture comes after the sound, in all recordings of a person; 0 if that is not clear.

    Args:
        pairs: of each recording, the opening predicted from the sound and the one seen, (n,) each; NaN unknown.
    """
    found = {}
    for steps in sorted(range(-LONGEST_LAG, LONGEST_LAG + 1), key=abs):
        agreed = []
        for predicted, opening in pairs:
            inside = np.isfinite(opening)
            inside[:LONGEST_LAG] = inside[len(inside) - LONGEST_LAG :] = False
            if inside.sum() > 2 * LONGEST_LAG:
                agreed.append(correlation(np.roll(predicted, steps)[inside].astype(np.float64), opening[inside]))
        found[steps] = float(np.mean(agreed)) if agreed else 0.0
    best = max(found, key=lambda steps: found[steps])
    return best if found[best] > CLEAR else 0


@dataclass(frozen=True)
class RecordingPool:
    """Each person's recordings end to end, to draw training pieces from.

    Attributes:
        mel: of each person, (n, BANDS). classes: (n,), -1 where nobody knows. tracks: (n, tracks).
        lips: (n, 3), NaN unknown. weights: how often each is drawn: the square root of its length, so that neither the
            longest recording dominates nor the shortest is repeated too often.
    """

    mel: tuple[Tensor, ...]
    classes: tuple[Tensor, ...]
    tracks: tuple[Tensor, ...]
    lips: tuple[Tensor, ...]
    weights: Tensor

    @classmethod
    def of(
        cls, recordings: Sequence[Recording], network: PhoneticNetwork, least: int, report: Callable[[str], Any]
    ) -> RecordingPool:
        """Labels all recordings by a network's own predictions.

        Args:
            recordings: at least one. network: trained on synthesized speech. least: steps that there must be of each;
                shorter ones are repeated. report: called with one line of text.
        """
        by_person: dict[str, list[Recording]] = {}
        for one in recordings:
            by_person.setdefault(one.person, []).append(one)
        columns: list[list[Tensor]] = [[], [], [], []]
        weights, lags = [], {}
        sizes = np.array(list(TRACKS.values()), np.float32)
        for person, own in by_person.items():
            outputs = [predict(network, one.mel) for one in own]
            opening = list(TRACKS).index("aperture")
            pairs = [(output.tracks[:, opening], one.lips[:, 0]) for output, one in zip(outputs, own, strict=True)]
            late = lags[person] = lag(pairs)
            known = [
                np.where(output.posteriors.max(axis=1) > SURE, output.posteriors.argmax(axis=1), -1)
                for output in outputs
            ]
            parts = (
                [one.mel.astype(np.float32) for one in own],
                known,
                [output.tracks / sizes for output in outputs],
                [_earlier(one.lips, late) for one in own],
            )
            count = sum(len(one.mel) for one in own)
            weights.append(count**0.5)
            for column, part in zip(columns, parts, strict=True):
                line = torch.from_numpy(np.concatenate(part))
                column.append(line.repeat(-(-least // count), *[1] * (line.dim() - 1)))
        report(
            f"{len(by_person)} people; picture after sound, ms: "
            + ", ".join(f"{name} {20 * late}" for name, late in lags.items() if late)
        )
        mel, classes, tracks, lips = map(tuple, columns)
        return cls(mel, classes, tracks, lips, torch.tensor(weights))

    def draw(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pieces of `length` steps of `count` people: mel, classes, tracks, lips."""
        who = torch.multinomial(self.weights, count, replacement=True, generator=generator).tolist()
        starts = [int(torch.randint(0, len(self.mel[k]) - length + 1, (1,), generator=generator)) for k in who]

        def pieces(lines: tuple[Tensor, ...]) -> Tensor:
            return torch.stack([lines[k][start : start + length] for k, start in zip(who, starts, strict=True)])

        return pieces(self.mel), pieces(self.classes), pieces(self.tracks), pieces(self.lips)


def _earlier(lips: NDArray, steps: int) -> NDArray:
    """Lips (n, 3) as they would be seen `steps` steps earlier; NaN where that is not known."""
    moved = np.full_like(lips, np.nan)
    first, last = max(steps, 0), len(lips) + min(steps, 0)
    moved[first - steps : last - steps] = lips[first:last]
    return moved
