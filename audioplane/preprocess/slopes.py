"""How each pixel of a render changes with the camera, and the Gauss-Newton matrix made of it."""

from __future__ import annotations

import numpy as np

from audioplane.preprocess.bundle import Lens, Poses
from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled


def slopes(picture: np.ndarray, depth: np.ndarray, poses: Poses, lens: Lens) -> np.ndarray:
    """How each pixel changes with the pose: B x S x S x 3 x 6.

    Args:
        picture: B x S x S x 3. depth: B x S x S metres, above 0. poses: B. lens: of these pictures.
    """
    size = picture.shape[1]
    at = np.arange(size) + 0.5
    u, v = np.meshgrid((at - lens.x) / lens.focal, (at - lens.y) / lens.focal)
    seen = np.stack([u * depth, v * depth, depth], -1)
    arm = seen - poses.t[:, None, None]
    step = lens.focal / depth
    right, down = (np.gradient(picture, axis=axis) for axis in (2, 1))
    # a point that moves by d shows colours that lay at d before: the picture changes by minus its slope times d
    gx, gy = -right * step[..., None], -down * step[..., None]
    gz = -(gx * u[..., None] + gy * v[..., None])
    x, y, z = (arm[..., None, k] for k in range(3))
    return np.stack([gz * y - gy * z, gx * z - gz * x, gy * x - gx * y, gx, gy, gz], -1)


def normal_matrices(picture: np.ndarray, depth: np.ndarray, weight: np.ndarray, poses: Poses, lens: Lens) -> np.ndarray:
    """The Gauss-Newton matrix of each picture, the sum of weight * J J^T over its pixels and colours: B x 6 x 6.

    J is what `slopes` gives, the plain twin, which this never holds in memory.

    Args:
        picture: B x S x S x 3. depth: B x S x S metres, above 0. weight: B x S x S; pixels of weight 0 are skipped.
        poses: B. lens: of these pictures.

    Raises:
        ValueError: shapes that do not fit.
    """
    B, S = picture.shape[:2]
    if picture.shape != (B, S, S, 3) or depth.shape != (B, S, S) or weight.shape != (B, S, S) or len(poses) != B:
        raise ValueError(f"pictures {picture.shape}, depth {depth.shape}, weight {weight.shape}, {len(poses)} poses")
    out = np.zeros((B, 6, 6))
    single = (np.ascontiguousarray(array, np.float32) for array in (picture, depth, weight))
    centers = np.ascontiguousarray(poses.t, np.float64)
    threads.run(_normal_matrices, threads.split(B, B), *single, centers, lens.focal, lens.x, lens.y, out)
    return out


@compiled()
def _normal_matrices(start, stop, picture, depth, weight, centers, focal, middle_x, middle_y, out):
    S = picture.shape[1]
    J = np.empty(6)
    for b in range(start, stop):
        for i in range(S):
            above, below = max(i - 1, 0), min(i + 1, S - 1)
            v = (i + 0.5 - middle_y) / focal
            for j in range(S):
                w = np.float64(weight[b, i, j])
                if w == 0.0:
                    continue
                left, right = max(j - 1, 0), min(j + 1, S - 1)
                u, z = (j + 0.5 - middle_x) / focal, np.float64(depth[b, i, j])
                step = focal / z
                x, y, far = u * z - centers[b, 0], v * z - centers[b, 1], z - centers[b, 2]
                for c in range(3):
                    gx = -step * (picture[b, i, right, c] - picture[b, i, left, c]) / (right - left)
                    gy = -step * (picture[b, below, j, c] - picture[b, above, j, c]) / (below - above)
                    gz = -(gx * u + gy * v)
                    J[0], J[1], J[2] = gz * y - gy * far, gx * far - gz * x, gy * x - gx * y
                    J[3], J[4], J[5] = gx, gy, gz
                    for k in range(6):
                        for m in range(k + 1):
                            out[b, k, m] += w * J[k] * J[m]
        for k in range(6):
            for m in range(k):
                out[b, m, k] = out[b, k, m]
