from pathlib import Path

import pytest
import torch

from audioplane.errors import UserError
from audioplane.splat.gaussians import (
    Box,
    Gaussians,
    as_parameters,
    drawn,
    drawn_plain,
    from_parameters,
    morton_order,
    random_gaussians,
    splat,
)
from audioplane.splat.ply import load_ply, save_ply


def cloud(count: int = 30, degree: int = 0, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    points = (torch.rand(count, 3, generator=generator) - 0.5) * 0.2
    made = random_gaussians(points, 0.02, degree, generator)
    made.sh += 0.2 * torch.randn(made.sh.shape, generator=generator)
    return made


def camera() -> tuple[torch.Tensor, torch.Tensor, int, int]:
    viewmat = torch.eye(4)
    viewmat[2, 3] = 1.0
    return viewmat, torch.tensor([[60.0, 0, 16], [0, 60, 12], [0, 0, 1]]), 32, 24


def test_box_maps_its_corners() -> None:
    box = Box((0.1, -0.2, 0.3), 0.5)
    corners = torch.tensor([[-0.4, -0.7, -0.2], [0.6, 0.3, 0.8], [0.1, -0.2, 0.3]])
    torch.testing.assert_close(box.normalise(corners), torch.tensor([[0.0] * 3, [1.0] * 3, [0.5] * 3]))


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_pack_ply_and_parameters_round_trip(degree: int, tmp_path: Path) -> None:
    made = cloud(degree=degree)
    save_ply(made, tmp_path / "cloud.ply")
    back = [Gaussians.unpack(made.pack()), load_ply(tmp_path / "cloud.ply"), from_parameters(as_parameters(made))]
    for other in back:
        assert other.sh_degree == degree
        for (name, a), (_, b) in zip(made.items(), other.items(), strict=True):
            assert torch.equal(a, b), name
    assert [p.name for p in tmp_path.iterdir()] == ["cloud.ply"]


def test_ply_has_the_viewers_layout(tmp_path: Path) -> None:
    save_ply(cloud(2, degree=1), tmp_path / "cloud.ply")
    header = (tmp_path / "cloud.ply").read_bytes().split(b"end_header")[0].decode().split("\n")
    names = [line.split()[2] for line in header if line.startswith("property")]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:18] == [f"f_rest_{i}" for i in range(9)]
    assert names[18:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]


def test_cut_file_is_refused(tmp_path: Path) -> None:
    save_ply(cloud(), tmp_path / "x.ply")
    data = (tmp_path / "x.ply").read_bytes()
    (tmp_path / "x.ply").write_bytes(data[:-4])
    with pytest.raises(UserError, match="cut short"):
        load_ply(tmp_path / "x.ply")


@pytest.mark.parametrize("degree", [0, 2])
def test_colours_are_the_rasterizers_own(degree: int) -> None:
    from audioplane.splat import rasterization

    made, (viewmat, K, width, height) = cloud(degree=degree), camera()
    expected, alpha, _ = rasterization(
        made.means,
        made.quats,
        made.scales.exp(),
        made.opacities.sigmoid(),
        made.sh,
        viewmat[None],
        K[None],
        width,
        height,
        sh_degree=degree,
    )
    got = splat(made, viewmat, K, width, height)
    torch.testing.assert_close(got.rgb, expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.alpha, alpha[0])


@pytest.mark.parametrize("tile_size", [8, 24, 64, 512])
def test_tiles_do_not_change_the_picture(tile_size: int) -> None:
    made, view = cloud(degree=1), camera()
    expected, got = splat(made, *view), splat(made, *view, tile_size=tile_size)
    assert torch.equal(got.rgb, expected.rgb)
    assert torch.equal(got.alpha, expected.alpha)


def test_dynamism_map_is_a_weighted_mean_in_the_same_pass() -> None:
    made, view = cloud(), camera()
    plain, same = splat(made, *view), splat(made, *view, dynamism=torch.full((30, 1), 0.7))
    torch.testing.assert_close(same.rgb, plain.rgb)
    assert same.dynamism is not None
    torch.testing.assert_close(same.dynamism, 0.7 * plain.alpha[..., 0])


def test_order_does_not_change_the_picture() -> None:
    made, view = cloud(), camera()
    order = morton_order(Box((0.0, 0.0, 0.0), 0.12).normalise(made.means))
    assert sorted(order.tolist()) == list(range(30))
    shuffled = Gaussians.unpack(made.pack()[order])
    torch.testing.assert_close(splat(shuffled, *view).rgb, splat(made, *view).rgb)


def test_over_leaves_what_is_opaque() -> None:
    picture = splat(cloud(), *camera())
    white = picture.over(torch.ones(3))
    torch.testing.assert_close(white - picture.over(torch.zeros(3)), (1 - picture.alpha).expand_as(white))


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize(("moves", "maps"), [(False, False), (False, True), (True, False), (True, True)])
def test_what_is_drawn_and_its_gradients_are_the_twins(degree: int, moves: bool, maps: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    draw = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    own, view = cloud(40, degree), camera()[0]
    own.sh *= 6.0  # some colours are clamped
    tensors = [t.detach().clone().requires_grad_() for _, t in own.items()]
    width = own.pack().shape[1]
    offsets, units = draw(40, width).requires_grad_() if moves else None, 0.1 * draw(width).abs() if moves else None
    dynamism = draw(40, 1).sigmoid().requires_grad_() if maps else None
    asked, found = [t for t in (*tensors, offsets, dynamism) if t is not None], []
    pulls: list[torch.Tensor] = []
    for way in (drawn, drawn_plain):
        made = way(Gaussians(*tensors), view, dynamism, offsets, units)
        pulls = pulls or [draw(*t.shape) for t in made]
        assert made[4].shape[1] == (4 if maps else 3)
        found.append([*made, *torch.autograd.grad(made, asked, pulls)])
    assert (found[1][4][:, :3] == 0).any()
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain, atol=2e-5, rtol=1e-4)


def test_cameras_that_learn_get_their_gradient() -> None:
    view = camera()[0].requires_grad_()
    drawn(cloud(degree=1), view)[4].sum().backward()
    assert view.grad is not None
    assert view.grad.abs().sum() > 0
