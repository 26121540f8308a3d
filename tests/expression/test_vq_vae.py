"""The VQ-VAE: shares of a range, pieces that give what the whole gives, and a codebook between encoder and decoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.expression import vq_vae
from audioplane.expression.vq_vae import Range, VqVae, VqVaeSettings
from audioplane.subject import blendshapes
from tests.strategies import few, torch_generators

SMALL = VqVaeSettings(width=16, heads=2, layers=1, span=3, entries=12, parts=2, size=4)


def small() -> VqVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VqVae(SMALL)
        torch.nn.init.normal_(network.out.weight)
    return network.eval().requires_grad_(False)


def ranges(generator: torch.Generator) -> Range:
    low, rest, high = torch.rand(3, 1, blendshapes.COUNT, generator=generator).sort(dim=0).values
    return Range(low, rest, high)


@few
@given(torch_generators, st.integers(1, 20))
def test_shares_of_a_range_come_back(generator, count):
    own = ranges(generator)
    shares = torch.rand(count, blendshapes.COUNT, generator=generator) * 2 - 1
    weights = own.place(shares)
    assert (weights >= own.low - 1e-6).all()
    assert (weights <= own.high + 1e-6).all()
    torch.testing.assert_close(own.place(own.shares(weights)), weights, atol=1e-5, rtol=0)
    torch.testing.assert_close(own.place(torch.zeros(1, blendshapes.COUNT)), own.rest)
    assert own.shares(own.high + 9).max() <= 1
    still = Range(own.rest, own.rest, own.rest)
    assert not still.shares(weights).any()


def test_pieces_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small()
    weights = torch.rand(70, blendshapes.COUNT, generator=torch.Generator().manual_seed(0))
    whole = network.shares(weights)
    monkeypatch.setattr(vq_vae, "PIECE", 9)
    torch.testing.assert_close(network.shares(weights), whole, atol=1e-5, rtol=0)
    assert network.shares(weights[:0]).shape == (0, blendshapes.COUNT)
    assert whole.abs().max() <= 1
    assert whole.std() > 0.01


def test_only_entries_of_the_codebook_reach_the_decoder() -> None:
    network = small()
    network.entries.copy_(torch.ones_like(network.entries))
    weights = torch.rand(2, 8, blendshapes.COUNT, generator=torch.Generator().manual_seed(0))
    own = ranges(torch.Generator().manual_seed(1))
    restored, latents, quantised, numbers = network(weights, own)
    assert latents.shape == quantised.shape == (2, 8, SMALL.parts, SMALL.size)
    assert numbers.shape == (2, 8, SMALL.parts)
    assert latents.std() > 0.01
    torch.testing.assert_close(restored[0], restored[1])  # with one entry, all coefficients are the same


def test_a_frame_sees_no_further_than_the_span() -> None:
    network = small()
    weights = torch.rand(1, 40, blendshapes.COUNT, generator=torch.Generator().manual_seed(0))
    other = weights.clone()
    other[0, 20] += 1
    changed = (network.encode(other) - network.encode(weights)).abs().amax(dim=(0, 2, 3)) > 1e-6
    assert np.array_equal(np.flatnonzero(changed), np.arange(20 - SMALL.span, 21 + SMALL.span))
