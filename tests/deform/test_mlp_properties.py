"""The deformation MLP and the planes: audio folded in is audio concatenated, every Gaussian is its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import Planes, rows_at
from tests.strategies import few, fewer, torch_generators

counts = st.integers(1, 40)


def mlp(generator: torch.Generator, extra: int = 0, dtype: torch.dtype = torch.float32) -> DeformationMLP:
    """One whose last layer says something."""
    found = DeformationMLP(6, extra, 5, 16, 8, generator).to(dtype)
    with torch.no_grad():
        found.offset.weight.normal_(generator=generator)
    return found.requires_grad_(False)


@few
@given(torch_generators, counts, st.sampled_from([torch.float32, torch.float64]))
def test_folding_is_scaling_and_concatenating(generator, count, dtype):
    net = mlp(generator, 4, dtype)
    static, gain, extra = (torch.randn(*size, generator=generator).to(dtype) for size in ((count, 6), (6,), (4,)))
    offsets, dynamism = net(static, gain, extra)
    whole = torch.cat([static * gain, extra.expand(count, 4)], dim=1)
    expected = net.plain(whole, net.first.weight, net.first.bias)
    torch.testing.assert_close((offsets, dynamism), expected, atol=1e-5, rtol=1e-4)
    assert ((dynamism > 0) & (dynamism < 1)).all()
    torch.testing.assert_close(net(static, torch.ones(6, dtype=dtype), extra), net(static, None, extra))
    torch.testing.assert_close(net(static, gain, torch.zeros(4, dtype=dtype)), net(static, gain, None))
    torch.testing.assert_close(net(static, gain, extra, (gain, extra)), (offsets, dynamism))


@few
@given(torch_generators, counts)
def test_every_gaussian_is_deformed_by_itself(generator, count):
    net, static, gain = mlp(generator), torch.randn(count, 6, generator=generator), torch.randn(6, generator=generator)
    offsets, dynamism = net(static, gain)
    order = torch.randperm(count, generator=generator)
    torch.testing.assert_close(net(static[order], gain), (offsets[order], dynamism[order]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net(static[:1], gain), (offsets[:1], dynamism[:1]), atol=1e-5, rtol=1e-4)
    wide = static.repeat_interleave(2, dim=1)[:, ::2]
    torch.testing.assert_close(net(wide, gain), (offsets, dynamism))
    assert [part.shape for part in net(static[:0], gain)] == [(0, 5), (0, 1)]


@few
@given(torch_generators, counts)
def test_a_fresh_network_moves_nothing(generator, count):
    offsets, _ = DeformationMLP(6, 2, 5, 16, 8, generator)(
        torch.randn(count, 6, generator=generator), None, torch.randn(2, generator=generator)
    )
    assert not offsets.any()


@fewer
@given(torch_generators, counts)
def test_gradients_of_both_twins_agree(generator, count):
    net = mlp(generator, 4).requires_grad_()
    static, extra = torch.randn(count, 6, generator=generator), torch.randn(4, generator=generator)
    pull = torch.randn(count, 5, generator=generator), torch.randn(count, 1, generator=generator)
    found = []
    for run in (lambda: net(static, None, extra), lambda: net.plain(static, *net.fold(None, extra))):
        net.zero_grad()
        sum((a * b).sum() for a, b in zip(run(), pull, strict=True)).backward()
        found.append([param.grad.clone() for param in net.parameters() if param.grad is not None])
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("static", [torch.zeros(3, 5), torch.zeros(6)])
def test_features_of_another_width_are_refused(static):
    with pytest.raises((ValueError, RuntimeError), match=r"static|shape|size"):
        mlp(torch.Generator().manual_seed(0))(static, None)


@fewer
@given(torch_generators, st.integers(2, 6), st.integers(1, 2), counts)
def test_only_rows_that_are_read_matter(generator, resolution, levels, count):
    planes = Planes(resolution, levels, 8, generator).requires_grad_(False)
    points = torch.rand(count, 3, generator=generator)
    rows, values = rows_at(points, planes), planes(points)
    assert rows.tolist() == sorted(set(rows.tolist()))
    others = torch.ones(len(planes.planes), dtype=torch.bool)
    others[rows] = False
    planes.planes[others] = np.nan
    assert torch.equal(planes(points), values), "rows that are not named are not read"
    each = torch.cat([rows_at(point[None], planes) for point in points]).unique()
    assert torch.equal(each, rows)
    order = torch.randperm(count, generator=generator)
    assert torch.equal(planes(points[order]), values[order])
