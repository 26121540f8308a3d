"""`SubjectWriter`: makes a Subject's folder, all of it or nothing.

Everything goes to a temporary folder beside the target, which takes the target's name when `close` has
written the manifest; see `runtime.files` for what becomes of it otherwise.
"""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import files
from audioplane.runtime.names import check_name
from audioplane.subject.format import DEPTH_UNIT, FPS, MANIFEST, SAMPLE_RATE, Manifest, Part
from audioplane.subject.motion import MotionBasis
from audioplane.subject.pack import HashedFile, PackWriter, encode_png

_W = TypeVar("_W", bound="SubjectWriter")


class SubjectWriter:
    """Context manager that writes one Subject; `close` is called on leaving the block without an exception.

    Set the background first (frames are stored as differences to it), then add the frames in order;
    everything else may come at any time. T is the number of frames added.

    Args:
        path: the new folder; it must not exist (or be empty).
        name: the speaker's name, see `runtime.names`.
        width: of the frames, pixels.
        height: of the frames, pixels.
        licence: what others may do with the pictures and the voice.
        provenance: how the Subject was made, as plain JSON values.

    Attributes:
        before_naming: what is called when all is written, with the folder where it lies and `path`, the name that it
            then takes: what stands beside a Subject is made here, so that a kill leaves no Subject without it.

    Raises:
        UserError: the name cannot be one, the folder exists already, cannot be made, or the disk is full.
    """

    def __init__(
        self,
        path: str | Path,
        name: str,
        width: int,
        height: int,
        licence: str = "unknown",
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = check_name(name, "the speaker's name")
        self.width, self.height = int(width), int(height)
        self.licence, self.provenance = licence, dict(provenance or {})
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UserError(f"{self.path} exists already; give a new folder, or remove it first")
        absolute = self.path.absolute()
        files.make_folder(absolute.parent)
        try:
            self._draft = files.Draft(absolute, folder=True)
        except OSError as error:
            raise files.failure(absolute, error) from error
        self._folder = self._draft.path
        self._parts: dict[str, Part] = {}
        self._packs: dict[str, PackWriter] = {}
        self._background: np.ndarray | None = None
        self._motion: MotionBasis | None = None
        self._lengths: dict[str, int] = {}  # of parts with one entry per frame
        self._split: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._without_head = ""
        self._audio_length = 0
        self.count = 0
        self.done = False
        self.before_naming: Callable[[Path, Path], Any] | None = None

    def __enter__(self: _W) -> _W:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        self.abort()
        if isinstance(error, OSError) and error.errno in files.NO_SPACE:
            raise files.failure(self.path, error) from error

    # Pictures

    def _check_picture(self, argument: str, image: np.ndarray, channels: int) -> np.ndarray:
        shape = (self.height, self.width, 3)[: 3 if channels == 3 else 2]
        if not isinstance(image, np.ndarray) or image.shape != shape or image.dtype != np.uint8:
            what = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"{argument} of frame {self.count}: expected {shape} uint8, got {what}")
        return image

    def set_background(self, image: np.ndarray) -> None:
        """The still background, H x W x 3 uint8; frames added afterwards are stored as differences to it."""
        self._background = self._check_picture("background", image, 3).copy()
        self._write("background.png", encode_png(image))

    def set_without_head(self, image: np.ndarray, how: str) -> None:
        """One picture of torso and background for all frames, H x W x 3 uint8, and how it was obtained."""
        self._write("without_head.png", encode_png(self._check_picture("without_head", image, 3)))
        self._without_head = how

    def describe_without_head(self, how: str) -> None:
        """Says how the per-frame pictures without the head were obtained."""
        self._without_head = how

    def add_frame(
        self,
        frame: np.ndarray,
        label: np.ndarray,
        without_head: np.ndarray | None = None,
        depth: np.ndarray | None = None,
    ) -> None:
        """Appends one frame.

        Args:
            frame: H x W x 3 uint8 RGB. label: H x W uint8, 0 background, 1 torso, 2 hair, 3 face, 4 mouth.
            without_head: H x W x 3 uint8 RGB; in all frames or in none (then `set_without_head`). depth: H x
            W, metres (float) or tenths of a millimetre (uint16), 0 where nothing is; in all or none.
        """
        self._add("frames.pack", self._check_picture("frame", frame, 3), self._background)
        self._add("labels.pack", self._check_picture("label", label, 1))
        if label.max() > 4:
            raise ValueError(f"label of frame {self.count}: values must be 0 to 4, got {label.max()}")
        if without_head is not None:
            checked = self._check_picture("without_head", without_head, 3)
            self._add("without_head.pack", checked, self._background)
        if depth is not None:
            self._add("depth.pack", self._depth_steps(depth))
        self.count += 1

    def _add(self, part: str, image: np.ndarray, base: np.ndarray | None = None) -> None:
        if part not in self._packs:
            if self.count:
                raise ValueError(f"{part}: frame {self.count} has a picture, the frames before it had none")
            self._packs[part] = PackWriter(self._folder / part, base)
        self._packs[part].add(image)

    def _depth_steps(self, depth: np.ndarray) -> np.ndarray:
        if depth.shape != (self.height, self.width):
            raise ValueError(f"depth of frame {self.count}: expected {(self.height, self.width)}, got {depth.shape}")
        if depth.dtype == np.uint16:
            return depth
        if not np.isfinite(depth).all() or depth.min() < 0 or depth.max() >= 65535.5 * DEPTH_UNIT:
            raise ValueError(f"depth of frame {self.count}: metres in [0, 6.5535], 0 where nothing is")
        return np.rint(depth * (1 / DEPTH_UNIT)).astype(np.uint16)

    # Tracks

    def set_audio(self, samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
        """The voice: float samples in [-1, 1], 16 kHz mono.

        Kept exactly when the samples are 16-bit steps, otherwise to 24 bits.
        """
        import soundfile

        if sample_rate != SAMPLE_RATE or samples.ndim != 1:
            raise ValueError(f"audio: expected mono at {SAMPLE_RATE} Hz, got {samples.shape} at {sample_rate} Hz")
        samples = np.asarray(samples, np.float32)
        if not np.isfinite(samples).all() or (samples.size and np.abs(samples).max() > 1):
            raise ValueError("audio: samples must be finite and within [-1, 1]")
        steps = samples * np.float32(32768)
        exact = bool((steps == np.rint(steps)).all()) and not (steps == 32768).any()
        data = io.BytesIO()
        subtype = "PCM_16" if exact else "PCM_24"
        soundfile.write(data, samples, sample_rate, format="FLAC", subtype=subtype)
        self._write("audio.flac", data.getvalue())
        self._audio_length = len(samples)

    def set_cameras(self, K: np.ndarray, viewmats: np.ndarray) -> None:
        """Intrinsics 3 x 3 and camera-from-head poses T x 4 x 4 (OpenCV)."""
        if K.shape != (3, 3) or viewmats.ndim != 3 or viewmats.shape[1:] != (4, 4):
            raise ValueError(f"cameras: expected K (3, 3) and viewmats (T, 4, 4), got {K.shape}, {viewmats.shape}")
        self._write_npz("cameras.npz", {"K": K.astype(np.float32), "viewmats": viewmats.astype(np.float32)})
        self._lengths["viewmats"] = len(viewmats)

    def set_landmarks(self, landmarks: np.ndarray) -> None:
        """68 landmarks, T x 68 x 2 pixels; NaN in frames where none were found."""
        if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
            raise ValueError(f"landmarks: expected (T, 68, 2), got {landmarks.shape}")
        self._write_npy("landmarks.npy", landmarks.astype(np.float32))
        self._lengths["landmarks"] = len(landmarks)

    def set_phonemes(self, phonemes: Iterable[Any]) -> None:
        """Speech sounds in order: objects with `ipa`, `start`, `end` (s), perhaps `stress`, `release`."""
        entries = []
        for phoneme in phonemes:
            entry = {"ipa": str(phoneme.ipa), "start": float(phoneme.start), "end": float(phoneme.end)}
            if getattr(phoneme, "stress", 0):
                entry["stress"] = int(phoneme.stress)
            if getattr(phoneme, "release", None) is not None:
                entry["release"] = float(phoneme.release)
            entries.append(entry)
        text = "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n"
        self._write("phonemes.json", text.encode())

    def set_blendshapes(self, weights: np.ndarray) -> None:
        """ARKit blendshape weights, T x 52, alphabetical names."""
        if weights.ndim != 2 or weights.shape[1] != 52:
            raise ValueError(f"blendshapes: expected (T, 52), got {weights.shape}")
        self._write_npy("blendshapes.npy", weights.astype(np.float32))
        self._lengths["blendshapes"] = len(weights)

    def set_tracks(self, tracks: Mapping[str, np.ndarray]) -> None:
        """Further named tracks, T or T x N each."""
        self._write_npz("tracks.npz", {name: np.asarray(track, np.float32) for name, track in tracks.items()})
        self._lengths.update({f"track {name}": len(track) for name, track in tracks.items()})

    def set_mesh(self, faces: np.ndarray, rest: np.ndarray, groups: Mapping[str, Sequence[int] | np.ndarray]) -> None:
        """The true mesh: triangles F x 3, rest positions V x 3 (metres, head coordinates), index lists."""
        arrays = {"faces": np.asarray(faces, np.int32), "rest": np.asarray(rest, np.float32)}
        arrays |= {f"group_{name}": np.asarray(indices, np.int32) for name, indices in groups.items()}
        self._write_npz("mesh.npz", arrays)
        self._motion = MotionBasis(arrays["rest"])

    def add_vertices(self, vertices: np.ndarray) -> None:
        """Appends the true vertex positions of the next frame, V x 3 metres; after `set_mesh`."""
        if self._motion is None:
            raise ValueError("add_vertices: call set_mesh first")
        self._motion.add(vertices)

    def add_features(self, name: str, features: np.ndarray) -> None:
        """Audio features by name, T x ...; a file of their own."""
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ValueError(f"features: the name may have letters, digits, '_', '.', '-'; got {name!r}")
        (self._folder / "features").mkdir(exist_ok=True)
        self._write_npy(f"features/{name}.npy", features)

    def set_split(self, train: tuple[int, int], test: tuple[int, int]) -> None:
        """Frames to learn from and held out, each [first, end). Default: the first 80 % and the rest."""
        self._split = ((int(train[0]), int(train[1])), (int(test[0]), int(test[1])))

    # Files

    def _write(self, name: str, data: bytes) -> None:
        if name in self._parts:
            raise ValueError(f"{name} was given twice")
        file = HashedFile(self._folder / name)
        try:
            file.write(data)
        finally:
            self._parts[name] = Part(*file.close())

    def _write_npy(self, name: str, array: np.ndarray) -> None:
        data = io.BytesIO()
        np.save(data, array, allow_pickle=False)
        self._write(name, data.getvalue())

    def _write_npz(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        data = io.BytesIO()
        np.savez(data, **arrays)  # type: ignore[arg-type]
        self._write(name, data.getvalue())

    def _finish(self) -> None:
        if not self.count:
            raise ValueError("a Subject needs at least one frame; add_frame was never called")
        for name, pack in self._packs.items():
            if pack.count != self.count:
                raise ValueError(f"{name} has {pack.count} pictures for {self.count} frames")
            self._parts[name] = Part(*pack.close())
        if self._motion is not None and self._motion.count:
            self._lengths["vertices"] = self._motion.count
            basis, weights = self._motion.finish()
            self._write_npy("vertex_basis.npy", basis)
            self._write_npy("vertex_weights.npy", weights)
        for name, length in self._lengths.items():
            if length != self.count:
                raise ValueError(f"{name} has {length} entries for {self.count} frames")
        needed = ("background.png", "audio.flac", "cameras.npz", "landmarks.npy")
        missing = [name for name in needed if name not in self._parts]
        if not {"without_head.pack", "without_head.png"} & set(self._parts):
            missing.append("without_head")
        if missing:
            raise ValueError(f"the Subject still lacks {', '.join(missing)}")

    def _manifest(self) -> Manifest:
        boundary = round(0.8 * self.count)
        train, test = self._split or ((0, boundary), (boundary, self.count))
        for argument, (start, stop) in (("train", train), ("test", test)):
            if not 0 <= start <= stop <= self.count:
                raise ValueError(f"split: {argument} [{start}, {stop}) does not fit into {self.count} frames")
        return Manifest(
            name=self.name,
            width=self.width,
            height=self.height,
            num_frames=self.count,
            train=train,
            test=test,
            licence=self.licence,
            without_head=self._without_head,
            provenance=self.provenance,
            parts=self._parts,
            fps=FPS,
        )

    def close(self) -> None:
        """Writes what is left, the manifest last, and gives the folder its name."""
        if self.done:
            return
        try:
            self._finish()
            (self._folder / MANIFEST).write_text(self._manifest().to_json(), encoding="utf-8")
            if self.before_naming is not None:
                self.before_naming(self._folder, self.path)
            self._draft.commit()
        except OSError as error:
            self.abort()
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise UserError(f"{self.path} was made by someone else meanwhile") from error
            if error.errno in files.NO_SPACE:
                raise files.failure(self.path, error) from error
            raise
        except BaseException:
            self.abort()
            raise
        self.done = True

    def abort(self) -> None:
        """Removes everything written so far."""
        if self.done:
            return
        self.done = True
        for pack in self._packs.values():
            pack.abort()
        self._draft.discard()
