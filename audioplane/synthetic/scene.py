"""A still camera, a studio, and a person in it: vertices and poses in, a frame and its truths out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import indices
from audioplane.synthetic import materials as m
from audioplane.synthetic.lights import Lights, ShadowFrame, contact, shadow_frame, shadow_map, studio
from audioplane.synthetic.materials import Material, Paint
from audioplane.synthetic.raster import Visibility, project, rasterize, vertex_normals
from audioplane.synthetic.shading import DECODE, ENCODE, shade

TORSO_LABEL, HEAD_LABELS = 1, (2, 3, 4)
CONTACT_RADIUS, CONTACT_STRENGTH = 0.014, 0.75


class Surface(Protocol):
    """A person's mesh as the renderer needs it: V corners, F triangles, nothing that moves.

    Attributes:
        rest: (V, 3) metres in head coordinates: the neutral, unposed shape. Textures stick to it.
        faces: (F, 3) int, wound so that the right-hand rule gives outward normals.
        materials: (F,) `Material`.
        labels: (F,) segmentation label: 1 torso, 2 hair, 3 face, 4 mouth.
        uv: (V, 2); hair: (strands across, 0 root to 1 tip); not used elsewhere.
        albedo: (V, 3) linear RGB in [0, 1].
        occlusion: (V,) share of the sky seen in the neutral shape, [0, 1].
        roughness: (V,) of the sharper highlight, (0, 1].
        flow: (V, 3) in head coordinates of the rest shape: strand direction for hair, optical axis (outward)
            for eyes.
        coverage: (V,) opacity of hair, [0, 1]; 1 elsewhere.
        torso_weight: (V,) share of the torso's pose in a corner's, 0 head to 1 torso.
    """

    rest: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    labels: np.ndarray
    uv: np.ndarray
    albedo: np.ndarray
    occlusion: np.ndarray
    roughness: np.ndarray
    flow: np.ndarray
    coverage: np.ndarray
    torso_weight: np.ndarray


def _check(surface: Surface, faces: np.ndarray) -> None:
    """Raises ValueError for a mesh that the compiled renderer would read beyond."""
    corners, triangles = len(surface.rest), len(faces)
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"faces: expected (F, 3), received {faces.shape}")
    indices("faces", faces.reshape(-1), corners)
    for wanted, names in ((triangles, ("materials", "labels")), (corners, PER_CORNER)):
        for name in names:
            if len(getattr(surface, name)) != wanted:
                raise ValueError(f"{name}: expected {wanted} rows, received {len(getattr(surface, name))}")


PER_CORNER = ("rest", "uv", "albedo", "occlusion", "roughness", "flow", "coverage", "torso_weight")


@dataclass(frozen=True)
class Pose:
    """Where everything is in one frame.

    Attributes:
        vertices: (V, 3) metres, head coordinates (blendshapes applied, not the pose).
        head, torso: (4, 4) camera-from-head and camera-from-torso; equal at rest.
        gaze: (V, 3) or None: the moved `flow`, where eyes have turned.
    """

    vertices: np.ndarray
    head: np.ndarray
    torso: np.ndarray
    gaze: np.ndarray | None = None


@dataclass(frozen=True)
class Frame:
    """One frame and its truths: rgb, without_head (H, W, 3) uint8, label (H, W) uint8, depth (H, W) float32
    metres (0 nothing), head_alpha (H, W) uint8: the share of the pixel's samples that the head (labels 2, 3,
    4) owns."""

    rgb: np.ndarray
    without_head: np.ndarray
    label: np.ndarray
    depth: np.ndarray
    head_alpha: np.ndarray


@dataclass
class Scene:
    """A person's surface before a background, seen by an OpenCV camera of `intrinsics` (3, 3) for pixels at
    +0.5.

    `background` (H, W, 3) uint8 sets the size. `centre` (camera coordinates) and `radius`, metres, bound
    what casts and receives shadows; None: the rest shape `distance` metres before the camera.
    """

    surface: Surface
    intrinsics: np.ndarray
    background: np.ndarray
    paint: Paint = field(default_factory=Paint)
    lights: Lights = field(default_factory=studio)
    supersample: int = 2
    distance: float = 1.0
    shadow_size: int = 448

    def __post_init__(self) -> None:
        surface = self.surface
        self.intrinsics = np.asarray(self.intrinsics, np.float64)
        self.background = np.ascontiguousarray(self.background, np.uint8)
        self._faces = np.ascontiguousarray(surface.faces, np.int32)
        self._materials = np.ascontiguousarray(surface.materials, np.int32)
        self._labels = np.ascontiguousarray(surface.labels, np.uint8)
        _check(surface, self._faces)
        index = np.arange(len(self._faces), dtype=np.int32)
        self._torso = index[self._labels == TORSO_LABEL]
        self._head = self._hair_last(index[self._labels != TORSO_LABEL])
        self._casters = index[~np.isin(self._materials, [int(k) for k in m.CASTS_NO_SHADOW])]
        self._two_sided = np.isin(self._materials, [int(k) for k in m.TWO_SIDED]) | (self._labels == TORSO_LABEL)
        self._cutout = np.isin(self._materials, [int(k) for k in m.CUTOUT])
        self._strands = np.column_stack([surface.uv, surface.coverage]).astype(np.float32)
        self._columns = self._still_columns()
        self._studio = np.vstack([self.lights.directions, self.lights.colours, self.lights.sky, self.lights.ground])
        rest = np.asarray(surface.rest)
        low, high = rest.min(0), rest.max(0)
        centre = (low + high) / 2 + [0.0, 0.0, self.distance]
        self._shadow_frame: ShadowFrame = shadow_frame(
            self.lights.directions[0],
            centre,
            0.5 * float(np.linalg.norm(high - low)) + 0.03,
            self.shadow_size,
        )

    def _hair_last(self, selection: np.ndarray) -> np.ndarray:
        """Solid faces, then hair from the front backwards: hidden hair fails the z-test before its holes cost."""
        hairy = np.isin(self._materials[selection], [int(k) for k in m.CUTOUT])
        hair = selection[hairy]
        depth = np.asarray(self.surface.rest)[self._faces[hair], 2].mean(1)
        return np.concatenate([selection[~hairy], hair[np.argsort(depth, kind="stable")]])

    def _still_columns(self) -> np.ndarray:
        """The per-vertex columns of `materials` that do not change from frame to frame."""
        surface = self.surface
        columns = np.zeros((len(surface.rest), m.COLUMNS), np.float32)
        columns[:, m.REST : m.REST + 3] = surface.rest
        columns[:, m.UV : m.UV + 2] = surface.uv
        columns[:, m.ALBEDO : m.ALBEDO + 3] = surface.albedo
        columns[:, m.OCCLUSION] = surface.occlusion
        columns[:, m.ROUGHNESS] = surface.roughness
        columns[:, m.TORSO] = surface.torso_weight
        # How much of a lip each corner is: its share of lip faces, so that the vermilion border is soft.
        lips, all_faces = np.zeros(len(columns)), np.full(len(columns), 1e-9)
        np.add.at(all_faces, self._faces.ravel(), 1.0)
        np.add.at(lips, self._faces[self._materials == Material.LIPS].ravel(), 1.0)
        columns[:, m.LIPS] = lips / all_faces
        return columns

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.background.shape[0], self.background.shape[1]

    def render(self, pose: Pose) -> Frame:
        """Renders one frame, on the calling thread."""
        height, width = self.size
        points, columns = self._placed(pose)
        corners, inverse = np.empty((len(points), 2), np.int64), np.empty(len(points))
        project(points, self.intrinsics, self.supersample, corners, inverse)

        torso = Visibility.empty(width, height, self.supersample)
        self._draw(self._torso, corners, inverse, torso)
        full = torso.copy()
        self._draw(self._head, corners, inverse, full)

        shadow = shadow_map(points, self._faces, self._casters, self._shadow_frame)
        open_sky, scratch = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
        focal = float(self.intrinsics[0, 0])
        contact(full.inverse_depth, self.supersample, focal, CONTACT_RADIUS, CONTACT_STRENGTH, scratch, open_sky)
        rgb, without_head = np.empty((height, width, 3), np.uint8), np.empty((height, width, 3), np.uint8)
        turns = np.stack([pose.head[:3, :3], pose.torso[:3, :3]]).astype(np.float64)
        shade(
            0, height, full.triangle, full.inverse_depth, full.barycentric,
            torso.triangle, torso.inverse_depth, torso.barycentric, self._faces, self._materials, columns,
            turns, self._studio, self.paint.array, float(pose.head[2, 3]) / focal, shadow,
            self._shadow_frame.rows, open_sky, self.background, self.supersample, ENCODE, DECODE, rgb,
            without_head,
        )  # fmt: skip
        label, depth = np.empty((height, width), np.uint8), np.empty((height, width), np.float32)
        alpha = np.empty((height, width), np.uint8)
        resolve_truths(full.triangle, full.inverse_depth, self._labels, self.supersample, label, depth, alpha)
        return Frame(rgb, without_head, label, depth, alpha)

    def render_many(self, poses: Iterable[Pose]) -> Iterator[Frame]:
        """Renders frames in order, several at once (one a thread); the bytes do not depend on how many."""
        batch: list[Pose] = []
        for pose in poses:
            batch.append(pose)
            if len(batch) == 2 * torch.get_num_threads():
                yield from self._batch(batch)
                batch = []
        yield from self._batch(batch)

    def _batch(self, poses: list[Pose]) -> list[Frame]:
        frames: list[Frame | None] = [None] * len(poses)

        def work(start: int, stop: int) -> None:
            for n in range(start, stop):
                frames[n] = self.render(poses[n])

        threads.run(work, [(n, n + 1) for n in range(len(poses))])
        return [frame for frame in frames if frame is not None]

    def _placed(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Camera-space corners (V, 3) and the shader's columns with what moves filled in."""
        flow = self.surface.flow if pose.gaze is None else pose.gaze
        for name, array in (("vertices", pose.vertices), ("gaze", flow)):
            if np.shape(array) != (len(self._columns), 3):
                raise ValueError(f"{name}: expected ({len(self._columns)}, 3), received {np.shape(array)}")
        points, columns = np.empty((len(pose.vertices), 3)), self._columns.copy()
        place(
            np.asarray(pose.vertices, np.float32),
            np.asarray(flow, np.float32),
            np.asarray(pose.head, np.float64),
            np.asarray(pose.torso, np.float64),
            points,
            columns,
        )
        normals = np.empty_like(points)
        vertex_normals(points, self._faces, normals)
        columns[:, m.NORMAL : m.NORMAL + 3] = normals
        return points, columns

    def _draw(self, selection: np.ndarray, corners: np.ndarray, inverse: np.ndarray, into: Visibility) -> None:
        rasterize(
            self._faces,
            selection,
            self._two_sided,
            self._cutout,
            self._strands,
            corners,
            inverse,
            into.triangle,
            into.inverse_depth,
            into.barycentric,
        )


@compiled()
def place(vertices, flow, head, torso, points, columns):
    """Moves corners and flow (V, 3) to camera coordinates, blending the two poses by the torso's share."""
    for v in range(vertices.shape[0]):
        w = columns[v, m.TORSO]
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        fx, fy, fz = flow[v, 0], flow[v, 1], flow[v, 2]
        for k in range(3):
            a, b, c = (
                head[k, 0] + w * (torso[k, 0] - head[k, 0]),
                head[k, 1] + w * (torso[k, 1] - head[k, 1]),
                head[k, 2] + w * (torso[k, 2] - head[k, 2]),
            )
            points[v, k] = a * x + b * y + c * z + head[k, 3] + w * (torso[k, 3] - head[k, 3])
            columns[v, m.POSITION + k] = points[v, k]
            columns[v, m.FLOW + k] = a * fx + b * fy + c * fz


@compiled()
def resolve_truths(seen, inverse_depth, labels, supersample, label, depth, alpha):
    """Per pixel: the label most samples have (a tie goes to the nearer), that label's depth, the head's
    share.

    The depth is 1 over the mean 1/z of those of the label's samples that lie within 1 cm of its nearest: at
    the pixel's centre exactly, where a plane fills the pixel.
    """
    samples = supersample * supersample
    count, near = np.zeros(5, np.int64), np.zeros(5)
    for i in range(label.shape[0]):
        for j in range(label.shape[1]):
            count[:] = 0
            near[:] = 0.0
            for s in range(samples):
                f = seen[i * supersample + s // supersample, j * supersample + s % supersample]
                k = labels[f] if f >= 0 else 0
                count[k] += 1
                inverse = inverse_depth[i * supersample + s // supersample, j * supersample + s % supersample]
                near[k] = max(near[k], inverse)
            best = 0
            for k in range(1, 5):
                if count[k] > count[best] or (count[k] == count[best] and near[k] > near[best]):
                    best = k
            label[i, j] = best
            alpha[i, j] = (255 * (count[2] + count[3] + count[4]) + samples // 2) // samples
            depth[i, j] = 0.0
            if best > 0:
                total, hits = 0.0, 0
                for s in range(samples):
                    row, column = i * supersample + s // supersample, j * supersample + s % supersample
                    f = seen[row, column]
                    if f >= 0 and labels[f] == best and 1.0 / inverse_depth[row, column] < 1.0 / near[best] + 0.01:
                        total += inverse_depth[row, column]
                        hits += 1
                depth[i, j] = hits / total
