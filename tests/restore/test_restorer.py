"""The torso restorer: what is removed, what is learned, what is left as it is, and what its file may be."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from audioplane.cli import speak, train_torso
from audioplane.errors import UserError
from audioplane.inference.talking_head import TalkingHead
from audioplane.losses.terms import structural_similarity
from audioplane.media.videos import read
from audioplane.restore import seam
from audioplane.restore.network import Inpainter
from audioplane.restore.restorer import About, Restorer, beside
from audioplane.restore.settings import RestorerConfig
from audioplane.restore.training import draw_pair, seam_loss, train, views
from audioplane.subject import Subject
from audioplane.training import checkpoint
from audioplane.training.trainer import Trainer
from tests.cli.commands import call
from tests.reliability import inputs
from tests.subject_cases import make_case, write_case
from tests.tiny_run import tiny
from tests.tiny_subject import TinySubject

QUICK = RestorerConfig(narrowest=30, widest=60, rendering=45, frames=6, steps=12, batch=2)
"""Of a picture of 40 pixels, in which the paper's distances would be one or two."""


def untrained(name: str = "tiny-0", rendering: float = QUICK.rendering) -> Restorer:
    return Restorer(Inpainter(torch.Generator().manual_seed(0)), About(name, 40, rendering))


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:size, :size]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


# The band


@given(row=st.floats(-5, 45), column=st.floats(-5, 45), radius=st.floats(0, 20), reach=st.floats(1, 12))
def test_the_band_is_the_lower_half_expanded(row: float, column: float, radius: float, reach: float) -> None:
    head = disc(40, row, column, radius)
    found = seam.band(head, reach)
    if not head.any():
        assert not found.any()
        return
    rows = np.flatnonzero(head.any(axis=1))
    away = ndimage.distance_transform_edt(~head)
    below = np.arange(40)[:, None] >= int(rows[0] + 0.5 * (rows[-1] + 1 - rows[0]))
    assert np.array_equal(found, (away > 0) & (away <= reach + 1e-9) & below)


def test_impairing_removes_the_band_and_nothing_else() -> None:
    frame = np.random.default_rng(0).integers(1, 256, (64, 64, 3), dtype=np.uint8)
    still = replace(QUICK, rotation=0, shift=0, softness=0, narrowest=40, widest=40)
    head = disc(64, 26, 32, 12)
    pair = seam.impaired(frame, head, np.random.default_rng(1), still)
    assert pair is not None
    gap = seam.band(head, 40 * 64 / 512)
    place = seam.box(gap, round(seam.CONTEXT * 64 / 512))
    assert np.array_equal(pair.gap.numpy(), gap[place])
    colours, masks = pair.seen[0, :3].permute(1, 2, 0).numpy(), pair.seen[0, 3:].numpy()
    true = frame[place].astype(np.float32) / 255
    assert np.array_equal(pair.target.numpy(), true)
    assert (colours[gap[place]] == 0).all()
    assert np.array_equal(colours[~gap[place]], true[~gap[place]])
    assert torch.equal(pair.seen, seam.seen_by_network(true, head[place], gap[place]))
    assert np.array_equal(masks[0] > 0, head[place])
    assert np.array_equal(masks[1] > 0, gap[place])


def test_impaired_frames_turn_and_move_with_their_heads() -> None:
    """A white head on black stays white under its mask, and black beyond what interpolation reaches."""
    head = disc(64, 28, 32, 14)
    frame = np.repeat(head[..., None].astype(np.uint8) * 255, 3, axis=2)
    draw, centres, widths = np.random.default_rng(0), [], []
    for _ in range(20):
        pair = seam.impaired(frame, head, draw, replace(QUICK, rotation=30, shift=0.1, softness=0))
        assert pair is not None
        inside, mask = pair.target.numpy()[..., 0], pair.seen[0, 3].numpy() > 0
        assert inside[ndimage.binary_erosion(mask, iterations=2)].min() > 0.99
        assert inside[~ndimage.binary_dilation(mask, iterations=2)].max() < 0.01
        widths.append(int(pair.gap.sum()))
        centres.append(np.argwhere(mask).mean(axis=0))
    assert np.ptp(widths) > 50, "bands differ in width"
    assert seam.impaired(frame, np.zeros_like(head), draw, QUICK) is None


@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 9), st.data())
def test_the_box_holds_the_mask(height: int, width: int, margin: int, data: st.DataObject) -> None:
    mask = np.zeros((height, width), bool)
    mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    rows, columns = seam.box(mask, margin)
    assert mask[rows, columns].any()
    for part, size in ((rows, height), (columns, width)):
        assert 0 <= part.start < part.stop <= size
        assert (part.stop - part.start) % seam.BLOCK == 0 or part == slice(0, size)


# Training


def test_the_loss_is_l1_and_dssim_of_the_whole_and_reaches_every_weight() -> None:
    subject, network = TinySubject(), Inpainter(torch.Generator().manual_seed(0))
    frame, head = views(subject, 40, QUICK)[0]
    pair = seam.impaired(frame, head, np.random.default_rng(0), QUICK)
    assert pair is not None
    dssim = lambda image, target: 1 - structural_similarity(image, target)  # noqa: E731
    value = seam_loss(network, pair, dssim, 0.5)
    filled = network(pair.seen)[0].permute(1, 2, 0)
    restored = torch.where(pair.gap[..., None], filled, pair.kept)
    expected = (restored - pair.target).abs().mean() + 0.5 * dssim(restored.contiguous(), pair.target)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(seam_loss(network, pair, None, 1.0), (restored - pair.target).abs().mean())
    value.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_training_lowers_the_loss_and_is_the_same_with_any_number_of_threads() -> None:
    losses: list[float] = []
    config = replace(QUICK, steps=30)
    train(TinySubject(), 40, config, lambda step, loss: losses.append(loss))
    assert np.mean(losses[-8:]) < 0.5 * np.mean(losses[:4])
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(train(TinySubject(), 40, replace(QUICK, steps=2)).network.state_dict())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    other = train(TinySubject(), 40, replace(QUICK, steps=2, seed=1)).network.state_dict()
    assert not torch.equal(other["enter.weight"], found[0]["enter.weight"])


def test_a_trained_restorer_fills_the_gap_better_than_nothing() -> None:
    subject = TinySubject()
    made = train(subject, 40, replace(QUICK, steps=40))
    t = subject.test.start
    truth, head = subject.frame(t), subject.head_mask(t)
    gap = seam.band(head, QUICK.rendering * 40 / 512)
    broken = np.where(gap[..., None], np.uint8(0), truth)
    restored = made(broken, head.astype(np.float32))
    near = gap & (seam.distances(head, 10.0) <= 1)
    assert np.abs(restored[near].astype(int) - truth[near]).mean() < 12
    assert np.abs(broken[near].astype(int) - truth[near]).mean() > 50


def test_a_subject_without_a_head_is_refused() -> None:
    subject = TinySubject()
    subject.head_mask = lambda t: np.zeros((40, 40), bool)  # type: ignore[method-assign]
    with pytest.raises(UserError, match="no training frame of tiny-0 shows a torso below a head"):
        train(subject, 40, QUICK)
    with pytest.raises(UserError, match="lower rotation and shift"):
        draw_pair([(subject.frame(0), subject.head_mask(0))], 0, QUICK)


def test_settings_say_whose_they_are_and_refuse_nonsense() -> None:
    sources = {one.name: one.metadata["about"].source for one in fields(RestorerConfig)}
    papers = {name for name, source in sources.items() if source != "ours"}
    assert papers == {"narrowest", "widest", "rendering", "perceptual_weight"}
    assert (RestorerConfig().narrowest, RestorerConfig().widest, RestorerConfig().rendering) == (10, 30, 15)
    for wrong in ({"steps": 0}, {"narrowest": 40.0}, {"perceptual": "vgg"}, {"rate": float("nan")}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            RestorerConfig(**wrong)  # type: ignore[arg-type]


# Use


@settings(max_examples=40)
@given(st.integers(9, 50), st.integers(9, 50), st.floats(0, 50), st.floats(0, 50), st.floats(0, 20))
def test_outside_of_the_band_nothing_changes(height: int, width: int, row: float, column: float, radius: float) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = np.ogrid[:height, :width]
    head = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    alpha = np.where(head, np.float32(0.7), np.float32(0.3))
    before = picture.copy()
    out = untrained()(picture, alpha[..., None])
    gap = seam.band(head, seam.pixels(QUICK.rendering, width))
    assert np.array_equal(picture, before)
    assert np.array_equal(out[~gap], picture[~gap])
    if gap.sum() > 60:
        assert not np.array_equal(out[gap], picture[gap])


def test_the_network_does_not_see_what_the_band_held() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    head, reach = disc(40, 16, 20, 9), 100 * 40 / 512
    away = seam.distances(head, reach)
    other = np.where(away[..., None] > 0, np.uint8(7), picture)
    made = untrained(rendering=100)
    one, two = (made(shown, head.astype(np.float32)) for shown in (picture, other))
    near = (away > 0) & (away <= seam.WHOLE * reach)
    assert near.any()
    assert np.array_equal(one[near], two[near]), "next to the head nothing of the old torso shows"


def test_the_fill_fades_towards_the_outer_edge() -> None:
    head = disc(40, 16, 20, 9)
    away = seam.distances(head, 8.0)
    share = seam.share_of_fill(away, 8.0)
    assert np.array_equal(share > 0, away > 0)
    inside = away > 0
    order = np.argsort(away[inside])
    assert (np.diff(share[inside][order]) <= 0).all()
    assert share[inside].max() == 1.0
    assert share[away == away.max()].max() < 0.2
    picture, white = np.zeros((40, 40, 3), np.uint8), untrained()
    white._filled = lambda seen: np.full((*seen.shape[2:], 3), 255.0)  # type: ignore[method-assign]
    out = white(picture, head.astype(np.float32))
    reach = QUICK.rendering * 40 / 512
    expected = np.rint(255 * seam.share_of_fill(seam.distances(head, reach), reach))
    assert np.array_equal(out, np.repeat(expected[..., None], 3, axis=2))


def test_a_saved_restorer_gives_the_same_pictures(tmp_path: Path) -> None:
    made = train(TinySubject(), 40, replace(QUICK, steps=2))
    made.save(tmp_path / "restorer.safetensors", QUICK)
    again = Restorer.load(tmp_path / "restorer.safetensors")
    assert again.about == made.about
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    alpha = disc(40, 16, 20, 9).astype(np.float32)
    assert np.array_equal(made(picture, alpha), again(picture, alpha))
    assert (tmp_path / "restorer.safetensors").stat().st_size < 400_000
    assert sum(p.numel() for p in made.network.parameters()) < 300_000
    assert beside(tmp_path) == beside(tmp_path / "head.safetensors") == tmp_path / "restorer.safetensors"


def damaged(path: Path, how: str) -> None:
    """Writes a restorer's file with one thing wrong."""
    untrained().save(path)
    found, about = checkpoint.load(path)
    about.pop("format")
    if how == "cut":
        path.write_bytes(path.read_bytes()[:1000])
        return
    if how == "missing":
        found.pop("up.bias")
    elif how == "shape":
        found["up.bias"] = found["up.bias"][:5]
    elif how == "nan":
        found["up.bias"][0] = torch.nan
    elif how == "extra":
        found["more"] = torch.zeros(2)
    elif how == "type":
        found["up.bias"] = found["up.bias"].float()
    elif how == "width":
        about["width"] = -3
    elif how == "rendering":
        about["rendering"] = "wide"
    elif how == "name":
        about["name"] = "../x"
    elif how == "kind":
        about["kind"] = "head"
    checkpoint.save(path, found, about)


@pytest.mark.parametrize(
    "how", ["cut", "missing", "shape", "nan", "extra", "type", "width", "rendering", "name", "kind"]
)
def test_bad_weights_end_in_a_sentence(how: str, tmp_path: Path) -> None:
    damaged(tmp_path / "restorer.safetensors", how)
    with pytest.raises(UserError, match=r"restorer\.safetensors") as raised:
        Restorer.load(tmp_path / "restorer.safetensors")
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=r"there is no torso restorer .*train-torso"):
        Restorer.load(tmp_path / "none.safetensors")


# Commands


def test_a_head_speaks_with_a_restored_torso(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_case(tmp_path / "subject", make_case(60, 32))
    subject = Subject.open(tmp_path / "subject")
    run = tmp_path / "run"
    run.mkdir()
    trainer = Trainer(tiny(), subject)
    trainer.run()
    head = TalkingHead.export(trainer, run / "head.safetensors")
    voice, film = inputs.voice(tmp_path / "voice.wav", 0.4), tmp_path / "talk.mp4"
    with pytest.raises(UserError, match=r"there is no torso restorer .*train-torso"):
        call(speak, run, voice, "--out", film, "--torso", "restored")
    assert not film.exists()
    assert call(train_torso, run, tmp_path / "subject", "--steps", "2") == 0
    assert (run / "restorer.safetensors").is_file()
    assert "restorer.safetensors" in capsys.readouterr().out
    assert call(speak, run, voice, "--out", film) == 0, "a restorer that lies beside the head is used"
    assert "torso restored" in capsys.readouterr().err
    assert call(speak, run, voice, "--out", film, "--torso", "painted") == 0
    assert "torso" not in capsys.readouterr().err
    assert call(speak, run, voice, "--out", film, "--torso", "restored") == 0
    assert len(list(read(film))) == 10
    assert call(speak, run / "head.safetensors", voice, "--out", film, "--torso", run / "restorer.safetensors") == 0
    audio = subject.audio[:4800]
    plain, restored = (list(head.frames(audio, mark=False, restorer=r)) for r in (None, Restorer.load(beside(run))))
    assert len(plain) == len(restored) > 0
    assert any(not np.array_equal(a, b) for a, b in zip(plain, restored, strict=True))
    assert all(np.array_equal(a[:8], b[:8]) for a, b in zip(plain, restored, strict=True)), "hair keeps its edge"
    for wrong, said in (("nicely", "--torso is painted, restored or"), (str(voice), "--torso is painted")):
        with pytest.raises(UserError, match=said):
            call(speak, run, voice, "--out", film, "--torso", wrong)
    with pytest.raises(UserError, match=r"this head is of .*; the torso restorer is of somebody"):
        next(head.frames(audio, restorer=untrained("somebody")))


def test_what_train_torso_refuses(tmp_path: Path) -> None:
    write_case(tmp_path / "subject", make_case(60, 32))
    for arguments, said in (
        (("adam", tmp_path / "subject"), "is a head that ships"),
        (("adam", tmp_path / "subject", "--out", tmp_path / "x.bin"), "must name a .safetensors"),
        (("adam", tmp_path / "subject", "--out", tmp_path / "x.safetensors"), "this head is of adam"),
        (("adam", tmp_path / "subject", "--steps", "0"), "steps lies between"),
    ):
        with pytest.raises(UserError, match=said):
            call(train_torso, *arguments)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["subject"]
