"""What notebooks read of a run: its log is a file like any other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.experiments import session
from audioplane.training.callbacks import Scalars
from audioplane.training.report import Numbers, Report


def log(folder: Path, *reports: Report) -> Path:
    scalars = Scalars(folder, every=1)
    for report in reports:
        scalars.step(cast(Any, SimpleNamespace(conditions=SimpleNamespace(codes=()))), report)
    return folder / "scalars.jsonl"


def test_scalars_are_what_was_logged(tmp_path):
    log(
        tmp_path,
        Report(0, 2, "coarse", Numbers({"loss": 0.5}, 10.0), 7),
        Report(1, 2, "fine", Numbers({"loss": 0.25, "mask": 2.0}, float("inf")), 8),
    )
    found = session.scalars(tmp_path)
    assert set(found) == {"iteration", "loss", "mask", "psnr", "gaussians", "seconds"}
    np.testing.assert_array_equal(found["loss"], [0.5, 0.25])
    np.testing.assert_array_equal(found["mask"], [np.nan, 2.0])
    np.testing.assert_array_equal(found["psnr"], [10.0, np.nan])  # JSON has no infinite numbers
    np.testing.assert_array_equal(found["gaussians"], [7, 8])


def test_scalars_of_nothing_are_none(tmp_path):
    (tmp_path / "scalars.jsonl").write_bytes(b"")
    assert session.scalars(tmp_path) == {}


@pytest.mark.parametrize(
    "row",
    [b"{", b"[1]", b"3", b'{"loss": "x"}', b'{"loss": NaN}', b'{"loss": true}', b'{"loss": [1]}', b"\xff", b"[" * 9999],
    ids=["cut", "list", "number", "text", "NaN", "true", "nested", "no UTF-8", "deep"],
)
def test_a_damaged_log_ends_in_a_sentence(row, tmp_path):
    path = log(tmp_path, Report(0, 1, "coarse", Numbers({"loss": 0.5}, 10.0), 7))
    path.write_bytes(path.read_bytes() + row + b"\n")
    with pytest.raises(UserError, match=r"line 2, is damaged: .*; resume the run, or train anew"):
        session.scalars(tmp_path)


def test_a_missing_log_ends_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        session.scalars(tmp_path)
