import torch

from audioplane.row_adam import RowAdam


def run(optimizer: str, sparse: bool, touched: list[list[int]], width: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    table = torch.nn.Parameter(torch.randn(7, width, generator=generator))
    kinds = {"row": RowAdam, "adam": torch.optim.Adam, "sparse": torch.optim.SparseAdam}
    made = kinds[optimizer]([table], lr=0.1, betas=(0.9, 0.99), eps=1e-8)  # type: ignore[arg-type]
    for rows in touched:
        values = torch.randn(len(rows), width, generator=generator)
        grad = torch.sparse_coo_tensor(
            torch.tensor([rows]), values, table.shape, is_coalesced=True, check_invariants=False
        )
        table.grad = grad if sparse else grad.to_dense()
        made.step()
    return table.detach()


def test_all_rows_touched_is_adam() -> None:
    every = [list(range(7))] * 5
    expected = run("adam", False, every)
    torch.testing.assert_close(run("row", True, every), expected)
    torch.testing.assert_close(run("row", False, every), expected)


def test_some_rows_touched_is_sparse_adam() -> None:
    some = [[0, 2, 5], [2], [5, 6], [0, 1, 2, 3, 4, 5, 6], [3]]
    for width in (8, 16, 5):
        torch.testing.assert_close(run("row", True, some, width), run("sparse", True, some, width))


def test_unsorted_rows() -> None:
    torch.testing.assert_close(run("row", True, [[5, 0, 2]] * 2), run("sparse", True, [[5, 0, 2]] * 2))
