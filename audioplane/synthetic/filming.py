"""Films a performance: a face that moves, a scene that renders it, and a Subject that keeps every truth.

The camera stands still; the head moves before it and the torso hardly at all, so `viewmats[t] = camera @
head_pose[t]`, with `camera` the camera-from-head pose of a head that looks straight ahead. It stands before the person,
or elsewhere on a sphere about the head (`around`); the room behind is the same picture from everywhere.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from audioplane.subject.masks import FACE, MOUTH
from audioplane.subject.writer import SubjectWriter

T = TypeVar("T")

VISIBLE_HEIGHT = 0.38
"""Metres of the world that the picture's height shows at the head's distance: head, neck and shoulders."""

DISTANCE = 1.1
"""Metres from the camera to the head's centre: nearer, noses grow; further, the perspective goes."""

HEAD_RISE = 0.02
"""Metres by which the head's centre stands above the picture's."""


Angles = tuple[float, float]
"""Where a camera stands about the head, degrees: yaw and pitch by which the head then seems turned, to the image's
right and up."""

AHEAD: Angles = (0.0, 0.0)


class Actor(Protocol):
    """A face as this module needs it: V vertices, F triangles.

    Attributes:
        rest: V x 3 metres, head coordinates.
        faces: F x 3.
        labels: F segmentation labels.
        torso_weight: V shares of the torso's pose, 0 head to 1 torso.
        sway: V shares of the swing of hanging hair.
        vertex_groups: index lists by name.
    """

    rest: np.ndarray
    faces: np.ndarray
    labels: np.ndarray
    torso_weight: np.ndarray
    sway: np.ndarray

    @property
    def vertex_groups(self) -> Mapping[str, np.ndarray]: ...

    def vertices(self, blendshapes: np.ndarray, extras: Mapping[str, float]) -> np.ndarray:
        """Moved vertices V x 3, metres in head coordinates."""
        ...

    def gaze_flow(self, blendshapes: np.ndarray) -> np.ndarray:
        """V x 3: what the renderer needs to know where the eyes look."""
        ...

    def landmarks(self, vertices: np.ndarray) -> np.ndarray:
        """The 68 rows of V x n `vertices` that are the landmarks."""
        ...


class Play(Protocol):
    """A performance: what is said, and how everything moves; T frames at 25 a second.

    Attributes:
        audio: samples, 16 kHz.
        phonemes: objects with ipa, start, end.
        blendshapes: T x 52.
        head_pose, torso_pose: T x 6: rotation vector (radians) and translation (metres), head axes.
        hair_swing: T x 3 metres, head axes: how far hanging hair strays.
        breath: T.
        extras: further tracks of the face by name, T each.
        train_frames: the frames before this one are for training, the rest is held out.
    """

    @property
    def audio(self) -> np.ndarray: ...

    @property
    def phonemes(self) -> Sequence[Any]: ...

    @property
    def blendshapes(self) -> np.ndarray: ...

    @property
    def head_pose(self) -> np.ndarray: ...

    @property
    def torso_pose(self) -> np.ndarray: ...

    @property
    def hair_swing(self) -> np.ndarray: ...

    @property
    def breath(self) -> np.ndarray: ...

    @property
    def extras(self) -> Mapping[str, np.ndarray]: ...

    @property
    def train_frames(self) -> int: ...


class Picture(Protocol):
    """One rendered frame and its truths (see the renderer)."""

    rgb: np.ndarray
    without_head: np.ndarray
    label: np.ndarray
    depth: np.ndarray


Camera = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Picture]
"""Renders vertices V x 3 (head coordinates), camera-from-head, camera-from-torso, and `gaze_flow`."""


@dataclass(frozen=True)
class Production:
    """All that is filmed together.

    Attributes:
        around: where `camera` stands. place: a camera at another place, under the same lamps.
    """

    about: str
    actor: Actor
    play: Play
    camera: Camera
    background: np.ndarray
    around: Angles = AHEAD
    place: Callable[[Angles], Camera] | None = None


@dataclass(frozen=True)
class FilmedFrame:
    """The picture, moved vertices and landmarks of one frame."""

    picture: Picture
    vertices: np.ndarray
    landmarks: np.ndarray


def rotation(vector: np.ndarray) -> np.ndarray:
    """N x 3 rotation vectors (radians) to N x 3 x 3 matrices (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=1)[:, None, None]
    x, y, z = vector.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    small = np.maximum(angle, 1e-12)
    return np.eye(3) + np.sin(angle) / small * cross + (1 - np.cos(angle)) / small**2 * (cross @ cross)


def rigid(poses: np.ndarray) -> np.ndarray:
    """N x 6 poses (rotation vector, translation) to N x 4 x 4 matrices."""
    matrices = np.tile(np.eye(4), (len(poses), 1, 1))
    matrices[:, :3, :3] = rotation(np.asarray(poses[:, :3], np.float64))
    matrices[:, :3, 3] = poses[:, 3:]
    return matrices


def turn(around: Angles) -> np.ndarray:
    """The rotation 3 x 3 from the studio's axes to those of a camera that stands at `around`."""
    yaw, pitch = np.radians(around)
    return rotation(np.array([[-pitch, 0.0, 0.0]]))[0] @ rotation(np.array([[0.0, -yaw, 0.0]]))[0]


def still_camera(size: int, around: Angles = AHEAD) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics 3 x 3 and the camera-from-head pose (4 x 4) of a head at rest, for a square picture."""
    focal = size * DISTANCE / VISIBLE_HEIGHT
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = turn(around)
    pose[:3, 3] = 0, -HEAD_RISE, DISTANCE
    return K, pose


def project(points: np.ndarray, K: np.ndarray, viewmat: np.ndarray) -> np.ndarray:
    """N x 3 points in head coordinates to N x 2 pixels (centres at +0.5)."""
    seen = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    image = seen @ K.T
    return image[:, :2] / image[:, 2:]


def in_order(work: Callable[[int], T], count: int, threads: int) -> Iterator[T]:
    """Yields work(0), work(1), ... from several threads, at most two a thread ahead."""
    with ThreadPoolExecutor(threads, thread_name_prefix="film") as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for index in range(count):
                waiting.append(pool.submit(work, index))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def skin_of(actor: Actor) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """The part of the mesh whose motion is kept: the triangles labelled face or mouth.

    The group "landmarks" (68, iBUG order) joins the actor's own groups.

    Returns:
        Indices of its vertices in the whole mesh, its triangles F' x 3 and its groups, newly numbered.
    """
    chosen = actor.faces[np.isin(actor.labels, (FACE, MOUTH))]
    kept = np.unique(chosen)
    number = np.full(len(actor.rest), -1)
    number[kept] = np.arange(len(kept))
    groups = {name: number[np.asarray(index)] for name, index in actor.vertex_groups.items()}
    groups["landmarks"] = number[actor.landmarks(np.arange(len(actor.rest))[:, None])[:, 0]]
    return kept, number[chosen], {name: index[index >= 0] for name, index in groups.items()}


def moved(actor: Actor, play: Play, t: int) -> np.ndarray:
    """The actor's vertices in frame t of a play: V x 3 metres, head coordinates."""
    extras = {name: float(track[t]) for name, track in play.extras.items()} | {"breath": float(play.breath[t])}
    vertices = actor.vertices(play.blendshapes[t], extras)
    hanging = np.flatnonzero(actor.sway)
    vertices[hanging] += actor.sway[hanging, None] * play.hair_swing[t]
    return vertices


def film(
    writer: SubjectWriter,
    actor: Actor,
    play: Play,
    camera: Camera,
    background: np.ndarray,
    progress: Callable[[Iterable[FilmedFrame]], Iterable[FilmedFrame]] = iter,
    threads: int | None = None,
    around: Angles = AHEAD,
) -> None:
    """Renders every frame of `play` into `writer`, with its ground truth.

    Args:
        writer: a new writer of square pictures.
        actor: the face.
        play: the performance; T frames.
        camera: renders one frame; called from several threads at once.
        background: H x W x 3 uint8.
        progress: wraps the iteration over the frames.
        threads: frames rendered at once; default: the cores this process may use.
        around: where the camera stands.
    """
    K, rest_pose = still_camera(writer.width, around)
    heads, torsos = rest_pose @ rigid(play.head_pose), rest_pose @ rigid(play.torso_pose)
    count = len(play.blendshapes)
    kept, triangles, groups = skin_of(actor)
    share = actor.torso_weight[kept, None]
    hanging = np.flatnonzero(actor.sway)

    def shoot(t: int) -> FilmedFrame:
        vertices = moved(actor, play, t)
        picture = camera(vertices, heads[t], torsos[t], actor.gaze_flow(play.blendshapes[t]))
        skin = vertices[kept]
        if share.any():  # the neck's upper end follows the torso a little: where that is, seen from the head
            between = np.linalg.inv(heads[t]) @ torsos[t]
            skin = skin + share * (skin @ between[:3, :3].T + between[:3, 3] - skin)
        return FilmedFrame(picture, skin, project(actor.landmarks(vertices), K, heads[t]))

    writer.set_background(background)
    writer.set_mesh(triangles, actor.rest[kept], groups)
    writer.describe_without_head("rendered without the head: torso and background as they are behind it")
    landmarks = []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for frame in progress(in_order(shoot, count, threads or cores)):
        picture = frame.picture
        writer.add_frame(picture.rgb, picture.label, picture.without_head, picture.depth)
        writer.add_vertices(frame.vertices)
        landmarks.append(frame.landmarks)
    writer.set_landmarks(np.stack(landmarks))
    writer.set_cameras(K, heads)
    writer.set_audio(play.audio)
    writer.set_phonemes(play.phonemes)
    writer.set_blendshapes(play.blendshapes)
    tracks = {"head_pose": play.head_pose, "torso_pose": play.torso_pose, "breath": play.breath}
    if len(hanging):
        tracks["hair_swing"] = play.hair_swing
    writer.set_tracks({**tracks, **{f"extra_{name}": track for name, track in play.extras.items()}})
