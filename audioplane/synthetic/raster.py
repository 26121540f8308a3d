"""A compiled z-buffer: triangles in, one visible triangle per sample out.

Names: a *sample* is one of `supersample` x `supersample` points of a pixel, on a regular grid (sample (i, j)
covers [j, j+1) x [i, i+1) in sample units, its centre at +0.5, as pixels do). Corners are snapped to 1/256
sample and edge functions are exact integers, so two triangles that share an edge neither leave a gap nor
both cover a sample (top-left rule). Depth and barycentrics are perspective-correct: 1/z is linear on the
screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.synthetic.noise import strand_alpha

SUBSAMPLE_BITS = 8
SUBSAMPLE = 1 << SUBSAMPLE_BITS  # snapping grid: fractions of one sample
NEAR = 0.02  # metres; triangles that reach nearer are dropped, not clipped
FAR_SNAP = 1 << 28  # corners farther out than this (in 1/256 sample) would overflow an edge function
NOTHING = np.int32(-1)


@dataclass(frozen=True)
class Visibility:
    """What each of (H s, W s) samples sees.

    triangle: index, -1 nothing. inverse_depth: 1/metres, 0 nothing. barycentric: of corners 1 and 2.
    """

    triangle: np.ndarray  # int32
    inverse_depth: np.ndarray  # float32, 0 where nothing
    barycentric: np.ndarray  # (H s, W s, 2) float32
    supersample: int

    @classmethod
    def empty(cls, width: int, height: int, supersample: int) -> Visibility:
        """A buffer in which nothing has been drawn."""
        shape = (height * supersample, width * supersample)
        return cls(
            np.full(shape, NOTHING, np.int32),
            np.zeros(shape, np.float32),
            np.zeros((*shape, 2), np.float32),
            supersample,
        )

    def copy(self) -> Visibility:
        """An independent copy, to draw more onto."""
        return Visibility(self.triangle.copy(), self.inverse_depth.copy(), self.barycentric.copy(), self.supersample)


@compiled()
def project(points, intrinsics, supersample, corners, inverse_depth):
    """Camera-space points (V, 3) to snapped corners (V, 2) int64 and 1/z (V,), 0 where it cannot be drawn."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    scale = supersample * SUBSAMPLE
    for v in range(points.shape[0]):
        z = points[v, 2]
        inverse_depth[v] = 0.0
        if z < NEAR:
            continue
        x = np.floor((fx * points[v, 0] / z + cx) * scale + 0.5)
        y = np.floor((fy * points[v, 1] / z + cy) * scale + 0.5)
        if abs(x) < FAR_SNAP and abs(y) < FAR_SNAP:
            corners[v, 0] = np.int64(x)
            corners[v, 1] = np.int64(y)
            inverse_depth[v] = 1.0 / z


@compiled(inline="always")
def _edge_bias(dx, dy):
    """0 for an edge whose own points belong to the triangle (top or left), -1 for the others."""
    return 0 if dy < 0 or (dy == 0 and dx > 0) else -1


@compiled(error_model="numpy")
def rasterize(faces, selection, two_sided, cutout, strands, corners, inverse_depth, seen, seen_inverse, seen_bary):
    """Draws the triangles faces[selection] into (seen, seen_inverse, seen_bary) with a z-test; nearest wins.

    Args:
        faces: (F, 3) int32, corners counter-clockwise seen from outside (right-hand rule: outward normals).
        selection: (n,) int32 indices of the faces to draw.
        two_sided: (F,) bool; other faces are culled when seen from behind.
        cutout: (F,) bool; such faces (hair) have holes by `strand_alpha`.
        strands: (V, 3) float32 per corner (across, along, coverage) for `strand_alpha`.
        corners, inverse_depth: from `project`.
        seen, seen_inverse, seen_bary: the arrays of a `Visibility`.
    """
    height, width = seen.shape
    half = SUBSAMPLE // 2
    for n in range(selection.size):
        f = selection[n]
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        if inverse_depth[a] == 0.0 or inverse_depth[b] == 0.0 or inverse_depth[c] == 0.0:
            continue
        ax, ay = corners[a, 0], corners[a, 1]
        bx, by = corners[b, 0], corners[b, 1]
        cx, cy = corners[c, 0], corners[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0 or (area > 0 and not two_sided[f]):  # y down: an outside face winds to a negative area
            continue
        swapped = area < 0
        if swapped:
            bx, by, cx, cy = cx, cy, bx, by
            b, c = c, b
            area = -area
        left = max(0, (min(ax, bx, cx) - half + SUBSAMPLE - 1) >> SUBSAMPLE_BITS)
        right = min(width - 1, (max(ax, bx, cx) - half) >> SUBSAMPLE_BITS)
        top = max(0, (min(ay, by, cy) - half + SUBSAMPLE - 1) >> SUBSAMPLE_BITS)
        bottom = min(height - 1, (max(ay, by, cy) - half) >> SUBSAMPLE_BITS)
        if left > right or top > bottom:
            continue
        bias_a = _edge_bias(cx - bx, cy - by)
        bias_b = _edge_bias(ax - cx, ay - cy)
        bias_c = _edge_bias(bx - ax, by - ay)
        wa, wb, wc = inverse_depth[a] / area, inverse_depth[b] / area, inverse_depth[c] / area
        step_a, step_b, step_c = -(cy - by) * SUBSAMPLE, -(ay - cy) * SUBSAMPLE, -(by - ay) * SUBSAMPLE
        px = left * SUBSAMPLE + half
        for i in range(top, bottom + 1):
            py = i * SUBSAMPLE + half
            edge_a = (cx - bx) * (py - by) - (cy - by) * (px - bx)
            edge_b = (ax - cx) * (py - cy) - (ay - cy) * (px - cx)
            edge_c = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
            entered = False
            for j in range(left, right + 1):
                if (edge_a + bias_a) | (edge_b + bias_b) | (edge_c + bias_c) >= 0:
                    entered = True
                    tb, tc = edge_b * wb, edge_c * wc
                    sum_of_parts = edge_a * wa + tb + tc
                    inverse = np.float32(sum_of_parts)
                    if inverse > seen_inverse[i, j]:
                        b1, b2 = tb / sum_of_parts, tc / sum_of_parts
                        keep = True
                        if cutout[f]:
                            b0 = 1.0 - b1 - b2
                            coverage = b0 * strands[a, 2] + b1 * strands[b, 2] + b2 * strands[c, 2]
                            keep = coverage > 0.999 or coverage > strand_alpha(
                                b0 * strands[a, 0] + b1 * strands[b, 0] + b2 * strands[c, 0],
                                b0 * strands[a, 1] + b1 * strands[b, 1] + b2 * strands[c, 1],
                            )
                        if keep:
                            seen[i, j] = f
                            seen_inverse[i, j] = inverse
                            seen_bary[i, j, 0] = b2 if swapped else b1
                            seen_bary[i, j, 1] = b1 if swapped else b2
                elif entered:  # a triangle is convex: this row is done
                    break
                edge_a += step_a
                edge_b += step_b
                edge_c += step_c


@compiled(error_model="numpy")
def depth_map(points, faces, selection, depth):
    """Nearest parallel depth of triangles: points (V, 3) are x, y in texels, z; depth (H, W) starts far."""
    height, width = depth.shape
    for n in range(selection.size):
        f = selection[n]
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
        bx, by, bz = points[b, 0] - ax, points[b, 1] - ay, points[b, 2] - az
        cx, cy, cz = points[c, 0] - ax, points[c, 1] - ay, points[c, 2] - az
        area = bx * cy - by * cx
        if abs(area) < 1e-9:
            continue
        scale = 1.0 / area
        left = max(0, int(np.ceil(ax + min(0.0, bx, cx) - 0.5)))
        right = min(width - 1, int(np.floor(ax + max(0.0, bx, cx) - 0.5)))
        top = max(0, int(np.ceil(ay + min(0.0, by, cy) - 0.5)))
        bottom = min(height - 1, int(np.floor(ay + max(0.0, by, cy) - 0.5)))
        # b1 and b2 are linear over the texels: what they are at the first, and their steps right and down.
        right_1, right_2, down_1, down_2 = cy * scale, -by * scale, -cx * scale, bx * scale
        x, y = left + 0.5 - ax, top + 0.5 - ay
        first_1, first_2 = x * right_1 + y * down_1, x * right_2 + y * down_2
        for i in range(top, bottom + 1):
            b1, b2 = first_1, first_2
            for j in range(left, right + 1):
                if b1 >= 0.0 and b2 >= 0.0 and b1 + b2 <= 1.0:
                    z = az + b1 * bz + b2 * cz
                    if z < depth[i, j]:
                        depth[i, j] = z
                b1 += right_1
                b2 += right_2
            first_1 += down_1
            first_2 += down_2


@compiled()
def vertex_normals(points, faces, normals):
    """Area-weighted smooth unit normals (V, 3) of outward faces; zero where a vertex has no face."""
    normals[:] = 0.0
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(points.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if length > 0.0:
            normals[v, 0] /= length
            normals[v, 1] /= length
            normals[v, 2] /= length
