"""A stage with stand-ins: a ball of a head that opens its mouth, and a camera that paints triangles."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from audioplane.synthetic.filming import Production, still_camera


class Ball:
    """An `Actor`: a half ball of 9 cm facing the camera, over a plate of a torso."""

    def __init__(self) -> None:
        turn, rise = np.meshgrid(np.linspace(-1.4, 1.4, 13), np.linspace(-1.4, 1.4, 13))
        ball = np.stack([np.sin(turn) * np.cos(rise), np.sin(rise), -np.cos(turn) * np.cos(rise)], -1) * 0.09
        plate = np.array([[-0.2, 0.12, 0.05], [0.2, 0.12, 0.05], [0.2, 0.4, 0.05], [-0.2, 0.4, 0.05]])
        self.rest = np.concatenate([ball.reshape(-1, 3), plate])
        corner = (np.arange(12)[:, None] * 13 + np.arange(12)).reshape(-1)
        ball_faces = np.concatenate(
            [
                np.stack([corner, corner + 1, corner + 13], 1),
                np.stack([corner + 1, corner + 14, corner + 13], 1),
            ]
        )
        self.faces = np.concatenate([ball_faces, [[169, 170, 171], [169, 171, 172]]])
        middle = self.rest[ball_faces].mean(1)
        mouth = (np.abs(middle[:, 0]) < 0.03) & (np.abs(middle[:, 1] - 0.04) < 0.015)
        self.labels = np.concatenate([np.where(mouth, 4, np.where(middle[:, 1] < -0.05, 2, 3)), [1, 1]])
        self.torso_weight = np.concatenate([np.zeros(169), np.ones(4)])
        self.sway = np.zeros(173)
        self.vertex_groups = {"lips": np.unique(ball_faces[mouth])}
        self._marks = np.linspace(14, 154, 68).astype(int)

    def vertices(self, blendshapes, extras):
        vertices = self.rest.copy()
        lips = self.vertex_groups["lips"]
        vertices[lips, 1] += 0.01 * blendshapes[17] * np.sign(vertices[lips, 1] - 0.04) + 0.001 * extras["breath"]
        return vertices

    def gaze_flow(self, blendshapes):
        return np.zeros_like(self.rest)

    def landmarks(self, vertices):
        return vertices[self._marks]


def production(
    name: str,
    size: int,
    seconds: float,
    seed: int,
    voice: str | None = None,
    backend: str = "ours",
    around: tuple[float, float] = (0.0, 0.0),
    turns: str = "speech",
) -> Production:
    """Stand-ins for everything; the camera stands still, whatever is asked."""
    rng = np.random.default_rng(seed)
    count = round(seconds * 25)
    opening = np.abs(np.sin(np.arange(count) / 4))
    blendshapes = np.zeros((count, 52), np.float32)
    blendshapes[:, 17] = opening
    wave = np.repeat(opening, 640) * rng.uniform(-0.5, 0.5, count * 640)
    play = SimpleNamespace(
        audio=wave.astype(np.float32),
        phonemes=[SimpleNamespace(ipa="a", start=0.0, end=seconds)],
        blendshapes=blendshapes,
        head_pose=rng.normal(0, 0.02, (count, 6)),
        torso_pose=rng.normal(0, 0.002, (count, 6)),
        hair_swing=np.zeros((count, 3)),
        breath=np.sin(np.arange(count) / 30),
        extras={"tongueUp": np.zeros(count)},
        train_frames=round(0.8 * count),
    )
    ball, background = Ball(), rng.integers(0, 256, (size, size, 3), np.uint8)
    K, _ = still_camera(size, around)

    def camera(vertices, head, torso, axes):
        seen = np.where(
            ball.torso_weight[:, None] > 0,
            vertices @ torso[:3, :3].T + torso[:3, 3],
            vertices @ head[:3, :3].T + head[:3, 3],
        )
        pixels = (seen @ K.T)[:, :2] / seen[:, 2:]
        rgb, label = background.copy(), np.zeros((size, size), np.uint8)
        depth, without = np.zeros((size, size), np.float32), background.copy()
        for face in sorted(range(len(ball.faces)), key=lambda f: -seen[ball.faces[f], 2].mean()):
            corners = np.round((pixels[ball.faces[face]] - 0.5) * 16).astype(np.int32)
            kind, z = int(ball.labels[face]), float(seen[ball.faces[face], 2].mean())
            for picture, colour in ((rgb, (40 * kind, 90, 200 - 40 * kind)), (label, kind), (depth, z)):
                cv2.fillConvexPoly(picture, corners, colour, cv2.LINE_8, 4)
            if kind == 1:
                cv2.fillConvexPoly(without, corners, (40, 90, 160), cv2.LINE_8, 4)
        return SimpleNamespace(rgb=rgb, label=label, depth=depth, without_head=without)

    return Production("a ball", ball, play, camera, background)
