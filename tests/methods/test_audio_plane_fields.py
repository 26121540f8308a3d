import math

import pytest
import torch

from audioplane.deform import mlp
from audioplane.methods.audio_plane.config import AudioPlaneConfig
from audioplane.methods.audio_plane.fields import KINDS, AudioPlane, SixPlanes, build

CODE, OUTPUTS = 6, 11
SMALL = AudioPlaneConfig(resolution=4, features=8, levels=2, hidden=12, dynamism_hidden=5)


def small(**changes: object) -> AudioPlaneConfig:
    return AudioPlaneConfig(**{**SMALL.__dict__, **changes})  # type: ignore[arg-type]


def make(config: AudioPlaneConfig = SMALL, seed: int = 0, awake: bool = True) -> AudioPlane:
    generator = torch.Generator().manual_seed(seed)
    field = build(config, CODE, OUTPUTS, generator)
    if awake:  # give the zero-initialised last layers something to say
        for layer in (field.mlp.offset, field.mlp.dynamism):
            torch.nn.init.normal_(layer.weight, generator=generator)
    return field  # type: ignore[return-value]


def points(count: int = 20) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(5))


def audio(seed: int = 6) -> torch.Tensor:
    return torch.randn(CODE, generator=torch.Generator().manual_seed(seed))


def by_loops(field: AudioPlane, point: torch.Tensor, code: torch.Tensor) -> tuple[list[float], float]:
    """Eq. 7 to 12 for one Gaussian, as the paper writes them."""
    config = field.config
    f: list[float] = []
    for level in range(1, config.levels + 1):
        prototypes = field.prototypes[level - 1].detach().tolist()
        if config.scores == "attention":
            query = field.query(code).tolist()
            scores = [
                sum(q * k for q, k in zip(query, row, strict=True)) / math.sqrt(config.features) for row in prototypes
            ]
        else:
            scores = field.scores[level - 1](torch.relu(field.score_hidden(code))).tolist()
        total = sum(math.exp(s) for s in scores)
        f_a = [
            sum(math.exp(s) / total * row[c] for s, row in zip(scores, prototypes, strict=True))
            for c in range(config.features)
        ]
        sets = []
        for axes, plane_name, line_name in (("xyz", "xy", "z"), ("xzy", "xz", "y"), ("yzx", "yz", "x")):
            plane, line = field.planes.plane(level, plane_name), field.planes.line(level, line_name)
            i, j, k = (float(point["xyz".index(axis)]) * (len(line) - 1) for axis in axes)
            row, column, cell = (min(int(v), len(line) - 2) for v in (j, i, k))
            at, v, u = k - cell, j - row, i - column
            f_k = (1 - at) * line[cell] + at * line[cell + 1]
            top = (1 - u) * plane[row, column] + u * plane[row, column + 1]
            bottom = (1 - u) * plane[row + 1, column] + u * plane[row + 1, column + 1]
            interp = (1 - v) * top + v * bottom
            sets.append([float(interp[c]) * float(f_k[c]) * f_a[c] for c in range(config.features)])
        if config.fusion == "concat":
            f += sets[0] + sets[1] + sets[2]
        elif config.fusion == "add":
            f += [a + b + c for a, b, c in zip(*sets, strict=True)]
        else:
            f += [a * b * c for a, b, c in zip(*sets, strict=True)]
    heads = field.mlp
    hidden = torch.relu(heads.first.weight @ torch.tensor(f) + heads.first.bias)
    inner = torch.relu(heads.second(hidden[: config.hidden]))
    return heads.offset(inner).tolist(), float(torch.sigmoid(heads.dynamism(hidden[config.hidden :])))


@pytest.mark.parametrize("scores", ["attention", "mlp"])
@pytest.mark.parametrize("fusion", ["concat", "add", "multiply"])
@torch.no_grad()
def test_the_loops_agree(fusion: str, scores: str) -> None:
    field = make(small(fusion=fusion, scores=scores))
    offsets, dynamism = field(points(5), audio())
    for n, point in enumerate(points(5)):
        expected, d = by_loops(field, point, audio())
        torch.testing.assert_close(offsets[n], torch.tensor(expected), atol=2e-5, rtol=1e-4)
        assert abs(float(dynamism[n]) - d) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_nothing_moves_at_the_start(kind: str) -> None:
    offsets, dynamism = make(small(field=kind), awake=False)(points(), audio(), 0.3)
    assert torch.equal(offsets, torch.zeros(20, OUTPUTS))
    assert float(dynamism.min()) > 0
    assert float(dynamism.max()) < 1


def test_dynamism_learns_where_and_when_from_its_first_values() -> None:
    field, at = make(awake=False).double(), points(60).double()  # in double precision gradients are dense
    codes = (audio(1).double(), audio(2).double())
    wanted = [(at[:, :1] > 0.5).double(), torch.zeros(60, 1)]  # one half of space moves, under the first sound alone
    optimizer = torch.optim.Adam([p.requires_grad_() for p in field.parameters()], lr=0.02)
    for _ in range(200):
        loss = sum((field(at, a)[1] - w).square().mean() for a, w in zip(codes, wanted, strict=True))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
    assert float(loss.detach()) < 0.05


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_order_of_points_does_not_matter(kind: str) -> None:
    field, order = make(small(field=kind)), torch.randperm(20, generator=torch.Generator().manual_seed(0))
    straight, shuffled = field(points(), audio(), 0.3), field(points()[order], audio(), 0.3)
    for a, b in zip(straight, shuffled, strict=True):
        torch.testing.assert_close(a[order], b)


@pytest.mark.parametrize("scores", ["attention", "mlp"])
@torch.no_grad()
def test_attention_sums_to_one(scores: str) -> None:
    for weights, size in zip(make(small(scores=scores)).attention(100 * audio()), (4, 8), strict=True):
        assert weights.shape == (size,)
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


@torch.no_grad()
def test_what_each_kind_listens_to() -> None:
    for kind, hears, sees_time in (
        ("audio_plane", True, False),
        ("tri_plane", True, False),
        ("six_planes", False, True),
    ):
        field = make(small(field=kind))
        base = field(points(), audio(), 0.3)[0]
        assert torch.equal(base, field(points(), audio(7), 0.3)[0]) != hears
        assert torch.equal(base, field(points(), audio(), 0.6)[0]) != sees_time


@torch.no_grad()
def test_six_planes_stop_beyond_the_clip() -> None:
    field = make(small(field="six_planes"))
    assert isinstance(field, SixPlanes)
    assert torch.equal(field(points(), audio(), 1.0)[0], field(points(), audio(), 7.0)[0])


@torch.no_grad()
def test_variants_share_what_they_do_not_change() -> None:
    """Same seed: fusion and scores leave planes, lines and prototypes alone; the kind leaves the planes alone."""
    base = make()
    for changes in ({"fusion": "add"}, {"scores": "mlp"}, {"field": "tri_plane"}, {"field": "six_planes"}):
        other = make(small(**changes))
        assert torch.equal(base.planes.planes, other.planes.planes)
        if "field" not in changes:
            assert torch.equal(base.planes.lines, other.planes.lines)
            assert all(torch.equal(a, b) for a, b in zip(base.prototypes, other.prototypes, strict=True))


def test_gradcheck() -> None:
    field = make(small(features=2, resolution=3, hidden=4, dynamism_hidden=2, mask_moves_code=True)).double()
    where = points(3).double().requires_grad_()
    code = audio().double().requires_grad_()
    parameters = [field.planes.lines, *field.prototypes, field.query.weight]
    assert torch.autograd.gradcheck(lambda p, a, *_: field(p, a), (where, code, *parameters), atol=1e-6)


@torch.no_grad()
def test_bf16_is_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlp, "has_bf16", lambda device: True)
    exact, short = make()(points(), audio()), make(small(bf16=True))(points(), audio())
    for a, b in zip(exact, short, strict=True):
        assert (a - b).abs().max() < 0.05 * a.abs().max()
        assert not torch.equal(a, b)


@pytest.mark.parametrize("count", [1, 700])  # below and above a block of rows
def test_compiled_layers_are_the_twin(count: int) -> None:
    made = mlp.DeformationMLP(24, 0, 5, 16, 8, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    static = torch.randn(count, 24, generator=generator).requires_grad_()
    gain = torch.randn(24, generator=generator).requires_grad_()
    pulls = torch.randn(count, 5, generator=generator), torch.randn(count, 1, generator=generator)
    inputs, found = (static, gain, *made.parameters()), []
    for outputs in (made(static, gain), made.plain(static, *made.fold(gain, None))):
        found.append([*outputs, *torch.autograd.grad(outputs, inputs, pulls)])
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain, atol=2e-5, rtol=1e-4)


def test_compiled_layers_in_bf16_are_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlp, "has_bf16", lambda device: True)
    sizes = {"hidden": 16, "dynamism_hidden": 8}
    found = []
    for bf16 in (False, True):
        field = make(small(**sizes, bf16=bf16))
        outputs = field(points(300), audio())
        loss = outputs[0].square().sum() + outputs[1].sum()
        found.append([*outputs, *torch.autograd.grad(loss, [field.mlp.first.weight, field.planes.lines])])
    for exact, short in zip(*found, strict=True):
        assert (exact - short).norm() < 0.03 * exact.norm()
        assert not torch.equal(exact, short)


def test_short_products_are_rounded_ones() -> None:
    planes = make().planes
    exact, short = planes(points()), planes(points(), short=True)
    assert short.dtype == torch.bfloat16
    assert torch.equal(exact.bfloat16(), short)
