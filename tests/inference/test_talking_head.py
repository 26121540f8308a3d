from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio.codes import match_training_statistics
from audioplane.errors import UserError
from audioplane.inference.export import rest_code
from audioplane.inference.talking_head import TalkingHead
from audioplane.splat.ply import load_ply, save_ply
from audioplane.training import checkpoint
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    trainer = Trainer(TINY.replace(schedule__coarse=60, schedule__fine=60), TinySubject())
    trainer.run()
    path = tmp_path_factory.mktemp("run") / "head.safetensors"
    TalkingHead.export(trainer, path)
    return trainer, path


def voice(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(int(seconds * 16_000))).astype(np.float32)


def test_a_faint_voice_moves_lips_as_far_as_the_training_voice() -> None:
    known = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))
    known = (known - known.mean(0)) / known.std(0)
    torch.testing.assert_close(match_training_statistics(known), known, atol=1e-3, rtol=1e-3)
    heard = match_training_statistics(0.6 * known + 0.4)
    torch.testing.assert_close(heard.std(0), torch.ones(6), atol=0.08, rtol=0)
    assert heard.mean(0).abs().max() < 0.1
    for count in (1, 5, 2000):  # short or dull: hardly touched, never blown up
        dull = match_training_statistics(0.01 * known[:count])
        assert dull.isfinite().all()
        assert dull.std(0, unbiased=False).max() <= 2 * (0.01 * known[:count]).std(0, unbiased=False).max() + 1e-6


def test_silence_is_no_part_of_a_voice() -> None:
    """A voice with a long silence gets the same codes in its speech as without it."""
    voiced = torch.randn(300, 6, generator=torch.Generator().manual_seed(0)) + 0.5
    silent = torch.full((900, 6), -2.0)
    speech = np.arange(1200) < 300
    found = match_training_statistics(torch.cat([voiced, silent]), speech)
    torch.testing.assert_close(found[:300], match_training_statistics(voiced))
    assert (found[300:] < -1.5).all(), "and stays what it is, not the middle of all codes"
    assert torch.equal(match_training_statistics(silent, np.zeros(900, bool)), silent)


def test_silence_gives_closed_lips(trained: tuple[Trainer, Path]) -> None:
    head = TalkingHead.load(trained[1])
    rest = head.extras["rest"]
    codes = head.encode(np.zeros(48_000, np.float32))
    torch.testing.assert_close(codes, rest.expand(75, -1))
    spoken = np.concatenate([voice(2.0), np.zeros(64_000, np.float32)])
    within = head.encode(spoken)
    torch.testing.assert_close(within[75:], rest.expand(75, -1))
    assert (within[:50] - rest).abs().mean() > 0.1
    steps = (within[1:] - within[:-1]).abs().amax(dim=1)
    assert steps[50:].max() < 1.5 * steps[:50].max(), "lips close, they do not snap shut"


def test_the_code_of_closed_lips_is_that_of_frames_with_closed_lips() -> None:
    landmarks = np.random.default_rng(0).uniform(0, 1, (200, 68, 2)).astype(np.float32)
    landmarks[:] = landmarks[:1]
    landmarks[:, [61, 62, 63], 1] -= np.linspace(0.0, 0.2, 200)[:, None]
    landmarks[:, [67, 66, 65]] = landmarks[:1, [61, 62, 63]]
    codes = torch.arange(200.0)[:, None].repeat(1, 4)
    rest = rest_code(codes, landmarks)
    assert rest is not None
    assert rest.max() < 20
    assert rest_code(codes, np.full_like(landmarks, np.nan)) is None


def test_a_sample_tells_what_a_word_alone_does_not(trained: tuple[Trainer, Path]) -> None:
    """A word is heard as it is within its sentence when the rest of that comes as a sample."""
    head, whole = TalkingHead.load(trained[1]), voice(3.0)
    word, rest = whole[-16_000:], whole[:-16_000]
    truth, told, alone = head.encode(whole)[-25:], head.encode(word, sample=rest), head.encode(word)
    assert told.shape == alone.shape == (25, truth.shape[1])
    torch.testing.assert_close(told, truth)
    assert (alone - truth).abs().max() > 0.05
    assert len(head.encode(word, sample=rest[:16_123])) == 25
    with pytest.raises(UserError, match="sample"):
        head.encode(word, sample=np.zeros(0, np.float32))


def test_sparse_evaluation_is_close(trained: tuple[Trainer, Path]) -> None:
    trainer, path = trained
    full, sparse = TalkingHead.load(path, sparse=False), TalkingHead.load(path)
    assert sparse.moving <= len(full.cloud) == full.moving
    codes = full.encode(trainer.subject.audio)
    errors = []
    for t in range(0, 90, 9):
        a, b = (head.render(codes[t], full.viewmats[0]).astype(float) for head in (full, sparse))
        errors.append(np.square(a - b).mean())
    assert 10 * np.log10(255**2 / max(np.mean(errors), 1e-9)) > 45


@pytest.mark.parametrize("poses", ["test", "still", "natural"])
def test_one_frame_for_every_twenty_fifth_second(poses: str, trained: tuple[Trainer, Path]) -> None:
    head = TalkingHead.load(trained[1])
    frames = list(head.frames(voice(1.01), poses=poses))
    assert len(frames) == 26
    assert all(frame.shape == (40, 40, 3) and frame.dtype == np.uint8 for frame in frames)


def test_frames_do_not_depend_on_threads(trained: tuple[Trainer, Path]) -> None:
    head, results, before = TalkingHead.load(trained[1]), [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(np.stack(list(head.frames(voice(0.5)))))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_sizes_and_marks(trained: tuple[Trainer, Path]) -> None:
    head = TalkingHead.load(trained[1])
    marked, plain = (next(iter(head.frames(voice(0.1), size=120, mark=mark))) for mark in (True, False))
    assert marked.shape == (120, 120, 3)
    changed = (marked != plain).any(axis=2)
    assert changed.any()
    assert not changed[:80].any()
    assert not changed[:, :40].any()


def test_a_film_is_as_long_as_its_voice(trained: tuple[Trainer, Path], tmp_path: Path) -> None:
    import av

    head = TalkingHead.load(trained[1])
    for seconds in (0.01, 1.0, 2.33):
        out = head.speak(voice(seconds), tmp_path / "talk.mp4", poses="natural", size=64)
        with av.open(str(out)) as film:
            assert {stream.codec_context.name for stream in film.streams} >= {"h264", "aac"}
            assert "ynthetic" in film.metadata["comment"]
            frames = sum(1 for _ in film.decode(video=0))
        assert abs(frames / 25.0 - seconds) <= 1 / 25
    assert [path.name for path in tmp_path.iterdir()] == ["talk.mp4"]


def test_bad_input_is_refused_in_words(trained: tuple[Trainer, Path], tmp_path: Path) -> None:
    head = TalkingHead.load(trained[1])
    with pytest.raises(UserError, match="empty"):
        head.speak(np.zeros(0, np.float32), tmp_path / "x.mp4")
    with pytest.raises(UserError, match="still, natural"):
        next(iter(head.frames(voice(0.1), poses="wild")))
    with pytest.raises(UserError, match="one camera a frame"):
        next(iter(head.frames(voice(0.1), poses=np.eye(4)[None])))
    with pytest.raises(UserError, match="no file"):
        TalkingHead.load(tmp_path / "none")
    (tmp_path / "x.safetensors").write_bytes(trained[1].read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        TalkingHead.load(tmp_path / "x.safetensors")
    checkpoint.save(tmp_path / "other.safetensors", {}, {"kind": "state"})
    with pytest.raises(UserError, match="not a talking head"):
        TalkingHead.load(tmp_path / "other.safetensors")
    tensors, about = checkpoint.load(trained[1])
    renamed = {name.replace("model/encoder.", "model/listener."): tensor for name, tensor in tensors.items()}
    for missing in (renamed, {name: tensor for name, tensor in tensors.items() if not name.startswith("rows/")}):
        checkpoint.save(tmp_path / "old.safetensors", missing, about)
        with pytest.raises(UserError, match="does not fit this version of audioplane"):
            TalkingHead.load(tmp_path / "old.safetensors")
    assert not (tmp_path / "x.mp4").exists()


def test_any_moment_can_leave_as_ply(trained: tuple[Trainer, Path], tmp_path: Path) -> None:
    head = TalkingHead.load(trained[1])
    moment = head.deform(head.encode(voice(0.2))[0])
    save_ply(moment, tmp_path / "moment.ply")
    torch.testing.assert_close(load_ply(tmp_path / "moment.ply").pack(), moment.pack())
