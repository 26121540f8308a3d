"""Codes of a voice as it arrives are those of the whole voice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio import live
from audioplane.audio.live import LOOK_AHEAD
from audioplane.errors import UserError
from audioplane.inference.live import LiveCodes
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from tests.audio.test_whisper import voice
from tests.tiny_run import tiny
from tests.tiny_subject import TinySubject


def exported(folder: Path, *settings: str) -> TalkingHead:
    trainer = Trainer(tiny("audio_plane", "schedule.coarse=4", "schedule.fine=4", *settings), TinySubject())
    trainer.run()
    TalkingHead.export(trainer, folder / "head.safetensors")
    return TalkingHead.load(folder / "head.safetensors")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TalkingHead]:
    """A head whose voice is looked at in pieces of .4 s, so that tests are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "PIECE", 20)
        yield exported(tmp_path_factory.mktemp("run"), "audio.features=live", "audio.augment=0")


@pytest.mark.parametrize("piece", [640, 1999])
def test_a_stream_gives_the_codes_of_the_whole_voice(head: TalkingHead, piece: int) -> None:
    samples = np.concatenate([voice(1.1), np.zeros(9_000, np.float32), voice(0.7, seed=2)])
    stream = LiveCodes(head)
    parts = [stream.push(samples[at : at + piece]) for at in range(0, len(samples), piece)]
    joined = torch.cat([*parts, stream.end()])
    torch.testing.assert_close(joined, head.encode(samples), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("samples", [1, 100, 640, 700])
def test_the_shortest_voices_have_codes(head: TalkingHead, samples: int) -> None:
    codes = head.encode(voice(1.0)[:samples])
    assert codes.shape == (-(-samples // 640), head.encode(voice(0.1)).shape[1])
    assert codes.isfinite().all()


def test_a_code_comes_out_in_time_and_what_comes_later_changes_it_no_more(head: TalkingHead) -> None:
    samples, stream, given = voice(1.0), LiveCodes(head), []
    for k in range(25):
        given.append(stream.push(samples[640 * k : 640 * (k + 1)]))
        heard = (k + 1) * 0.04
        complete = int((heard - LOOK_AHEAD - 0.02) * 25.0 + 0.5)  # frames whose middle lies before
        assert sum(map(len, given)) >= complete
    other = np.concatenate([samples, 0.3 * voice(1.0, seed=3)])
    codes = torch.cat(given)
    torch.testing.assert_close(codes, head.encode(other)[: len(codes)], atol=2e-3, rtol=1e-3)


def test_lips_rest_in_silence(head: TalkingHead) -> None:
    rest = head.extras["rest"]
    torch.testing.assert_close(head.encode(np.zeros(32_000, np.float32)), rest.expand(50, -1))
    codes = head.encode(np.concatenate([voice(1.5), np.zeros(32_000, np.float32)]))
    assert (codes[:37] - rest).abs().mean() > 0.1
    torch.testing.assert_close(codes[60:], rest.expand(len(codes) - 60, -1))


def test_a_head_of_other_features_says_what_to_train(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"audio\.features=live"):
        LiveCodes(exported(tmp_path, "audio.features=mel"))
