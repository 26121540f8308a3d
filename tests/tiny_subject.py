"""A subject small enough for tests: a shaded ball with a mouth that opens with the loudness of a made-up voice."""

from __future__ import annotations

import numpy as np

from audioplane.subject import Subject, blendshapes

FPS, RATE = 25.0, 16_000


class TinySubject:
    """What `audioplane.subject.Subject` offers, computed in memory."""

    weights = Subject.weights

    def __init__(self, frames: int = 90, size: int = 40, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self.name, self.fps, self.width, self.height, self.num_frames = f"tiny-{seed}", FPS, size, size, frames
        self.train, self.test = range(0, frames - 15), range(frames - 15, frames)
        times = np.arange(frames) / FPS
        self.opening = (0.5 + 0.5 * np.sin(2 * np.pi * (1.1 * times + 0.3 * np.sin(times)))) ** 2
        samples = np.arange(int(frames * RATE / FPS)) / RATE
        loud = np.interp(samples, times, self.opening)
        noise = generator.standard_normal(len(samples))
        self.audio = (0.2 * loud * (np.sin(2 * np.pi * 150 * samples) + 0.3 * noise)).astype(np.float32)
        self.K = np.array([[2.0 * size, 0, size / 2], [0, 2.0 * size, size / 2], [0, 0, 1]], np.float32)
        self.viewmats = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
        self.viewmats[:, 2, 3] = 0.6
        self.viewmats[:, 0, 3] = 0.004 * np.sin(times)
        self.landmarks = np.stack([self._landmarks(t) for t in range(frames)]).astype(np.float32)
        self.tracks: dict[str, np.ndarray] = {}
        self.blendshapes: np.ndarray | None = self._blendshapes(times)
        self.closed = self.blendshapes[:, blendshapes.index("eyeBlinkLeft")]

    def _blendshapes(self, times: np.ndarray) -> np.ndarray:
        """Two blinks, a look to the image right, and brows that rise."""
        weights = np.zeros((len(times), blendshapes.COUNT), np.float32)
        closed = np.exp(-(((times[:, None] - [0.8, 2.2]) / 0.08) ** 2)).sum(axis=1)
        tracks = {
            "eyeBlink": closed,
            "eyeLookOut": 0.3 * (np.sin(2 * times) > 0),
            "browOuterUp": 0.2 * np.sin(times) ** 2,
        }
        for name, track in tracks.items():
            for side in ("Left", "Right") if name != "eyeLookOut" else ("Left",):
                weights[:, blendshapes.index(name + side)] = track
        return weights

    def _grid(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        at = (np.arange(self.width) + 0.5 - self.width / 2) / (self.width / 2)
        shift = self.viewmats[t, 0, 3] / 0.6 * 4
        return np.meshgrid(at - shift, at)

    def _landmarks(self, t: int) -> np.ndarray:
        angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
        points = np.stack([0.5 * np.cos(angles), 0.5 * np.sin(angles)], axis=1)
        lips = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        points[48:] = np.stack([0.25 * np.cos(lips), 0.35 - (0.04 + 0.12 * self.opening[t]) * np.sin(lips)], axis=1)
        return (points * 0.5 + 0.5) * self.width

    def head_mask(self, t: int) -> np.ndarray:
        x, y = self._grid(t)
        return x**2 + y**2 < 0.49

    def mouth_mask(self, t: int) -> np.ndarray:
        x, y = self._grid(t)
        return (x / 0.25) ** 2 + ((y - 0.35) / (0.04 + 0.12 * self.opening[t])) ** 2 < 1

    def depth(self, t: int) -> None:
        """Not known."""

    def label(self, t: int) -> np.ndarray:
        return np.where(self.mouth_mask(t), 4, np.where(self.head_mask(t), 3, 0)).astype(np.uint8)

    def inner_mouth_mask(self, t: int) -> np.ndarray:
        x, y = self._grid(t)
        return (x / 0.22) ** 2 + ((y - 0.35) / (0.01 + 0.12 * self.opening[t])) ** 2 < 1

    def hair_mask(self, t: int) -> np.ndarray:
        _, y = self._grid(t)
        return self.head_mask(t) & (y < -0.45)

    def motion_mask(self, t: int) -> np.ndarray:
        x, y = self._grid(t)
        return (x / 0.35) ** 2 + ((y - 0.35) / 0.25) ** 2 < 1

    def narrow_motion_mask(self, t: int) -> np.ndarray:
        x, y = self._grid(t)
        return (x / 0.28) ** 2 + ((y - 0.35) / 0.18) ** 2 < 1

    def eyes_mask(self, t: int) -> np.ndarray:
        x, y = self._grid(t)
        return (np.abs(x) < 0.4) & (np.abs(y + 0.25) < 0.15)

    def frame(self, t: int) -> np.ndarray:
        x, y = self._grid(t)
        skin = np.stack([0.8 - 0.3 * y, 0.6 - 0.2 * y, 0.5 + 0.2 * x], axis=-1)
        image = np.where(self.head_mask(t)[..., None], skin, self.without_head(t) / 255)
        image = np.where(self.mouth_mask(t)[..., None], [0.3, 0.05, 0.08], image)
        x, y = self._grid(t)
        eyes = ((np.abs(x) - 0.25) / 0.12) ** 2 + ((y + 0.2) / 0.1) ** 2 < 1.0 - self.closed[t]
        image = np.where(eyes[..., None], [0.9, 0.9, 0.95], image)
        return (np.clip(image, 0, 1) * 255).astype(np.uint8)

    def without_head(self, t: int) -> np.ndarray:
        image = np.tile(np.array([60, 90, 120], np.uint8), (self.height, self.width, 1))
        image[-self.height // 4 :, self.width // 3 : -self.width // 3] = (40, 30, 80)
        return image

    @property
    def background(self) -> np.ndarray:
        return np.tile(np.array([60, 90, 120], np.uint8), (self.height, self.width, 1))
