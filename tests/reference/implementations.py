"""Measures once more, written from their papers and the authors' code, slowly and without ours.

Pictures are (H, W, 3) or (H, W) float64 in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.signal import convolve2d


def matlab_convolve(x: NDArray, kernel: NDArray) -> NDArray:
    """MATLAB's conv2(x, kernel, 'same'): of an even kernel the part that scipy leaves out, zeros beyond the border."""
    return np.rot90(convolve2d(np.rot90(x, 2), np.rot90(kernel, 2), mode="same"), 2)


def ms_ssim(a: NDArray, b: NDArray) -> float:
    """Wang, Simoncelli and Bovik (2003), ssim_mscale_new.m: whole windows, imfilter(..., 'symmetric')(1:2:end)."""
    at = np.arange(11) - 5
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    window /= window.sum()
    value = 1.0
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for level, weight in enumerate(weights):
        ma, mb, aa, bb, ab = (convolve2d(x, window, "valid") for x in (a, b, a * a, b * b, a * b))
        term = (2 * (ab - ma * mb) + 0.0009) / (aa - ma**2 + bb - mb**2 + 0.0009)
        if level == len(weights) - 1:
            term = term * (2 * ma * mb + 0.0001) / (ma**2 + mb**2 + 0.0001)
        value *= max(term.mean(), 0.0) ** weight
        a, b = (convolve2d(np.pad(x, ((0, 1), (0, 1)), "symmetric"), np.ones((2, 2)) / 4, "valid") for x in (a, b))
        a, b = a[::2, ::2], b[::2, ::2]
    return float(value)


def gmsd(a: NDArray, b: NDArray) -> float:
    """Xue, Zhang, Mou and Bovik (2014), GMSD.m, of luminance (H, W)."""
    a, b = (matlab_convolve(255 * x, np.ones((2, 2)) / 4)[::2, ::2] for x in (a, b))
    across = np.array([[1, 0, -1]] * 3) / 3
    ga, gb = (np.hypot(matlab_convolve(x, across), matlab_convolve(x, across.T)) for x in (a, b))
    return float(((2 * ga * gb + 170) / (ga**2 + gb**2 + 170)).std())


def haarpsi(a: NDArray, b: NDArray) -> float:
    """Reisenhofer, Bosse, Kutyniok and Wiegand (2018), haar_psi_numpy, of colours (H, W, 3)."""
    yiq = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    box = np.ones((2, 2)) / 4
    planes = [[matlab_convolve(255 * (x @ row), box)[::2, ::2] for row in yiq] for x in (a, b)]

    def alike(x: NDArray, y: NDArray) -> NDArray:
        return (2 * x * y + 30.0) / (x**2 + y**2 + 30.0)

    def wavelets(y: NDArray, turned: bool) -> list[NDArray]:
        found = []
        for size in (2, 4, 8):
            kernel = np.ones((size, size)) / size
            kernel[: size // 2] *= -1
            found.append(np.abs(matlab_convolve(y, kernel.T if turned else kernel)))
        return found

    similarities, weights = [], []
    for turned in (False, True):
        one, two = (wavelets(own[0], turned) for own in planes)
        weights.append(np.maximum(one[2], two[2]))
        similarities.append((alike(one[0], two[0]) + alike(one[1], two[1])) / 2)
    chroma = [[np.abs(matlab_convolve(x, box)) for x in own[1:]] for own in planes]
    similarities.append((alike(chroma[0][0], chroma[1][0]) + alike(chroma[0][1], chroma[1][1])) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    pressed = [1 / (1 + np.exp(-4.2 * x)) for x in similarities]
    share = sum((p * w).sum() for p, w in zip(pressed, weights, strict=True)) / sum(w.sum() for w in weights)
    return float((np.log(share / (1 - share)) / 4.2) ** 2)


def luminance(picture: NDArray) -> NDArray:
    return picture @ [0.299, 0.587, 0.114]


def frechet(a: NDArray, b: NDArray) -> float:
    """pytorch-fid's calculate_frechet_distance: means, covariances, and the root of their product."""
    between = a.mean(0) - b.mean(0)
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.asarray(sqrtm(one @ two)).real
    return float(between @ between + np.trace(one) + np.trace(two) - 2 * np.trace(root))


def frechet_of_few(a: NDArray, b: NDArray) -> float:
    """The same by eigenvalues of the symmetric form, for covariances without full rank."""
    between = a.mean(0) - b.mean(0)
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(one)
    half = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(half @ two @ half), 0)).sum()
    return float(between @ between + np.trace(one) + np.trace(two) - 2 * shared)


def sync_curve(sights: NDArray, sounds: NDArray, most: int = 15) -> NDArray:
    """syncnet_python's calc_pdist and the mean over the clip, by torch's pairwise distance."""
    import torch

    padded = torch.nn.functional.pad(torch.from_numpy(sounds).double(), (0, 0, most, most))
    each = [
        torch.nn.functional.pairwise_distance(
            torch.from_numpy(sights[i : i + 1]).double().expand(2 * most + 1, -1), padded[i : i + 2 * most + 1]
        )
        for i in range(len(sights))
    ]
    return torch.stack(each).mean(0).numpy()


def inside_hull(corners: NDArray, height: int, width: int) -> NDArray[np.bool_]:
    """Pixels whose centre lies on the inner side of every edge of the convex hull of some points."""
    from scipy.spatial import ConvexHull

    equations = ConvexHull(corners).equations  # normals point outward
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return (equations[:, :2] @ np.stack([x.ravel(), y.ravel()]) + equations[:, 2:] <= 0).all(0).reshape(height, width)
