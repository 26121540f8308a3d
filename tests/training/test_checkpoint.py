import errno
from pathlib import Path

import pytest
import torch

from audioplane.errors import UserError
from audioplane.runtime import files
from audioplane.training import checkpoint


def test_round_trip(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "c": torch.tensor(2.5)}
    checkpoint.save(tmp_path / "x", tensors, {"n": 3, "name": "ada"})
    back, about = checkpoint.load(tmp_path / "x")
    assert about == {"format": checkpoint.FORMAT, "n": 3, "name": "ada"}
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path / "x", {"a": torch.ones(2)}, {})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"no space left.*kept"):
        checkpoint.save(tmp_path / "x", {"a": torch.zeros(2)}, {})
    monkeypatch.undo()
    assert torch.equal(checkpoint.load(tmp_path / "x")[0]["a"], torch.ones(2))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no file"):
        checkpoint.load(tmp_path / "none")
    (tmp_path / "text").write_text("hello world, this is no checkpoint")
    with pytest.raises(UserError, match="damaged or not ours"):
        checkpoint.load(tmp_path / "text")
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    checkpoint.save(tmp_path / "new", {}, {})
    monkeypatch.undo()
    with pytest.raises(UserError, match="format 99"):
        checkpoint.load(tmp_path / "new")


def test_optimizer_state_round_trip() -> None:
    from audioplane.training.sparse_adam import SparseAdam

    def made() -> tuple[torch.nn.Parameter, SparseAdam]:
        table = torch.nn.Parameter(torch.ones(60_000, 8))
        return table, SparseAdam([table], lr=0.1, distinct=True)

    table, optimizer = made()
    rows = torch.tensor([[7, 59_999]])
    table.grad = torch.sparse_coo_tensor(
        rows, torch.randn(2, 8), table.shape, is_coalesced=True, check_invariants=False
    )
    optimizer.step()
    packed = checkpoint.pack_optimizer("tables", optimizer, {table: "t"})
    assert sum(t.numel() for t in packed.values()) < 50
    other, again = made()
    checkpoint.unpack_optimizer("tables", again, {other: "t"}, packed)
    for key, value in optimizer.state[table].items():
        assert torch.equal(value, again.state[other][key]), key
    packed["tables/t/rows"] = packed["tables/t/rows"] + 10**9
    with pytest.raises(UserError, match="rows that are not among the 60000"):
        checkpoint.unpack_optimizer("tables", again, {other: "t"}, packed)


def test_the_state_of_an_optimizer_lies_where_its_parameter_does() -> None:
    """A fused Adam on a GPU reads its step count there; "meta" stands for such a device."""
    saved = {"step": torch.tensor(7.0), "exp_avg": torch.zeros(3), "exp_avg_sq": torch.ones(3)}
    found = checkpoint._state(torch.empty(3, device="meta"), saved, "adam/x/")
    assert {name: tensor.device.type for name, tensor in found.items()} == dict.fromkeys(saved, "meta")
