"""Every compiled function with a gradient: what is changed in place before backward is noticed, or does no harm.

torch tells `RuntimeError: ... modified by an inplace operation` for whatever went through `save_for_backward`; what a
function copied for itself may change freely. Anything else gives wrong gradients without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import audioplane
from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import make_layout, sample, table_rows
from audioplane.losses.terms import pixel_terms, structural_similarity
from audioplane.methods.types import Sample
from audioplane.splat import rasterization
from audioplane.splat.compositing import composite
from audioplane.splat.gaussians import Picture, drawn, random_gaussians
from audioplane.splat.harmonics import evaluate
from audioplane.splat.projection import Lens, project
from audioplane.splat.tiles import intersect
from tests.splat.scenes import scene

Case = tuple[dict[str, Any], Callable[..., Sequence[Any]]]
"""Named inputs, tensors or arrays, and a function of them that returns all that a caller gets to see."""


def _rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _scene() -> dict[str, Tensor]:
    s = scene(3, 40, (24, 20), cameras=1)
    names = ("means", "quats", "scales", "opacities", "colors", "viewmats", "backgrounds", "Ks")
    return {name: getattr(s, name).clone() for name in names}


def rasterizer(packed: bool) -> Case:
    def call(**given: Tensor) -> list[Any]:
        colors, alphas, meta = rasterization(**given, width=24, height=20, packed=packed, absgrad=True)
        return [colors, alphas, *meta.values()]

    return _scene(), call


def coloured_by_harmonics() -> Case:
    given = _scene() | {"colors": _rand(40, 16, 3) - 0.5}
    del given["backgrounds"]
    return given, lambda **g: rasterization(**g, width=24, height=20, sh_degree=3, render_mode="RGB+ED")[:2]


def projection() -> Case:
    given = _scene()
    for name in ("colors", "backgrounds"):
        del given[name]
    lens = Lens(24, 20, 0.01, 1e10, 0.0, 0.3)
    return given, lambda **g: project(**g, lens=lens, antialiased=True)


def harmonics() -> Case:
    given = {name: tensor for name, tensor in _scene().items() if name in ("means", "viewmats")}
    given |= {"coeffs": _rand(40, 16, 3), "radii": torch.ones(1, 40, 2, dtype=torch.int32)}
    return given, lambda **g: [evaluate(3, **g)]


def compositing() -> Case:
    s = _scene()
    with torch.no_grad():
        radii, means2d, depths, conics, _ = project(
            s["means"], s["quats"], s["scales"], s["opacities"], s["viewmats"], s["Ks"],
            Lens(24, 20, 0.01, 1e10, 0.0, 0.3),
        )  # fmt: skip
    given = {"means2d": means2d, "conics": conics, "colors": s["colors"][None], "opacities": s["opacities"][None]}
    given["backgrounds"] = s["backgrounds"]
    pairs = intersect(means2d, conics, given["opacities"], radii, depths, np.zeros(40, np.int32), 24, 20, 16, 1)
    return given, lambda **g: composite(**g, pairs=pairs, width=24, height=20, tile_size=16)


def moving(moves: bool) -> Case:
    cloud = random_gaussians(_rand(30, 3), 0.1, 2, torch.Generator().manual_seed(0))
    given = dict(cloud.items()) | {"dynamism": _rand(30, 1), "viewmat": _scene()["viewmats"][0]}
    if moves:
        width = 11 + 3 * cloud.sh.shape[1]
        given |= {"offsets": _rand(30, width), "units": 0.1 * _rand(width)}

    def call(**g: Tensor) -> Sequence[Tensor]:
        own = type(cloud)(**{name: g[name] for name, _ in cloud.items()})
        return drawn(own, g["viewmat"], g["dynamism"], g.get("offsets"), g.get("units"))

    return given, call


def planes(has_lines: bool) -> Case:
    layout = make_layout(5, 2)
    plane_rows, line_rows = table_rows(layout)
    given = {"points": _rand(30, 3), "planes": _rand(plane_rows, 8), "layout": layout}
    if has_lines:
        given["lines"] = _rand(line_rows, 8)
    return given, lambda **g: [sample(g["points"], g["planes"], g.get("lines"), g["layout"])]


def mlp() -> Case:
    heads = DeformationMLP(16, 4, 11, 24, 8, torch.Generator().manual_seed(0))
    given = {"static": _rand(30, 16), "extra": _rand(4)}
    given |= {name: parameter.detach() + 0.1 for name, parameter in heads.named_parameters()}

    def call(**g: Tensor) -> Sequence[Tensor]:
        static, extra = g.pop("static"), g.pop("extra")
        return torch.func.functional_call(heads, g, (static, None, extra))

    return given, call


def pixel_losses(flat: bool) -> Case:
    background = _rand(3) if flat else _rand(12, 15, 3)
    given = {"channels": _rand(12, 15, 4), "alpha": _rand(12, 15, 1), "background": background}
    given |= {"target": _rand(12, 15, 3, seed=1), "known": _rand(12, 15) > 0.2}
    given |= {"head": (_rand(12, 15) > 0.3).float(), "motion": (_rand(12, 15) > 0.5).float()}
    given |= {"eyes": (_rand(12, 15, seed=2) > 0.5).float()}

    def call(**g: Tensor) -> Sequence[Any]:
        own = Sample(0, *(g[name] for name in ("target", "background", "known", "head", "motion", "eyes")))
        return list(vars(pixel_terms(Picture(g["channels"], g["alpha"], {}), own, 5.0, 0.2, 3.0, 0.1)).values())

    return given, call


def similarity() -> Case:
    return {"image": _rand(12, 15, 3), "target": _rand(12, 15, 3, seed=1)}, lambda **g: [structural_similarity(**g)]


CASES: dict[str, tuple[str, Case]] = {
    "rasterization": ("", rasterizer(False)),
    "packed rasterization": ("", rasterizer(True)),
    "rasterization of harmonics": ("", coloured_by_harmonics()),
    "project": ("_Project", projection()),
    "harmonics": ("_Harmonics", harmonics()),
    "composite": ("_Composite", compositing()),
    "move": ("Move", moving(True)),
    "move nothing": ("Move", moving(False)),
    "planes and lines": ("_Sample", planes(True)),
    "planes": ("_Sample", planes(False)),
    "mlp": ("_Layers", mlp()),
    "pixel terms": ("_PixelTerms", pixel_losses(False)),
    "pixel terms, one colour behind": ("_PixelTerms", pixel_losses(True)),
    "similarity": ("_Similarity", similarity()),
}


def test_every_compiled_function_is_looked_at():
    """A new autograd function needs a case above."""
    package = Path(audioplane.__file__).parent
    found = {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r"^class (\w+)\([\w.]*autograd\.Function\)", path.read_text(encoding="utf-8"), re.M)
    }
    assert found == {name for name, _ in CASES.values()} - {""}


def _forward(case: Case) -> tuple[dict[str, Any], list[Tensor], list[Any], Tensor]:
    """Fresh inputs, those of them that gradients are asked for, all outputs, and a loss of every output."""
    given = {name: value.clone() if isinstance(value, Tensor) else value.copy() for name, value in case[0].items()}
    leaves = []
    for name, value in given.items():
        if isinstance(value, Tensor) and value.dtype == torch.float32 and name not in _WITHOUT_GRADIENT:
            leaves.append(value.requires_grad_())
    seen = list(case[1](**given))
    differentiable = [t for t in seen if isinstance(t, Tensor) and t.requires_grad]
    loss = sum((t * torch.linspace(0.5, 1.5, t.numel()).view(t.shape)).sum() for t in differentiable)
    return given, leaves, seen, loss  # type: ignore[return-value]


_WITHOUT_GRADIENT = ("Ks", "units", "viewmat", "target", "background", "head", "motion")


def _gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros(1) if g is None else g.to_dense() for g in grads]


def _spoil(value: Any) -> None:
    """Every entry becomes another one."""
    with torch.no_grad():
        if isinstance(value, np.ndarray) or not value.dtype.is_floating_point:
            value[:] = 0 if isinstance(value, Tensor) and value.dtype == torch.bool else 7
        else:
            value.mul_(0.5).add_(0.25)


@pytest.mark.parametrize("name", CASES)
def test_what_changes_in_place_is_noticed_or_does_no_harm(name: str) -> None:
    case = CASES[name][1]
    _, leaves, seen, loss = _forward(case)
    wanted = _gradients(loss, leaves)
    assert any(float(g.abs().max()) > 0 for g in wanted)
    wrong = []
    places = [("input", key) for key in case[0]]
    places += [("output", k) for k, t in enumerate(seen) if isinstance(t, Tensor) and t.numel()]
    for kind, key in places:
        given, leaves, seen, loss = _forward(case)
        _spoil(given[key] if kind == "input" else seen[key])  # type: ignore[index, call-overload]
        try:
            got = _gradients(loss, leaves)
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            continue
        if not all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True)):
            wrong.append((kind, key))
    assert wrong == []
