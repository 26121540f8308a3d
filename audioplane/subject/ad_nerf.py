"""Reads the folder layout of AD-NeRF, ER-NeRF and TalkingGaussian and writes a Subject.

    transforms_train.json   focal_len, cx, cy; frames with img_id and transform_matrix (camera-to-world)
    transforms_val.json     the held-out frames (transforms_test.json is read too)
    ori_imgs/ID.jpg         the frames, and ori_imgs/ID.lms: 68 landmarks, one "x y" a line
    parsing/ID.png          colours by region, see COLOURS
    torso_imgs/ID.png       RGBA: the torso with its neck painted upward under the head
    bc.jpg                  the still background
    aud.wav                 the voice of the whole video; frame ID lies at ID / 25 s
    aud*.npy                audio features, one row a frame
    teeth_mask/ID.npy       H x W bool, TalkingGaussian only

Their world is the tracked face model's: metres, x to the image's right, y up, z out of the face; ours has y
down and z into the face, so with F = diag(1, -1, -1, 1) our viewmat = F inverse(transform_matrix) F.
Landmarks count pixel indices (centres at whole numbers); ours lie half a pixel further. Lips belong to the
head's colour there: the mouth is drawn from landmarks 48-59, joined with the colour and the mask that
TalkingGaussian has for the inner mouth.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from audioplane.errors import UserError
from audioplane.subject.format import FPS, SAMPLE_RATE
from audioplane.subject.masks import BACKGROUND, FACE, HAIR, MOUTH, OUTER_LIPS, TORSO
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


def _read_transforms(file: Path) -> tuple[dict[str, float], dict[int, np.ndarray]]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        camera = {name: float(values[name]) for name in ("focal_len", "cx", "cy")}
        frames = {int(f["img_id"]): np.array(f["transform_matrix"], np.float64) for f in values["frames"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not a transforms file of AD-NeRF's layout ({error!r})") from error
    if not frames or any(pose.shape != (4, 4) for pose in frames.values()):
        raise UserError(f"{file} has no frames, or poses that are not 4 x 4")
    return camera, frames


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
    )


def _picture(file: Path, flag: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """H x W x 3 or 4, RGB(A)."""
    image = cv2.imread(str(file), flag)
    if image is None:
        raise UserError(f"{file} is {'damaged' if file.is_file() else 'missing'}; the folder is not complete")
    channels = image.shape[2] if image.ndim == 3 else 1
    if flag == cv2.IMREAD_UNCHANGED and channels != 4:
        raise UserError(f"{file} has {channels} channel(s), expected RGB with transparency")
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if channels == 4 else cv2.COLOR_BGR2RGB)


def _landmarks(file: Path) -> np.ndarray:
    """68 x 2 pixels in our convention; NaN when there is no file."""
    if not file.is_file():
        return np.full((68, 2), np.nan, np.float32)
    try:
        points = np.loadtxt(file, dtype=np.float32).reshape(68, -1)[:, :2]
    except ValueError as error:
        raise UserError(f"{file} does not hold 68 landmarks ({error})") from error
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
        mouth |= np.load(teeth).astype(bool)
    if np.isfinite(landmarks).all():
        lips = np.zeros(label.shape, np.uint8)
        fixed = np.round((landmarks[list(OUTER_LIPS)] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(lips, [fixed], 1, cv2.LINE_8, 4)
        mouth |= (lips > 0) & (label >= HAIR)
    label[mouth] = MOUTH
    return label


def _audio(folder: Path, ids: list[int]) -> np.ndarray:
    """The samples that belong to frames `ids`, 16 kHz mono, at most one frame's length padded or cut."""
    import soundfile
    from scipy.signal import resample_poly

    file = folder / "aud.wav"
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(f"{file} is missing or not a wav file ({error})") from error
    mono = samples.mean(1)
    if rate != SAMPLE_RATE:
        common = np.gcd(rate, SAMPLE_RATE)
        mono = resample_poly(mono, SAMPLE_RATE // common, rate // common).astype(np.float32)
    step = round(SAMPLE_RATE / FPS)
    piece = np.clip(mono[ids[0] * step : (ids[-1] + 1) * step], -1, 1)
    lacking = len(ids) * step - len(piece)
    return np.pad(piece, (0, lacking)) if 0 < lacking <= step else piece  # a larger gap is for `check` to report


def convert(folder: Path, out: Path, progress: bool = False) -> Layout:
    """Writes the Subject at `out` from `folder`; returns what the transforms files said.

    Raises:
        UserError: the folder is not complete or not of this layout, or `out` exists.
    """
    from tqdm import tqdm

    layout = read_layout(folder)
    background = _picture(folder / "bc.jpg")
    height, width = background.shape[:2]
    provenance: dict[str, object] = {
        "made_by": "audioplane subject import",
        "layout": "AD-NeRF",
        "source": folder.resolve().name,
    }
    if layout.dropped:
        provenance["dropped_frames"] = layout.dropped
    landmarks = []
    with SubjectWriter(out, folder.resolve().name, width, height, provenance=provenance) as writer:
        writer.set_background(background)
        writer.set_cameras(layout.K, layout.viewmats)
        writer.set_audio(_audio(folder, layout.ids))
        writer.set_split(layout.train, layout.test)
        writer.describe_without_head("torso_imgs over bc.jpg: neck and torso painted upward under the head")
        for number in tqdm(layout.ids, desc="import", unit="frame", disable=not progress):
            points = _landmarks(folder / "ori_imgs" / f"{number}.lms")
            landmarks.append(points)
            torso = _picture(folder / "torso_imgs" / f"{number}.png", cv2.IMREAD_UNCHANGED)
            frame = _picture(folder / "ori_imgs" / f"{number}.jpg")
            label = _label(folder, number, points)
            for name, picture in (("torso_imgs", torso), ("ori_imgs", frame), ("parsing", label)):
                if picture.shape[:2] != (height, width):
                    raise UserError(
                        f"{folder / name} has frame {number} of size {picture.shape[1]}x{picture.shape[0]}, "
                        f"bc.jpg has {width}x{height}; all must agree"
                    )
            alpha = torso[..., 3:].astype(np.float32) / 255
            below = np.rint(torso[..., :3] * alpha + background * (1 - alpha)).astype(np.uint8)
            writer.add_frame(frame, label, without_head=below)
        writer.set_landmarks(np.stack(landmarks))
        for name, title in FEATURES.items():
            file = folder / f"{name}.npy"
            if file.is_file() and not (name == "aud" and (folder / "aud_ds.npy").is_file()):
                rows = np.load(file, allow_pickle=False)
                if len(rows) > layout.ids[-1]:
                    writer.add_features(title, rows[layout.ids[0] : layout.ids[-1] + 1])
    return layout
