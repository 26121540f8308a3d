"""Loss terms on any picture: bounds, invariances, gradients by differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.losses.terms import (
    margin_loss,
    pixel_terms,
    pixel_terms_plain,
    similarity_by_convolution,
    structural_similarity,
    weighted_l1,
)
from audioplane.methods.types import Sample
from audioplane.splat.gaussians import Picture
from tests.strategies import few, fewer, torch_generators

sides = st.integers(1, 20)


@few
@given(torch_generators, sides, sides)
def test_weighted_l1_is_the_mean_of_the_loops(generator, height, width):
    image, target = torch.rand(2, height, width, 3, generator=generator, dtype=torch.float64)
    weight = torch.rand(height, width, generator=generator, dtype=torch.float64)
    a, b, w = image.numpy(), target.numpy(), weight.numpy()
    total = sum(w[y, x] * abs(a[y, x, c] - b[y, x, c]) for y in range(height) for x in range(width) for c in range(3))
    got = float(weighted_l1(image, target, weight))
    assert got == pytest.approx(total / (3 * height * width))
    assert float(weighted_l1(target, image, weight)) == pytest.approx(got)
    assert float(weighted_l1(image, target, 2 * weight)) == pytest.approx(2 * got)
    assert float(weighted_l1(image, target)) == pytest.approx(
        float(weighted_l1(image, target, torch.ones_like(weight)))
    )
    third = torch.rand(height, width, 3, generator=generator, dtype=torch.float64)
    assert got <= float(weighted_l1(image, third, weight) + weighted_l1(third, target, weight)) + 1e-12


@few
@given(torch_generators, sides, sides, st.floats(0, 1), st.floats(0, 1))
def test_the_margin_is_free(generator, height, width, margin, more):
    g = torch.rand(height, width, generator=generator, dtype=torch.float64)
    m = (torch.rand(height, width, generator=generator) > 0.5).double()
    got = float(margin_loss(g, m, margin))
    assert 0 <= got <= max(0.0, 1 - margin) + 1e-12
    assert float(margin_loss(g, m, margin + more)) <= got + 1e-12
    assert float(margin_loss(1 - g, 1 - m, margin)) == pytest.approx(got), "in and out count alike"
    near = torch.where(m > 0, 1 - margin, margin).double()
    assert float(margin_loss(near, m, margin)) == pytest.approx(0, abs=1e-6)
    assert float(margin_loss(g, m, 0.0)) == pytest.approx(float((g - m).abs().mean()))
    assert float(margin_loss(g, m, 1.0)) == pytest.approx(0, abs=1e-12)


@few
@given(torch_generators, sides, sides)
def test_similarity_is_symmetric_bounded_and_one_for_equals(generator, height, width):
    image, target = torch.rand(2, height, width, 3, generator=generator)
    for measure in (structural_similarity, similarity_by_convolution):
        got = float(measure(image, target))
        assert -1 <= got <= 1 + 1e-6
        assert float(measure(target, image)) == pytest.approx(got, abs=1e-5)
        assert float(measure(image, image)) == pytest.approx(1, abs=1e-5)
        for change in (
            lambda x: x.flip(0),
            lambda x: x.flip(1),
            lambda x: x.transpose(0, 1),
            lambda x: x[..., [2, 0, 1]],
        ):
            assert float(measure(change(image), change(target))) == pytest.approx(got, abs=1e-5)
    double = float(similarity_by_convolution(image.double(), target.double()))
    assert float(structural_similarity(image, target)) == pytest.approx(double, abs=1e-5)
    wide = torch.rand(height, 2 * width, 3, generator=generator)
    strided, whole = wide[:, ::2], wide[:, ::2].contiguous()
    assert float(structural_similarity(strided, target)) == float(structural_similarity(whole, target))


@fewer
@given(torch_generators, st.integers(2, 9), st.integers(2, 9))
def test_similaritys_gradient_is_the_difference(generator, height, width):
    image, target = torch.rand(2, height, width, 3, generator=generator)
    leaf = image.clone().requires_grad_()
    (3 * structural_similarity(leaf, target)).backward()
    assert leaf.grad is not None
    way = torch.randn(height, width, 3, generator=generator).double()
    step = 1e-5
    ahead, behind = (similarity_by_convolution(image.double() + s * step * way, target.double()) for s in (1, -1))
    slope = float(3 * (ahead - behind) / (2 * step))
    assert float((leaf.grad.double() * way).sum()) == pytest.approx(slope, abs=1e-3, rel=1e-2)
    still = image.clone().requires_grad_()
    structural_similarity(still, image).backward()
    assert float(still.grad.abs().max()) < 1e-4, "at its maximum nothing pulls"  # type: ignore[union-attr]


def a_sample(
    generator: torch.Generator, height: int, width: int, flat: bool
) -> tuple[torch.Tensor, torch.Tensor, Sample]:
    draw = lambda *size: torch.rand(*size, generator=generator)  # noqa: E731
    mask = lambda: (draw(height, width) > 0.5).float()  # noqa: E731
    behind = draw(3) if flat else draw(height, width, 3)
    sample = Sample(0, draw(height, width, 3), behind, draw(height, width) > 0.3, mask(), mask(), mask())
    return draw(height, width, 4), draw(height, width, 1), sample


@few
@given(torch_generators, sides, sides, st.booleans(), st.floats(0, 9), st.floats(0, 0.5))
def test_pixel_terms_are_the_twins_for_any_size(generator, height, width, flat, weight, margin):
    channels, alpha, sample = a_sample(generator, height, width, flat)
    picture = Picture(channels, alpha, {})
    mine, plain = pixel_terms(picture, sample, weight, margin), pixel_terms_plain(picture, sample, weight, margin)
    for name in ("image", "target", "l1", "mask", "error"):
        torch.testing.assert_close(getattr(mine, name), getattr(plain, name), atol=1e-6, rtol=1e-5)
    unknown = ~sample.known
    assert torch.equal(mine.image[unknown], mine.target[unknown]), "where nothing is known nothing pulls"
    assert torch.equal(mine.target[sample.known], sample.target[sample.known])


@few
@given(torch_generators, st.integers(2, 12), st.booleans())
def test_unknown_pixels_pull_at_nothing(generator, side, flat):
    channels, alpha, sample = a_sample(generator, side, side, flat)
    leaf, cover = channels.clone().requires_grad_(), alpha.clone().requires_grad_()
    terms = pixel_terms(Picture(leaf, cover, {}), sample, 3.0, 0.1)
    terms.l1.backward()
    assert leaf.grad is not None
    assert float(leaf.grad[..., :3][~sample.known].abs().sum()) == 0
    assert bool((leaf.grad[..., :3][sample.known].abs() > 0).any()) == bool(sample.known.any())
    error = np.square(terms.image.detach().numpy() - sample.target.numpy()).mean(axis=-1)
    head = sample.head.numpy() > 0
    assert float(terms.error) == pytest.approx(error[head].mean() if head.any() else 0.0, rel=1e-4)
