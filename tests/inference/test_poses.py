import numpy as np

from audioplane.inference import poses


def filmed(count: int = 60) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    generator = np.random.default_rng(0)
    out = np.tile(np.eye(4), (count, 1, 1))
    out[:, :3, :3] = Rotation.from_rotvec(generator.normal(0, 0.05, (count, 3))).as_matrix()
    out[:, :3, 3] = np.array([0, 0, 1]) + generator.normal(0, 0.01, (count, 3))
    return out.astype(np.float32)


def test_forth_and_back_never_jumps() -> None:
    at = poses.back_and_forth(50, 7)
    assert set(at) == set(range(7))
    assert set(np.abs(np.diff(at))) == {1}
    assert poses.back_and_forth(4, 1).tolist() == [0, 0, 0, 0]


def test_typical_pose_is_in_the_middle() -> None:
    seen = filmed()
    seen[3] = np.eye(4)
    seen[3, 2, 3] = 1.0
    chosen = seen[poses.typical(seen)]
    assert np.linalg.norm(chosen - seen[3]) < 0.1


def test_natural_poses_are_smooth_seeded_and_stay_near() -> None:
    seen = filmed()
    made = poses.natural_poses(seen, 500, 25.0, 1)
    np.testing.assert_array_equal(made, poses.natural_poses(seen, 500, 25.0, 1))
    assert not np.array_equal(made, poses.natural_poses(seen, 500, 25.0, 2))
    turns = made[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (500, 1, 1)), atol=1e-5)
    spread = seen[:, :3].std(axis=0) + 1e-6
    assert (np.abs(made[:, :3] - seen[:, :3].mean(axis=0)) / spread).max() < 5
    assert np.abs(np.diff(made[:, :3, 3], axis=0)).max() < 0.1 * made[:, :3, 3].std()


def test_a_pose_is_turned_by_what_it_is_asked() -> None:
    seen = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
    seen[:, 2, 3] = 1.0
    for wanted in ((20.0, 0.0), (-35.0, 0.0), (0.0, 10.0)):
        found = poses.turned_about(seen[0], *wanted)
        np.testing.assert_allclose(poses.yaw_and_pitch(found[None], seen)[0], wanted, atol=1e-4)
        np.testing.assert_allclose(found[:3, 3], seen[0, :3, 3])


def test_natural_poses_of_a_head_that_can_turn_reach_as_far_as_people_turn() -> None:
    seen = np.tile(np.eye(4, dtype=np.float32), (40, 1, 1))
    seen[:, 2, 3] = 1.0
    seen = np.stack([poses.turned_about(view, yaw) for view, yaw in zip(seen, np.linspace(-2, 3, 40), strict=True)])
    np.testing.assert_allclose(poses.filmed_range(seen)[0], [-2.5, 2.5], atol=0.9)
    shy, _ = poses.named("natural", 2000, 25.0, 0, seen, seen)
    free, _ = poses.named("natural", 2000, 25.0, 0, seen, seen, can_turn=True)
    shy, free = (np.abs(poses.yaw_and_pitch(views, seen)[:, 0]).max() for views in (shy, free))
    assert shy < 4.0
    assert 9.0 < free < 13.0
