"""The codebook: its nearest entry, what flows through it, what its loss asks for, entries that nothing uses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.expression.codebook import nearest, perplexity, replace_dead, straight_through, vq_loss
from tests.strategies import few, torch_generators


def draw(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator)


@few
@given(torch_generators, st.integers(1, 30), st.integers(1, 40), st.integers(1, 9))
def test_the_nearest_entry_is_that_of_trying_all(generator, count, entries, size):
    latents, book = draw(generator, count, 2, size), draw(generator, entries, size)
    found = nearest(latents, book)
    assert found.shape == (count, 2)
    for place in np.ndindex(count, 2):
        away = [math.dist(latents[place].tolist(), entry.tolist()) for entry in book]
        assert away[found[place]] <= min(away) + 1e-5
    torch.testing.assert_close(book[nearest(book, book)], book, atol=1e-2, rtol=0)  # an entry is nearest to itself


def test_the_encoder_gets_the_gradient_at_the_decoders_input() -> None:
    generator = torch.Generator().manual_seed(0)
    latents, book, after = draw(generator, 5, 3).requires_grad_(), draw(generator, 7, 3), draw(generator, 3, 4)

    def decoder(states: torch.Tensor) -> torch.Tensor:
        return torch.sin(states @ after).square().sum()

    given_entries = book[nearest(latents, book)].clone().requires_grad_()
    decoder(given_entries).backward()
    passed = straight_through(latents, book[nearest(latents, book)])
    torch.testing.assert_close(passed.detach(), given_entries.detach())
    decoder(passed).backward()
    assert given_entries.grad is not None
    torch.testing.assert_close(latents.grad, given_entries.grad)
    assert given_entries.grad.abs().min() > 0


@few
@given(torch_generators, st.floats(0, 2))
def test_the_loss_is_its_three_terms(generator, beta):
    true, shown = draw(generator, 4, 6), draw(generator, 4, 6)
    latents, entries = draw(generator, 4, 3).requires_grad_(), draw(generator, 4, 3).requires_grad_()
    value = vq_loss(true, shown, latents, entries, beta)
    apart, wrong = (
        [(a - b) ** 2 for a, b in zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)]
        for one, other in ((latents, entries), (true, shown))
    )
    assert value.item() == pytest.approx(np.mean(wrong) + (1 + beta) * np.mean(apart), rel=1e-4)
    value.backward()
    pull = 2 * (latents - entries).detach() / latents.numel()
    torch.testing.assert_close(latents.grad, pull)  # the encoder commits itself
    torch.testing.assert_close(entries.grad, -beta * pull)  # the codebook follows


def test_entries_without_use_are_placed_where_latents_lie() -> None:
    generator = torch.Generator().manual_seed(0)
    book, latents = draw(generator, 6, 2), draw(generator, 50, 2) + 10
    before, uses = book.clone(), torch.tensor([3, 0, 1, 0, 0, 9])
    assert replace_dead(book, uses, latents, generator) == 3
    assert torch.equal(book[uses > 0], before[uses > 0])
    for entry in book[uses == 0]:
        assert (latents == entry).all(dim=1).any()


def test_perplexity_counts_what_is_in_use() -> None:
    assert perplexity(torch.tensor([5, 5, 0, 5, 5])) == pytest.approx(4)
    assert perplexity(torch.tensor([0, 8])) == pytest.approx(1)
    assert 1 < perplexity(torch.tensor([1, 99])) < 1.1
