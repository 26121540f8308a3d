"""What is fitted before training has seen and heard nothing of the frames that are held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject


def with_other_end() -> TinySubject:
    """A subject whose held-out frames are louder, and whose lips go elsewhere in them."""
    subject = TinySubject()
    first = round(subject.test.start * 16_000 / subject.fps)
    subject.audio[first:] = 0.9 * np.sign(np.sin(np.arange(len(subject.audio) - first) / 3.0))
    subject.landmarks[subject.test.start :, 48:] += [9.0, -7.0]
    subject.viewmats[subject.test.start :, 0, 3] += 0.1
    return subject


@pytest.mark.parametrize("kind", ["mel", "phonetic", "whisper-phonetic", "live"])
def test_held_out_frames_leave_no_trace_in_what_is_fitted(kind: str) -> None:
    config = TINY.replace(audio__features=kind)
    one, other = Trainer(config, TinySubject()), Trainer(config, with_other_end())
    for a, b in zip(*(run.conditions.features.statistics for run in (one, other)), strict=True):
        np.testing.assert_array_equal(a, b)
    train = slice(one.subject.train.start, one.subject.train.stop)
    assert torch.equal(one.conditions.windows[train], other.conditions.windows[train])
    assert not torch.equal(one.conditions.windows[train.stop :], other.conditions.windows[train.stop :])
    for name, tensor in one.method.encoder.state_dict().items():
        assert torch.equal(tensor, other.method.encoder.state_dict()[name]), name
