from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from audioplane.config import LossConfig
from audioplane.errors import UserError
from audioplane.losses.terms import (
    PixelTerms,
    margin_loss,
    perceptual_loss,
    pixel_terms,
    pixel_terms_plain,
    similarity_by_convolution,
    structural_similarity,
    weighted_l1,
)
from audioplane.splat.gaussians import Picture
from audioplane.training.dataset import Sample


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height)
    target = torch.rand(height, width, 3, generator=generator)
    return (target + 0.2 * torch.randn(height, width, 3, generator=generator)).requires_grad_(), target


@pytest.mark.parametrize(("height", "width"), [(32, 32), (17, 29), (5, 3), (64, 40)])
def test_similarity_and_gradient_are_the_convolutions(height: int, width: int) -> None:
    image, target = pair(height, width)
    got, expected = structural_similarity(image, target), similarity_by_convolution(image, target)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    for mine, theirs in zip(torch.autograd.grad(got, image), torch.autograd.grad(expected, image), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-3)


def test_similarity_is_skimages() -> None:
    """Of pictures with a black border wider than the window: there both ways of padding are the same."""
    from skimage.metrics import structural_similarity as reference

    border = (0, 0, 12, 12, 12, 12)
    image, target = (functional.pad(one.detach(), border) for one in pair(40, 31))
    _, full = reference(
        target.numpy(),
        image.numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
        data_range=1.0,
        full=True,  # its mean would leave the border out
    )
    expected = float(full.mean())
    assert 0.3 < expected < 0.95
    assert float(similarity_by_convolution(image, target)) == pytest.approx(expected, abs=1e-5)
    assert float(structural_similarity(image, target)) == pytest.approx(expected, abs=1e-5)


def test_similarity_of_itself_is_one() -> None:
    _, target = pair(20, 20)
    assert abs(float(structural_similarity(target, target)) - 1.0) < 1e-5


def test_margin_loss_by_hand() -> None:
    g = torch.tensor([[0.1, 0.5], [0.9, 0.3]])
    m = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert float(margin_loss(g, m, 0.2)) == pytest.approx((0 + 0.3 + 0 + 0.5) / 4)
    assert float(margin_loss(m, m, 0.0)) == 0.0


@pytest.mark.parametrize("terms_of", [pixel_terms, pixel_terms_plain])
def test_eyes_and_brows_have_their_own_margin_and_weight(terms_of: Callable[..., PixelTerms]) -> None:
    """Of a picture of four pixels: still, mouth, eyes, and both (which counts as mouth)."""
    motion, eyes = torch.tensor([[0.0, 1.0, 0.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    channels = torch.zeros(1, 4, 4)
    channels[..., 3] = torch.tensor([0.5, 0.4, 0.6, 0.9])
    ones = torch.ones(1, 4)
    sample = Sample(0, torch.full((1, 4, 3), 0.3), torch.zeros(3), ones > 0, ones, motion, eyes)
    picture = Picture(channels, torch.ones(1, 4, 1), {})
    apart = terms_of(picture, sample, 5.0, 0.2, 2.0, 0.1)
    assert float(apart.l1) == pytest.approx(0.3 * (1 + 6 + 3 + 8) / 4)
    assert float(apart.mask) == pytest.approx((0.3 + 0.4 + 0 + 0) / 4)
    assert float(apart.eyes_mask) == pytest.approx((0.4 - 0.1) / 4)
    still = terms_of(picture, sample, 5.0, 0.2)
    assert still.eyes_mask is None
    assert float(still.mask) == pytest.approx((0.3 + 0.4 + 0.4 + 0) / 4)


def test_weighted_l1() -> None:
    image, target = torch.zeros(2, 2, 3), torch.ones(2, 2, 3)
    assert float(weighted_l1(image, target)) == 1.0
    assert float(weighted_l1(image, target, torch.tensor([[4.0, 0.0], [0.0, 0.0]]))) == 1.0


@pytest.mark.parametrize("eyes", [(), (3.0,), (3.0, 0.1)])
@pytest.mark.parametrize(("flat", "has_map"), [(True, True), (False, True), (False, False)])
def test_pixel_terms_and_gradients_are_the_twins(flat: bool, has_map: bool, eyes: tuple[float, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    height, width = 19, 23
    draw = lambda *size: torch.rand(*size, generator=generator)  # noqa: E731
    layers, alpha = draw(height, width, 4).requires_grad_(), draw(height, width, 1).requires_grad_()
    picture = Picture(layers if has_map else layers[..., :3], alpha, {})
    sample = Sample(
        0,
        draw(height, width, 3),
        draw(3) if flat else draw(height, width, 3),
        draw(height, width) > 0.3,
        *((draw(height, width) > 0.5).float() for _ in range(3)),
    )
    weights, found = draw(height, width, 3), []
    for terms in (pixel_terms(picture, sample, 5.0, 0.2, *eyes), pixel_terms_plain(picture, sample, 5.0, 0.2, *eyes)):
        loss = 2.0 * terms.l1 + (terms.image * weights).mean()
        loss = loss + sum(3.0 * mask for mask in (terms.mask, terms.eyes_mask) if mask is not None)
        gradients = torch.autograd.grad(loss, (layers, alpha))
        assert (terms.eyes_mask is not None) == (has_map and len(eyes) == 2)
        assert [terms.target.requires_grad, terms.error.requires_grad] == [False, False]
        assert (terms.mask is not None) == has_map
        found.append([terms.image, terms.target, terms.error, loss, *gradients])
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-7, rtol=1e-5)


def test_perceptual_choices() -> None:
    device = torch.device("cpu")
    assert perceptual_loss(LossConfig(perceptual="none"), device) is None
    dssim = perceptual_loss(LossConfig(), device)
    image, target = pair(16, 16)
    assert dssim is not None
    assert float(dssim(image, target).detach()) == pytest.approx(
        1.0 - float(similarity_by_convolution(image, target).detach()), abs=1e-5
    )


def test_missing_lpips_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from audioplane.metrics import vision_backbones

    def missing(name: str) -> None:
        raise UserError(f"the weights {name} are not on this machine")

    monkeypatch.setattr(vision_backbones.weights, "require", missing)
    with pytest.raises(UserError, match="lpips-alex"):
        perceptual_loss(LossConfig(perceptual="lpips-alex"), torch.device("cpu"))
