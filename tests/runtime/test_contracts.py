"""Wrappers of compiled kernels refuse what a kernel would read or write beyond."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane.deform.mlp import DeformationMLP
from audioplane.deform.planes import make_layout, sample, table_rows
from audioplane.losses.terms import pixel_terms, structural_similarity
from audioplane.methods.types import Sample
from audioplane.runtime.contracts import expect, indices
from audioplane.splat.gaussians import Picture
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
