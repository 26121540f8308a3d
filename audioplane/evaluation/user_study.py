"""A blind user study (Audio-Plane, Fig. 7): clips to rate, and means of the ratings with intervals and agreement.

A *trial* shows the clips of one identity, one of each method, in random order under letters; every clip gets a rating
on each criterion of a form, by default from 1 to 6 on three. Ratings lie in one CSV file, one row each, that any number
of participants append to.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioplane.errors import UserError
from audioplane.runtime import documents, files, limits

if TYPE_CHECKING:
    import pandas as pd

CRITERIA = ("Image Fidelity", "Video Realness", "Audio-Visual Synchronization")
SCALE = (1, 6)
LONGEST = 200  # characters of a name in a file of ratings
COLUMNS = ("participant", "identity", "method", "criterion", "rating", "position")


@dataclass(frozen=True)
class Form:
    """What is asked of each clip.

    Attributes:
        criteria: names. low, high: the scale, whole numbers from the worst to the best.
    """

    criteria: tuple[str, ...] = CRITERIA
    low: int = SCALE[0]
    high: int = SCALE[1]

    def __str__(self) -> str:
        return f"{self.low} to {self.high} on {', '.join(self.criteria)}"

    @property
    def scale(self) -> range:
        return range(self.low, self.high + 1)


DEFAULT = Form()


@dataclass(frozen=True)
class Clip:
    """A film to be rated: who is seen, what made it, and the mp4's bytes."""

    identity: str
    method: str
    film: bytes


def record(identity: str, method: str, frames: Iterable[NDArray], audio: NDArray, fps: float = 25.0) -> Clip:
    """A clip from frames (H, W, 3) uint8 and their sound (n,) at 16 kHz."""
    from audioplane.media.writer import write_video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, frames, fps, audio, quality=20)
        return Clip(identity, method, path.read_bytes())


def simulated(
    identities: Sequence[str],
    qualities: Mapping[str, Sequence[float]],
    people: int,
    seed: int,
    taste: float = 0.6,
    noise: float = 0.7,
    form: Form = DEFAULT,
) -> pd.DataFrame:
    """Simulated ratings, to try the analysis with: never to be shown as a result.

    Args:
        identities: names. qualities: method -> what its clips are worth on each criterion of the form.
        people: how many. seed: of the draws. taste: spread of what people add to all their ratings. noise: of each.
        form: what is asked.
    """
    import pandas as pd

    generator, rows = np.random.default_rng(seed), []
    for person in range(people):
        shift = taste * generator.standard_normal()
        for identity in identities:
            for position, method in enumerate(generator.permutation(list(qualities))):
                for criterion, worth in zip(form.criteria, qualities[method], strict=True):
                    value = round(worth + shift + noise * generator.standard_normal())
                    rating = min(max(value, form.low), form.high)
                    rows.append((f"simulated {person + 1}", identity, str(method), criterion, rating, position))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def check(clips: Sequence[Clip]) -> None:
    """Every identity must come once from each of at least two methods.

    Raises:
        ValueError: it does not.
    """
    methods = {clip.method for clip in clips}
    if len(methods) < 2:
        raise ValueError(f"clips: expected at least two methods, received {sorted(methods)}")
    for identity in {clip.identity for clip in clips}:
        own = sorted(clip.method for clip in clips if clip.identity == identity)
        if own != sorted(methods):
            raise ValueError(f"clips: {identity!r} needs one clip of each of {sorted(methods)}; it has {own}")


def append(path: str | Path, rows: Iterable[Mapping[str, object]], form: Form = DEFAULT) -> int:
    """Adds ratings to a CSV file, which is made when it is not there; returns how many.

    Raises:
        ValueError: a rating that is none.
        UserError: the file cannot be written; it is left as it was.
    """
    rows = list(rows)
    for row in rows:
        if row["criterion"] not in form.criteria or row["rating"] not in form.scale:
            raise ValueError(f"rating: expected {form}; received {row}")
    path, added = Path(path), io.StringIO(newline="")
    csv.writer(added).writerows([_plain(row[name]) for name in COLUMNS] for row in rows)
    with files.lock(path):
        known = path.read_bytes() if path.exists() else (",".join(COLUMNS) + "\r\n").encode()
        files.write_bytes(path, known + added.getvalue().encode())
    return len(rows)


def read(*paths: str | Path, key: Mapping[str, Clip] | None = None, form: Form = DEFAULT) -> pd.DataFrame:
    """Ratings of one or more CSV files; where a participant rated a clip twice, the last rating counts.

    Args:
        paths: of the files. key: of files that came from saved pages, token -> clip, see `widgets.UserStudy.key`.
        form: what was asked.

    Raises:
        UserError: a file is missing, has other columns, or a rating is none.
    """
    import pandas as pd

    tables = []
    for path in paths:
        table = _table(Path(path))
        if "clip" in table and key is not None:
            unknown = set(table["clip"]) - set(key)
            if unknown:
                raise UserError(f"{path} belongs to another study: it rates {sorted(unknown)[0]!r}")
            table["identity"] = [key[token].identity for token in table["clip"]]
            table["method"] = [key[token].method for token in table["clip"]]
        missing = set(COLUMNS) - set(table)
        if missing:
            raise UserError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        tables.append(table[list(COLUMNS)])
    ratings = pd.concat(tables, ignore_index=True)
    wrong = ~ratings["rating"].isin(form.scale) | ~ratings["criterion"].isin(form.criteria)
    if wrong.to_numpy().any():
        raise UserError(f"ratings are {form}; not {ratings[wrong].iloc[0].to_dict()}")
    return ratings.drop_duplicates(["participant", "identity", "method", "criterion"], keep="last")


def _plain(value: object) -> object:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _table(path: Path) -> pd.DataFrame:
    """A CSV file of texts, but for the numbers of its rating and position."""
    import pandas as pd

    data, most = documents.read_bytes(path), limits.count("ratings")
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, nrows=most + 1)
    except (ValueError, OverflowError, RuntimeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as ratings ({str(error).splitlines()[0][:120]})") from error
    if len(table) > most:
        raise limits.exceeded(f"{path} has more than {most} rows", "ratings")
    for name in {"rating", "position"} & set(table):
        table[name] = [_whole(text) for text in table[name]]
    for name in set(table) & {"participant", "identity", "method", "clip"}:
        strange = [text for text in table[name] if not isinstance(text, str) or not 0 < len(text) <= LONGEST]
        if strange:
            raise UserError(f"{path}: {name} is a text of 1 to {LONGEST} characters, not {str(strange[0])[:40]!r}")
    return table


def _whole(text: object) -> int:
    """The whole number that a text is, or -1."""
    try:
        number = float(str(text))
    except ValueError:
        return -1
    return int(number) if abs(number) < 1e9 and number == int(number) else -1


def summary(ratings: pd.DataFrame) -> pd.DataFrame:
    """Means with 95 % intervals.

    People differ in how they use a scale and rate many clips each, so the interval is Student's t over participants;
    one who rated more clips counts more.

    Args:
        ratings: of `read`.

    Returns:
        One row a method and criterion: mean, low, high (NaN for a single participant), participants.
    """
    import pandas as pd
    from scipy.stats import t

    rows = []
    for names, own in ratings.groupby(["method", "criterion"], sort=False):
        method, criterion = map(str, names)  # type: ignore[arg-type]
        sums, counts = own.groupby("participant")["rating"].agg(["sum", "count"]).to_numpy(float).T
        people, mean = len(sums), float(sums.sum() / counts.sum())
        half = float("nan")
        if people > 1:
            off = sums - mean * counts  # a mean's error is that of a ratio of sums
            error = (people / (people - 1) * (off**2).sum()) ** 0.5 / counts.sum()
            half = float(t.ppf(0.975, people - 1)) * error
        rows.append((method, criterion, mean, mean - half, mean + half, people))
    return pd.DataFrame(rows, columns=["method", "criterion", "mean", "low", "high", "participants"])


def agreement(ratings: pd.DataFrame) -> dict[str, float]:
    """Krippendorff's alpha of each criterion, over all clips; NaN for a single participant."""
    found = {}
    for criterion, own in ratings.groupby("criterion", sort=False):
        table = own.pivot_table("rating", "participant", ["identity", "method"])
        found[str(criterion)] = krippendorff(table.to_numpy(float))
    return found


def krippendorff(ratings: NDArray) -> float:
    """Krippendorff's alpha for ordinal ratings: 1 for agreement, 0 for chance, below for opposition.

    After K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): 1 - observed / expected disagreement,
    with the squared number of ratings between two values as their distance.

    Args:
        ratings: (raters, items), NaN where somebody did not rate.
    """
    values = np.unique(ratings[np.isfinite(ratings)])
    coincidences = np.zeros((len(values), len(values)))
    for item in ratings.T:
        counts = np.array([(item == value).sum() for value in values], float)
        raters = counts.sum()
        if raters > 1:
            coincidences += (np.outer(counts, counts) - np.diag(counts)) / (raters - 1)
    totals = coincidences.sum(0)
    between = np.cumsum(totals) - totals / 2  # the rank in the middle of each value's ratings
    distance = np.square(between[:, None] - between)
    expected = (np.outer(totals, totals) - np.diag(totals)) * distance
    if not expected.sum() > 0:
        return float("nan")
    return float(1 - (totals.sum() - 1) * (coincidences * distance).sum() / expected.sum())
