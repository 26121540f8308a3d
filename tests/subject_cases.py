"""A small Subject whose every part is known: a disc of a head with a mouth that opens with the sound."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from audioplane.subject import BACKGROUND, FACE, HAIR, MOUTH, TORSO, Phoneme, SubjectWriter

RATE, STEP = 16_000, 640


class Case(NamedTuple):
    """What went into the Subject."""

    frames: np.ndarray
    labels: np.ndarray
    without_head: np.ndarray
    depth: np.ndarray
    background: np.ndarray
    audio: np.ndarray
    viewmats: np.ndarray
    K: np.ndarray
    landmarks: np.ndarray
    vertices: np.ndarray
    blendshapes: np.ndarray
    phonemes: list[Phoneme]


def face_landmarks(centre: tuple[float, float], radius: float, opening: float) -> np.ndarray:
    """68 x 2 pixels: a plain face; `opening` is the distance of the inner lips in pixels."""
    x, y = centre
    points = np.zeros((68, 2), np.float32)
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([np.cos(angle), np.sin(angle)], 1) * radius * 0.8
    points[17:27] = np.stack([np.linspace(-0.5, 0.5, 10), np.full(10, -0.45)], 1) * radius
    points[27:31] = np.stack([np.zeros(4), np.linspace(-0.3, 0.1, 4)], 1) * radius
    points[31:36] = np.stack([np.linspace(-0.15, 0.15, 5), np.full(5, 0.15)], 1) * radius
    for first, sign in ((36, -1), (42, 1)):
        turn = np.linspace(0, 2 * np.pi, 7)[:6]
        points[first : first + 6] = (
            np.stack([sign * 0.35 + 0.12 * np.cos(turn), -0.25 + 0.06 * np.sin(turn)], 1) * radius
        )
    turn = np.linspace(np.pi, 3 * np.pi, 13)[:12]
    points[48:60] = np.stack(
        [np.cos(turn) * 0.3 * radius, 0.4 * radius + np.sin(turn) * (0.1 * radius + opening / 2)], 1
    )
    across = np.array([-0.2, -0.1, 0, 0.1, 0.2, 0.1, 0, -0.1]) * radius
    up = np.array([0, -1, -1, -1, 0, 1, 1, 1]) * opening / 2
    points[60:68] = np.stack([across, 0.4 * radius + up], 1)
    return points + np.array([x, y], np.float32)


def make_case(frames: int = 60, size: int = 48, seed: int = 0, lag: int = 0) -> Case:
    """Everything that a Subject holds; the mouth opens with the sound, `lag` frames late."""
    rng = np.random.default_rng(seed)
    loud = np.clip(np.sin(np.arange(frames) / 3.1) + 0.6 * np.sin(np.arange(frames) / 1.7), 0, None)
    audio = np.repeat(loud, STEP) * rng.uniform(-0.4, 0.4, frames * STEP)
    audio = (np.rint(audio * 32768) / 32768).astype(np.float32)
    opening = np.roll(loud, lag) * 0.1 * size
    background = rng.integers(0, 256, (size, size, 3), np.uint8)
    yy, xx = np.mgrid[:size, :size] + 0.5
    labels = np.zeros((frames, size, size), np.uint8)
    landmarks = np.zeros((frames, 68, 2), np.float32)
    for t in range(frames):
        x, y = size / 2 + np.sin(t / 9), size * 0.45
        labels[t][(yy > 0.75 * size)] = TORSO
        labels[t][(xx - x) ** 2 + (yy - y) ** 2 < (0.4 * size) ** 2] = HAIR
        labels[t][(xx - x) ** 2 + (yy - y - 2) ** 2 < (0.34 * size) ** 2] = FACE
        landmarks[t] = face_landmarks((x, y), 0.4 * size, float(opening[t]))
        lips = landmarks[t, 48:60]
        inside = (np.abs(xx - x) < np.ptp(lips[:, 0]) / 2) & (np.abs(yy - lips[:, 1].mean()) < np.ptp(lips[:, 1]) / 2)
        labels[t][inside] = MOUTH
    colours = np.array([[0, 0, 0], [40, 60, 150], [90, 50, 20], [220, 170, 140], [180, 60, 70]], np.int16)
    painted = np.clip(colours[labels] + rng.integers(-9, 10, (frames, size, size, 3)), 0, 255).astype(np.uint8)
    pictures = np.where((labels == BACKGROUND)[..., None], background, painted)
    torso = np.where((labels >= HAIR)[..., None], background, pictures)
    depth = np.where(labels >= HAIR, 0.75 + 0.05 * rng.random((frames, size, size)), 0).astype(np.float32)
    viewmats = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    angle = 0.1 * np.sin(np.arange(frames) / 7)
    viewmats[:, 0, 0] = viewmats[:, 2, 2] = np.cos(angle)
    viewmats[:, 0, 2], viewmats[:, 2, 0] = np.sin(angle), -np.sin(angle)
    viewmats[:, 2, 3] = 0.8
    rest = rng.normal(0, 0.08, (500, 3))
    modes = rng.normal(0, 0.01, (6, 500, 3))
    vertices = (rest + np.tensordot(rng.random((frames, 6)), modes, 1)).astype(np.float32)
    K = np.array([[2 * size, 0, size / 2], [0, 2 * size, size / 2], [0, 0, 1]], np.float32)
    phonemes = [
        Phoneme("m", 0.2 * i, 0.2 * i + 0.2, 0, 0.2 * i + 0.1) if i % 2 else Phoneme("ɛ", 0.2 * i, 0.2 * i + 0.2, 2)
        for i in range(frames // 5)
    ]
    blendshapes = rng.random((frames, 52)).astype(np.float32)
    return Case(
        pictures,
        labels,
        torso,
        depth,
        background,
        audio,
        viewmats,
        K,
        landmarks,
        vertices,
        blendshapes,
        phonemes,
    )


def fill(writer: SubjectWriter, case: Case) -> None:
    """Gives `writer` everything in `case`."""
    writer.set_background(case.background)
    writer.set_mesh(np.array([[0, 1, 2]]), case.vertices[0], {"lips": [3, 4], "jaw": np.array([5])})
    for t in range(len(case.frames)):
        writer.add_frame(case.frames[t], case.labels[t], case.without_head[t], case.depth[t])
        writer.add_vertices(case.vertices[t])
    writer.set_audio(case.audio)
    writer.set_cameras(case.K, case.viewmats)
    writer.set_landmarks(case.landmarks)
    writer.set_phonemes(case.phonemes)
    writer.set_blendshapes(case.blendshapes)
    writer.set_tracks({"breath": np.arange(len(case.frames))})
    writer.add_features("mel", np.arange(3 * len(case.frames), dtype=np.float32).reshape(-1, 3))


def write_case(path: Path, case: Case, name: str = "disc") -> Path:
    """Writes `case` as a Subject at `path`."""
    size = case.background.shape[0]
    with SubjectWriter(path, name, size, size, licence="CC0-1.0", provenance={"made_by": "a test"}) as writer:
        fill(writer, case)
    return path
