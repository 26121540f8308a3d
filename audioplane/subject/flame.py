"""FLAME's coefficients of a face that another program tracked (SMIRK, DECA, EMOCA, VHAP), as tracks of a Subject.

    found = read("smirk.npz", frames=subject.num_frames)
    add("subjects/ada", found, "subjects/ada_flame")

A face model is not needed, and none is here: the numbers drive a head as they are. Names of coefficients begin with
"flame" and stand beside ARKit's wherever a method names what drives it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import arrays, files, limits
from audioplane.subject import parts
from audioplane.subject.format import MANIFEST, Part, read_manifest

EXPRESSIONS = 50  # components that are kept, as many as SMIRK gives; later ones matter less
EYELIDS = ("flameEyelidLeft", "flameEyelidRight")
JAW = "flameJawOpen"
"""How far the jaw is turned down, radians."""
NAMES: tuple[str, ...] = (*EYELIDS, *(f"flameExpression{k:02}" for k in range(EXPRESSIONS)))
"""What drives a face beside its jaw."""
ALIKE = {"flameEyelidLeft": "eyeBlinkLeft", "flameEyelidRight": "eyeBlinkRight", JAW: "jawOpen"}
"""Coefficients that a blendshape of ARKit means too."""
TRACKS = ("flame_expression", "flame_eyelids", "flame_jaw")
"""Their names in `Subject.tracks`: (T, 50), (T, 2) and (T, 3)."""

EXPRESSION_KEYS = ("expression_params", "expression", "exp", "expr")
EYELID_KEYS = ("eyelid_params", "eyelids", "eyelid")
JAW_KEYS = ("jaw_params", "jaw_pose", "jaw")
POSE_KEYS = ("pose_params", "pose")  # DECA and EMOCA: the head's rotation, then the jaw's
NUMBER_KEYS = ("frame_numbers", "timestep_id")
SPELLED = "expression_params, jaw_params and eyelid_params, as SMIRK calls them"


@dataclass(frozen=True)
class Coefficients:
    """Of T frames; NaN where the face was not found.

    Attributes:
        expression: (T, 50). eyelids: (T, 2), left and right, 1 closed. jaw: (T, 3), axis times angle, radians.
    """

    expression: np.ndarray
    eyelids: np.ndarray
    jaw: np.ndarray

    def known(self) -> np.ndarray:
        """Which frames have them: (T,) bool."""
        whole = np.concatenate([self.expression, self.eyelids, self.jaw], axis=1)
        return np.asarray(np.isfinite(whole).all(axis=1))

    def tracks(self) -> dict[str, np.ndarray]:
        """For `SubjectWriter.set_tracks`."""
        return dict(zip(TRACKS, (self.expression, self.eyelids, self.jaw), strict=True))


def are_flame(names: Sequence[str]) -> bool:
    """Whether names are of FLAME's coefficients, not of blendshapes."""
    return any(name.startswith("flame") for name in names)


def columns(tracks: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    """Coefficients by name, (T, len(names)) float32, of a Subject's tracks; None where it has none.

    Raises:
        ValueError: no coefficient has such a name.
    """
    if any(name not in tracks for name in TRACKS):
        return None
    expression, eyelids, jaw = (tracks[name] for name in TRACKS)
    whole = np.concatenate([eyelids, expression, jaw[:, :1]], axis=1).astype(np.float32)
    known = (*NAMES, JAW)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"FLAME has no coefficient {unknown[0]!r} here; names are such as {NAMES[0]!r}, {NAMES[2]!r}")
    return whole[:, [known.index(name) for name in names]]


def read(path: str | Path, frames: int, first: int | None = None) -> Coefficients:
    """Coefficients from one .npz with a row for each frame, or from a folder with an .npz for each frame.

    Args:
        path: of the file or folder. Nothing in it is executed: pickles (.pkl, .pt, .npy of objects) are refused.
        frames: T of the Subject.
        first: the tracked film's frame that is the Subject's first, as the files number their frames, or else from 0;
            None for their first.

    Returns:
        T rows; NaN in frames that the files leave out.

    Raises:
        UserError: there is no such file, it holds no coefficients, or no row for some end of the Subject.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no {path}; give an .npz of FLAME's coefficients, or a folder with one a frame")
    numbers, rows = _folder(path) if path.is_dir() else _file(path)
    first = int(numbers.min()) if first is None else first
    wanted = np.arange(first, first + frames)
    if not numbers.min() <= wanted[0] <= wanted[-1] <= numbers.max():
        raise UserError(
            f"{path} has frames {numbers.min()} to {numbers.max()}, the Subject needs {wanted[0]} to {wanted[-1]}; "
            "track the Subject's own frames, or say with --first which of them is the Subject's first"
        )
    whole = np.full((frames, rows.shape[1]), np.nan, np.float32)
    inside = (numbers >= wanted[0]) & (numbers <= wanted[-1])
    whole[numbers[inside] - first] = rows[inside]
    found = Coefficients(*np.split(whole, [EXPRESSIONS, EXPRESSIONS + 2], axis=1))
    if not found.known().any():
        raise UserError(f"{path} has a face in none of the Subject's frames; track it again")
    return found


def add(folder: str | Path, found: Coefficients, out: str | Path) -> None:
    """Writes a Subject once more, with FLAME's coefficients among its tracks.

    Args:
        folder: of the Subject, which stays as it is. found: as many frames as it has. out: the new folder.

    Raises:
        UserError: not a Subject, or `out` exists.
    """
    folder, out = Path(folder), Path(out)
    manifest = read_manifest(folder)
    if len(found.expression) != manifest.num_frames:
        raise ValueError(f"found: expected {manifest.num_frames} frames, received {len(found.expression)}")
    if out.exists():
        raise UserError(f"{out} exists already; give a new folder, or remove it first")
    own = parts.tracks(folder, manifest) if "tracks.npz" in manifest.parts else {}
    with files.new_folder(out) as draft:
        for name in manifest.parts:
            if name != "tracks.npz":
                (draft / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(folder / name, draft / name)
        files.write_arrays(draft / "tracks.npz", {**own, **found.tracks()})
        written = (draft / "tracks.npz").read_bytes()
        tracks = Part(hashlib.sha256(written).hexdigest(), len(written))
        further = {**manifest.parts, "tracks.npz": tracks}
        files.write_text(draft / MANIFEST, replace(manifest, parts=further).to_json())


def _file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers (T,) and rows (T, 55) of one file."""
    found = arrays.read_npz(path)
    rows = _rows(found, str(path), alone=False)
    key = next((key for key in NUMBER_KEYS if key in found), None)
    if key is None:
        return np.arange(len(rows)), rows
    numbers = arrays.check_numbers(found[key].reshape(-1), f"{path}: {key}", arrays.Expected((len(rows),), "iu"))
    numbers = numbers.astype(np.int64)
    if (np.diff(numbers) <= 0).any():
        raise UserError(f"{path}: {key} does not rise from row to row; {arrays.ADVICE}")
    return numbers, rows


def _folder(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers and rows of a folder's files, whose names end in the number."""
    numbered: dict[int, Path] = {}
    for file in path.glob("*.npz"):
        number = re.search(r"([0-9]{1,9})$", file.stem)
        if number is None:
            raise UserError(f"{file} has no frame number at the end of its name, such as 00012.npz")
        if int(number[1]) in numbered:
            raise UserError(f"{file} and {numbered[int(number[1])].name} have the same frame number")
        numbered[int(number[1])] = file
    if not numbered:
        raise UserError(f"{path} holds no .npz; {SPELLED} are read from one .npz, or from one for each frame")
    limits.check_frames(len(numbered), str(path))
    numbers = sorted(numbered)
    rows = [_rows(arrays.read_npz(numbered[k]), str(numbered[k]), alone=True) for k in numbers]
    return np.array(numbers), np.concatenate(rows)


def _rows(found: Mapping[str, np.ndarray], what: str, alone: bool) -> np.ndarray:
    """Expression, eyelids and jaw of a file's arrays, (T, 55); `alone`: it is of one frame."""
    expression = _numbers(found, EXPRESSION_KEYS, what, alone)
    if expression is None:
        raise UserError(f"{what} holds no expression of FLAME; it must have {SPELLED}")
    count, width = expression.shape
    if width < EXPRESSIONS:
        raise UserError(f"{what} has {width} expression coefficients, and {EXPRESSIONS} are needed; track it with more")
    jaw, eyelids = _numbers(found, JAW_KEYS, what, alone), _numbers(found, EYELID_KEYS, what, alone)
    if jaw is None:
        pose = _numbers(found, POSE_KEYS, what, alone)
        jaw = None if pose is None or pose.shape[1] != 6 else pose[:, 3:]
    if jaw is None:
        raise UserError(f"{what} does not say how the jaw is turned; it must have {SPELLED}")
    eyelids = np.zeros((count, 2), np.float32) if eyelids is None else eyelids
    for name, values, size in (("jaw", jaw, 3), ("eyelid", eyelids, 2)):
        if values.shape != (count, size):
            raise UserError(f"{what}: the {name} has shape {values.shape}, expected ({count}, {size})")
    return np.concatenate([expression[:, :EXPRESSIONS], eyelids, jaw], axis=1)


def _numbers(found: Mapping[str, np.ndarray], keys: Sequence[str], what: str, alone: bool) -> np.ndarray | None:
    """The first array of some names as (T, n) float32; axes of length 1 that batches leave are taken away."""
    key = next((key for key in keys if key in found), None)
    if key is None:
        return None
    values = np.asarray(arrays.check_numbers(found[key], f"{what}: {key}", arrays.Expected(None, "f", finite=False)))
    if alone:
        if values.ndim == 0 or values.size != values.shape[-1]:
            raise UserError(f"{what}: {key} has shape {values.shape}, expected the coefficients of one frame")
        return values.reshape(1, -1).astype(np.float32)
    if values.ndim == 3 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 2:
        raise UserError(f"{what}: {key} has shape {values.shape}, expected one row for each frame")
    return values.astype(np.float32)
