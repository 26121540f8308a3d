"""Wrappers of compiled kernels refuse what a kernel would read or write beyond."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import make_layout, sample, table_rows
from audioplane.inference import compositing
from audioplane.losses.terms import pixel_terms, structural_similarity
from audioplane.methods.types import Sample
from audioplane.runtime.contracts import expect, indices
from audioplane.splat.compositing import composite
from audioplane.splat.gaussians import Picture
from audioplane.splat.harmonics import evaluate
from audioplane.splat.projection import Lens, project
from audioplane.splat.tiles import intersect
from audioplane.subject.motion import MotionBasis
from audioplane.synthetic.face.occlusion import ambient
from audioplane.synthetic.lights import shadow_frame, shadow_map
from audioplane.synthetic.preview import preview_mesh
from audioplane.training.sparse_adam import SparseAdam


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((2, 3), np.float32), "received ndarray"),
        (torch.zeros(2, 3, dtype=torch.float64), "received float64"),
        (torch.zeros(2, 4), r"received \(2, 4\)"),
        (torch.zeros(2), r"received \(2,\)"),
        (torch.zeros(2, 3).to_sparse(), "sparse"),
        (torch.zeros(2, 3, device="meta"), "on meta"),
    ],
)
def test_expect_names_what_came(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=f"means: .*{said}"):
        expect("means", value, (None, 3))


def test_expect_returns_what_fits() -> None:
    value = torch.zeros(5, 3)
    assert expect("means", value, (None, 3)) is value
    assert expect("means", value, (5, None)) is value


def test_indices_are_held_to_their_range() -> None:
    indices("rows", np.array([0, 4]), 5)
    indices("rows", np.array([], np.int64), 0)
    for wrong in ([-1, 2], [0, 5]):
        with pytest.raises(ValueError, match="rows"):
            indices("rows", np.array(wrong), 5)


@pytest.mark.parametrize("short", ["exp_avg", "exp_avg_sq"])
@pytest.mark.parametrize("sparse", [False, True])
def test_moments_of_another_size_are_refused(short: str, sparse: bool) -> None:
    """A state from a file: its moments may be shorter than the parameter."""
    table = torch.nn.Parameter(torch.zeros(64, 8))
    optimizer = SparseAdam([table], lr=0.1, distinct=True)
    one_row = torch.sparse_coo_tensor(
        torch.tensor([[3]]), torch.ones(1, 8), table.shape, is_coalesced=True, check_invariants=False
    )
    table.grad = one_row if sparse else torch.ones(64, 8)
    optimizer.step()
    optimizer.state[table][short] = torch.zeros(1)
    with pytest.raises(ValueError, match=short):
        optimizer.step()


def test_rows_beyond_the_table_are_refused() -> None:
    table = torch.nn.Parameter(torch.zeros(4, 8))
    optimizer = SparseAdam([table], lr=0.1, distinct=True)
    table.grad = torch.sparse_coo_tensor(
        torch.tensor([[9]]), torch.ones(1, 8), (4, 8), is_coalesced=True, check_invariants=False
    )
    with pytest.raises(ValueError, match="rows"):
        optimizer.step()


@pytest.mark.parametrize("short", ["planes", "lines"])
def test_tables_shorter_than_their_layout_are_refused(short: str) -> None:
    layout = make_layout(6, 2)
    plane_rows, line_rows = table_rows(layout)
    tables = {"planes": torch.zeros(plane_rows, 8), "lines": torch.zeros(line_rows, 8)}
    sample(torch.zeros(3, 3), layout=layout, **tables)
    tables[short] = tables[short][:-1]
    with pytest.raises(ValueError, match=short):
        sample(torch.zeros(3, 3), layout=layout, **tables)


@pytest.mark.parametrize("wrong", [make_layout(1, 1), make_layout(6, 1) - 1, make_layout(6, 1).astype(np.int32)])
def test_layouts_that_no_table_has_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="layout"):
        sample(torch.zeros(3, 3), torch.zeros(200, 8), torch.zeros(50, 8), wrong)


@pytest.mark.parametrize("name", ["first.bias", "second.bias", "second.weight", "dynamism.weight", "offset.weight"])
def test_layers_of_other_widths_are_refused(name: str) -> None:
    heads = DeformationMLP(16, 0, 11, 24, 8, torch.Generator().manual_seed(0))
    changed = {name: heads.get_parameter(name).detach()[..., :-8]}
    with pytest.raises((ValueError, RuntimeError)):
        torch.func.functional_call(heads, changed, (torch.zeros(5, 16),))


def test_pictures_of_another_size_are_refused() -> None:
    grid = torch.zeros(8, 9)
    whole = Sample(0, torch.zeros(8, 9, 3), torch.zeros(3), grid > 0, grid, grid, grid)
    pixel_terms(Picture(torch.zeros(8, 9, 3), torch.zeros(8, 9, 1), {}), whole, 1.0, 0.1)
    short = {"target": torch.zeros(7, 9, 3), "background": torch.zeros(7, 9, 3), "known": grid[1:] > 0}
    for name, tensor in {**short, "head": grid[1:], "motion": grid[:, 1:], "eyes": grid[:, 1:]}.items():
        one = Sample(**{**vars(whole), name: tensor})
        with pytest.raises(ValueError, match=name):
            pixel_terms(Picture(torch.zeros(8, 9, 3), torch.zeros(8, 9, 1), {}), one, 1.0, 0.1)
    with pytest.raises(ValueError, match="target"):
        structural_similarity(torch.zeros(8, 9, 3), torch.zeros(7, 9, 3))


# Splatting, stage by stage


def entries(count: int = 5) -> dict[str, Any]:
    """What `intersect` takes of `count` round Gaussians in one picture of 20 x 18 pixels."""
    generator = torch.Generator().manual_seed(0)
    return {
        "means2d": 20 * torch.rand(count, 2, generator=generator),
        "conics": torch.tensor([0.1, 0.0, 0.1]).repeat(count, 1),
        "opacities": torch.full((count,), 0.8),
        "radii": torch.full((count, 2), 8, dtype=torch.int32),
        "depths": 1 + torch.rand(count, generator=generator),
        "images": np.zeros(count, np.int32),
        "width": 20,
        "height": 18,
        "tile_size": 8,
        "n_images": 1,
    }


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("means2d", torch.zeros(4, 2)),
        ("conics", torch.zeros(5, 2)),
        ("conics", torch.zeros(5, 3)),
        ("conics", torch.full((5, 3), torch.nan)),
        ("means2d", torch.full((5, 2), torch.nan)),
        ("opacities", torch.full((5,), torch.inf)),
        ("opacities", torch.ones(5, dtype=torch.float64)),
        ("radii", torch.full((5, 2), 8)),
        ("depths", torch.ones(6)),
        ("images", np.array([0, 0, 1, 0, 0], np.int32)),
        ("images", np.array([0, -1, 0, 0, 0], np.int32)),
        ("images", np.zeros(4, np.int32)),
        ("images", np.zeros(5, np.int64)),
    ],
)
def test_entries_that_do_not_fit_reach_no_tile(name: str, wrong: Any) -> None:
    assert len(intersect(**entries()).flatten_ids) > 0
    with pytest.raises(ValueError, match=name):
        intersect(**{**entries(), name: wrong})


def drawn_by(change: dict[str, Any]) -> None:
    """Composites five Gaussians after a change of arguments or of the lists."""
    given = entries()
    lists = intersect(**given)
    own = {k: v for k, v in change.items() if k in {field.name for field in dataclasses.fields(lists)}}
    arguments = {name: given[name] for name in ("means2d", "conics", "opacities", "width", "height", "tile_size")}
    arguments |= {
        "colors": torch.ones(5, 3),
        "backgrounds": torch.zeros(1, 3),
        "pairs": dataclasses.replace(lists, **own),
    }
    composite(**{**arguments, **{k: v for k, v in change.items() if k not in own}})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("colors", torch.ones(5, 4)),
        ("conics", torch.ones(4, 3)),
        ("opacities", torch.ones(4)),
        ("backgrounds", torch.zeros(2, 3)),
        ("width", 40),
        ("tile_size", 4),
        ("flatten_ids", 5),
        ("slots", -1),
        ("offsets", 10_000),
        ("starts", 10_000),
        ("footprints", np.zeros((4, 13), np.float32)),
    ],
)
def test_lists_of_other_gaussians_are_not_drawn(name: str, wrong: Any) -> None:
    drawn_by({})
    if isinstance(wrong, int) and name not in ("width", "tile_size"):
        values = getattr(intersect(**entries()), name).copy()
        values[1] = wrong
        wrong = values
    with pytest.raises(ValueError, match=r"pairs|expected shape"):
        drawn_by({name: wrong})


def test_projection_and_harmonics_hold_their_arguments() -> None:
    lens = Lens(20, 18, 0.01, 1e10, 0.0, 0.3)
    ones = {
        "means": torch.ones(4, 3),
        "quats": torch.ones(4, 4),
        "scales": torch.ones(4, 3),
        "opacities": torch.ones(4),
    }
    cameras = {"viewmats": torch.eye(4)[None], "Ks": torch.eye(3)[None]}
    project(**ones, **cameras, lens=lens)
    for name in (*ones, "Ks"):
        wrong = {**ones, **cameras}
        wrong[name] = wrong[name][:0] if name == "Ks" else wrong[name][1:]
        with pytest.raises(ValueError, match="expected shape"):
            project(**wrong, lens=lens)
    seen = torch.ones(1, 4, 2, dtype=torch.int32)
    evaluate(1, torch.zeros(4, 4, 3), ones["means"], cameras["viewmats"], seen)
    for degree, coefficients in ((1, (4, 3, 3)), (4, (4, 25, 3)), (0, (3, 1, 3)), (0, (2, 4, 1, 3))):
        with pytest.raises(ValueError, match="coeffs"):
            evaluate(degree, torch.zeros(coefficients), ones["means"], cameras["viewmats"], seen)
    with pytest.raises(ValueError, match="radii"):
        evaluate(0, torch.zeros(4, 1, 3), ones["means"], cameras["viewmats"], seen[:, 1:])


@pytest.mark.parametrize("alpha", [(8, 9, 5), (8, 8, 1), (8,), (7, 9)])
def test_an_alpha_of_another_size_is_not_composited(alpha: tuple[int, ...]) -> None:
    rgb, behind = np.zeros((8, 9, 3), np.float32), np.zeros((8, 9, 3), np.uint8)
    for good in ((8, 9, 1), (8, 9)):
        assert compositing.composite(rgb, np.zeros(good, np.float32), behind).shape == rgb.shape
    with pytest.raises(ValueError, match="alpha"):
        compositing.composite(rgb, np.zeros(alpha, np.float32), behind)
    with pytest.raises(ValueError, match="float32"):
        compositing.composite(rgb.astype(np.float64), np.zeros((8, 9, 1), np.float32), behind)


# Meshes


@pytest.mark.parametrize("wrong", [3, -1])
def test_faces_that_name_no_vertex_are_refused(wrong: int) -> None:
    points, good, bad = np.eye(3), np.array([[0, 1, 2]], np.int32), np.array([[0, 1, wrong]], np.int32)
    frame, first = shadow_frame(np.array([0.0, -0.6, -0.8]), np.zeros(3), 2.0, 32), np.array([0])
    calls = (
        lambda faces, casters: shadow_map(points, faces, casters, frame),
        lambda faces, casters: ambient(points, points, faces, casters),
    )
    for call in calls:
        call(good, first)
        with pytest.raises(ValueError, match="faces"):
            call(bad, first)
        with pytest.raises(ValueError, match="casters"):
            call(good, np.array([wrong]))
    with pytest.raises(ValueError, match="faces"):
        preview_mesh((points, bad), 16)


@pytest.mark.parametrize("shape", [(1, 3), (3,), (5, 3), (4, 2)])
def test_motion_of_other_vertices_is_not_spread_over_all(shape: tuple[int, ...]) -> None:
    basis = MotionBasis(np.zeros((4, 3)))
    basis.add(np.ones((4, 3)))
    with pytest.raises(ValueError, match="vertices"):
        basis.add(np.ones(shape))
    assert basis.count == 1
