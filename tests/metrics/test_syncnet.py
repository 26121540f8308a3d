"""SyncNet's protocol against python_speech_features, torch and closed forms; crops, files and controls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane.errors import UserError
from audioplane.metrics.sync import roc_auc, score, shift_distances
from audioplane.metrics.syncnet import crops
from audioplane.metrics.syncnet.mfcc import mfcc
from audioplane.metrics.syncnet.network import COMPACT, FULL, SyncNet, load_published
from audioplane.metrics.syncnet.scorers import Scorer, load_built_in, save_built_in
from audioplane.runtime import weights


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(16_000 * seconds))).astype(np.float32)


@pytest.mark.parametrize("samples", [100, 399, 400, 401, 560, 561, 16_000, 12_345])
def test_mfcc_is_that_of_python_speech_features(samples):
    theirs = pytest.importorskip("python_speech_features", reason="the reference is not installed")
    audio = voice(samples / 16_000)[:samples]
    steps = np.clip(np.round(audio.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    np.testing.assert_allclose(mfcc(audio), theirs.mfcc(steps, 16_000), atol=1e-9)


def test_mfcc_of_silence_and_of_nonsense():
    silent = mfcc(np.zeros(1600))
    assert silent[:, 0] == pytest.approx(np.log(np.finfo(float).eps))
    assert np.isfinite(silent).all()
    for bad in (np.zeros(0), np.zeros((5, 2)), np.zeros(5, np.int16)):
        with pytest.raises(ValueError, match="audio"):
            mfcc(bad)


def test_distances_and_score_are_syncnets():
    """What `syncnet_python` does, in its own words: pad, pairwise_distance, mean, min, median."""
    generator = torch.Generator().manual_seed(0)
    visual, sounds = torch.randn(60, 8, generator=generator), torch.randn(60, 8, generator=generator)
    sounds = 0.5 * sounds + torch.roll(visual, -4, 0)  # the sound comes 4 frames before its picture
    padded = torch.nn.functional.pad(sounds, (0, 0, 15, 15))
    rows = [torch.nn.functional.pairwise_distance(visual[[i]].repeat(31, 1), padded[i : i + 31]) for i in range(60)]
    mean = torch.stack(rows, 1).mean(1)
    least, index = mean.min(0)
    found = score(shift_distances(visual.numpy(), sounds.numpy()))
    assert found.distance == pytest.approx(least.item(), abs=1e-5)
    assert found.confidence == pytest.approx((mean.median() - least).item(), abs=1e-5)
    assert found.offset == 15 - index.item() == 4
    assert found.at_zero == pytest.approx(mean[15].item(), abs=1e-5)
    np.testing.assert_allclose(found.curve, mean.numpy(), atol=1e-5)


def test_a_constant_lag_is_free_but_not_at_zero():
    codes = np.random.default_rng(0).standard_normal((200, 16))
    scores = {lag: score(shift_distances(np.roll(codes, lag, 0), codes, beyond="nothing")) for lag in (0, 3, -7)}
    for lag, found in scores.items():
        assert found.offset == lag
        assert found.distance == pytest.approx(scores[0].distance, abs=0.3)
    assert scores[3].at_zero > scores[0].at_zero + 3


def test_short_clips_inflate_confidence():
    generator = np.random.default_rng(0)
    unrelated = [(generator.standard_normal((400, 4)), generator.standard_normal((400, 4))) for _ in range(20)]

    def confidence(frames: int) -> float:
        return float(
            np.mean([score(shift_distances(a[:frames], b[:frames], beyond="nothing")).confidence for a, b in unrelated])
        )

    assert confidence(20) > 2 * confidence(400) > 0


def test_too_short_or_mismatched_codes_are_refused():
    codes = np.zeros((10, 4))
    with pytest.raises(ValueError, match="every shift"):
        score(shift_distances(codes, codes, beyond="nothing"))
    with pytest.raises(ValueError, match="one shape"):
        shift_distances(codes, codes[:9])
    with pytest.raises(ValueError, match="beyond"):
        shift_distances(codes, codes, beyond="mirror")


def test_roc_auc():
    assert roc_auc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert roc_auc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 0.0
    assert roc_auc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5
    generator = np.random.default_rng(0)
    a, b = generator.normal(1, 1, 300), generator.normal(0, 1, 200)
    assert roc_auc(a, b) == pytest.approx((a[:, None] > b).mean())


def face(size: float, turn: float, shift: tuple[float, float]) -> np.ndarray:
    points = np.random.default_rng(0).normal(0, 30, (68, 2))
    points[crops.RIGID] = crops.MEAN_FACE
    points[48:68] = crops.MOUTH_CENTRE
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return size * points @ rotation.T + np.array(shift)


def test_the_mouth_is_found_whatever_the_lips_do():
    poses = [(0.5, 0.0, (100.0, 80.0)), (2.0, 0.3, (300.0, 200.0)), (1.0, -0.5, (50.0, 60.0))]
    landmarks = np.stack([face(*pose) for pose in poses])
    warps = crops.mouth_warps(landmarks, smooth=0.0)
    for warp, marks in zip(warps, landmarks, strict=True):
        np.testing.assert_allclose(warp[:, :2] @ crops.MOUTH_CENTRE + warp[:, 2], marks[50], atol=1e-9)
    opened = landmarks.copy()
    opened[:, 48:68] += 20.0
    np.testing.assert_array_equal(crops.mouth_warps(opened, smooth=0.0), warps)
    holes = np.stack([landmarks[0], landmarks[0] * np.nan, landmarks[0]])
    np.testing.assert_allclose(crops.mouth_warps(holes, 0.0)[1], warps[0])
    with pytest.raises(ValueError, match="found none"):
        crops.mouth_warps(landmarks * np.nan)


def test_a_crop_shows_what_lies_there():
    """A ramp in millimetres comes out as the same ramp, at every size and turn."""
    for size, turn in ((1.0, 0.0), (3.0, 0.0), (1.5, 0.4)):
        warp = crops.mouth_warps(np.tile(face(size, turn, (250.0, 60.0)), (1, 1, 1)), 0.0)[0]
        back = np.linalg.inv(np.vstack([warp, [0, 0, 1]]))[:2]
        y, x = np.mgrid[:512, :512] + 0.5
        across = back[0, 0] * x + back[0, 1] * y + back[0, 2]
        crop = crops.cut_mouth(np.clip(128 + across, 0, 255).astype(np.uint8), warp)
        expected = 128 + (np.arange(48) + 0.5) * 100 / 48 - 50
        np.testing.assert_allclose(crop[24], expected, atol=1.5)


def test_faces_are_cropped_as_syncnet_python_does():
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    marks = np.tile(face(1.0, 0.0, (200.0, 120.0)), (20, 1, 1))
    boxes = crops.face_boxes(marks)
    low, high = marks[0].min(0), marks[0].max(0)
    low[1] -= 0.25 * (high[1] - low[1])
    np.testing.assert_allclose(boxes[10], [*(low + high) / 2, (high - low).max() / 2])
    crop = crops.cut_face(picture, np.array([200.0, 150.0, 60.0]))
    assert crop.shape == (224, 224, 3)
    outside = crops.cut_face(picture, np.array([0.0, 0.0, 60.0]))
    assert (outside[:50, :50] == 110).all()
    with pytest.raises(ValueError, match="13 frames"):
        crops.face_boxes(marks[:12])


def test_the_published_network_has_its_shapes_and_loads(tmp_path, empty_home):
    torch.manual_seed(0)
    network = SyncNet(FULL).eval()
    with torch.no_grad():
        assert network.embed_frames(torch.rand(1, 3, 5, 224, 224)).shape == (1, 1024)
        assert network.embed_audio(torch.rand(2, 1, 13, 20)).shape == (2, 1024)
    path = tmp_path / "syncnet_v2.model"
    torch.save(network.state_dict(), path)
    loaded = load_published(path)
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())
    with pytest.raises(weights.MissingWeightsError, match="syncnet"):
        load_published()
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(UserError, match="not the file of SyncNet's weights"):
        load_published(path)
    torch.save(print, path)
    with pytest.raises(UserError, match="not the file of SyncNet's weights"):
        load_published(path)


def test_syncnet_runs_end_to_end_on_random_weights():
    torch.manual_seed(0)
    scorer = Scorer("syncnet_v2", SyncNet(FULL).eval().requires_grad_(False), "zeros")
    frames = np.random.default_rng(0).integers(0, 256, (14, 120, 120, 3), np.uint8)
    marks = np.tile(face(0.5, 0.0, (60.0, 40.0)), (14, 1, 1))
    seen, sound = scorer.embed_frames(frames, marks), scorer.embed_audio(voice(1.0), 10)
    assert seen.shape == (10, 1024)
    assert sound.shape == (10, 1024)
    windows = [crops.cut_face(f, b)[..., ::-1] for f, b in zip(frames[3:8], crops.face_boxes(marks)[3:8], strict=True)]
    one = torch.from_numpy(np.stack(windows).transpose(3, 0, 1, 2)[None].astype(np.float32))
    with torch.no_grad():
        np.testing.assert_allclose(scorer.network.embed_frames(one)[0], seen[3], rtol=1e-4, atol=1e-4)


def test_long_clips_are_seen_in_pieces_without_a_seam():
    scorer = Scorer.built_in()
    frames = np.random.default_rng(0).integers(0, 256, (140, 60, 60, 3), np.uint8)
    marks = np.tile(face(0.4, 0.0, (30.0, 20.0)), (140, 1, 1))
    whole = scorer.embed_frames(frames, marks)
    assert whole.shape == (136, COMPACT.code)
    np.testing.assert_allclose(scorer.embed_frames(frames[60:75], marks[60:75]), whole[60:71], atol=1e-5)
    with pytest.raises(UserError, match="sound ends"):
        scorer.embed_audio(voice(1.0), 136)
    with pytest.raises(UserError, match="2 s or more"):
        scorer.score(whole[:20], whole[:20])


def test_a_scorer_survives_its_file(tmp_path):
    torch.manual_seed(0)
    network = SyncNet(COMPACT).eval()
    save_built_in(network, tmp_path / "w.safetensors", {"seed": 0})
    loaded = load_built_in(tmp_path / "w.safetensors")
    sound = torch.randn(4, 1, 13, 20)
    with torch.no_grad():
        torch.testing.assert_close(loaded.embed_audio(sound), network.embed_audio(sound), atol=5e-3, rtol=0)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="train-sync"):
        load_built_in(tmp_path / "bad.safetensors")
