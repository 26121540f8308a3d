"""Checks a whole Subject; every problem says what is wrong and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioplane.errors import UserError
from audioplane.subject import parts
from audioplane.subject.format import FPS, REQUIRED, SAMPLE_RATE, WITHOUT_HEAD, Manifest, Part, read_manifest
from audioplane.subject.masks import HAIR, MOUTH, mouth_opening
from audioplane.subject.pack import DamagedPackError, StrangePictureError
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


def refuse(path: Path, manifest: Manifest) -> None:
    """The part of `check` that every opening of a Subject makes: all that is known without reading the parts.

    Raises:
        UserError: the first thing that is wrong.
    """
    more = "(`audioplane subject check` lists everything that is wrong)"
    for problem in _check_manifest(manifest):
        if problem.severity == ERROR:
            raise UserError(f"{path}: {problem.part}: {problem.what}. {problem.advice} {more}")
    for name, part in manifest.parts.items():
        file = path / name
        size = file.stat().st_size if file.is_file() else None
        if size != part.bytes:
            state = "is missing" if size is None else f"has {size} bytes instead of {part.bytes}"
            raise UserError(f"{path} is damaged: {name} {state}; copy or make it again {more}")
    parts.check_headers(path, manifest)


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
    looks = {
        "audio.flac": _check_audio,
        "cameras.npz": _check_cameras,
        "landmarks.npy": _check_landmarks,
        "blendshapes.npy": _check_blendshapes,
        "phonemes.json": _check_phonemes,
        "background.png": _check_still,
        "without_head.png": _check_still,
        "tracks.npz": lambda path, manifest, name: _read(parts.tracks, path, manifest),
        "mesh.npz": _check_mesh,
    }
    looks |= {name: _check_features for name in whole if name.startswith("features/")}
    for name, look in looks.items():
        if name in whole and name not in broken:
            try:
                problems += look(path, manifest, name)
            except UserError as error:
                problems.append(_unreadable(name, error))
    if not problems:
        problems += _check_sync(path, manifest)
    return problems


def _unreadable(name: str, error: Exception) -> Problem:
    return Problem(ERROR, name, f"cannot be read ({error})", "Copy it again, or make the Subject again")


def _read(reader: Callable[..., object], *arguments: object) -> list[Problem]:
    """Nothing to report beyond what the reader refuses."""
    reader(*arguments)
    return []


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
        pack = parts.open_pack(file.parent, name, manifest)
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
    damaged, sizes, outside, headless, mouthless = [], [], [], [], []
    for t in range(len(pack)):
        progress(1)
        try:
            image = pack[t]
        except StrangePictureError:
            sizes.append(t)
            continue
        except DamagedPackError:
            damaged.append(t)
            continue
        if name == "labels.pack":
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
        yield Problem(ERROR, name, f"{_frames(sizes)} of another size or type than {pack.shape} {pack.dtype}", again)
    if outside:
        yield Problem(ERROR, name, f"{_frames(outside)} with labels beyond 0 to 4", again)
    if headless:
        yield Problem(WARNING, name, f"{_frames(headless)} without any head", look)
    elif mouthless:
        yield Problem(WARNING, name, f"{_frames(mouthless)} without a mouth", look)


def _check_audio(path: Path, manifest: Manifest, name: str) -> Iterator[Problem]:
    if manifest.fps != FPS:
        return  # said already; lengths cannot be compared
    samples = parts.audio(path, manifest)
    drift = len(samples) / SAMPLE_RATE - manifest.num_frames / manifest.fps
    if abs(drift) > 1 / manifest.fps:
        yield Problem(
            ERROR,
            name,
            f"the audio is {abs(drift):.2f} s {'longer' if drift > 0 else 'shorter'} than the "
            f"{manifest.num_frames / manifest.fps:.2f} s of video: they drift apart or one is cut",
            "Prepare the video again; if it has a variable frame rate, by its timestamps",
        )
    if not samples.size or float(np.abs(samples).max()) < 1e-3:
        yield Problem(WARNING, name, "the audio is silent", "Nothing can be learnt from it; check the source")


def _check_cameras(path: Path, manifest: Manifest, name: str) -> Iterator[Problem]:
    found = parts.cameras(path, manifest, finite=False)
    K, viewmats = found["K"], found["viewmats"]
    track = "Track the head again for them"
    bad = np.flatnonzero(~np.isfinite(viewmats).all((1, 2))).tolist()
    if bad or not np.isfinite(K).all():
        where = _frames(bad) if bad else "the intrinsics"
        yield Problem(ERROR, name, f"NaN or infinite numbers in {where}", track)
        return
    crooked = parts.crooked(viewmats)
    if crooked.any():
        bad = np.flatnonzero(crooked).tolist()
        yield Problem(ERROR, name, f"{_frames(bad)}: the pose is not a rotation", track)
    behind = np.flatnonzero(viewmats[:, 2, 3] <= 0).tolist()
    if behind:
        yield Problem(
            ERROR,
            name,
            f"{_frames(behind)}: the head lies behind the camera",
            "Poses are camera-from-head with z forward; check their axes",
        )
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        yield Problem(ERROR, name, "the focal length is not positive", "Make the Subject again")


def _check_landmarks(path: Path, manifest: Manifest, name: str) -> Iterator[Problem]:
    landmarks = parts.landmarks(path, manifest)
    missing = np.flatnonzero(~np.isfinite(landmarks).all((1, 2))).tolist()
    if missing:
        yield Problem(
            WARNING,
            name,
            f"{_frames(missing)} without landmarks",
            "They train with coarser masks; leave them out of the split if there are many",
        )
    size = np.array([manifest.width, manifest.height])
    away = ((landmarks < -0.5 * size) | (landmarks > 1.5 * size)).any((1, 2))
    if away.any():
        where = _frames(np.flatnonzero(away).tolist())
        yield Problem(WARNING, name, f"{where}: landmarks far outside the picture", "Find them again")


def _check_blendshapes(path: Path, manifest: Manifest, name: str) -> Iterator[Problem]:
    weights = parts.blendshapes(path, manifest)
    if weights.min(initial=0) < -1e-4 or weights.max(initial=0) > 1 + 1e-4:
        yield Problem(ERROR, name, "weights outside [0, 1]", "Make the Subject again")


def _check_phonemes(path: Path, manifest: Manifest, name: str) -> Iterator[Problem]:
    times = np.array([[one.start, one.end] for one in parts.phonemes(path)], np.float64).reshape(-1, 2)
    end = manifest.num_frames / manifest.fps
    if len(times) and ((times[:, 0] > times[:, 1]).any() or (np.diff(times[:, 0]) < 0).any()):
        yield Problem(ERROR, name, "the speech sounds are not in the order of time", "Align them again")
    elif len(times) and manifest.fps == FPS and (times.min() < -0.05 or times.max() > end + 0.05):
        yield Problem(ERROR, name, f"speech sounds outside the clip's {end:.2f} s", "Align them again")


def _check_still(path: Path, manifest: Manifest, name: str) -> list[Problem]:
    return _read(parts.still, path, name, manifest)


def _check_mesh(path: Path, manifest: Manifest, name: str) -> list[Problem]:
    vertices = len(parts.mesh(path, manifest)["rest"])
    return _read(parts.motion, path, manifest, vertices) if "vertex_basis.npy" in manifest.parts else []


def _check_features(path: Path, manifest: Manifest, name: str) -> list[Problem]:
    return _read(parts.features, path, manifest, name.removeprefix("features/").removesuffix(".npy"))


def _check_sync(path: Path, manifest: Manifest) -> Iterator[Problem]:
    """Only checked when landmarks and audio are well."""
    sync = mouth_sound_sync(mouth_opening(parts.landmarks(path, manifest)), parts.audio(path, manifest))
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
