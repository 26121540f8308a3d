"""Reads the folder layout of AD-NeRF, ER-NeRF and TalkingGaussian and writes a Subject.

    transforms_train.json   focal_len, cx, cy; frames with img_id and transform_matrix (camera-to-world)
    transforms_val.json     the held-out frames (transforms_test.json is read too)
    ori_imgs/ID.jpg         the frames, and ori_imgs/ID.lms: 68 landmarks, one "x y" a line
    parsing/ID.png          colours by region, see COLOURS
    torso_imgs/ID.png       RGBA: the torso with its neck painted upward under the head; AD-NeRF's own folders have none
                            (head_imgs and com_imgs instead): then it is taken from ori_imgs by parsing and painted here
    bc.jpg                  the still background
    aud.wav                 the voice of the whole video; frame ID lies at ID / 25 s
    aud*.npy                audio features, one row a frame
    teeth_mask/ID.npy       H x W bool, TalkingGaussian only

Frames without landmarks have no pose. AD-NeRF's transforms name each pose's frame; those of ER-NeRF, GaussianTalker and
TalkingGaussian number on, so pose k belongs to the k-th frame that has landmarks. Which of the two it is follows from
the .lms files. Up to a second without pose is bridged, without a head to learn; a longer one ends the run of frames.

Their world is the tracked face model's: metres, x to the image's right, y up, z out of the face; ours has y
down and z into the face, so with F = diag(1, -1, -1, 1) our viewmat = F inverse(transform_matrix) F.
Landmarks count pixel indices (centres at whole numbers); ours lie half a pixel further. Lips belong to the
head's colour there: the mouth is drawn from landmarks 48-59, joined with the colour and the mask that
TalkingGaussian has for the inner mouth.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import arrays, documents, limits, pictures
from audioplane.runtime.names import as_name
from audioplane.subject.format import FPS, SAMPLE_RATE
from audioplane.subject.masks import BACKGROUND, FACE, HAIR, MOUTH, OUTER_LIPS, TORSO
from audioplane.subject.parts import FARTHEST
from audioplane.subject.torso import without_head
from audioplane.subject.writer import SubjectWriter

COLOURS = {  # RGB
    (255, 255, 255): BACKGROUND,
    (255, 0, 0): TORSO,
    (0, 255, 0): TORSO,  # the neck
    (0, 0, 0): HAIR,  # TalkingGaussian; the others give hair the head's colour
    (0, 0, 255): FACE,
    (100, 100, 100): MOUTH,  # TalkingGaussian: between the lips
}
FEATURES = {"aud": "deepspeech", "aud_ds": "deepspeech", "aud_eo": "wav2vec-esperanto", "aud_hu": "hubert"}
BRIDGED = 25  # frames without a pose between others that are taken along
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Layout:
    """What the transforms files say, for the longest run of frames without a gap."""

    ids: list[int]
    K: np.ndarray
    viewmats: np.ndarray
    train: tuple[int, int]
    test: tuple[int, int]
    dropped: list[int]
    """Frames outside the longest run."""
    bridged: list[int]
    """Frames within it that had no landmarks; their poses lie between their neighbours'."""
    renumbered: bool
    """Whether poses had been numbered on over frames without landmarks."""


Number = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
Row = tuple[Number, Number, Number, Number]


@dataclass(frozen=True)
class TransformsFrame:
    """One frame of a transforms file."""

    img_id: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    transform_matrix: tuple[Row, Row, Row, Row]


@dataclass(frozen=True)
class Transforms:
    """What is read of a transforms file."""

    focal_len: Annotated[float, msgspec.Meta(gt=0, le=1e9)]
    cx: Number
    cy: Number
    frames: Annotated[list[TransformsFrame], msgspec.Meta(min_length=1)]


def _read_transforms(file: Path) -> tuple[dict[str, float], dict[int, np.ndarray]]:
    values = documents.read(file, Transforms, "this is no transforms file of AD-NeRF's layout; copy it again")
    limits.check_frames(len(values.frames), str(file))
    frames = {one.img_id: np.array(one.transform_matrix, np.float64) for one in values.frames}
    lost = next((i for i, pose in frames.items() if abs(np.linalg.det(pose)) < 1e-9), None)
    if lost is not None:
        raise UserError(f"{file}: the pose of frame {lost} cannot be inverted; track the face again")
    return {"focal_len": values.focal_len, "cx": values.cx, "cy": values.cy}, frames


def _contiguous(ids: list[int], what: str, first: int) -> tuple[int, int]:
    if not ids:
        return (0, 0)
    if ids[-1] - ids[0] + 1 != len(ids):
        raise UserError(f"the {what} frames are scattered between others; a Subject needs them in one piece")
    return ids[0] - first, ids[-1] + 1 - first


def read_layout(folder: Path) -> Layout:
    """Reads the transforms files in `folder`.

    Raises:
        UserError: a file is missing or not of this layout.
    """
    if not (folder / "transforms_train.json").is_file():
        raise UserError(f"{folder} has no transforms_train.json; it is not a folder in AD-NeRF's layout")
    camera, poses = _read_transforms(folder / "transforms_train.json")
    train = set(poses)
    for name in ("transforms_val.json", "transforms_test.json"):
        if (folder / name).is_file():
            poses |= {i: pose for i, pose in _read_transforms(folder / name)[1].items() if i not in poses}
    frames = _frames_of(sorted(poses), folder)
    poses = {frames[i]: pose for i, pose in poses.items()}
    train = {frames[i] for i in train}
    bridged = _bridge(poses, train, folder)
    everything = sorted(poses)
    breaks = [
        0,
        *(i for i in range(1, len(everything)) if everything[i] != everything[i - 1] + 1),
        len(everything),
    ]
    runs = [everything[a:b] for a, b in itertools.pairwise(breaks)]
    ids = max(runs, key=len)
    K = np.array([[camera["focal_len"], 0, camera["cx"]], [0, camera["focal_len"], camera["cy"]], [0, 0, 1]])
    return Layout(
        ids=ids,
        K=K,
        viewmats=np.stack([FLIP @ np.linalg.inv(poses[i]) @ FLIP for i in ids]),
        train=_contiguous([i for i in ids if i in train], "training", ids[0]),
        test=_contiguous([i for i in ids if i not in train], "held-out", ids[0]),
        dropped=sorted(set(everything) - set(ids)),
        bridged=sorted(bridged & set(ids)),
        renumbered=any(i != frame for i, frame in frames.items()),
    )


def _frames_of(numbers: list[int], folder: Path) -> dict[int, int]:
    """The frame that each of the transforms' (rising) numbers belongs to.

    Raises:
        UserError: it cannot be determined.
    """
    seen = sorted(int(file.stem) for file in (folder / "ori_imgs").glob("*.lms") if _is_number(file.stem))
    if not seen or set(numbers) <= set(seen):
        return {number: number for number in numbers}
    if len(numbers) == len(seen) and numbers == list(range(len(seen))):
        return dict(zip(numbers, seen, strict=True))
    unseen = sorted(set(numbers) - set(seen))
    raise UserError(
        f"{folder}: the transforms have {len(numbers)} poses, ori_imgs has {len(seen)} frames with landmarks (.lms); "
        f"frame {unseen[0]} has a pose but none: which frame each pose belongs to is not clear; track the face again"
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _bridge(poses: dict[int, np.ndarray], train: set[int], folder: Path) -> set[int]:
    """Adds poses of frames between others, where their pictures are there; returns which."""
    from scipy.spatial.transform import Rotation, Slerp

    added: set[int] = set()
    for before, after in itertools.pairwise(sorted(poses)):
        gap = range(before + 1, after)
        if not 0 < len(gap) <= BRIDGED or not all((folder / "ori_imgs" / f"{i}.jpg").is_file() for i in gap):
            continue
        ends = np.stack([poses[before], poses[after]])
        turns = Slerp([before, after], Rotation.from_matrix(ends[:, :3, :3]))
        for i in gap:
            share = (i - before) / (after - before)
            pose = (1 - share) * ends[0] + share * ends[1]
            pose[:3, :3] = turns(i).as_matrix()
            poses[i] = pose
            added.add(i)
            if before in train:
                train.add(i)
    return added


def _picture(file: Path, flag: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """H x W x 3 or 4, RGB(A)."""
    if not file.is_file():
        raise UserError(f"{file} is missing; the folder is not complete")
    image = pictures.read(file, flag)
    channels = image.shape[2] if image.ndim == 3 else 1
    if flag == cv2.IMREAD_UNCHANGED and (channels != 4 or image.dtype != np.uint8):
        raise UserError(f"{file} has {channels} channel(s) of {image.dtype}, expected 8-bit RGB with transparency")
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if channels == 4 else cv2.COLOR_BGR2RGB)


def _landmarks(file: Path) -> np.ndarray:
    """68 x 2 pixels in our convention; NaN when there is no file."""
    if not file.is_file():
        return np.full((68, 2), np.nan, np.float32)
    try:
        rows = [line.split() for line in documents.read_bytes(file).decode().splitlines() if line.strip()]
        points = np.array(rows[:69], np.float32).reshape(68, -1)[:, :2]
    except ValueError as error:
        raise UserError(f"{file} does not hold 68 landmarks ({error})") from error
    if points.shape != (68, 2) or not np.isfinite(points).all() or np.abs(points).max() > FARTHEST:
        raise UserError(f"{file} does not hold 68 landmarks; track the face again")
    return points + np.float32(0.5)


def _label(folder: Path, number: int, landmarks: np.ndarray) -> np.ndarray:
    """The label picture of one frame, from its parsing colours, landmarks and teeth mask."""
    colours = _picture(folder / "parsing" / f"{number}.png").astype(np.int32)
    palette = np.array(list(COLOURS))
    distance = np.stack([np.abs(colours - colour).sum(2) for colour in palette])  # robust to a re-encoded parsing
    label = np.array(list(COLOURS.values()), np.uint8)[distance.argmin(0)]
    mouth = label == MOUTH
    teeth = folder / "teeth_mask" / f"{number}.npy"
    if teeth.is_file():
        mouth |= arrays.read_npy(teeth, arrays.Expected(mouth.shape, "bfiu", finite=False)).astype(bool)
    if np.isfinite(landmarks).all():
        lips = np.zeros(label.shape, np.uint8)
        fixed = np.round((landmarks[list(OUTER_LIPS)] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(lips, [fixed], 1, cv2.LINE_8, 4)
        mouth |= (lips > 0) & (label >= HAIR)
    label[mouth] = MOUTH
    return label


def _audio(folder: Path, ids: list[int]) -> np.ndarray:
    """The samples that belong to frames `ids`, 16 kHz mono, at most one frame's length padded or cut."""
    from audioplane.media.sound import load_audio

    file = folder / "aud.wav"
    if not file.is_file():
        raise UserError(f"{file} is missing; the folder is not complete")
    mono, step = load_audio(file), round(SAMPLE_RATE / FPS)
    piece = mono[ids[0] * step : (ids[-1] + 1) * step]
    lacking = len(ids) * step - len(piece)
    return np.pad(piece, (0, lacking)) if 0 < lacking <= step else piece  # a larger gap is for `check` to report


def _without_head(
    folder: Path, number: int, frame: np.ndarray, label: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """A frame without its head: torso_imgs over bc.jpg; where there are none, what parsing calls torso, painted on."""
    if not (folder / "torso_imgs").is_dir():
        behind = np.where((label == BACKGROUND)[..., None], background, frame)
        return without_head(behind, label, background)
    torso = _picture(folder / "torso_imgs" / f"{number}.png", cv2.IMREAD_UNCHANGED)
    _check_size(folder / "torso_imgs", number, torso, background)
    alpha = torso[..., 3:].astype(np.float32) / 255
    return np.rint(torso[..., :3] * alpha + background * (1 - alpha)).astype(np.uint8)


def _check_size(place: Path, number: int, picture: np.ndarray, background: np.ndarray) -> None:
    if picture.shape[:2] != background.shape[:2]:
        (height, width), (own_height, own_width) = background.shape[:2], picture.shape[:2]
        raise UserError(
            f"{place} has frame {number} of size {own_width}x{own_height}, bc.jpg has {width}x{height}; all must agree"
        )


def convert(folder: Path, out: Path, progress: bool = False) -> Layout:
    """Writes the Subject at `out` from `folder`; returns what the transforms files said.

    Raises:
        UserError: the folder is not complete or not of this layout, or `out` exists.
    """
    from tqdm import tqdm

    if folder.is_file():
        raise UserError(f"{folder} is a file; unpack it, and give the folder that holds transforms_train.json")
    layout = read_layout(folder)
    background = _picture(folder / "bc.jpg")
    height, width = background.shape[:2]
    painted = not (folder / "torso_imgs").is_dir()
    if painted and height != width:
        raise UserError(
            f"{folder} has no torso_imgs, and its pictures are not square: the torso cannot be painted here"
        )
    landmarks = []
    name = as_name(folder.resolve().name, "imported")
    with SubjectWriter(out, name, width, height, provenance=_provenance(folder, layout)) as writer:
        writer.set_background(background)
        writer.set_cameras(layout.K, layout.viewmats)
        writer.set_audio(_audio(folder, layout.ids))
        writer.set_split(layout.train, layout.test)
        writer.describe_without_head(
            "what parsing calls torso over bc.jpg, with the neck painted upward under the head"
            if painted
            else "torso_imgs over bc.jpg: neck and torso painted upward under the head"
        )
        for number in tqdm(layout.ids, desc="import", unit="frame", disable=not progress):
            points = _landmarks(folder / "ori_imgs" / f"{number}.lms")
            landmarks.append(points)
            frame = _picture(folder / "ori_imgs" / f"{number}.jpg")
            _check_size(folder / "ori_imgs", number, frame, background)
            label = _label(folder, number, points)
            _check_size(folder / "parsing", number, label, background)
            below = _without_head(folder, number, frame, label, background)
            if number in layout.bridged:  # where the head is is not known: it is not to be learnt from
                label[label >= HAIR] = TORSO
            writer.add_frame(frame, label, without_head=below)
        writer.set_landmarks(np.stack(landmarks))
        for name, title in FEATURES.items():
            file = folder / f"{name}.npy"
            if file.is_file() and not (name == "aud" and (folder / "aud_ds.npy").is_file()):
                rows = arrays.read_npy(file, arrays.Expected(None, "fiu"))
                if rows.ndim and len(rows) > layout.ids[-1]:
                    writer.add_features(title, rows[layout.ids[0] : layout.ids[-1] + 1])
    return layout


def _provenance(folder: Path, layout: Layout) -> dict[str, object]:
    """Where the Subject comes from, and what was done to its frames."""
    found: dict[str, object] = {
        "made_by": "audioplane subject import",
        "layout": "AD-NeRF",
        "source": folder.resolve().name,
    }
    if layout.dropped:
        found["dropped_frames"] = layout.dropped
    if layout.bridged:
        found["bridged_frames"] = layout.bridged
    if layout.renumbered:
        found["poses_renumbered"] = True
    return found
