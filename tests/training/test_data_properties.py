"""Order of frames, samples, the head's box, rows of tables, optimizers' states: for any seed and size."""

from __future__ import annotations

import threading
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audioplane.config import preset
from audioplane.errors import UserError
from audioplane.splat.gaussians import as_parameters, from_parameters, random_gaussians
from audioplane.training import checkpoint
from audioplane.training.checkpoint import check_cloud, fill_rows, pack_optimizer, touched_rows, unpack_optimizer
from audioplane.training.dataset import Frame, FrameCache, head_box, order, points_inside, prepare, samples
from audioplane.training.densify import is_dead, sort_in_space
from audioplane.training.sparse_adam import SparseAdam
from tests.strategies import few, fewer, generators, seeds, torch_generators
from tests.tiny_subject import TinySubject

# Which frame an iteration sees


@few
@given(st.integers(0, 50), st.integers(1, 20), seeds, st.integers(0, 100))
def test_each_epoch_sees_every_frame_once_wherever_a_run_goes_on(first, count, seed, start):
    frames = range(first, first + count)
    whole = list(islice(order(frames, seed), start + 2 * count))
    assert list(islice(order(frames, seed, start), 2 * count)) == whole[start:]
    for epoch in range(len(whole) // count):
        assert sorted(whole[epoch * count : (epoch + 1) * count]) == list(frames)


def test_epochs_and_seeds_have_orders_of_their_own():
    frames = range(30)
    one = list(islice(order(frames, 0), 60))
    assert one[:30] != one[30:]
    assert one[:30] != list(islice(order(frames, 1), 30))
    assert one[:30] != list(frames)


# Samples


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    generator = draw(generators)
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    picture = lambda: generator.integers(0, 256, (height, width, 3), np.uint8)  # noqa: E731
    return Frame(3, picture(), picture(), generator.integers(0, 8, (height, width), np.uint8))


@few
@given(frames(), st.integers(0, 9), seeds, st.sampled_from(["random", "subject", "mixed"]))
def test_a_sample_is_the_head_over_its_background(frame, iteration, seed, background):
    before = frame.masks.copy()
    sample = prepare(frame, iteration, seed, background)
    head, moving, ring = ((frame.masks & bit) > 0 for bit in (1, 2, 4))
    np.testing.assert_array_equal(sample.head.numpy(), head.astype(np.float32))
    np.testing.assert_array_equal(sample.motion.numpy(), moving.astype(np.float32))
    image = frame.image / np.float32(255)
    np.testing.assert_allclose(sample.target.numpy()[head], image[head], rtol=1e-6)
    own = background == "subject" or (background == "mixed" and iteration % 2 == 0)
    behind = np.broadcast_to(sample.background.numpy(), image.shape)
    far = ~head & ~ring
    np.testing.assert_allclose(sample.target.numpy()[far], behind[far], rtol=1e-6)
    assert sample.background.shape == (image.shape if own else (3,))
    np.testing.assert_array_equal(sample.known.numpy(), np.ones_like(ring) if own else ~ring)
    if own:
        np.testing.assert_allclose(behind, frame.behind / np.float32(255), rtol=1e-6)
        np.testing.assert_allclose(sample.target.numpy()[ring], image[ring], rtol=1e-6)
    again = prepare(frame, iteration, seed, background)
    assert all(torch.equal(getattr(sample, name), getattr(again, name)) for name in ("target", "background", "known"))
    np.testing.assert_array_equal(frame.masks, before)


def test_iterations_and_seeds_have_colours_of_their_own():
    frame = Frame(0, *np.zeros((2, 4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))
    colours = {tuple(prepare(frame, i, seed, "random").background.tolist()) for i in range(5) for seed in range(3)}
    assert len(colours) == 15
    assert all(0 <= value < 1 for colour in colours for value in colour)


@pytest.mark.parametrize("ahead", [1, 4, 50])
def test_samples_come_in_order_however_far_ahead_they_are_read(ahead):
    subject = TinySubject(frames=40)
    cache, own = FrameCache(subject, 20, 8), preset("smoke").schedule
    found = list(samples(cache, subject.train, own, 5, 3, 15, ahead))
    assert [one.index for one in found] == list(islice(order(subject.train, 5, 3), 12))
    expected = [prepare(cache[one.index], k, 5, own.background) for k, one in enumerate(found, 3)]
    assert all(torch.equal(a.target, b.target) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("size", [0, 20, 33])
def test_a_caches_camera_and_pictures_have_its_size(size):
    subject = TinySubject(frames=20)
    cache = FrameCache(subject, size, 1)
    width = size or subject.width
    assert cache[3].image.shape == (width, width, 3)
    np.testing.assert_allclose(cache.K[:2].numpy(), subject.K[:2] * width / subject.width, rtol=1e-6)
    np.testing.assert_allclose(cache.K[2].numpy(), subject.K[2])
    share = subject.head_mask(3).mean()
    assert (cache[3].masks & 1).mean() == pytest.approx(share, abs=0.03)
    assert cache[3] is cache[3]
    none = FrameCache(subject, size, 0)
    assert none[3] is not none[3]
    np.testing.assert_array_equal(none[3].image, cache[3].image)
    smaller = FrameCache(subject, 10, 1, larger=cache)
    direct = FrameCache(subject, 10, 1)
    assert np.abs(smaller[3].image.astype(int) - direct[3].image).mean() < 4
    assert ((smaller[3].masks & 1) != (direct[3].masks & 1)).mean() < 0.1


def test_a_cache_keeps_no_more_than_its_memory():
    """Seven bytes a pixel: five pictures of 160 x 160 in a MiB."""
    subject = TinySubject(frames=20, size=160)
    cache = FrameCache(subject, 0, 1)
    kept = [cache[t] is cache[t] for t in range(7)]
    assert kept == [True] * 5 + [False] * 2


# The head's box


def test_the_box_holds_the_head_and_its_points_lie_in_the_masks():
    subject = TinySubject()
    centre, half = head_box(subject, subject.train)
    radius = 0.7 * 0.6 / 4  # of the ball, metres: half a picture is .25 of the focal length's slope
    assert half == pytest.approx(1.1 * radius, rel=0.03)
    assert np.abs(centre).max() < 0.02
    points = points_inside(subject, subject.train, centre, half, 200, torch.Generator().manual_seed(0))
    assert points.shape == (200, 3)
    assert float((points - torch.tensor(centre)).abs().max()) > 0.6 * half, "not the box that is left without masks"
    assert bool(((points - torch.tensor(centre)).abs() <= half).all())
    seen = (points.numpy() @ subject.viewmats[40, :3, :3].T + subject.viewmats[40, :3, 3]) @ subject.K.T
    u, v = np.floor(seen[:, :2] / seen[:, 2:]).astype(int).T
    assert subject.head_mask(40)[v.clip(0, 39), u.clip(0, 39)].mean() > 0.9
    again = points_inside(subject, subject.train, centre, half, 200, torch.Generator().manual_seed(0))
    assert torch.equal(points, again)


@pytest.mark.parametrize("away", [(0.03, 0.0), (-0.02, 0.04)])
def test_the_box_follows_a_head_that_is_not_in_the_middle(away):
    subject = TinySubject()
    centre, half = head_box(subject, subject.train)
    masks = [subject.head_mask(t) for t in range(subject.num_frames)]
    subject.head_mask = lambda t: masks[t]  # type: ignore[method-assign]
    subject.viewmats[:, :2, 3] -= np.float32(away)  # the same pictures, from cameras that stand elsewhere
    moved, same = head_box(subject, subject.train)
    np.testing.assert_allclose(moved, np.add(centre, [*away, 0.0]), atol=1e-4)
    assert same == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize(("seen", "holds"), [(15, True), (13, True), (12, False), (4, False)])
def test_points_lie_where_four_fifths_of_the_masks_have_the_head(seen, holds):
    """Of sixteen masks some have the head on the left half alone, the others all over the picture."""
    subject = TinySubject()
    half = np.ones((40, 40), bool)
    half[:, 20:] = False
    asked = iter(range(16))
    subject.head_mask = lambda t: np.ones((40, 40), bool) if next(asked) < seen else half  # type: ignore[method-assign]
    subject.viewmats[:, 0, 3] = 0.0
    points = points_inside(subject, subject.train, (0.0, 0.0, 0.0), 0.1, 60, torch.Generator().manual_seed(0))
    assert bool((points[:, 0] > 0.01).any()) == holds


def test_points_behind_the_camera_are_not_in_its_masks():
    subject = TinySubject()
    subject.head_mask = lambda t: np.ones((40, 40), bool)  # type: ignore[method-assign]
    subject.viewmats[:, 2, 3] = 0.0  # in the middle of the box
    points = points_inside(subject, subject.train, (0.0, 0.0, 0.0), 0.1, 60, torch.Generator().manual_seed(0))
    assert bool((points[:, 2] > 0).all())


def test_masks_that_never_overlap_leave_the_box_itself():
    subject = TinySubject()
    subject.head_mask = lambda t: np.zeros((40, 40), bool)  # type: ignore[method-assign]
    points = points_inside(subject, subject.train, (0.1, 0.0, 0.0), 0.2, 50, torch.Generator().manual_seed(0))
    assert points.shape == (50, 3)
    assert bool(((points - torch.tensor([0.1, 0.0, 0.0])).abs() <= 0.1).all())


# Rows of tables


@few
@given(torch_generators, st.integers(1, 30), st.integers(1, 9))
def test_touched_rows_and_their_values_make_the_table_again(generator, count, width):
    before = torch.randn(count, width, generator=generator)
    after = before.clone()
    moved = torch.rand(count, generator=generator) < 0.3
    after[moved, 0] += 1.0
    rows = touched_rows(after, before)
    assert rows.tolist() == moved.nonzero()[:, 0].tolist()
    kept = before.clone()
    assert torch.equal(fill_rows(before, rows, after[rows], "a table"), after)
    assert torch.equal(before, kept)


@pytest.mark.parametrize("rows", [[3], [-1], [0, 9]])
def test_rows_that_a_table_has_not_are_refused(rows):
    with pytest.raises(UserError, match="rows"):
        fill_rows(torch.zeros(3, 2), torch.tensor(rows), torch.zeros(len(rows), 2), "a table")
    for values in (torch.zeros(1, 3), torch.zeros(2, 2), torch.zeros(1, 2, dtype=torch.float64), None):
        with pytest.raises(UserError, match="values"):
            fill_rows(torch.zeros(3, 2), torch.tensor([0]), values, "a table")
    for odd in (torch.tensor([0.0]), torch.tensor([[0]]), None):
        with pytest.raises(UserError, match="rows"):
            fill_rows(torch.zeros(3, 2), odd, torch.zeros(1, 2), "a table")


@fewer
@given(torch_generators, st.sampled_from([torch.optim.Adam, SparseAdam]), st.integers(1, 4))
def test_an_optimizer_goes_on_as_if_it_had_not_stopped(generator, kind, steps):
    start = torch.randn(6, 8, generator=generator)
    pulls = torch.randn(2 * steps, 6, 8, generator=generator)
    straight, first, second = (torch.nn.Parameter(start.clone()) for _ in range(3))
    made = {param: kind([param], lr=0.1) for param in (straight, first, second)}

    def run(param: torch.nn.Parameter, those: torch.Tensor) -> None:
        for pull in those:
            param.grad = pull.clone()
            made[param].step()

    run(straight, pulls)
    run(first, pulls[:steps])
    saved = pack_optimizer("own", made[first], {first: "table"})
    assert all(name.startswith("own/table/") for name in saved)
    second.data.copy_(first.data)
    unpack_optimizer("own", made[second], {second: "table"}, saved)
    run(second, pulls[steps:])
    torch.testing.assert_close(second, straight, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["exp_avg", "exp_avg_sq", "step"])
def test_a_state_of_another_size_is_refused(name):
    table = torch.nn.Parameter(torch.zeros(4, 8))
    optimizer = torch.optim.Adam([table], lr=0.1)
    table.grad = torch.ones(4, 8)
    optimizer.step()
    saved = pack_optimizer("own", optimizer, {table: "table"})
    for wrong in (torch.zeros(3, 8), torch.full((4, 8), torch.nan), None):
        broken = {**saved, f"own/table/{name}": wrong}
        if wrong is None:
            del broken[f"own/table/{name}"]
        with pytest.raises(UserError, match="own/table"):
            unpack_optimizer("own", torch.optim.Adam([table], lr=0.1), {table: "table"}, broken)


# Files


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(torch_generators, st.dictionaries(st.text(min_size=1, max_size=5), st.integers(-5, 5), max_size=3))
def test_what_is_saved_comes_back(tmp_path: Path, generator, about):
    about = {key: value for key, value in about.items() if key != "format"}
    arrays = {"a": torch.randn(3, 2, generator=generator), "b": torch.randn(5, 4, generator=generator).T}
    checkpoint.save(tmp_path / "x.safetensors", arrays, about)
    found, said = checkpoint.load(tmp_path / "x.safetensors")
    assert found.keys() == arrays.keys()
    assert all(torch.equal(found[name], arrays[name]) for name in arrays)
    assert {key: said[key] for key in about} == about
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


# Clouds


def a_cloud(generator: torch.Generator, count: int = 12, degree: int = 1):
    return random_gaussians(torch.rand(count, 3, generator=generator), 0.1, degree, generator)


@few
@given(torch_generators, st.integers(1, 30))
def test_sorting_in_space_moves_a_cloud_and_its_moments_together(generator, count):
    params = as_parameters(a_cloud(generator, count))
    optimizers = {name: torch.optim.Adam([param], lr=0.0) for name, param in params.items()}
    for name, param in params.items():
        param.grad = torch.randn(param.shape, generator=generator)
        optimizers[name].step()
    before = {name: param.detach().clone() for name, param in params.items()}
    moments = {name: optimizers[name].state[params[name]]["exp_avg"].clone() for name in before}
    sort_in_space(params, optimizers, before["means"])
    place = [next(k for k in range(count) if torch.equal(before["means"][k], row)) for row in params["means"].detach()]
    assert sorted(place) == list(range(count))
    for name in before:
        assert torch.equal(params[name].detach(), before[name][place])
        assert torch.equal(optimizers[name].state[params[name]]["exp_avg"], moments[name][place])


@few
@given(torch_generators, st.sampled_from(["means", "quats", "scales", "opacities", "sh"]), st.integers(0, 11))
def test_one_number_that_is_none_kills_a_cloud(generator, name, row):
    cloud = a_cloud(generator)
    assert is_dead(cloud) is None
    getattr(cloud, name)[row] = torch.nan
    assert "NaN" in str(is_dead(cloud))


@pytest.mark.parametrize(("logit", "dead"), [(-3.8, False), (-4.0, True)])  # an opacity of .02 is -3.89
def test_a_cloud_that_nobody_sees_is_dead(logit, dead):
    cloud = a_cloud(torch.Generator().manual_seed(0))
    cloud.opacities[:] = -9.0
    cloud.opacities[3] = logit
    assert (is_dead(cloud) is not None) == dead
    assert is_dead(a_cloud(torch.Generator().manual_seed(0), 3)) is not None
    assert is_dead(a_cloud(torch.Generator().manual_seed(0), 4)) is None


@few
@given(torch_generators, st.sampled_from([0, 1, 3]))
def test_clouds_of_files_are_held_to_their_shapes(generator, degree):
    arrays = {name: param.detach() for name, param in as_parameters(a_cloud(generator, 5, degree)).items()}
    check_cloud(arrays, "the file")
    assert from_parameters(arrays).sh_degree == degree
    for name in arrays:
        for wrong in (arrays[name][:-1], arrays[name].double(), torch.full_like(arrays[name], torch.nan)):
            with pytest.raises(UserError, match="the file"):
                check_cloud({**arrays, name: wrong}, "the file")
        rest = {key: value for key, value in arrays.items() if key != name}
        if name != "shN":
            with pytest.raises(UserError, match=name):
                check_cloud(rest, "the file")
    with pytest.raises(UserError, match="which no cloud has"):
        check_cloud({**arrays, "colour": torch.zeros(5, 3)}, "the file")


# Adam


@fewer
@given(torch_generators, st.sampled_from([(1,), (7,), (3, 5), (33, 8)]), st.floats(1e-4, 1.0))
def test_adam_goes_as_torchs_for_any_shape_and_rate(generator, shape, rate):
    start = torch.randn(shape, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone().double())
    mine = SparseAdam([ours], lr=rate, eps=1e-8)
    plain = torch.optim.Adam([theirs], lr=rate, betas=(0.9, 0.99), eps=1e-8)
    for _ in range(3):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.double()
        mine.step()
        plain.step()
    torch.testing.assert_close(ours.double(), theirs, atol=1e-5 * (1 + rate), rtol=1e-4)


def test_a_cache_fills_while_something_else_is_done():
    subject = TinySubject(frames=20, size=160)
    cache = FrameCache(subject, 0, 1)
    with cache.ahead(iter([4, 7])):
        deadline = time.monotonic() + 60
        while len(cache._kept) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert sorted(cache._kept) == [4, 7]
    np.testing.assert_array_equal(cache[7].image, FrameCache(subject, 0, 1)[7].image)
    with cache.ahead(range(20)):  # more than fit
        pass
    assert len(cache._kept) <= 5


def test_a_frame_that_cannot_be_read_ahead_is_said():
    tried = threading.Event()

    class Damaged(TinySubject):
        def frame(self, t: int) -> np.ndarray:
            tried.set()
            raise UserError(f"picture {t} is damaged")

    with pytest.raises(UserError, match="picture 3"), FrameCache(Damaged(frames=20), 0, 1).ahead([3]):
        tried.wait(60)
