"""Embedded speakers with found poses: all else is theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audioplane import synthetic
from audioplane.errors import UserError
from audioplane.preprocess import found_poses
from audioplane.preprocess.bundle import Poses
from audioplane.preprocess.pose_errors import compare
from audioplane.subject import Subject


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return synthetic.make("adam", tmp_path_factory.mktemp("adam") / "s", 96, 4, progress=False)


@pytest.fixture(autouse=True)
def no_networks(empty_home: Path) -> None:
    """True landmarks with noise, on any machine."""


def test_only_poses_and_lens_are_found(speaker: Subject) -> None:
    found = found_poses.with_found_poses(speaker, "stabilized")
    assert found.validate() == []
    assert (found.name, found.train, found.test) == (speaker.name, speaker.train, speaker.test)
    for t in (0, 50, 99):
        for own, true in zip(
            (found.frame(t), found.label(t), found.without_head(t)),
            (speaker.frame(t), speaker.label(t), speaker.without_head(t)),
            strict=True,
        ):
            np.testing.assert_array_equal(own, true)
    np.testing.assert_array_equal(found.audio, speaker.audio)
    np.testing.assert_array_equal(found.landmarks, speaker.landmarks)
    np.testing.assert_array_equal(found.blendshapes, speaker.blendshapes)
    assert found.phonemes == speaker.phonemes
    assert found.rest_vertices is None is found.depth(0), "these are in the true head's coordinates"
    assert found.digest != speaker.digest
    assert np.abs(found.viewmats - speaker.viewmats).max() > 1e-3


def test_each_part_of_the_stabilizer_brings_poses_nearer(speaker: Subject) -> None:
    truth = Poses.of(speaker.viewmats)
    errors = {
        way: compare(Poses.of(found_poses.with_found_poses(speaker, way).viewmats), truth)
        for way in ("unstabilized", "unweighted", "stabilized")
    }
    assert errors["stabilized"].degrees < errors["unstabilized"].degrees
    assert errors["stabilized"].jitter[0] < 0.5 * errors["unstabilized"].jitter[0]
    assert errors["stabilized"].turn.tolist() != errors["unweighted"].turn.tolist()


def test_they_are_found_once(speaker: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found_poses.with_found_poses(speaker, "unstabilized")
    monkeypatch.setattr(found_poses, "find_poses", None)
    second = found_poses.with_found_poses(speaker, "unstabilized")
    assert first.path == second.path
    np.testing.assert_array_equal(first.viewmats, second.viewmats)


def test_an_unknown_way_is_refused(speaker: Subject) -> None:
    with pytest.raises(UserError, match="there is no way 'guess' to find poses; there are unstabilized"):
        found_poses.with_found_poses(speaker, "guess")
