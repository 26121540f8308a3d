import numpy as np
import pytest
import torch

from audioplane.audio.encoder import AudioEncoder, augment_windows, pad
from audioplane.audio.pretrain import LipShapes, lip_shapes, pretrain
from audioplane.config import AudioConfig

CONFIG = AudioConfig(mel_bands=10, channels=16, code=6)


def make(config: AudioConfig = CONFIG) -> AudioEncoder:
    return AudioEncoder(config, 10, torch.Generator().manual_seed(0))


def windows(frames: int = 40) -> torch.Tensor:
    return torch.randn(frames, 16, 10, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_one_code_a_frame() -> None:
    codes = make().all_codes(windows())
    assert codes.shape == (40, 6)
    assert torch.isfinite(codes).all()


@torch.no_grad()
def test_pieces_do_not_matter() -> None:
    encoder = make()
    torch.testing.assert_close(
        encoder.all_codes(windows(), piece=7), encoder.all_codes(windows()), atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_a_code_depends_on_its_neighbours_and_no_other_frames() -> None:
    encoder, base = make(), windows()
    torch.nn.init.normal_(encoder.attend[2].weight, generator=torch.Generator().manual_seed(2))
    changed = base.clone()
    changed[20] += 1.0
    differs = (encoder.all_codes(base) - encoder.all_codes(changed)).abs().amax(dim=1) > 1e-6
    before = CONFIG.filter // 2
    expected = [20 - (CONFIG.filter - 1 - before) <= t <= 20 + before for t in range(40)]
    assert differs.tolist() == expected


@torch.no_grad()
def test_filter_starts_as_a_bell_around_the_frame() -> None:
    impulse = torch.zeros(21, 6)
    impulse[10] = 1.0
    answer = make().filter(impulse)[:, 0]
    bell = torch.exp(-0.5 * torch.arange(-4.0, 4.0) ** 2)
    torch.testing.assert_close(answer[3:11].flip(0), bell / bell.sum())
    assert int(answer.argmax()) == 10 - CONFIG.filter // 2  # entry i is frame i + filter // 2


def test_dropout_is_the_generators_and_off_by_itself() -> None:
    encoder, inputs = make(), windows()
    quiet = encoder(inputs)
    assert torch.equal(quiet, encoder(inputs))
    noisy = []
    for seed in (0, 0, 1):
        encoder.drop_by(torch.Generator().manual_seed(seed))
        noisy.append(encoder(inputs))
    encoder.drop_by(None)
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[0], noisy[2])
    assert torch.equal(quiet, encoder(inputs))


@torch.no_grad()
def test_codes_are_standardised() -> None:
    encoder = make()
    encoder.standardise_over(windows(200))
    codes = encoder.all_codes(windows(200))
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(codes.std(dim=0), torch.ones(6), atol=1e-3, rtol=0)


def test_padding_keeps_every_frame() -> None:
    padded = pad(windows(), 4, 3)
    assert len(padded) == 47
    assert torch.equal(padded[4:44], windows())


def test_augmentation_is_the_generators() -> None:
    batch = windows().view(2, 20, 16, 10)
    draws = [augment_windows(batch, 1.0, torch.Generator().manual_seed(seed), True) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert augment_windows(batch, 0.0, torch.Generator(), True) is batch


def face(frames: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of a mouth that opens and widens, seen from a head that turns, moves and comes nearer."""
    generator = np.random.default_rng(0)
    base = generator.uniform(-1, 1, (68, 2))
    base[48:] *= 0.3
    opening, width = np.sin(np.arange(frames) / 5), np.cos(np.arange(frames) / 11)
    points = np.tile(base, (frames, 1, 1))
    points[:, [61, 62, 63], 1] -= 0.1 * opening[:, None]
    points[:, [67, 66, 65], 1] += 0.1 * opening[:, None]
    points[:, 48, 0] -= 0.05 * width
    points[:, 54, 0] += 0.05 * width
    angle, scale = generator.normal(0, 0.1, frames), generator.uniform(0.9, 1.1, frames) * 40
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    moved = np.einsum("tij,tkj->tki", turn, points) * scale[:, None, None] + generator.normal(100, 5, (frames, 1, 2))
    return moved.astype(np.float32), opening


def test_lip_shapes_do_not_see_the_head_move() -> None:
    landmarks, opening = face()
    shapes = lip_shapes(landmarks, 4)
    assert shapes.share[:2].sum() > 0.98
    assert abs(np.corrcoef(shapes.scores[:, 0], opening)[0, 1]) > 0.99
    np.testing.assert_allclose(shapes.scores.std(axis=0)[:2], 1.0, atol=1e-3)


def test_what_the_pose_explains_is_taken_out() -> None:
    from scipy.spatial.transform import Rotation

    landmarks, opening = face(400)
    yaw = 0.1 * np.sin(np.arange(400) / 17)
    landmarks[:, 48:, 0] += 60 * yaw[:, None] * np.linspace(0.5, 1.5, 20)
    viewmats = np.tile(np.eye(4), (400, 1, 1))
    viewmats[:, :3, :3] = Rotation.from_rotvec(np.stack([0 * yaw, yaw, 0 * yaw], axis=1)).as_matrix()
    with_pose, without = lip_shapes(landmarks, 4, viewmats), lip_shapes(landmarks, 4)
    correlations = [abs(np.corrcoef(shapes.scores[:, 0], opening)[0, 1]) for shapes in (with_pose, without)]
    assert correlations[0] > 0.9
    assert correlations[0] > correlations[1]


def test_frames_without_landmarks_have_no_shape() -> None:
    landmarks, _ = face()
    landmarks[5] = np.nan
    shapes = lip_shapes(landmarks, 4)
    assert np.isnan(shapes.scores[5]).all()
    assert np.isfinite(np.delete(shapes.scores, 5, axis=0)).all()
    assert np.isnan(lip_shapes(np.full((9, 68, 2), np.nan, np.float32), 4).scores).all()


@pytest.mark.parametrize("audible", [True, False])
def test_pretraining_learns_what_the_sound_determines(audible: bool) -> None:
    landmarks, opening = face(200)
    shapes = lip_shapes(landmarks, 2)
    signal = torch.from_numpy(opening if audible else np.zeros(200)).float()
    inputs = 0.3 * windows(200) + signal[:, None, None]
    config = AudioConfig(mel_bands=10, channels=16, code=6, pretrain_steps=120, augment=0.3)
    encoder = make(config)
    learnt = LipShapes(shapes.scores[:150], shapes.share, shapes.opening[:150])
    pretrain(encoder, inputs[:150], learnt, config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        codes = encoder.all_codes(inputs).numpy()
    design = np.concatenate([codes, np.ones((200, 1))], axis=1)
    weights = np.linalg.lstsq(design[:150], shapes.scores[:150, 0], rcond=None)[0]
    reached = np.corrcoef(design[150:] @ weights, shapes.scores[150:, 0])[0, 1]
    assert (reached > 0.8) == audible
