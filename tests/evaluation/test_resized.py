"""A Subject at a head's size: what training sees at that size, and nothing else."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.evaluation.resized import ResizedSubject, at_size_of
from audioplane.subject import Subject
from audioplane.training.dataset import FrameCache
from tests.subject_cases import make_case, write_case


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("resized") / "disc"
    write_case(folder, make_case(frames=20, size=75))
    return Subject.open(folder)


def head_of(width: int, height: int) -> Any:
    return SimpleNamespace(width=width, height=height)


@pytest.mark.parametrize("size", [48, 75, 100])
def test_it_is_what_training_sees(subject: Subject, size: int) -> None:
    small, cache = at_size_of(head_of(size, size), subject), FrameCache(subject, size, 64)
    assert (small is subject) == (size == 75)
    assert (small.width, small.height) == (size, size)
    frame = cache[7]
    np.testing.assert_array_equal(small.frame(7), frame.image)
    np.testing.assert_array_equal(small.without_head(7), frame.behind)
    np.testing.assert_array_equal(small.head_mask(7), (frame.masks & 1) > 0)
    np.testing.assert_array_equal(small.motion_mask(7), (frame.masks & 2) > 0)
    np.testing.assert_allclose(small.K, cache.K.numpy(), rtol=1e-6)
    assert small.label(7).shape == (size, size)
    assert small.background.shape == (size, size, 3)


def test_landmarks_lie_on_the_same_skin(subject: Subject) -> None:
    small = ResizedSubject(subject, 25)
    np.testing.assert_allclose(small.landmarks, subject.landmarks / 3, rtol=1e-5)
    mouth = small.landmarks[3, 48:60].mean(0)
    assert small.motion_mask(3)[int(mouth[1]), int(mouth[0])]
    assert set(np.unique(small.label(3))) <= set(range(5))
    assert (small.name, small.num_frames, small.test) == (subject.name, subject.num_frames, subject.test)
    np.testing.assert_array_equal(small.audio, subject.audio)


def test_it_travels_to_other_processes(subject: Subject) -> None:
    small = pickle.loads(pickle.dumps(ResizedSubject(subject, 30)))
    assert (small.width, small.height) == (30, 30)
    np.testing.assert_array_equal(small.frame(2), ResizedSubject(subject, 30).frame(2))


def test_another_shape_is_another_subject(subject: Subject) -> None:
    with pytest.raises(UserError, match=r"48 x 36.*75 x 75.*another shape"):
        at_size_of(head_of(48, 36), subject)
