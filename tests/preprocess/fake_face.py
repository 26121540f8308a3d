"""A stiff painted head that moves, a finder that knows it, and mattes of its colours: `prepare` without model files.

`install` puts finder and mattes in the place of the networks; run as a script it prepares a video so, after it was
killed at some steps.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import clips
import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from audioplane.errors import UserError
from audioplane.preprocess import bundle, cached, masks, preparation, refine
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.face_mesh import Box, Face
from audioplane.preprocess.face_shape import GENERIC
from audioplane.preprocess.pipeline import prepare
from audioplane.preprocess.settings import Settings
from audioplane.runtime import cache, files
from audioplane.subject.writer import SubjectWriter

SIZE = 64
LENS = Lens(2.9 * SIZE, SIZE / 2, SIZE / 2)
SETTINGS = Settings(size=SIZE, refine_size=64, rounds=1)
QUICK = replace(SETTINGS, skip=("refine", "flow"))


def moving(count: int) -> Poses:
    time = np.arange(count)[:, None] / 25
    turn = np.sin(time * [2.1, 2.9, 1.7] + [0, 1, 2]) * np.radians([5, 7, 3])
    move = np.sin(time * [1.3, 1.9, 0.7] + [2, 0, 1]) * [0.012, 0.006, 0.01] + [0, 0, 1.1]
    return Poses(Rotation.from_rotvec(turn).as_matrix(), move)


def paint(poses: Poses, opening: np.ndarray, heads: int = 1) -> list[np.ndarray]:
    """Frames: blue wall, red shoulders, a green-eyed face whose mouth opens by `opening` (T, in [0, 1])."""
    frames = []
    for seen, wide in zip(bundle.project(GENERIC, poses, LENS), opening, strict=True):
        image = np.full((SIZE, SIZE, 3), (40, 60, 200), np.uint8)
        image[:, ::8] = (50, 70, 190)
        cv2.ellipse(image, (SIZE // 2, SIZE + 8), (26, 24), 0, 0, 360, (200, 30, 30), -1)
        for k in range(heads):
            face(image, seen + np.array([14 * (2 * k - 1) if heads > 1 else 0, 0]), wide, 1.0 - 0.3 * k * (heads > 1))
        frames.append(image)
    return frames


def face(image: np.ndarray, seen: np.ndarray, wide: float, scale: float) -> None:
    """Paints one face where its 68 landmarks are seen."""
    seen = (seen - seen.mean(0)) * scale + seen.mean(0)

    def polygon(points: np.ndarray, colour: tuple[int, int, int]) -> None:
        cv2.fillPoly(image, [np.round(points * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)

    up = seen[27] - seen[8]
    polygon(np.concatenate([seen[:17], seen[[26, 24, 19, 17]] + 0.45 * up]), (220, 170, 140))
    polygon(np.concatenate([seen[[17, 19, 24, 26]] + 0.2 * up, seen[[26, 24, 19, 17]] + 0.45 * up]), (60, 40, 20))
    for part in (slice(36, 42), slice(42, 48)):
        polygon(seen[part], (30, 120, 40))
    polygon(seen[27:36], (180, 120, 90))
    lower = seen[54:60] + np.array([0, 4 * wide])
    polygon(np.concatenate([seen[48:55], lower]), (150, 40, 60))


class Finder:
    """Finds the face by the green of its eyes; knows its landmarks from `truth` (frame's bytes -> points)."""

    truth: dict[bytes, np.ndarray]

    def __init__(self) -> None:
        self.truth = {}

    def detect(self, image: np.ndarray, least: float = 0.5) -> list[Box]:
        skin = (np.abs(image.astype(int) - (220, 170, 140)).sum(2) < 60).astype(np.uint8)
        count, _, stats, centres = cv2.connectedComponentsWithStats(skin)
        boxes = [
            Box(float(centres[k][0]), float(centres[k][1]), 1.3 * float(stats[k][2]), 0.0, 1.0)
            for k in range(1, count)
            if stats[k][4] > 60
        ]
        return sorted(boxes, key=lambda box: -box.size)

    def look(self, image: np.ndarray, box: Box) -> Face:
        """Landmarks of the generic face, moved to the skin's place and size: good to about a pixel."""
        near = [b for b in self.detect(image) if np.hypot(b.x - box.x, b.y - box.y) < box.size]
        if not near:
            return Face(np.full((68, 3), np.nan), 0.0)
        flat = GENERIC[:, :2] / np.ptp(GENERIC[:, 0]) * near[0].size / 1.3
        points = flat - flat.mean(0) + [near[0].x + 0.5, near[0].y + 0.5]
        dark = image[..., 0].astype(int) - image[..., 1] > 80  # the mouth's red
        red = dark & (np.abs(np.arange(SIZE)[:, None] - points[51:58, 1].mean()) < 8)
        rows = np.flatnonzero(red.any(1))
        points[65:68, 1] += 0.5 * len(rows)
        return Face(np.column_stack([points, np.full(68, np.nan)]), 1.0)

    def box_around(self, points: np.ndarray) -> Box:
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        return Box(*map(float, (low + high) / 2), float((high - low).max()), 0.0, 1.0)


def mattes(frames: Iterable[np.ndarray], with_hair: bool, progress: Callable[[int], object]) -> masks.Mattes:
    people, hairs = [], []
    for t, frame in enumerate(frames):
        rgb = cv2.resize(frame, (masks.SIDE, masks.SIDE)).astype(int)
        people.append(np.where(rgb[..., 2] > rgb[..., 0] + 60, 0, 255).astype(np.uint8))
        if with_hair and t % masks.HAIR_EVERY == 0:
            hairs.append(np.where(np.abs(rgb - (60, 40, 20)).sum(2) < 60, 255, 0).astype(np.uint8))
        progress(1)
    return masks.Mattes(masks.Pictures.of(people), masks.Pictures.of(hairs) if hairs else None)


def install(set_attribute: Callable[..., object] = setattr, finder: type = Finder) -> None:
    """Networks out, fakes in; the still cloud learns for a moment only."""
    set_attribute(preparation, "landmarker", lambda kind: finder())
    set_attribute(masks, "mattes", mattes)
    set_attribute(refine, "FIRST", 30)


def babble(count: int) -> np.ndarray:
    """How wide the mouth is, T in [0, 1]."""
    time = np.arange(count) / 25
    return 0.5 + 0.5 * np.sin(2 * np.pi * 2.3 * time + np.sin(2 * np.pi * 0.7 * time))


def voice(opening: np.ndarray, rate: int = 16000, late: float = 0.0) -> np.ndarray:
    """Noise as loud as the mouth is wide, `late` seconds after it: 1 x n."""
    time = np.arange(round(len(opening) / 25 * rate)) / rate
    loud = np.interp(time - late, (np.arange(len(opening)) + 0.5) / 25, opening)
    return (0.3 * loud**2 * np.random.default_rng(0).standard_normal(len(time))).clip(-1, 1)[None].astype(np.float32)


def video(path: Path, count: int = 75, heads: int = 1, late: float = 0.0, rate: int = 16000) -> Path:
    """A clip of the painted head."""
    opening = babble(count)
    frames = paint(moving(count), opening, heads)
    return clips.write(path, frames, sound=voice(opening, rate, late), sound_rate=rate)


def refused(folder: Path, film: Path, said: str, **settings: object) -> None:
    """The video is refused in one sentence, and nothing is left in the folder."""
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match=said) as caught:
        prepare(film, folder / "refused", replace(QUICK, **settings))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert [path for path in folder.iterdir() if path not in before and path.name != "cache"] == []


STEPS = ("read", "survey", "landmarks", "mattes", "pose", "labels", "background", "refine")


def die_at(step: str) -> None:
    """From now on this process kills itself when a step's file is half written, or half of the Subject ("write")."""
    write = cached.Steps._write

    def deadly(self: cached.Steps, path: Path, arrays: Mapping) -> None:
        if path.name.startswith(step + "-"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.atomic_path(path) as draft:
                draft.write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
        write(self, path, arrays)

    cached.Steps._write = deadly
    if step == "write":
        SubjectWriter.set_landmarks = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """VIDEO OUT [STEP ...]: prepares; first in a process for each step, which dies there and must leave no OUT."""
    install()
    film, out, *steps = sys.argv[1:]
    for step in steps:
        for made in cache.folder().rglob(f"{step}-*.npz"):
            made.unlink()  # by one that died at another step: some steps run side by side
        child = os.fork()
        if not child:
            die_at(step)
            prepare(film, out, SETTINGS)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"{step} was never written"
        assert os.WTERMSIG(status) == signal.SIGKILL, step
        assert not Path(out).exists(), step
    prepare(film, out, SETTINGS)


if __name__ == "__main__":
    main()
