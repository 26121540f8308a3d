"""torch.set_default_dtype(torch.float64): what computes in float32 says so, nothing else minds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from audioplane.audio.phonetic import extract
from audioplane.errors import UserError
from audioplane.metrics.syncnet.scorers import Scorer
from audioplane.runtime.tensors import check_default_dtype
from audioplane.splat import rasterization
from audioplane.training.trainer import Trainer
from tests.splat.scenes import draw, scene
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject

ASKED = r"default type is float64.*set_default_dtype\(torch.float32\)"


@pytest.fixture
def in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_in_single_precision_nothing_is_said() -> None:
    check_default_dtype()


@pytest.mark.usefixtures("in_double")
def test_training_and_networks_ask_for_single_precision() -> None:
    voice = np.zeros(16_000, np.float32)
    for door in (lambda: Trainer(TINY, TinySubject()), lambda: extract(voice), Scorer.built_in):
        with pytest.raises(UserError, match=ASKED):
            door()
    assert torch.get_default_dtype() == torch.float64, "it is the caller's to change"


@pytest.mark.usefixtures("in_double")
def test_a_head_asks_for_single_precision() -> None:
    """One that was made before the default changed."""
    torch.set_default_dtype(torch.float32)
    trainer = Trainer(TINY.replace(schedule__coarse=1, schedule__fine=1), TinySubject())
    trainer.run()
    from audioplane.inference.talking_head import TalkingHead

    extras = {"K": torch.eye(3), "viewmats": torch.eye(4)[None], "codes": torch.zeros(1, TINY.audio.code)}
    made = TalkingHead(trainer.method, {"fps": 25.0, "width": 40, "height": 40}, extras, sparse=False)
    torch.set_default_dtype(torch.float64)
    for call in (lambda: made.encode(np.zeros(16_000, np.float32)), lambda: made.deform(torch.zeros(TINY.audio.code))):
        with pytest.raises(UserError, match=ASKED):
            call()


def test_rasterization_is_the_same_under_any_default(request: pytest.FixtureRequest) -> None:
    s = scene(3, 20, (17, 13), 1)
    single = draw(s, s.leaves())[:2]
    leaves = s.leaves()
    request.getfixturevalue("in_double")
    image, alpha, _ = rasterization(**leaves, Ks=s.Ks, width=s.width, height=s.height, packed=False)
    (image.sum() + alpha.sum()).backward()
    assert image.dtype == alpha.dtype == torch.float32
    assert torch.equal(image, single[0])
    assert torch.equal(alpha, single[1])
    assert all(leaf.grad is not None and leaf.grad.dtype == torch.float32 for leaf in leaves.values())
