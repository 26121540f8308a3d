"""Checks a whole Subject; every problem says what is wrong and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from audioplane.subject.format import FPS, REQUIRED, SAMPLE_RATE, WITHOUT_HEAD, Manifest, Part, read_manifest
from audioplane.subject.masks import HAIR, MOUTH, mouth_opening
from audioplane.subject.pack import DamagedPackError, PackReader
from audioplane.subject.sync import mouth_sound_sync

ERROR, WARNING = "error", "warning"
LISTED = 4  # frames named in one message


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: "error": do not train on it; "warning": it works, but look.
        part: the file or the property.
        what: what is wrong, one sentence.
        advice: what to do, one sentence.
    """

    severity: str
    part: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.part}: {self.what}. {self.advice}."


def _frames(indices: list[int]) -> str:
    """ "frame 3" or "frames 3, 4, 5, 6 and 12 more"."""
    shown = ", ".join(map(str, indices[:LISTED]))
    more = f" and {len(indices) - LISTED} more" if len(indices) > LISTED else ""
    return f"frame{'s' if len(indices) > 1 else ''} {shown}{more}"


def check(
    path: Path, progress: Callable[[int], object] = lambda frames: None, every_picture: bool = True
) -> list[Problem]:
    """Everything that is wrong with the Subject in folder `path`; empty when all is well.

    Args:
        path: the folder.
        progress: called with the number of pictures just read.
        every_picture: whether pictures are decoded one by one. Without, labels are: enough for a Subject just written,
            whose files are held to their hashes either way.

    Raises:
        UserError: the folder is not a Subject at all, or of another format version.
    """
    manifest = read_manifest(path)
    problems = list(_check_manifest(manifest))
    whole = []  # parts that can be looked into
    for name, part in sorted(manifest.parts.items()):
        trouble = _check_file(path / name, name, part)
        problems += [trouble] if trouble else []
        if (path / name).is_file():
            whole.append(name)
    for name in whole:
        if name.endswith(".pack") and (every_picture or name == "labels.pack"):
            problems += _check_pack(path / name, name, manifest, progress)
    broken = {problem.part for problem in problems}
    for name, look in (
        ("audio.flac", _check_audio),
        ("cameras.npz", _check_cameras),
        ("landmarks.npy", _check_landmarks),
        ("blendshapes.npy", _check_blendshapes),
        ("phonemes.json", _check_phonemes),
        ("background.png", _check_still),
        ("without_head.png", _check_still),
    ):
        if name in whole and name not in broken:
            try:
                problems += look(path / name, manifest)
            except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
                problems.append(_unreadable(name, error))
    if not problems:
        problems += _check_sync(path, manifest)
    return problems


def _unreadable(name: str, error: Exception) -> Problem:
    return Problem(ERROR, name, f"cannot be read ({error})", "Copy it again, or make the Subject again")


def _check_manifest(manifest: Manifest) -> Iterator[Problem]:
    if manifest.fps != FPS:
        yield Problem(
            ERROR,
            "fps",
            f"the manifest says {manifest.fps:g} frames per second, Subjects have {FPS:g}",
            "Convert the video with `audioplane prepare`, which resamples it by its timestamps",
        )
    if manifest.sample_rate != SAMPLE_RATE:
        yield Problem(
            ERROR,
            "sample_rate",
            f"the manifest says {manifest.sample_rate} Hz, Subjects have {SAMPLE_RATE}",
            "Resample the audio to 16 kHz mono and make the Subject again",
        )
    for name, (start, stop) in (("train", manifest.train), ("test", manifest.test)):
        if not 0 <= start <= stop <= manifest.num_frames:
            yield Problem(
                ERROR,
                "split",
                f"{name} is [{start}, {stop}), but there are {manifest.num_frames} frames",
                "Correct the split in manifest.json",
            )
        elif start == stop:
            yield Problem(WARNING, "split", f"{name} has no frames", "Give it some in manifest.json")
    overlap = min(manifest.train[1], manifest.test[1]) - max(manifest.train[0], manifest.test[0])
    if overlap > 0:
        yield Problem(
            ERROR,
            "split",
            f"train and test share {overlap} frames",
            "Results on such a split are worthless; correct it in manifest.json",
        )
    missing = [name for name in REQUIRED if name not in manifest.parts]
    if not any(name in manifest.parts for name in WITHOUT_HEAD):
        missing.append(WITHOUT_HEAD[0])
    for name in missing:
        yield Problem(ERROR, name, "the manifest does not list this part", "Make the Subject again")


def _check_file(file: Path, name: str, part: Part) -> Problem | None:
    again = "Copy it again, or make the Subject again"
    if not file.is_file():
        return Problem(ERROR, name, "the file is missing", again)
    size = file.stat().st_size
    if size != part.bytes:
        how = "cut short" if size < part.bytes else "too long"
        return Problem(ERROR, name, f"the file is {how}: {size} bytes instead of {part.bytes}", again)
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != part.sha256:
        return Problem(ERROR, name, "its content is not what the manifest's sha256 says", again)
    return None


def _check_pack(file: Path, name: str, manifest: Manifest, progress: Callable[[int], object]) -> Iterator[Problem]:
    try:
        pack = PackReader(file)
    except DamagedPackError as error:
        yield Problem(ERROR, name, f"cannot be read ({error})", "Copy it again, or make the Subject again")
        return
    if len(pack) != manifest.num_frames:
        yield Problem(
            ERROR,
            name,
            f"it has {len(pack)} pictures for {manifest.num_frames} frames",
            "Make the Subject again",
        )
    colours = {"labels.pack": (), "depth.pack": ()}.get(name, (3,))
    shape = (manifest.height, manifest.width, *colours)
    kind = np.uint16 if name == "depth.pack" else np.uint8
    damaged, sizes, outside, headless, mouthless = [], [], [], [], []
    for t in range(len(pack)):
        progress(1)
        try:
            image = pack[t]
        except DamagedPackError:
            damaged.append(t)
            continue
        if image.shape != shape or image.dtype != kind:
            sizes.append(t)
        elif name == "labels.pack":
            counts = np.bincount(image.reshape(-1), minlength=5)
            (outside.append(t) if counts[5:].any() else None)
            (headless.append(t) if not counts[HAIR:].any() else None)
            (mouthless.append(t) if not counts[MOUTH] else None)
    pack.close()
    again, look = (
        "Make the Subject again",
        "Look at these frames; leave them out of the split if they are of no use",
    )
    if damaged:
        yield Problem(ERROR, name, f"{_frames(damaged)} cannot be decoded", "Copy it again, or make it again")
    if sizes:
        yield Problem(ERROR, name, f"{_frames(sizes)} of another size or type than {shape} {kind.__name__}", again)
    if outside:
        yield Problem(ERROR, name, f"{_frames(outside)} with labels beyond 0 to 4", again)
    if headless:
        yield Problem(WARNING, name, f"{_frames(headless)} without any head", look)
    elif mouthless:
        yield Problem(WARNING, name, f"{_frames(mouthless)} without a mouth", look)


def _check_audio(file: Path, manifest: Manifest) -> Iterator[Problem]:
    import soundfile

    try:
        samples, rate = soundfile.read(file, dtype="float32")
    except soundfile.SoundFileError as error:
        yield _unreadable(file.name, error)
        return
    if rate != SAMPLE_RATE or samples.ndim != 1:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        yield Problem(
            ERROR,
            file.name,
            f"it has {rate} Hz and {channels} channel(s), expected {SAMPLE_RATE} Hz mono",
            "Resample it and make the Subject again",
        )
        return
    if manifest.fps != FPS:
        return  # said already; lengths cannot be compared
    drift = len(samples) / rate - manifest.num_frames / manifest.fps
    if abs(drift) > 1 / manifest.fps:
        yield Problem(
            ERROR,
            file.name,
            f"the audio is {abs(drift):.2f} s {'longer' if drift > 0 else 'shorter'} than the "
            f"{manifest.num_frames / manifest.fps:.2f} s of video: they drift apart or one is cut",
            "Prepare the video again; if it has a variable frame rate, by its timestamps",
        )
    if not samples.size or float(np.abs(samples).max()) < 1e-3:
        yield Problem(WARNING, file.name, "the audio is silent", "Nothing can be learnt from it; check the source")


def _check_cameras(file: Path, manifest: Manifest) -> Iterator[Problem]:
    with np.load(file) as arrays:
        K, viewmats = arrays["K"], arrays["viewmats"]
    track = "Track the head again for them"
    if viewmats.shape != (manifest.num_frames, 4, 4) or K.shape != (3, 3):
        yield Problem(
            ERROR,
            file.name,
            f"poses of shape {viewmats.shape} for {manifest.num_frames} frames",
            "Make the Subject again",
        )
        return
    bad = np.flatnonzero(~np.isfinite(viewmats).all((1, 2))).tolist()
    if bad or not np.isfinite(K).all():
        where = _frames(bad) if bad else "the intrinsics"
        yield Problem(ERROR, file.name, f"NaN or infinite numbers in {where}", track)
        return
    rotation = viewmats[:, :3, :3]
    crooked = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max((1, 2)) > 1e-3
    crooked |= np.linalg.det(rotation) < 0
    if crooked.any():
        bad = np.flatnonzero(crooked).tolist()
        yield Problem(ERROR, file.name, f"{_frames(bad)}: the pose is not a rotation", track)
    behind = np.flatnonzero(viewmats[:, 2, 3] <= 0).tolist()
    if behind:
        yield Problem(
            ERROR,
            file.name,
            f"{_frames(behind)}: the head lies behind the camera",
            "Poses are camera-from-head with z forward; check their axes",
        )
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        yield Problem(ERROR, file.name, "the focal length is not positive", "Make the Subject again")


def _check_landmarks(file: Path, manifest: Manifest) -> Iterator[Problem]:
    landmarks = np.load(file)
    if landmarks.shape != (manifest.num_frames, 68, 2):
        yield Problem(
            ERROR,
            file.name,
            f"shape {landmarks.shape} for {manifest.num_frames} frames",
            "Make the Subject again",
        )
        return
    missing = np.flatnonzero(~np.isfinite(landmarks).all((1, 2))).tolist()
    if missing:
        yield Problem(
            WARNING,
            file.name,
            f"{_frames(missing)} without landmarks",
            "They train with coarser masks; leave them out of the split if there are many",
        )
    size = np.array([manifest.width, manifest.height])
    away = ((landmarks < -0.5 * size) | (landmarks > 1.5 * size)).any((1, 2))
    if away.any():
        where = _frames(np.flatnonzero(away).tolist())
        yield Problem(WARNING, file.name, f"{where}: landmarks far outside the picture", "Find them again")


def _check_blendshapes(file: Path, manifest: Manifest) -> Iterator[Problem]:
    weights = np.load(file)
    if weights.shape != (manifest.num_frames, 52):
        yield Problem(
            ERROR,
            file.name,
            f"shape {weights.shape} for {manifest.num_frames} frames",
            "Make the Subject again",
        )
    elif not np.isfinite(weights).all() or weights.min() < -1e-4 or weights.max() > 1 + 1e-4:
        yield Problem(ERROR, file.name, "weights that are NaN or outside [0, 1]", "Make the Subject again")


def _check_phonemes(file: Path, manifest: Manifest) -> Iterator[Problem]:
    import json

    entries = json.loads(file.read_text(encoding="utf-8"))
    times = np.array([[entry["start"], entry["end"]] for entry in entries], np.float64).reshape(-1, 2)
    end = manifest.num_frames / manifest.fps
    if len(times) and ((times[:, 0] > times[:, 1]).any() or (np.diff(times[:, 0]) < 0).any()):
        yield Problem(ERROR, file.name, "the speech sounds are not in the order of time", "Align them again")
    elif len(times) and manifest.fps == FPS and (times.min() < -0.05 or times.max() > end + 0.05):
        yield Problem(ERROR, file.name, f"speech sounds outside the clip's {end:.2f} s", "Align them again")


def _check_still(file: Path, manifest: Manifest) -> Iterator[Problem]:
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    shape = None if image is None else image.shape
    if shape != (manifest.height, manifest.width, 3):
        what = "not a picture" if shape is None else f"of shape {shape}"
        yield Problem(
            ERROR,
            file.name,
            f"it is {what}, expected {(manifest.height, manifest.width, 3)}",
            "Make it again",
        )


def _check_sync(path: Path, manifest: Manifest) -> Iterator[Problem]:
    """Only checked when landmarks and audio are well."""
    import soundfile

    audio, _ = soundfile.read(path / "audio.flac", dtype="float32")
    sync = mouth_sound_sync(mouth_opening(np.load(path / "landmarks.npy")), audio)
    chance = max(0.2, 5 / np.sqrt(manifest.num_frames))  # smooth curves correlate a little at some lag by chance
    if sync is None or sync.correlation < chance:
        found = "cannot be compared" if sync is None else f"hardly correlate ({sync.correlation:.2f})"
        yield Problem(
            WARNING,
            "sync",
            f"mouth opening and loudness {found}",
            "Check that the audio belongs to this face, and that the landmarks follow the lips",
        )
    elif abs(sync.lag) > 1.5 and sync.correlation > sync.at_zero + 0.02:
        seconds = abs(sync.lag) / manifest.fps
        order = "after" if sync.lag > 0 else "before"
        yield Problem(
            WARNING,
            "sync",
            f"the mouth moves about {abs(sync.lag):.1f} frames ({seconds:.2f} s) {order} the sound",
            "Shift the audio (`audioplane prepare --shift-audio auto` for a video)",
        )
