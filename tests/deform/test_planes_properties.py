"""Planes and lines at any size: layouts, interpolation, and what a plane's values mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.deform.planes import (
    LINE_NAMES,
    PLANE_NAMES,
    TRIPLES,
    Planes,
    make_layout,
    sample,
    sample_dense,
    table_rows,
)
from tests.strategies import few, fewer, torch_generators

resolutions, levels = st.integers(2, 7), st.integers(1, 3)


@few
@given(resolutions, levels)
def test_a_layout_gives_every_row_to_one_set(resolution, count):
    layout = make_layout(resolution, count)
    rows, lines = table_rows(layout)
    assert layout.shape == (3 * count, 6)
    assert layout.dtype == np.int64
    planes_taken, lines_taken = np.zeros(rows, int), np.zeros(lines, int)
    for size, plane, line, *axes in layout.tolist():
        planes_taken[plane : plane + size * size] += 1
        lines_taken[line : line + size] += 1
        assert sorted(axes) == [0, 1, 2]
    assert (planes_taken == 1).all()
    assert (lines_taken == 1).all()
    assert [size for size, *_ in layout.tolist()] == [resolution * s for s in range(1, count + 1) for _ in range(3)]


@few
@given(torch_generators, resolutions, levels)
def test_planes_and_lines_are_found_by_name(generator, resolution, count):
    planes = Planes(resolution, count, 8, generator)
    for level in range(1, count + 1):
        size = level * resolution
        assert all(planes.plane(level, name).shape == (size, size, 8) for name in PLANE_NAMES)
        assert all(planes.line(level, name).shape == (size, 8) for name in LINE_NAMES)
    total = sum(planes.plane(s, name).sum() for s in range(1, count + 1) for name in PLANE_NAMES)
    torch.testing.assert_close(total, planes.planes.sum(), atol=1e-3, rtol=1e-4)


@few
@given(torch_generators, resolutions, levels, st.integers(1, 20))
def test_both_twins_agree_anywhere(generator, resolution, count, points_count):
    planes = Planes(resolution, count, 8, generator)
    points = torch.rand(points_count, 3, generator=generator) * 1.6 - 0.3
    fast = sample(points, planes.planes, planes.lines, planes.layout)
    slow = sample_dense(points.double(), planes.planes.double(), planes.lines.double(), planes.layout)  # type: ignore[union-attr]
    torch.testing.assert_close(fast.double(), slow, atol=1e-4, rtol=1e-4)
    assert fast.shape == (points_count, 9 * count * 8 // 3)
    strided = torch.cat([points, points], dim=1)[:, ::2][:, :3]
    again = sample(strided.contiguous(), planes.planes, planes.lines, planes.layout)
    assert torch.equal(sample(strided, planes.planes, planes.lines, planes.layout), again)
    short = sample(points, planes.planes, planes.lines, planes.layout, short=True)
    assert short.dtype == torch.bfloat16
    torch.testing.assert_close(short.float(), fast, atol=0.02, rtol=0.01)


@few
@given(torch_generators, resolutions)
def test_at_a_cells_corner_stands_the_cells_value(generator, resolution):
    planes = Planes(resolution, 1, 8, generator)
    cells = torch.randint(0, resolution, (12, 3), generator=generator)
    got = planes(cells / (resolution - 1)).detach()
    for n, cell in enumerate(cells.tolist()):
        for k, (i, j, along) in enumerate(TRIPLES):
            plane, line = planes.plane(1, PLANE_NAMES[k]), planes.line(1, LINE_NAMES[k])
            wanted = plane[cell[j], cell[i]] * line[cell[along]]
            torch.testing.assert_close(got[n, 8 * k : 8 * k + 8], wanted.detach(), atol=1e-4, rtol=1e-4)


@few
@given(torch_generators, resolutions, st.floats(0.1, 3))
def test_values_are_linear_in_planes_and_in_lines(generator, resolution, factor):
    planes = Planes(resolution, 2, 8, generator)
    assert planes.lines is not None
    points = torch.rand(9, 3, generator=generator)
    whole = sample(points, planes.planes, planes.lines, planes.layout)
    torch.testing.assert_close(
        sample(points, factor * planes.planes, planes.lines, planes.layout), factor * whole, atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        sample(points, planes.planes, factor * planes.lines, planes.layout), factor * whole, atol=1e-5, rtol=1e-4
    )
    ones = torch.ones_like(planes.lines)
    plain = sample(points, planes.planes, None, planes.layout)
    torch.testing.assert_close(sample(points, planes.planes, ones, planes.layout), plain, atol=1e-5, rtol=1e-4)
    flat = sample(points, torch.full_like(planes.planes, factor), ones, planes.layout)
    torch.testing.assert_close(flat, torch.full_like(flat, factor), atol=1e-5, rtol=1e-5)


@fewer
@given(torch_generators, resolutions)
def test_between_cells_values_lie_between_theirs(generator, resolution):
    planes = Planes(resolution, 1, 8, generator, has_lines=False)
    points = torch.rand(30, 3, generator=generator)
    got = planes(points).detach()
    for k, name in enumerate(PLANE_NAMES):
        plane = planes.plane(1, name).detach()
        own = got[:, 8 * k : 8 * k + 8]
        assert bool((own >= plane.amin(dim=(0, 1)) - 1e-5).all())
        assert bool((own <= plane.amax(dim=(0, 1)) + 1e-5).all())


@pytest.mark.parametrize("has_lines", [True, False])
def test_the_same_generator_makes_the_same_planes(has_lines):
    one, same, other = (Planes(4, 2, 8, torch.Generator().manual_seed(k), has_lines) for k in (0, 0, 1))
    assert torch.equal(one.planes, same.planes)
    assert not torch.equal(one.planes, other.planes)
    assert (one.lines is None) != has_lines
