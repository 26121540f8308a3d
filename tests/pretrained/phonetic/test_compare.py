import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audioplane.config import preset
from audioplane.pretrained.phonetic import compare
from audioplane.subject import Subject
from tests.tiny_subject import TinySubject

QUICK = preset("smoke").replace("audio.pretrain_steps=40")


def test_agreement_tells_a_delay_from_a_difference() -> None:
    rng = np.random.default_rng(0)
    truth = np.convolve(rng.normal(size=600), np.hanning(9), "same")
    found = compare.lagged_correlation(np.roll(truth, -2), truth, 25.0)
    assert found["best r"] > 0.99
    assert found["lag, frames"] == 2
    assert found["r"] < 0.8
    assert abs(found["a second late"]) < 0.3
    holes = truth.copy()
    holes[50:80] = np.nan
    assert compare.lagged_correlation(truth, holes, 25.0)["r"] == pytest.approx(1.0)
    assert compare.lagged_correlation(truth, truth, 25.0, range(100, 200))["lag, frames"] == 0


def test_the_command_keeps_a_row_for_every_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {"log-mel": QUICK.replace("audio.features=mel"), "phonetic": QUICK}
    people = {name: TinySubject(100, 32) for name in ("one", "two")}
    for name, person in people.items():
        monkeypatch.setattr(person, "name", name, raising=False)
    monkeypatch.setattr(compare, "FEATURE_KINDS", kinds)
    monkeypatch.setattr(Subject, "open", classmethod(lambda cls, path: people[Path(path).name]))
    out = tmp_path / "phonetic.json.gz"
    compare.main(["--out", str(out), "--seeds", "2", "--speakers", "--subject", "one", "--subject", "two"])
    rows = pd.DataFrame(json.loads(gzip.decompress(out.read_bytes())))
    assert len(rows) == 2 * 2 * 2 * 2  # people, kinds, seeds, voices
    assert set(rows["kind"]) == {"own, held out", "another person"}
    assert ((rows["r"] >= -1) & (rows["r"] <= rows["best r"]) & (rows["best r"] <= 1)).all()
    assert [path.name for path in tmp_path.iterdir()] == ["phonetic.json.gz"]
    assert "own, held out" in capsys.readouterr().out
    monkeypatch.setattr(compare.clone, "folder", lambda *parts: out)
    assert len(compare.summary(compare.committed_rows())) == 4


def test_the_table_has_means_and_spreads_over_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "FEATURE_KINDS", {"phonetic": QUICK})
    base = {"speaker": "one", "features": "phonetic", "a second late": 0.1, "lag, frames": 0.0}
    rows = [
        base | {"seed": seed, "voice": voice, "kind": kind, "r": r, "best r": 0.9}
        for seed, voice, kind, r in (
            (0, "a", "other languages", 0.5),
            (0, "b", "other languages", 0.7),
            (1, "a", "other languages", 0.7),
            (1, "b", "other languages", 0.9),
            (0, "c", "another person", 0.1),
            (1, "c", "another person", 0.2),
        )
    ]
    table = compare.side_by_side(pd.DataFrame(rows))
    assert table.loc[("one", "other languages"), "phonetic"] == "0.70 ± 0.14"
    assert table.loc[("one", "another person"), "phonetic"] == "0.90 ± 0.00"
    assert table["phonetic, a second late"].tolist() == [0.1, 0.1]
