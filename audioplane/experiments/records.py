"""A `Record`: what one run was, and what it measured; one JSON file, named by what determines it.

`identity` names the question (what was learnt, how, and on what it was judged); `key` names the answer: the question
and the version of the code that answered it. Live records lie in the user's cache, those of larger runs in the clone's
`records/` folder, there as one archive a folder: a record a line, compressed (`xzcat` shows them).
"""

from __future__ import annotations

import hashlib
import json
import lzma
import math
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.runtime import documents, files, limits

DIGITS = 5  # significant, of what is kept a frame
ENDING, ARCHIVE = ".json", "records.jsonl.xz"
UNPACKING = 32 * 2**20  # bytes that unpacking may take beside what it unpacks; `pack` asks for 9 MiB


@dataclass(frozen=True)
class _Schedule:
    size: int
    coarse: int
    fine: int


@dataclass(frozen=True)
class _Loss:
    perceptual: str


@dataclass(frozen=True)
class _Settings:
    seed: int
    schedule: _Schedule
    loss: _Loss


@dataclass(frozen=True)
class _Clip:
    speaker: str
    seconds: float
    size: int


@dataclass(frozen=True)
class _Seconds:
    train: float


@dataclass(frozen=True)
class _Measures:
    protocol: str


@dataclass(frozen=True)
class _Needed:
    """What tables and estimates read inside of a record's parts; a key is part of a file's name."""

    key: Annotated[str, Meta(pattern=r"^[\w-]{1,64}$")]
    config: _Settings
    clip: _Clip
    seconds: _Seconds
    measures: _Measures


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        identity, key: see above. code: version of the sources that matter.
        config: every setting, nested as in `Config`. clip: what was learnt. driven: the clip it was judged on, None
            for the held-out part of `clip`.
        versions: of audioplane, torch, numpy, Python. device: it was trained on, and threads. made: day, UTC.
        seconds: wall time of training and evaluating (0 for what was there already).
        facts: what the run found on the way. measures: the summary, and those of controls under their names.
        series: per-frame values behind the summary.
    """

    identity: str
    key: str
    code: str
    config: dict[str, Any]
    clip: dict[str, Any]
    driven: dict[str, Any] | None
    versions: dict[str, str]
    device: str
    made: str
    seconds: dict[str, float]
    facts: dict[str, Any]
    measures: dict[str, Any]
    series: dict[str, list[float | None]]

    def save(self, folder: Path) -> Path:
        """Writes `KEY.json`; there is never half of one."""
        whole = asdict(self)
        series = whole.pop("series")
        lines = [f"  {json.dumps(name)}: {json.dumps(v, separators=(',', ':'))}" for name, v in series.items()]
        head = [f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in whole.items()]
        text = "{\n" + "".join(head) + ' "series": {\n' + ",\n".join(lines) + "\n }\n}\n"
        path = files.make_folder(folder) / (self.key + ENDING)
        files.write_text(path, text)
        return path

    @staticmethod
    def load(path: Path) -> Record:
        """Reads a record.

        Raises:
            ValueError: the file is no record of this version.
        """
        try:
            return Record.parse(documents.read_bytes(path), path)
        except UserError as error:
            raise ValueError(f"{path} is no record of this version: {error}") from error

    @staticmethod
    def parse(text: bytes, path: Path) -> Record:
        """The record that a JSON text holds.

        Args:
            text: of one record. path: the file that it is from, for errors.

        Raises:
            UserError: it is no record of this version.
        """
        values = documents.parse(text, dict[str, Any], str(path), "remove it: it is made again")
        unknown = values.keys() - Record.__dataclass_fields__.keys()
        if unknown:
            raise UserError(f"{path} holds {sorted(unknown)[0][:60]!r}, which no record has")
        record = documents.convert(values, Record, str(path), "remove it: it is made again")
        documents.convert(values, _Needed, str(path), "remove it: it is made again")
        return record

    @property
    def seed(self) -> int:
        return int(self.config["seed"])


def name(*parts: Any) -> str:
    """Twelve hex digits of what can be written as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def identity(config: Config, clip: dict[str, Any], driven: dict[str, Any] | None) -> str:
    """What a run is asked: its settings, and the clips that it learns and is judged on."""
    return name(json.loads(config.to_json()), clip, driven)


def pack(records: Iterable[Record], folder: Path) -> Path:
    """Writes records as the one archive of a folder, in the place of the one that is there; there is never half of one.

    The same records give the same bytes. Those on one clip lie next to each other: they have much in common.
    """
    ordered = sorted(records, key=lambda one: (json.dumps([one.driven or one.clip, one.clip], sort_keys=True), one.key))
    text = "".join(json.dumps(asdict(record), separators=(",", ":")) + "\n" for record in ordered)
    path = files.make_folder(folder) / ARCHIVE
    files.write_bytes(path, lzma.compress(text.encode(), preset=6 | lzma.PRESET_EXTREME))
    return path


def _unpacked(path: Path) -> Iterator[Record]:
    """The records of an archive; those of other versions are passed over.

    Raises:
        UserError: the archive is damaged, or larger than a JSON file may be.
    """
    largest = limits.count("json_bytes")
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=UNPACKING)
    try:
        text = unpacking.decompress(documents.read_bytes(path), largest)
    except lzma.LZMAError as error:
        raise UserError(f"{path} is damaged ({error}); get it again, such as by git checkout") from error
    if not unpacking.eof:
        if len(text) >= largest:
            raise limits.exceeded(f"{path} unpacks to more than {largest} bytes", "json_bytes")
        raise UserError(f"{path} is damaged (its end is missing); get it again, such as by git checkout")
    for line in text.splitlines():
        try:
            yield Record.parse(line, path)
        except UserError:
            continue


def read_all(folder: Path) -> dict[str, Record]:
    """The records of a folder by identity; those of other versions are passed over.

    A setting that was added since has its default in an older record: the question stays the same. What lies in a file
    of its own goes before what the archive has.

    Raises:
        UserError: the archive is damaged.
    """
    archive = folder / ARCHIVE
    records = list(_unpacked(archive)) if archive.is_file() else []
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            records.append(Record.load(path))
        except ValueError:
            continue
    today = [replace(record, identity=_identity_today(record)) for record in records]
    return {record.identity: record for record in today}


def _identity_today(record: Record) -> str:
    try:
        return identity(Config.from_json(json.dumps(record.config)), record.clip, record.driven)
    except (UserError, TypeError, KeyError, AttributeError):  # of settings that are gone, or no settings at all
        return record.identity


def rounded(values: Iterable[float]) -> list[float | None]:
    """Numbers as they are kept, a frame each; null where there is none."""
    return [None if math.isnan(v) else float(f"{float(v):.{DIGITS}g}") for v in values]


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def versions() -> dict[str, str]:
    """Of what a result may depend on."""
    import numpy
    import torch

    from audioplane import __version__

    return {
        "audioplane": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }
