"""What a head is given by hand: each kind that its neighbours take, or a sentence that says what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from audioplane.errors import UserError
from audioplane.inference import arguments, compositing
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from audioplane.widgets import GaussianViewer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject

VOICE = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)
KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": lambda array: array.tolist(),
    "float64": lambda array: array.astype(np.float64),
    "tensor": torch.from_numpy,
    "tensor with a gradient": lambda array: torch.from_numpy(array.copy()).requires_grad_(),
    "not contiguous": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "read-only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> TalkingHead:
    trainer = Trainer(TINY, TinySubject())
    trainer.run()
    return TalkingHead.export(trainer, tmp_path_factory.mktemp("run") / "head.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_voices_and_views_of_every_kind_are_the_same(head: TalkingHead, kind: str) -> None:
    as_kind, code = KINDS[kind], head.extras["codes"][0]
    assert torch.equal(head.encode(as_kind(VOICE)), head.encode(VOICE))
    view = np.asarray(head.viewmats[0])
    whole = head.render(code, view)
    assert np.array_equal(head.render(as_kind(code.numpy()), as_kind(view)), whole)
    assert GaussianViewer(head, as_kind(VOICE)).talk_facts["frames"] == 13


@pytest.mark.parametrize("kind", ["list", "tensor"])
def test_speak_takes_what_encode_takes(head: TalkingHead, kind: str, tmp_path) -> None:
    films = [head.speak(voice, tmp_path / f"{k}.mp4", "still") for k, voice in enumerate((VOICE, KINDS[kind](VOICE)))]
    assert films[0].read_bytes() == films[1].read_bytes()


WRONG: dict[str, tuple[Callable[[TalkingHead], Any], str]] = {
    "samples in the range of 16 bits": (lambda h: h.encode(VOICE * 32767), "divide"),
    "a tensor in the range of 16 bits": (lambda h: h.encode(torch.from_numpy(VOICE * 32767)), "divide"),
    "integers": (lambda h: h.encode(np.zeros(800, np.int16)), "int16"),
    "rows of different length": (lambda h: h.encode([[0.0], [0.0, 1.0]]), "audio"),
    "words": (lambda h: h.encode(["hello"]), "audio"),
    "nothing": (lambda h: h.encode(None), "audio"),
    "a sample of 16 bits": (lambda h: h.encode(VOICE, sample=VOICE * 32767), "sample"),
    "a batch of views": (lambda h: h.render(h.extras["codes"][0], np.eye(4)[None]), r"viewmat: .*\(1, 4, 4\)"),
    "a view of NaN": (lambda h: h.render(h.extras["codes"][0], np.full((4, 4), np.nan)), "viewmat: .*NaN"),
    "all codes": (lambda h: h.render(h.extras["codes"], np.eye(4)), "audio_code: "),
    "a negative size": (lambda h: h.render(h.extras["codes"][0], np.eye(4), size=-64), "size: .*-64"),
    "half a pixel": (lambda h: h.render(h.extras["codes"][0], np.eye(4), size=64.5), "size: .*64.5"),
    "a giant size": (lambda h: next(h.frames(VOICE, size=10**6)), "size: "),
    "a background in [0, 1]": (
        lambda h: h.render(h.extras["codes"][0], h.viewmats[0], np.ones((64, 64, 3))),
        "behind: expected uint8 .*float64.*255",
    ),
    "a background of another size": (
        lambda h: h.render(h.extras["codes"][0], h.viewmats[0], np.zeros((32, 64, 3), np.uint8)),
        r"behind: .*\(32, 64, 3\)",
    ),
    "poses of another length": (lambda h: next(h.frames(VOICE, np.eye(4)[None])), r"poses.*\(1, 4, 4\)"),
    "a viewer of integers": (lambda h: GaussianViewer(h, np.zeros(800, np.int16)), "int16"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_a_sentence(head: TalkingHead, case: str) -> None:
    call, said = WRONG[case]
    with pytest.raises(UserError, match=said):
        call(head)


def test_compositing_takes_bytes() -> None:
    with pytest.raises(ValueError, match="behind: expected uint8"):
        compositing.composite(np.zeros((2, 2, 3), "f4"), np.zeros((2, 2, 1), "f4"), np.ones((2, 2, 3), "f4"))


def test_a_head_is_the_same_inside_of_an_autocast(head: TalkingHead) -> None:
    code, view = head.encode(VOICE)[0], head.viewmats[0]
    picture = head.render(code, view)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head.encode(VOICE)[0], code)
        assert np.array_equal(head.render(code, view), picture)
        assert np.array_equal(
            next(head.frames(VOICE, "still", mark=False)), next(head.frames(VOICE, "still", mark=False))
        )


def test_two_heads_side_by_side_leave_the_threads_alone(head: TalkingHead) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for one, other in zip(head.frames(VOICE, "still"), head.frames(VOICE, "still"), strict=True):
            assert np.array_equal(one, other)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("value", [0, 1, np.int64(64), torch.tensor(64), True])
def test_sizes_that_are_whole(value: Any) -> None:
    assert arguments.size(value) == int(value)
