"""Networks that see each Gaussian, or each picture, alone: neither their order nor their neighbours change a result."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from audioplane.methods.audio_plane.field import AudioPlane
from audioplane.methods.audio_plane.six_planes import SixPlanes
from audioplane.methods.audio_plane.tri_plane import TriPlane
from audioplane.methods.synctalk_pp.attention import Attention, masked, stray
from audioplane.methods.synctalk_pp.canonical import GIVEN, CanonicalField
from audioplane.methods.talking_gaussian import branches
from audioplane.restore.network import MULTIPLE, SEEN, Inpainter
from audioplane.splat.gaussians import random_gaussians
from tests.strategies import fewer, seeds, torch_generators
from tests.tiny_run import tiny

CODE, EXPRESSION, OUTPUTS = 6, 3, 14
FIELDS = {"audio_plane": AudioPlane, "tri_plane": TriPlane, "six_planes": SixPlanes}


def field(name: str, generator: torch.Generator) -> torch.nn.Module:
    """A field that moves its Gaussians: its last layers, which start at zero, are filled."""
    config = tiny("audio_plane", f"method.field={name}", "method.bf16=false").method
    made = FIELDS[name](config, CODE, OUTPUTS, generator, EXPRESSION)
    for layer in (made.mlp.offset, made.mlp.dynamism):
        torch.nn.init.normal_(layer.weight, std=0.3, generator=generator)
    return made.requires_grad_(False)


def each_alone(function: Callable[[Tensor], tuple[Tensor, ...]], rows: Tensor, generator: torch.Generator) -> None:
    """Any order and any part of the rows give the same rows."""
    whole, order = function(rows), torch.randperm(len(rows), generator=generator)
    for mine, other in zip(function(rows[order]), whole, strict=True):
        torch.testing.assert_close(mine, other[order], atol=1e-5, rtol=1e-4)
    half = len(rows) // 2
    for first, second, other in zip(function(rows[:half]), function(rows[half:]), whole, strict=True):
        torch.testing.assert_close(torch.cat([first, second]), other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", FIELDS)
@fewer
@given(torch_generators, st.integers(2, 60), st.floats(0, 1))
def test_a_field_moves_each_gaussian_by_its_own_place(name, generator, count, time):
    own = field(name, generator)
    points, code = torch.rand(count, 3, generator=generator), torch.randn(CODE, generator=generator)
    face = torch.randn(EXPRESSION, generator=generator)
    each_alone(lambda rows: own(rows, code, time, face), points, generator)
    offsets, dynamism = own(points, code, time, face)
    assert offsets.shape == (count, OUTPUTS)
    assert bool(((dynamism > 0) & (dynamism < 1)).all())
    later = own(points, code, 1.0 - time, face)[0]
    other = own(points, -code, time, face)[0]
    assert torch.equal(later, offsets) == (name != "six_planes" or time == 0.5), "time moves the six planes alone"
    assert torch.equal(other, offsets) == (name == "six_planes"), "and the voice all others"
    rest = own(points, code, time, torch.zeros(EXPRESSION))[0]
    torch.testing.assert_close(own(points, code, time)[0], rest)  # no expression is the rest pose


@fewer
@given(torch_generators, st.integers(2, 60), st.integers(0, 4))
def test_attention_is_each_gaussians_and_the_masks_part_it(generator, count, shapes):
    own = Attention(12, CODE, shapes, 8, generator).requires_grad_(False)
    features = torch.randn(count, 12, generator=generator)
    each_alone(own, features, generator)
    lips, face = own(features)
    assert face.shape == (count, shapes)
    assert bool(((face > 0) & (face < 1)).all())
    below = (torch.rand(count, 1, generator=generator) < 0.5).float()
    kept, other = masked(lips, face, below)
    assert not kept[below[:, 0] == 0].any()
    assert not other[below[:, 0] == 1].any()
    assert float(stray(kept, other, below)) == 0.0
    assert float(stray(lips, face, below)) >= 0.0


@pytest.mark.parametrize("strategy", [name for name in GIVEN if name != "none"])
@fewer
@given(torch_generators, st.integers(2, 40), st.integers(0, 2))
def test_canonical_attributes_are_each_gaussians_and_those_of_the_strategy(strategy, generator, count, degree):
    cloud = random_gaussians(torch.rand(9, 3, generator=generator), 0.01, degree, generator)
    own = CanonicalField(strategy, 10, 8, cloud, generator).requires_grad_(False)
    features = torch.randn(count, 10, generator=generator)
    given = own(features)
    assert tuple(given) == GIVEN[strategy]
    for name, value in given.items():
        assert value.shape == (count, *dict(cloud.items())[name].shape[1:])
    each_alone(lambda rows: tuple(own(rows).values()), features, generator)


@fewer
@given(torch_generators, st.integers(2, 60))
def test_talking_gaussians_attention_is_each_gaussians(generator, count):
    own = branches.Attention(12, 8, CODE, generator).requires_grad_(False)
    each_alone(lambda rows: (own(rows),), torch.randn(count, 12, generator=generator), generator)


@fewer
@given(torch_generators, seeds, st.integers(9, 40), st.integers(9, 40))
def test_the_restorer_sees_each_picture_alone_and_fills_what_lacks_to_its_grid(generator, seed, height, width):
    own = Inpainter(torch.Generator().manual_seed(seed)).eval().requires_grad_(False)
    seen = torch.rand(3, SEEN, height, width, generator=generator)
    whole = own(seen.clone())
    assert whole.shape == (3, 3, height, width)
    for k in range(3):
        torch.testing.assert_close(own(seen[k : k + 1].clone())[0], whole[k], atol=1e-5, rtol=1e-4)
    sides = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
    filled = torch.nn.functional.pad(seen, sides, mode="replicate")
    torch.testing.assert_close(own(filled)[:, :, :height, :width], whole, atol=1e-5, rtol=1e-4)
