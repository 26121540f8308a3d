"""Valid files with random changes, given to every reader: each refuses them with a sentence or reads what is left.

A try is a reader and a seed; the same seed makes the same change. Tries run in blocks in forked children, so that a
crash or a hang ends a block and is told with its seed.
"""

from __future__ import annotations

import json
import random
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 20  # of one try


def change(data: bytes, seed: int) -> bytes:
    """A file's bytes with one to four random changes: of bits, bytes, numbers, pieces, its length, or its JSON."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(CHANGES)(data, rng)
    return data


def _bit(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return data
    at, out = rng.randrange(len(data)), bytearray(data)
    out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def _early(data: bytes, rng: random.Random) -> bytes:
    """Bytes of the beginning, where headers lie."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if out:
            out[rng.randrange(min(len(out), 200))] = rng.randrange(256)
    return bytes(out)


def _late(data: bytes, rng: random.Random) -> bytes:
    """Bytes of the end, where indices lie."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if out:
            out[-1 - rng.randrange(min(len(out), 200))] = rng.randrange(256)
    return bytes(out)


def _number(data: bytes, rng: random.Random) -> bytes:
    """A number of two to eight bytes that is at an end of its range."""
    form = rng.choice(("<H", "<I", "<Q", ">H", ">I", "<f", "<d"))
    size = struct.calcsize(form)
    if len(data) < size:
        return data
    value: Any = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1))
    if form[1] in "fd":
        value = rng.choice((float("nan"), float("inf"), -1e30, 1e38, 0.0))
    at = rng.randrange(len(data) - size + 1)
    return data[:at] + struct.pack(form, value) + data[at + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randrange(1, 100) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at : at + rng.randrange(1, 100)] * rng.randrange(2, 5) + data[at:]


def _noise(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randrange(1, 60)) + data[at:]


def _json(data: bytes, rng: random.Random) -> bytes:
    """A value somewhere in a JSON text replaced; other files get another change."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _number(data, rng)
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        pairs = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for key, value in pairs:
            places.append((one, key))
            waiting.append(value)
    if places:
        holder, key = rng.choice(places)
        values = (None, True, -1, 0, 10**25, 1e300, "", "x", [], {}, [[[]]], "\ud800", "../x", "*", "1", 0.5, "a\0b")
        holder[key] = rng.choice(values)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_bit, _early, _late, _number, _number, _cut, _drop, _repeat, _noise, _json, _json),
)

# Readers: what is changed, and what then reads it


def read_subject(folder: Path) -> None:
    """Everything that a Subject offers, and the check."""
    from audioplane.subject import Subject

    subject = Subject.open(folder / "subject")
    subject.audio, subject.landmarks, subject.K, subject.viewmats  # noqa: B018
    subject.tracks, subject.phonemes, subject.blendshapes, subject.faces, subject.vertex_groups  # noqa: B018
    subject.background, subject.features("mel")[0]
    for t in (0, subject.num_frames - 1):
        subject.frame(t), subject.label(t), subject.without_head(t), subject.depth(t), subject.motion_mask(t)
        subject.vertices(t)


def check_subject(folder: Path) -> None:
    from audioplane.subject.check import check

    check(folder / "subject")


def read_head(folder: Path) -> None:
    import numpy as np

    from audioplane.inference.talking_head import TalkingHead

    head = TalkingHead.load(folder / "run" / "head.safetensors")
    codes = head.encode(np.sin(np.arange(1600) / 9).astype(np.float32))
    head.render(codes[0], head.extras["test_viewmats"][0])


def read_state(folder: Path) -> None:
    from audioplane.config import Config
    from audioplane.subject import Subject
    from audioplane.training.trainer import Trainer

    run = folder / "run"
    Trainer(Config.read(run / "config.json"), Subject.open(folder / "subject"), run, device="cpu", resume=True)


def read_cloud(folder: Path) -> None:
    from audioplane.splat.ply import load_ply

    load_ply(folder / "cloud.ply")


def read_record(folder: Path) -> None:
    from audioplane.experiments.records import read_all

    read_all(folder / "records")


def read_ratings(folder: Path) -> None:
    from audioplane.evaluation import user_study

    ratings = user_study.read(folder / "ratings.csv")
    user_study.summary(ratings), user_study.agreement(ratings)


def read_layout(folder: Path) -> None:
    from audioplane.subject.ad_nerf import convert

    convert(folder / "nerf", folder / "imported")


def read_sound(folder: Path) -> None:
    from audioplane.media.sound import load_audio

    load_audio(folder / "voice.wav")


def read_film(folder: Path) -> None:
    from audioplane.media.reader import MediaReader

    film = MediaReader.open(folder / "film.mp4")
    film.timing()
    if film.has_sound:
        film.sound()
    for picture in film.pictures(0, 2):
        assert picture.size


def read_config(folder: Path) -> None:
    from audioplane.config import Config

    Config.read(folder / "run" / "config.json")


def read_whisper(folder: Path) -> None:
    """Each file of the models, of which one is changed."""
    import numpy as np

    from audioplane.audio import whisper

    for path in sorted((folder / "models").iterdir()):
        whisper.load.__wrapped__(str(path), 1)(np.sin(np.arange(3200) / 9).astype(np.float32))


def read_restorer(folder: Path) -> None:
    import numpy as np

    from audioplane.restore.restorer import Restorer

    restorer = Restorer.load(folder / "restorer.safetensors")
    alpha = np.zeros((32, 32), np.float32)
    alpha[4:20, 8:24] = 1
    restorer(np.full((32, 32, 3), 90, np.uint8), alpha)


def read_captures(folder: Path) -> None:
    from audioplane.motion.captures import read_capture

    for name in ("take.csv", "take.npy"):
        read_capture(folder / name, 25.0)


def read_features(folder: Path) -> None:
    from audioplane.audio.features import load_deepspeech

    load_deepspeech(str(folder / "aud_ds.npy"), 8, 16)


PARTS = (
    *("manifest.json", "frames.pack", "labels.pack", "background.png", "audio.flac", "cameras.npz", "landmarks.npy"),
    *("phonemes.json", "blendshapes.npy", "mesh.npz", "vertex_basis.npy", "vertex_weights.npy", "tracks.npz"),
    *("features/mel.npy", "depth.pack", "without_head.pack"),
)
NERF = (
    *("transforms_train.json", "transforms_val.json", "bc.jpg", "aud.wav", "ori_imgs/5.jpg", "ori_imgs/5.lms"),
    *("parsing/5.png", "torso_imgs/5.png"),
)
READERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...], tuple[str, ...], int]] = {
    "Subject": (read_subject, ("subject",), tuple(f"subject/{name}" for name in PARTS), 3200),
    "subject check": (check_subject, ("subject",), tuple(f"subject/{name}" for name in PARTS), 1600),
    "head": (read_head, ("run",), ("run/head.safetensors",), 1200),
    "checkpoint": (read_state, ("run", "subject"), ("run/state.safetensors", "run/config.json"), 400),
    "ply": (read_cloud, ("cloud.ply",), ("cloud.ply",), 1000),
    "record": (read_record, ("records",), ("records/record.json", "records/records.jsonl.xz"), 1000),
    "ratings": (read_ratings, ("ratings.csv",), ("ratings.csv",), 600),
    "other layouts": (read_layout, ("nerf",), tuple(f"nerf/{name}" for name in NERF), 500),
    "sound": (read_sound, ("voice.wav",), ("voice.wav",), 600),
    "film": (read_film, ("film.mp4",), ("film.mp4",), 600),
    "config": (read_config, ("run",), ("run/config.json",), 800),
    "Whisper": (read_whisper, ("models",), ("models/tiny.pt", "models/model.bin", "models/model.safetensors"), 300),
    "restorer": (read_restorer, ("restorer.safetensors",), ("restorer.safetensors",), 400),
    "captures": (read_captures, ("take.csv", "take.npy"), ("take.csv", "take.npy"), 600),
    "features": (read_features, ("aud_ds.npy",), ("aud_ds.npy",), 300),
}
"""Name -> what reads, the inputs it needs, the files that are changed, and how many tries."""


def attempt(name: str, seed: int, folder: Path) -> str:
    """One try in a folder with valid inputs, which is left as it was; returns what broke, or ""."""
    import shutil
    import traceback

    from audioplane.errors import UserError

    reader, _, files, _ = READERS[name]
    path = folder / files[seed % len(files)]
    before, manifest = path.read_bytes(), folder / "subject" / "manifest.json"
    listed = manifest.read_bytes() if manifest.exists() else b""
    path.write_bytes(change(before, seed))
    if path.is_relative_to(folder / "subject") and path != manifest and seed % 3:
        from tests.reliability.inputs import accept

        accept(folder / "subject", path.relative_to(folder / "subject").as_posix())
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor: others use the machine too
    try:
        reader(folder)
    except UserError as error:
        return "" if str(error).strip() and "\n" not in str(error).strip() else f"traceback: no sentence: {error!r}"
    except MemoryError:
        return "takes too much memory"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"traceback: {type(error).__name__}: {str(error)[:100]} at {Path(place.filename).name}:{place.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_bytes(before)
        if listed:
            manifest.write_bytes(listed)
        shutil.rmtree(folder / "imported", ignore_errors=True)
    return ""


def block(name: str, seeds: list[int], folder: Path, report: Path) -> int:
    """Some tries in this process; a line of JSON each into `report`, before and after."""
    import logging

    logging.disable(logging.CRITICAL)
    with report.open("w") as file:
        for seed in seeds:
            file.write(json.dumps([seed]) + "\n")
            file.flush()
            file.write(json.dumps([seed, attempt(name, seed, folder)]) + "\n")
            file.flush()
    return 0
