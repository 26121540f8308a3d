"""Poses from pictures: the slopes are those of renders, and moved cameras find back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from audioplane.preprocess import refine
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.pose_errors import compare
from audioplane.preprocess.slopes import normal_matrices, slopes
from audioplane.splat.gaussians import as_parameters, random_gaussians

SIZE = 64
LENS = Lens(2.9 * SIZE, SIZE / 2, SIZE / 2)


def poses(count: int) -> Poses:
    time = np.arange(count)[:, None]
    turn = np.radians(6) * np.sin(0.31 * time * [1.0, 1.4, 0.8] + [0, 1, 2])
    return Poses(
        Rotation.from_rotvec(turn).as_matrix(), [0, 0, 1.1] + 0.01 * np.sin(0.2 * time * [1, 1.3, 0.7] + [1, 0, 2])
    )


class Known(refine.Still):
    """A cloud that is known instead of learnt: a ball painted with soft spots."""

    def __init__(self, stage: refine.Stage) -> None:
        g = torch.Generator().manual_seed(0)
        points = torch.nn.functional.normalize(torch.randn(4000, 3, generator=g), dim=1) * 0.1
        cloud = random_gaussians(points, 0.004, 0, g)
        waves = 45 * torch.randn(3, 3, generator=g)
        cloud.sh[:, 0] = 1.4 * torch.sin(points @ waves + torch.tensor([0.0, 1.0, 2.0]))
        cloud.opacities[:] = 3.0
        self.stage, self.params = stage, as_parameters(cloud)


def scene(count: int) -> tuple[Known, Poses]:
    """The known cloud, photographed at true poses."""
    truth = poses(count)
    empty = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    blank = refine.Stage(empty, empty[..., 0], LENS.K, truth.matrices(), np.ones(count, bool))
    with torch.no_grad():
        out, alpha = Known(blank).render(torch.from_numpy(truth.matrices()).float(), depth=False)
    images = (out.clamp(0, 1).numpy() * 255).round().astype(np.uint8)
    heads = np.where(alpha[..., 0].numpy() > 0.95, 3, 0).astype(np.uint8)
    stage = refine.Stage(images, heads, LENS.K, truth.matrices(), np.ones(count, bool))
    return Known(stage), truth


def test_slopes_are_how_renders_change() -> None:
    still, truth = scene(2)
    with torch.no_grad():
        out, alpha = still.render(torch.from_numpy(truth.matrices()).float(), depth=True)
        J = slopes(out[..., :3].numpy(), out[..., 3].numpy().clip(0.5), truth, LENS)
        inner = alpha[..., 0].numpy() > 0.999
        for k, step in enumerate([0.02] * 3 + [0.002, 0.002, 0.01]):
            ahead, behind = np.zeros((2, 2, 6))
            ahead[:, k], behind[:, k] = step, -step
            pictures = [
                still.render(torch.from_numpy(truth.moved(s).matrices()).float(), depth=False)[0].numpy()
                for s in (ahead, behind)
            ]
            change = (pictures[0] - pictures[1]) / (2 * step)
            alike = np.corrcoef(change[inner].ravel(), J[..., k][inner].ravel())[0, 1]
            assert alike > 0.8, k
            assert np.polyfit(J[..., k][inner].ravel(), change[inner].ravel(), 1)[0] == pytest.approx(1, abs=0.35), k


@pytest.mark.parametrize("size", [2, 5, 24])
def test_normal_matrices_are_those_of_the_slopes(size: int) -> None:
    rng = np.random.default_rng(size)
    lens = Lens(2.9 * size, size / 2 - 0.3, size / 2 + 0.2)
    picture = rng.random((3, size, size, 3)).astype(np.float32)
    depth = rng.uniform(0.8, 1.3, (3, size, size)).astype(np.float32)
    weight = (rng.random((3, size, size)) * (rng.random((3, size, size)) < 0.6)).astype(np.float32)
    J = slopes(picture.astype(np.float64), depth, poses(3), lens)
    plain = np.einsum("bij,bijck,bijcm->bkm", weight.astype(np.float64), J, J)
    np.testing.assert_allclose(normal_matrices(picture, depth, weight, poses(3), lens), plain, rtol=1e-5, atol=1e-9)


def test_normal_matrices_refuse_what_does_not_fit() -> None:
    picture, depth = np.zeros((2, 8, 8, 3), np.float32), np.ones((2, 8, 8), np.float32)
    with pytest.raises(ValueError, match="weight"):
        normal_matrices(picture, depth, depth[:, :4], poses(2), LENS)
    with pytest.raises(ValueError, match="3 poses"):
        normal_matrices(picture, depth, depth, poses(3), LENS)


def test_cameras_that_were_moved_find_back() -> None:
    still, truth = scene(8)
    rng = np.random.default_rng(0)
    away = truth.moved(rng.normal(size=(8, 6)) * [0.008, 0.008, 0.008, 0.001, 0.001, 0.003])
    found, sure = refine.align(still, np.arange(8), away, LENS, steps=6)
    before, after = (
        np.abs(Rotation.from_matrix(p.R @ truth.R.transpose(0, 2, 1)).as_rotvec()).mean() for p in (away, found)
    )
    assert after < 0.25 * before
    assert np.abs(found.t - truth.t)[:, :2].mean() < 0.3 * np.abs(away.t - truth.t)[:, :2].mean()
    assert (np.linalg.eigvalsh(sure) > 0).all()


def test_where_poses_may_not_look_they_do_not() -> None:
    still, truth = scene(4)
    spoiled = still.stage.images.copy()
    spoiled[:, 40:] = 255 - spoiled[:, 40:]  # as a mouth that does what it likes
    heads = still.stage.heads.copy()
    heads[:, 40:] &= 1
    still.stage = refine.Stage(spoiled, heads, LENS.K, truth.matrices(), still.stage.seen)
    found, _ = refine.align(still, np.arange(4), truth, LENS)
    assert compare(found, truth).degrees < 0.15


def test_a_still_cloud_is_learnt_and_steadies_poses(monkeypatch: pytest.MonkeyPatch) -> None:
    still, truth = scene(24)
    monkeypatch.setattr(refine, "FIRST", 150)
    rng = np.random.default_rng(1)
    away = truth.moved(rng.normal(size=(24, 6)) * [0.01, 0.01, 0.01, 0.001, 0.001, 0.003])
    stage = refine.Stage(still.stage.images, still.stage.heads, LENS.K, away.matrices(), np.arange(24) != 5)
    told = []
    found = refine.refine(stage, away, [], 1, 0, told.append)
    assert sum(told) == refine.work(23, 1)
    before, after = compare(away, truth), compare(found, truth)
    assert after.millimetres < 0.6 * before.millimetres
    assert after.jitter[1] < 0.4 * before.jitter[1]
    before_threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(before_threads, 2))  # 1 where it was more, else 2
    again = refine.refine(stage, away, [], 1, 0, told.append)
    torch.set_num_threads(before_threads)
    np.testing.assert_array_equal(found.t, again.t)


def test_an_early_round_looks_at_every_second_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    still, truth = scene(7)
    monkeypatch.setattr(refine, "FIRST", 2)
    monkeypatch.setattr(refine, "AGAIN", 1)
    looked, align = [], refine.align

    def noted(still: refine.Still, frames: np.ndarray, *rest: object) -> object:
        looked.append(frames.tolist())
        return align(still, frames, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(refine, "align", noted)
    told = []
    refine.refine(still.stage, truth, [], 2, 0, told.append)
    assert looked == [[0, 2, 4, 6], list(range(7))]
    assert sum(told) == refine.work(7, 2)
