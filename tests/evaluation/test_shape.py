"""Depth, normals and floaters, against shapes that are known; other cameras of an embedded speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane import synthetic
from audioplane.errors import UserError
from audioplane.evaluation import shape, turned
from audioplane.inference.poses import turned_about, yaw_and_pitch
from audioplane.inference.talking_head import TalkingHead
from audioplane.splat.gaussians import Gaussians
from audioplane.subject import HAIR, Subject
from audioplane.training.trainer import Trainer
from tests.tiny_run import tiny

K = np.array([[200.0, 0, 64], [0, 200.0, 64], [0, 0, 1]])


@pytest.fixture(scope="module")
def adam(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return synthetic.make("adam", tmp_path_factory.mktemp("speakers") / "adam", size=64, seconds=4, progress=False)


@pytest.fixture(scope="module")
def head(adam: Subject, tmp_path_factory: pytest.TempPathFactory) -> TalkingHead:
    """A few steps of a head that starts on the surface."""
    config = tiny("audio_plane", "gaussians.surface=true", "gaussians.initial=400", "gaussians.cap=800")
    trainer = Trainer(config.replace("schedule.early_size=0"), adam)
    trainer.run()
    return TalkingHead.export(trainer, tmp_path_factory.mktemp("run") / "head.safetensors")


def plane(slope: float) -> np.ndarray:
    """Depth of a plane that leans back to the right: z = 1 + slope x."""
    columns = np.arange(128)[None, :] + 0.5
    return np.broadcast_to(1.0 / (1.0 - slope * (columns - 64) / 200), (128, 128)).copy()


@pytest.mark.parametrize("slope", [0.0, 0.3, -0.5])
def test_normals_of_a_plane(slope: float) -> None:
    found = shape.normals(plane(slope), K)[4:-4, 4:-4]
    expected = np.array([slope, 0.0, -1.0]) / np.hypot(slope, 1.0)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-6)


def test_errors_of_depth_and_normals() -> None:
    where = np.zeros((128, 128), bool)
    where[20:100, 20:100] = True
    depth = plane(0.0) + 0.004
    depth[20, 20:30] = np.nan
    errors = shape.depth_errors(depth, plane(0.0), where)
    assert np.isinf(errors).sum() == 10
    np.testing.assert_allclose(errors[np.isfinite(errors)], 4.0, rtol=1e-6)
    angles = shape.normal_errors(plane(0.5), plane(0.0), K, where)
    np.testing.assert_allclose(angles, np.degrees(np.arctan(0.5)), rtol=1e-6)
    found = shape.summary(errors, angles)
    assert found["depth_median_mm"] == pytest.approx(4.0)
    assert found["depth_90_mm"] == pytest.approx(4.0)
    assert np.isnan(shape.summary(np.empty(0), np.empty(0))["depth_median_mm"])


def test_a_wall_of_gaussians_is_as_deep_as_it_stands() -> None:
    at = np.stack(np.meshgrid(np.linspace(-0.2, 0.2, 60), np.linspace(-0.2, 0.2, 60)), -1).reshape(-1, 2)
    count = len(at)
    means = torch.from_numpy(np.column_stack([at, np.full(count, 0.8)])).float()
    wall = Gaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.tensor([[0.006, 0.006, 0.001]]).log().repeat(count, 1),
        torch.full((count,), 4.0),
        torch.zeros(count, 1, 3),
    )
    found = shape.drawn(wall, np.eye(4), torch.from_numpy(K).float(), 128, 128)
    assert np.abs(found.depth[40:88, 40:88] - 0.8).max() < 1e-4
    assert found.alpha[64, 64] > 0.99
    far = shape.drawn(wall, turned_about(np.eye(4), 180.0), torch.from_numpy(K).float(), 128, 128)
    assert np.isnan(far.depth).all()


def test_a_head_on_the_surface_has_no_floaters(head: TalkingHead, adam: Subject) -> None:
    found = shape.of_head(head, adam)
    assert found["off_surface"] < 0.01
    assert found["depth_median_mm"] < 5.0
    cloud = head.cloud
    away = Gaussians(cloud.means * 1.5, cloud.quats, cloud.scales, cloud.opacities, cloud.sh)
    off = shape.off_surface(head, adam, [away])
    assert off is not None
    assert off > 0.6
    assert len(shape.clouds(head, adam, [50, 60])) == 2


def test_the_truth_from_other_cameras(adam: Subject) -> None:
    """The same moment, turned; and what was seen in training is seen less the farther it turns."""
    shares = {}
    train = adam.viewmats[adam.train.start : adam.train.stop]
    high = yaw_and_pitch(train, train)[:, 0].max()
    for view in turned.views(adam, (0.0, 30.0, 60.0), count=1):
        yaw = yaw_and_pitch(view.viewmat[None].astype(np.float32), train)[0, 0]
        seen = turned.was_seen(view, adam)
        assert not (seen & (view.label < HAIR)).any()
        shares.setdefault(view.beyond, []).append(seen.sum() / (view.label >= HAIR).sum())
        if yaw > 0:
            assert yaw - high == pytest.approx(view.beyond, abs=1.5)
    means = [float(np.mean(one)) for one in shares.values()]
    assert means[0] > 0.85
    assert means == sorted(means, reverse=True)


def test_a_frame_is_carried_over_by_the_true_depth(adam: Subject) -> None:
    """From its own camera it is the frame itself; from farther away less of it is shown, and less right."""
    t = adam.test[1]
    depth, label, behind = adam.depth(t), adam.label(t), adam.without_head(t)
    assert depth is not None
    own = turned.View(t, 0.0, adam.viewmats[t], adam.frame(t), behind, label, depth)
    picture, shown = turned.carried(own, adam)
    assert shown.sum() == (label >= HAIR).sum()
    assert np.array_equal(picture[shown], adam.frame(t)[shown])
    assert np.array_equal(picture[~shown], behind[~shown])
    near, far = turned.of_frames(adam, (5.0, 30.0)).values()
    assert near["seen_psnr"] > far["seen_psnr"] + 2.0
    assert 1.0 > near["seen_share"] > far["seen_share"] > 0.5


def test_a_head_is_measured_from_beyond(head: TalkingHead, adam: Subject) -> None:
    found = turned.of_head(head, adam, (10.0,))
    assert list(found) == ["10 degrees"]
    own = found["10 degrees"]
    assert own["seen_psnr"] > 12.0
    assert 0.5 < own["seen_share"] <= 1.0
    assert own["depth_median_mm"] < 6.0


def test_only_embedded_speakers_can_be_filmed_again(adam: Subject) -> None:
    production = turned.production(adam)
    assert production.place is not None
    adam.manifest.provenance["settings"]["seed"] = 5
    try:
        with pytest.raises(UserError, match="another version"):
            turned.production(adam)
    finally:
        adam.manifest.provenance["settings"]["seed"] = 0
    kept = adam.manifest.provenance.pop("settings")
    try:
        with pytest.raises(UserError, match="not an embedded speaker"):
            turned.production(adam)
    finally:
        adam.manifest.provenance["settings"] = kept


def test_a_head_is_written_for_other_viewers(head: TalkingHead, tmp_path: Path) -> None:
    from audioplane.splat.gaussians import splat
    from audioplane.splat.ply import load_ply, upright

    read = load_ply(head.save_ply(tmp_path / "head.ply"))
    rest = head.deform(head.extras.get("rest", head.extras["codes"].mean(0)))
    view = head.viewmats[0]
    flipped = view @ torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    ours, theirs = (splat(c, v, head.K, 64, 64).rgb for c, v in ((rest, view), (read, flipped)))
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)
    again = upright(upright(rest))
    torch.testing.assert_close(again.means, rest.means)
    torch.testing.assert_close(again.sh, rest.sh)
    assert ((rest.normals() * rest.means).sum(1) >= 0).all()
