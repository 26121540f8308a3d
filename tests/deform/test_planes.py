import numpy as np
import pytest
import torch

from audioplane.deform.planes import LINE_NAMES, PLANE_NAMES, TRIPLES, Planes, sample, sample_dense


def make(features: int = 8, levels: int = 2, resolution: int = 5, seed: int = 0) -> Planes:
    return Planes(resolution, levels, features, torch.Generator().manual_seed(seed))


def some_points(count: int = 60) -> torch.Tensor:
    points = torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) * 1.4 - 0.2  # some outside
    points[0], points[1] = torch.zeros(3), torch.ones(3)
    return points


def by_loops(planes: Planes, point: np.ndarray) -> list[float]:
    """Eq. 8 and 10 without f_a, one number at a time."""
    out = []
    for level in range(1, planes.levels + 1):
        for (i, j, k), plane_name, line_name in zip(TRIPLES, PLANE_NAMES, LINE_NAMES, strict=True):
            plane = planes.plane(level, plane_name).detach().double().numpy()
            line = planes.line(level, line_name).detach().double().numpy()
            size = len(line)
            x, y, z = (min(max(point[axis], 0.0), 1.0) * (size - 1) for axis in (i, j, k))
            for c in range(planes.features):
                value = along = 0.0
                for row in range(size):
                    along += max(0.0, 1.0 - abs(z - row)) * line[row, c]
                    for column in range(size):
                        weight = max(0.0, 1.0 - abs(x - column)) * max(0.0, 1.0 - abs(y - row))
                        value += weight * plane[row, column, c]
                out.append(value * along)
    return out


def test_both_twins_are_the_loops() -> None:
    planes, points = make(), some_points(12)
    expected = np.array([by_loops(planes, p) for p in points.double().numpy()])
    for sampler in (sample, sample_dense):
        got = sampler(points, planes.planes, planes.lines, planes.layout)
        np.testing.assert_allclose(got.detach().numpy(), expected, atol=2e-6)


def test_the_plain_twins_gradient_is_written_once() -> None:
    """A gradient of each of the sets' slices would be a whole table, mostly zeros: megabytes each, at every step."""
    planes, points = make(), some_points(12)
    nodes, names = [sample_dense(points, planes.planes, planes.lines, planes.layout).grad_fn], []
    while nodes:
        node = nodes.pop()
        if node is not None:
            names.append(node.name())
            nodes += [after for after, _ in node.next_functions]
    assert not any(name.startswith("SliceBackward") for name in names)
    assert any(name.startswith("SplitWithSizes") for name in names)


@pytest.mark.parametrize("has_lines", [True, False])
@pytest.mark.parametrize("features", [8, 16, 24])
def test_gradients_are_the_twins(features: int, has_lines: bool) -> None:
    planes = make(features, levels=3)
    points = some_points(200).requires_grad_()
    lines = planes.lines if has_lines else None
    inputs = [t for t in (points, planes.planes, lines) if t is not None]
    weights = torch.randn(200, 9 * features, generator=torch.Generator().manual_seed(2))
    got = torch.autograd.grad(sample(points, planes.planes, lines, planes.layout), inputs, weights)
    expected = torch.autograd.grad(sample_dense(points, planes.planes, lines, planes.layout), inputs, weights)
    for mine, theirs in zip(got, expected, strict=True):
        mine = mine.to_dense() if mine.is_sparse else mine
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_gradient_names_each_touched_row_once() -> None:
    planes = make()
    planes(some_points()).sum().backward()
    grad = planes.planes.grad
    assert grad is not None
    assert grad.is_sparse
    rows = grad._indices()[0]
    assert len(rows.unique()) == len(rows)
    assert len(rows) < len(planes.planes)


def test_twin_gradcheck() -> None:
    planes = make(features=2, levels=2, resolution=3).double()
    points = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    function = lambda p, a, b: sample(p, a, b, planes.layout)  # noqa: E731
    assert torch.autograd.gradcheck(function, (points, planes.planes, planes.lines))


def test_threads_do_not_matter() -> None:
    results = []
    before = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            planes, points = make(16), some_points(500).requires_grad_()
            out = planes(points)
            out.square().sum().backward()
            assert planes.planes.grad is not None
            results.append([out, points.grad, planes.planes.grad.to_dense(), planes.lines.grad])
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)


def test_outside_points_take_the_border_and_pass_nothing_on() -> None:
    planes = make()
    outside = torch.tensor([[1.5, 0.5, 0.5], [0.5, -3.0, 0.5]], requires_grad=True)
    border = torch.tensor([[1.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    out = planes(outside)
    torch.testing.assert_close(out, planes(border))
    out.sum().backward()
    assert outside.grad is not None
    assert outside.grad[0, 0] == 0
    assert outside.grad[1, 1] == 0


def test_nan_points_do_not_crash() -> None:
    assert make()(torch.full((3, 3), torch.nan)).shape == (3, 48)
