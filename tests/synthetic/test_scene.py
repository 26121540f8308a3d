"""Whole frames of a toy person (a ball for a head on a slab): truths that must agree with each other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audioplane.synthetic.backgrounds import background
from audioplane.synthetic.materials import Material
from audioplane.synthetic.preview import preview_mesh
from audioplane.synthetic.scene import Pose, Scene

SIZE, FOCAL, DISTANCE = 64, 150.0, 1.0
INTRINSICS = np.array([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]])


def ball(rows, columns, radius, centre):
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij")
    unit = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    b = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    faces = np.concatenate([np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)])
    return radius * unit + centre, faces


def toy() -> SimpleNamespace:
    """Head (skin; its top is hair, a patch is lips), two eyes, and a wide flat ball for shoulders."""
    head, head_faces = ball(40, 60, 0.10, [0, 0, 0])
    eyes = [ball(14, 20, 0.016, [x, -0.02, -0.09]) for x in (-0.035, 0.035)]
    torso, torso_faces = ball(30, 40, 1.0, [0, 0, 0])
    torso = torso * [0.2, 0.09, 0.09] + [0, 0.19, 0.02]
    parts = [(head, head_faces, 0), *[(p, f, 0) for p, f in eyes], (torso, torso_faces, 1)]
    points, faces, materials, labels, weight, flow = [], [], [], [], [], []
    for n, (p, f, on_torso) in enumerate(parts):
        middle = p[f].mean(1)
        material, label = np.full(len(f), Material.SKIN), np.full(len(f), 3)
        if n == 0:
            lips = (abs(middle[:, 0]) < 0.03) & (abs(middle[:, 1] - 0.045) < 0.012) & (middle[:, 2] < 0)
            top = middle[:, 1] < -0.06
            material[lips], label[lips], material[top], label[top] = Material.LIPS, 4, Material.HAIR, 2
        elif on_torso:
            material[:], label[:] = Material.CLOTH, 1
        else:
            material[:] = Material.EYE
        faces.append(f + sum(len(q) for q in points))
        points.append(p)
        materials.append(material)
        labels.append(label)
        weight.append(np.full(len(p), float(on_torso)))
        flow.append(np.tile([0, 0, -1.0] if n in (1, 2) else [0, 1.0, 0], (len(p), 1)))
    rest = np.concatenate(points)
    return SimpleNamespace(
        rest=rest,
        faces=np.concatenate(faces),
        materials=np.concatenate(materials),
        labels=np.concatenate(labels),
        uv=rest[:, :2] * [900.0, 5.0],
        albedo=np.full(rest.shape, (0.5, 0.3, 0.2)),
        occlusion=np.ones(len(rest)),
        roughness=np.full(len(rest), 0.45),
        flow=np.concatenate(flow),
        coverage=np.ones(len(rest)),
        torso_weight=np.concatenate(weight),
    )


TOY = toy()
SCENE = Scene(TOY, INTRINSICS, background("shelf", SIZE, SIZE))


def pose(angle=0.0, shift=(0.0, 0.0, 0.0)) -> Pose:
    head, torso = np.eye(4), np.eye(4)
    head[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    head[:3, 3] = np.array([0, 0, DISTANCE]) + shift
    torso[:3, 3] = [0, 0, DISTANCE]
    return Pose(TOY.rest, head, torso)


FRAME = SCENE.render(pose())


def test_shapes_types_and_labels():
    assert FRAME.rgb.shape == FRAME.without_head.shape == (SIZE, SIZE, 3)
    assert FRAME.rgb.dtype == np.uint8
    assert FRAME.label.shape == FRAME.depth.shape == FRAME.head_alpha.shape == (SIZE, SIZE)
    assert FRAME.depth.dtype == np.float32
    assert FRAME.label.dtype == np.uint8
    assert set(np.unique(FRAME.label)) == {0, 1, 2, 3, 4}


def test_truths_agree():
    np.testing.assert_array_equal(FRAME.label > 0, FRAME.depth > 0)
    head = np.isin(FRAME.label, (2, 3, 4))
    assert (FRAME.head_alpha[head] > 0).all()
    untouched = FRAME.head_alpha == 0
    np.testing.assert_array_equal(FRAME.rgb[untouched], FRAME.without_head[untouched])
    nothing = (FRAME.label == 0) & untouched
    # a background pixel is the background's, unless a few of its samples saw the torso
    assert (FRAME.rgb[nothing] == SCENE.background[nothing]).all(-1).mean() > 0.95
    assert (FRAME.rgb[0] == SCENE.background[0]).all()


def test_without_head_is_what_a_headless_scene_shows():
    headless = SimpleNamespace(**vars(TOY))
    keep = TOY.labels == 1
    headless.faces, headless.materials, headless.labels = (
        TOY.faces[keep],
        TOY.materials[keep],
        TOY.labels[keep],
    )
    bare = Scene(headless, INTRINSICS, SCENE.background).render(pose())
    hidden = np.isin(FRAME.label, (2, 3, 4)) & (bare.label == 0) & (FRAME.head_alpha == 255)
    assert hidden.sum() > 200
    assert (FRAME.without_head[hidden] == bare.rgb[hidden]).all(-1).mean() > 0.9
    # where the torso shows they differ by the head's shadow alone
    torso = (bare.label == 1) & (FRAME.label == 1)
    assert FRAME.without_head[torso].mean() <= bare.rgb[torso].mean() + 0.5


def test_depth_is_the_balls():
    i, j = np.nonzero((FRAME.label == 3) & (np.arange(SIZE)[:, None] > SIZE / 2 + 1))  # below the eyes
    rays = np.column_stack([(j + 0.5 - SIZE / 2) / FOCAL, (i + 0.5 - SIZE / 2) / FOCAL, np.ones(len(i))])
    square = (rays**2).sum(1)
    disc = 1.0 - square * (1.0 - 0.10**2)
    depth = (1.0 - np.sqrt(np.maximum(disc, 0))) / square
    inner = disc > 0.003  # away from the silhouette
    assert inner.sum() > 100
    np.testing.assert_allclose(FRAME.depth[i, j][inner], depth[inner], atol=1.5e-3)


def test_any_number_of_threads_gives_the_same_bytes():
    poses = [pose(0.1 * k, (0.01 * k, 0, 0)) for k in range(5)]
    before = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(list(SCENE.render_many(poses)))
    finally:
        torch.set_num_threads(before)
    assert len(results[0]) == 5
    for one, two in zip(*results, strict=True):
        for name in ("rgb", "without_head", "label", "depth", "head_alpha"):
            assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert results[0][0].rgb.tobytes() == FRAME.rgb.tobytes()
    assert results[0][1].rgb.tobytes() != FRAME.rgb.tobytes()


def test_only_the_head_moves_with_the_head():
    moved = SCENE.render(pose(shift=(0.03, 0.0, 0.0)))
    where = np.nonzero(np.isin(FRAME.label, (2, 3, 4)))[1].mean()
    there = np.nonzero(np.isin(moved.label, (2, 3, 4)))[1].mean()
    assert there - where == pytest.approx(0.03 * FOCAL / DISTANCE, abs=0.8)
    both = (moved.label == 1) & (FRAME.label == 1)
    np.testing.assert_allclose(moved.depth[both], FRAME.depth[both], atol=1e-3)


def test_the_head_shades_the_torso():
    scene = Scene(TOY, INTRINSICS, SCENE.background)
    scene._casters = scene._torso
    unshaded = scene.render(pose())
    torso = (FRAME.label == 1) & (unshaded.label == 1)
    assert FRAME.rgb[torso].astype(int).sum() < unshaded.rgb[torso].astype(int).sum() - 3000


def test_supersampling_three_is_close_to_two():
    finer = Scene(TOY, INTRINSICS, SCENE.background, supersample=3).render(pose())
    assert np.abs(finer.rgb.astype(int) - FRAME.rgb).mean() < 3
    assert (finer.label == FRAME.label).mean() > 0.97


def test_hair_without_coverage_is_not_there():
    bald = SimpleNamespace(**vars(TOY))
    bald.coverage = np.zeros(len(TOY.rest))
    assert not (Scene(bald, INTRINSICS, SCENE.background).render(pose()).label == 2).any()


def test_a_preview_shows_the_mesh():
    picture = preview_mesh((TOY.rest, TOY.faces), 48, yaw=20)
    assert picture.shape == (48, 48, 3)
    assert picture.std() > 20
