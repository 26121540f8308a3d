import torch

from audioplane.training.sparse_adam import SparseAdam


def run(optimizer: str, sparse: bool, touched: list[list[int]], width: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    table = torch.nn.Parameter(torch.randn(7, width, generator=generator))
    kinds = {"row": SparseAdam, "adam": torch.optim.Adam, "sparse": torch.optim.SparseAdam}
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


def test_dense_gradients_of_any_shape_are_adam() -> None:
    for shape in ((), (1,), (3, 5), (20_000, 3)):
        generator = torch.Generator().manual_seed(0)
        start = torch.randn(shape, generator=generator)
        mine, plain = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
        ours, theirs = (
            SparseAdam([mine], lr=0.1, eps=1e-8),
            torch.optim.Adam([plain], lr=0.1, betas=(0.9, 0.99), eps=1e-8),
        )
        for _ in range(4):
            mine.grad = torch.randn(shape, generator=generator)
            plain.grad = mine.grad.clone()
            ours.step()
            theirs.step()
        torch.testing.assert_close(mine, plain)
