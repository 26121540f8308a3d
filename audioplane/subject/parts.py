"""Reads the parts of a Subject: each is of the type, shape and size that the manifest implies, or there is a sentence.

`Subject`, `audioplane subject check` and everything else read through these functions, so none trusts what another
would refuse. `check_headers` looks at as much as can be known without reading the parts.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import arrays, documents, pictures
from audioplane.runtime.arrays import Expected
from audioplane.subject.format import AGAIN, SAMPLE_RATE, Manifest, Sounding
from audioplane.subject.pack import PackReader

FARTHEST = 1e6  # pixels from the picture that a landmark may be given at
EDGE = 2.0  # seconds by which the sound may outlast the frames and still be read
LETTERS = "fiu"
GROUP = "group_"


def open_packs(folder: Path, manifest: Manifest) -> dict[str, PackReader]:
    """The packs of pictures, by name.

    Raises:
        UserError: one is damaged, or has another number of pictures than the Subject has frames.
    """
    packs = {}
    for name in manifest.parts:
        if name.endswith(".pack"):
            pack = packs[name] = open_pack(folder, name, manifest)
            if len(pack) != manifest.num_frames:
                raise UserError(f"{pack.path} has {len(pack)} pictures for {manifest.num_frames} frames; {AGAIN}")
    return packs


def open_pack(folder: Path, name: str, manifest: Manifest) -> PackReader:
    """One pack, whose pictures have the size and type that they must have."""
    colours = {"labels.pack": (), "depth.pack": ()}.get(name, (3,))
    shape = (manifest.height, manifest.width, *colours)
    return PackReader(folder / name, shape, np.uint16 if name == "depth.pack" else np.uint8)


def check_headers(folder: Path, manifest: Manifest) -> None:
    """Looks at the headers of all arrays and of the sound, and at the still pictures.

    Raises:
        UserError: one is not what the manifest implies.
    """
    pictures.check_size((manifest.height, manifest.width), f"{folder}: a frame")
    for name in manifest.parts:
        if name == "audio.flac":
            audio_length(folder, manifest)
        elif name.endswith(".png"):
            still(folder, name, manifest)
        elif name.endswith(".npy"):
            arrays.check_npy(folder / name, expected(name, manifest))
        elif name.endswith(".npz"):
            wanted, others = expected_members(name, manifest)
            arrays.read_npz(folder / name, wanted, others, headers=True)


def expected(name: str, manifest: Manifest) -> Expected:
    """What an .npy of a Subject must be."""
    frames = manifest.num_frames
    known = {
        "landmarks.npy": Expected((frames, 68, 2), finite=False),
        "blendshapes.npy": Expected((frames, 52)),
        "vertex_basis.npy": Expected((None, None, 3)),
        "vertex_weights.npy": Expected((frames, None)),
    }
    return known.get(name, Expected(None, LETTERS, finite=False))


def expected_members(name: str, manifest: Manifest) -> tuple[dict[str, Expected], Expected | None]:
    """What an .npz of a Subject must hold, and what further arrays in it must be."""
    if name == "cameras.npz":
        return {"K": Expected((3, 3)), "viewmats": Expected((manifest.num_frames, 4, 4))}, None
    if name == "mesh.npz":
        return {"faces": Expected((None, 3), "iu"), "rest": Expected((None, 3))}, Expected((None,), "iu")
    return {}, Expected(None, LETTERS, finite=False)


def cameras(folder: Path, manifest: Manifest, finite: bool = True) -> dict[str, np.ndarray]:
    """K (3, 3) and viewmats (T, 4, 4), float32; `finite`: whether NaN and what is no rotation is refused."""
    wanted, _ = expected_members("cameras.npz", manifest)
    wanted = {name: Expected(one.shape, one.kinds, finite) for name, one in wanted.items()}
    found = arrays.read_npz(folder / "cameras.npz", wanted, None)
    cameras = {name: values.astype(np.float32) for name, values in found.items()}
    if finite and crooked(cameras["viewmats"]).any():
        raise UserError(f"{folder / 'cameras.npz'}: a pose is not a rotation; track the head again")
    return cameras


def crooked(viewmats: np.ndarray) -> np.ndarray:
    """Which of some poses (T, 4, 4) are no rotation and translation: (T,) bool."""
    rotation = viewmats[:, :3, :3].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max((1, 2), initial=0)
        return ~(off <= 1e-3) | ~(np.linalg.det(rotation) > 0) | (viewmats[:, 3] != (0, 0, 0, 1)).any(1)


def landmarks(folder: Path, manifest: Manifest) -> np.ndarray:
    """(T, 68, 2) float32 pixels, NaN where none were found."""
    file = folder / "landmarks.npy"
    found = arrays.read_npy(file, expected(file.name, manifest)).astype(np.float32, copy=False)
    if (np.abs(found) > FARTHEST).any():
        raise UserError(f"{file} has landmarks more than {FARTHEST:g} pixels away; find them again")
    return found


def blendshapes(folder: Path, manifest: Manifest) -> np.ndarray:
    """(T, 52) float32."""
    return arrays.read_npy(folder / "blendshapes.npy", expected("blendshapes.npy", manifest))


def tracks(folder: Path, manifest: Manifest) -> dict[str, np.ndarray]:
    """Further tracks by name, (T,) or (T, N) each."""
    found = arrays.read_npz(folder / "tracks.npz", *expected_members("tracks.npz", manifest))
    for name, values in found.items():
        if values.ndim not in (1, 2) or len(values) != manifest.num_frames:
            raise UserError(f"{folder / 'tracks.npz'}: {name} has shape {values.shape}, not one row a frame; {AGAIN}")
    return found


def mesh(folder: Path, manifest: Manifest) -> dict[str, np.ndarray]:
    """Faces (F, 3), rest positions (V, 3), and group_NAME index lists, all of which name vertices that there are."""
    file = folder / "mesh.npz"
    found = arrays.read_npz(file, *expected_members("mesh.npz", manifest))
    count = len(found["rest"])
    for name, values in found.items():
        if name == "rest":
            continue
        if name != "faces" and not name.startswith(GROUP):
            raise UserError(f"{file} holds {name[:60]!r}, which no mesh has; {AGAIN}")
        if values.size and (int(values.min()) < 0 or int(values.max()) >= count):
            raise UserError(f"{file}: {name} names vertices that are not among the {count}; {AGAIN}")
    return found


def motion(folder: Path, manifest: Manifest, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Basis (K, V * 3), which stays on the disk, and weights (T, K) of the true vertices."""
    basis = arrays.read_npy(folder / "vertex_basis.npy", Expected((None, vertices, 3)), mapped=True)
    wanted = Expected((manifest.num_frames, len(basis)))
    return basis.reshape(len(basis), -1), arrays.read_npy(folder / "vertex_weights.npy", wanted)


def features(folder: Path, manifest: Manifest, name: str) -> np.ndarray:
    """Audio features by name, (T, ...), which stay on the disk."""
    file = folder / "features" / f"{name}.npy"
    found = arrays.read_npy(file, Expected(None, LETTERS, finite=False), mapped=True)
    if found.ndim < 1 or len(found) != manifest.num_frames:
        raise UserError(f"{file} has shape {found.shape}, not one row for each of {manifest.num_frames} frames")
    return found


def phonemes(folder: Path) -> list[Sounding]:
    """The speech sounds with their times."""
    return documents.read(folder / "phonemes.json", list[Sounding], AGAIN)


def still(folder: Path, name: str, manifest: Manifest) -> np.ndarray:
    """A still picture: (H, W, 3) uint8 RGB."""
    image = pictures.read(folder / name, cv2.IMREAD_COLOR, (manifest.height, manifest.width))
    return np.ascontiguousarray(image[..., ::-1])


def audio_length(folder: Path, manifest: Manifest) -> int:
    """How many samples the sound has as its header says, and no more than are read.

    Raises:
        UserError: it is no sound, not mono at 16 kHz, or much longer than the frames.
    """
    import soundfile

    file = folder / "audio.flac"
    try:
        about = soundfile.info(file)
    except (soundfile.SoundFileError, OSError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{file} cannot be read ({error}); {AGAIN}") from error
    if about.samplerate != SAMPLE_RATE or about.channels != 1:
        raise UserError(
            f"{file} has {about.samplerate} Hz and {about.channels} channel(s), expected {SAMPLE_RATE} Hz mono; "
            "resample it and make the Subject again"
        )
    longest = int((manifest.num_frames / manifest.fps + EDGE) * SAMPLE_RATE)
    if about.frames > longest:
        raise UserError(
            f"{file} lasts {about.frames / SAMPLE_RATE:.2f} s, the {manifest.num_frames} frames "
            f"{manifest.num_frames / manifest.fps:.2f} s; prepare the video again"
        )
    return longest


def audio(folder: Path, manifest: Manifest) -> np.ndarray:
    """The voice: (n,) float32 in [-1, 1], 16 kHz."""
    import soundfile

    file, longest = folder / "audio.flac", audio_length(folder, manifest)
    try:
        with soundfile.SoundFile(file) as sound:  # in blocks: what a header claims is not allocated
            blocks, count = [], 0
            while count < longest and len(block := sound.read(SAMPLE_RATE, dtype="float32")):
                blocks.append(block)
                count += len(block)
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{file} is damaged ({error}); {AGAIN}") from error
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
