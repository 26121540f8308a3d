"""Real people, to learn from without their pictures: films of faces, and recordings.

A film gives its log-mel and three measures of the lips, standardised over all films of one person, so that a small
mouth counts as much as a large one. Sound and picture may be apart; by how much is found for each person, by what a
network that has learnt from synthesized voices hears, and taken away. What is said in a film or a recording, nobody
tells: it is what that network itself hears in it, where it is sure.
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
from audioplane.pretrained.phonetic.examine import hear
from audioplane.runtime import cache, weights
from audioplane.runtime.source_hash import source_hash

FILMS = (".mpg", ".mp4", ".mov", ".mkv", ".avi", ".webm")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
LONGEST_LAG, CLEAR = 10, 0.3  # steps that are searched; correlation below which a lag is not believed
SURE = 0.6  # likelihood above which a sound that is heard counts as said


@dataclass(frozen=True)
class Take:
    """One film or recording.

    Attributes:
        person: who speaks. mel: (n, BANDS) float16, log-mel in dB, 50 steps a second.
        lips: (n, 3) float32, `films.LIPS` at the same moments, with mean 0 and spread 1 over the person; NaN unknown.
    """

    person: str
    mel: NDArray[np.float16]
    lips: NDArray[np.float32]


def listed(folder: Path, kinds: Sequence[str]) -> list[Path]:
    """The files of some kinds in a folder, by name.

    Raises:
        UserError: there is none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in kinds) if folder.is_dir() else []
    if not found:
        raise UserError(f"there is no {' or '.join(kinds)} in {folder}")
    return found


def heard(path: Path) -> Take:
    """A recording of somebody.

    Raises:
        UserError: it cannot be read.
    """
    mel = log_mel(load_audio(path), BANDS).astype(np.float16)
    return Take(path.stem, mel, np.full((len(mel), len(films.LIPS)), np.nan, np.float32))


def watched(
    people: Mapping[str, Sequence[Path]], jobs: int = 2, told: Callable[[str], Any] = lambda line: None
) -> list[Take]:
    """The films of each person, measured once and kept in the cache.

    Args:
        people: name -> films. jobs: processes. told: is given a line from time to time.

    Raises:
        UserError: a film cannot be read, or the landmark model is missing.
    """
    folder, code = cache.make("phonetic"), source_hash("audioplane.pretrained.phonetic.films")
    kept = {path: folder / f"{weights.digest(path)[:16]}-{code}.npz" for own in people.values() for path in own}
    missing = [(path, place) for path, place in kept.items() if not place.exists()]
    if missing:
        weights.require("face-landmarker")  # says what is missing before anything starts
        with multiprocessing.get_context("spawn").Pool(min(jobs, len(missing))) as pool:
            for done, _ in enumerate(pool.imap_unordered(films.watch, missing, chunksize=4), 1):
                if done % 50 == 0 or done == len(missing):
                    told(f"watched {done} of {len(missing)} films")
    takes = []
    for person, paths in people.items():
        own = []
        for path in paths:
            with np.load(kept[path]) as file:
                own.append((file["mel"], file["lips"]))
        whole = np.concatenate([lips for _, lips in own])
        seen = whole[np.isfinite(whole).all(axis=1)]
        mean, spread = (seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-3)) if len(seen) else (0.0, 1.0)
        takes += [Take(person, mel, (lips - mean) / spread) for mel, lips in own]
    return takes


def lag(pairs: Sequence[tuple[NDArray, NDArray]]) -> int:
    """Steps by which what is seen comes after the same that is heard, in all takes of a person; 0 if none is clear.

    Args:
        pairs: of each take, the opening that is heard and the one that is seen, (n,) each; NaN unknown.
    """
    found = {}
    for steps in sorted(range(-LONGEST_LAG, LONGEST_LAG + 1), key=abs):
        agreed = []
        for said, opening in pairs:
            inside = np.isfinite(opening)
            inside[:LONGEST_LAG] = inside[len(inside) - LONGEST_LAG :] = False
            if inside.sum() > 2 * LONGEST_LAG:
                agreed.append(correlation(np.roll(said, steps)[inside].astype(np.float64), opening[inside]))
        found[steps] = float(np.mean(agreed)) if agreed else 0.0
    best = max(found, key=lambda steps: found[steps])
    return best if found[best] > CLEAR else 0


@dataclass(frozen=True)
class People:
    """Everybody's takes end to end, ready to draw pieces from.

    Attributes:
        mel: of each person, (n, BANDS). classes: (n,), -1 where nobody knows. tracks: (n, tracks).
        lips: (n, 3), NaN unknown. weights: how often each is drawn: the square root of what there is of each, so that
            one who says much does not drown the others, and three seconds are not learnt by heart.
    """

    mel: tuple[Tensor, ...]
    classes: tuple[Tensor, ...]
    tracks: tuple[Tensor, ...]
    lips: tuple[Tensor, ...]
    weights: Tensor

    @classmethod
    def of(cls, takes: Sequence[Take], network: PhoneticNetwork, least: int, told: Callable[[str], Any]) -> People:
        """Labels all takes by what a network hears.

        Args:
            takes: at least one. network: that has learnt what sounds are. least: steps that there must be of each;
                shorter ones are repeated. told: is given a line.
        """
        by_person: dict[str, list[Take]] = {}
        for take in takes:
            by_person.setdefault(take.person, []).append(take)
        columns: list[list[Tensor]] = [[], [], [], []]
        weights, lags = [], {}
        sizes = np.array(list(TRACKS.values()), np.float32)
        for person, own in by_person.items():
            ears = [hear(network, take.mel) for take in own]
            opening = list(TRACKS).index("aperture")
            pairs = [(ear.tracks[:, opening], take.lips[:, 0]) for ear, take in zip(ears, own, strict=True)]
            late = lags[person] = lag(pairs)
            known = [np.where(ear.posteriors.max(axis=1) > SURE, ear.posteriors.argmax(axis=1), -1) for ear in ears]
            parts = (
                [take.mel.astype(np.float32) for take in own],
                known,
                [ear.tracks / sizes for ear in ears],
                [_earlier(take.lips, late) for take in own],
            )
            count = sum(len(take.mel) for take in own)
            weights.append(count**0.5)
            for column, part in zip(columns, parts, strict=True):
                line = torch.from_numpy(np.concatenate(part))
                column.append(line.repeat(-(-least // count), *[1] * (line.dim() - 1)))
        told(
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
