"""Ratings: blind, complete, counted right."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from audioplane import plots
from audioplane.errors import UserError
from audioplane.evaluation import user_study
from audioplane.evaluation.user_study import CRITERIA, Clip
from audioplane.methods.synctalk_pp.paper.form import FORM
from audioplane.widgets import UserStudy
from tests.widgets.people import rate

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Krippendorff (2011), example C: four observers, twelve units.
EXAMPLE = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def made_up(people: int, seed: int = 0) -> pd.DataFrame:
    return user_study.simulated("xyz", {"bad": (2.2, 2.2, 2.2), "good": (4.4, 4.4, 4.4)}, people, seed)


def test_agreement_is_krippendorffs() -> None:
    table = [
        [math.nan if cell == "." else float(cell) for cell in line.split()] for line in EXAMPLE.split("\n") if line
    ]
    assert user_study.krippendorff(np.array(table)) == pytest.approx(0.815, abs=5e-4)
    same = np.tile([1.0, 3.0, 6.0, 2.0], (5, 1))
    assert user_study.krippendorff(same) == pytest.approx(1.0)
    chance = np.random.default_rng(0).integers(1, 7, (6, 400)).astype(float)
    assert abs(user_study.krippendorff(chance)) < 0.05
    assert math.isnan(user_study.krippendorff(same[:1]))


@pytest.mark.parametrize("people", [4, 12])
def test_intervals_hold_the_truth_about_as_often_as_they_say(people: int) -> None:
    truth = made_up(2000).groupby("method")["rating"].mean()["good"]
    held = []
    for seed in range(150):
        table = user_study.summary(made_up(people, seed=seed + 1))
        row = table[(table["method"] == "good") & (table["criterion"] == CRITERIA[0])].iloc[0]
        assert row["low"] <= row["mean"] <= row["high"]
        held.append(row["low"] <= truth <= row["high"])
    assert 0.89 < np.mean(held) <= 1


def test_of_equal_shares_the_interval_is_that_of_a_t_test() -> None:
    from scipy import stats

    ratings = made_up(7)
    own = ratings[(ratings["method"] == "bad") & (ratings["criterion"] == CRITERIA[1])]
    low, high = stats.ttest_1samp(own.groupby("participant")["rating"].mean(), 0).confidence_interval(0.95)
    found = user_study.summary(ratings).set_index(["method", "criterion"]).loc[("bad", CRITERIA[1])]
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert math.isnan(user_study.summary(made_up(1)).iloc[0]["low"])


def test_ratings_come_back_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    rows = made_up(3).to_dict("records")
    path = tmp_path / "ratings.csv"
    assert user_study.append(path, rows[:10]) == 10
    user_study.append(path, rows[10:])
    user_study.append(path, [{**rows[0], "rating": 6}])  # somebody changed their mind
    table = user_study.read(path)
    assert len(table) == len(rows)
    changed = table.query(
        "participant == 'simulated 1' and identity == 'x' and method == 'bad' and criterion == @CRITERIA[0]"
    )
    assert changed["rating"].item() == 6
    with pytest.raises(ValueError, match="expected 1 to 6"):
        user_study.append(path, [{**rows[0], "rating": 7}])
    assert len(user_study.read(path)) == len(rows)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="lacks the columns"):
        user_study.read(tmp_path / "other.csv")
    with pytest.raises(UserError, match="there is no file"):
        user_study.read(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="one clip of each"):
        user_study.check([Clip("x", "a", b""), Clip("x", "b", b""), Clip("y", "a", b"")])


def test_the_figure_shows_every_method_and_criterion() -> None:
    table = made_up(5)
    figure = plots.user_study(user_study.summary(table), user_study.agreement(table), ["bad", "good"], "made up")
    (axes,) = figure.axes
    heights = {round(bar.get_height(), 3) for bar in axes.patches}
    assert heights == set(user_study.summary(table)["mean"].round(3))
    assert "5 participants" in axes.get_title()


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    made = []
    for k, (name, method) in enumerate(itertools.product(("ann", "bob"), ("ours", "theirs"))):
        frames = np.full((10, 48, 48, 3), 40 * k + 20, np.uint8)
        made.append(user_study.record(name, method, frames, np.zeros(6400, np.float32)))
    return made


def test_people_rate_a_saved_page_blind(clips: list[Clip], tmp_path: Path, open_page: Callable[..., Page]) -> None:
    widget = UserStudy(clips, tmp_path / "ratings.csv")
    text = widget.save(tmp_path / "study.html").read_text(encoding="utf-8")
    assert "theirs" not in text
    assert '"ann"' not in text
    page = open_page(tmp_path / "study.html", offline=True)
    rate(page)
    with page.expect_download() as download:
        page.click("text=Download the ratings")
    download.value.save_as(tmp_path / "sent.csv")
    table = widget.ratings(tmp_path / "sent.csv")
    assert len(table) == 2 * 2 * 3
    assert set(table["participant"]) == {"p 7"}
    assert sorted(table.groupby("rating").size()) == [6, 6]
    assert set(table["method"]) == {"ours", "theirs"}
    assert all(own["position"].nunique() == 2 for _, own in table.groupby("identity"))


def test_ratings_sent_to_the_kernel_are_stored(clips: list[Clip], tmp_path: Path) -> None:
    widget: Any = UserStudy(clips, tmp_path / "ratings.csv")
    token = next(iter(widget.key))
    row = {"participant": "a", "clip": token, "criterion": CRITERIA[1], "rating": 4, "position": 1}
    widget._receive(widget, {"kind": "ratings", "rows": [row]}, [])
    stored = widget.ratings().iloc[0]
    assert (stored["identity"], stored["method"]) == (widget.key[token].identity, widget.key[token].method)
    bundle = widget._repr_mimebundle_()
    assert "image/png" in (bundle[0] if isinstance(bundle, tuple) else bundle)


def test_a_group_is_stored_once_and_confirmed(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget: Any = UserStudy(clips, tmp_path / "ratings.csv")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(widget, "send", sent.append)
    row = {"participant": "=a", "clip": next(iter(widget.key)), "criterion": CRITERIA[1], "rating": 4, "position": 1}
    for _ in range(2):  # the page asks again where an answer was late
        widget._receive(widget, {"kind": "ratings", "group": "a 1", "rows": [row]}, [])
    assert sent == [{"kind": "stored", "group": "a 1"}] * 2
    assert len((tmp_path / "ratings.csv").read_text().splitlines()) == 2
    (tmp_path / "sent.csv").write_text(  # and the participant has downloaded them, too
        f'participant,clip,criterion,rating,position\r\n"\'=a",{row["clip"]},{CRITERIA[1]},4,1'
    )
    assert len(widget.ratings(tmp_path / "sent.csv")) == 1
    with pytest.raises(UserError, match="another study"):
        widget._receive(widget, {"kind": "ratings", "group": "a 2", "rows": [{**row, "clip": "c0"}]}, [])
    assert sent[-1]["kind"] == "refused"
    assert "another study" in sent[-1]["words"]


def test_a_form_of_its_own(clips: list[Clip], tmp_path: Path) -> None:
    """SyncTalk++'s five criteria from 1 to 5: the page asks them, and nothing else is taken."""
    path = tmp_path / "ratings.csv"
    widget: Any = UserStudy(clips, path, form=FORM)
    assert (widget.plan["criteria"], widget.plan["low"], widget.plan["high"]) == (list(FORM.criteria), 1, 5)
    row = {
        "participant": "p",
        "clip": next(iter(widget.key)),
        "criterion": FORM.criteria[2],
        "rating": 5,
        "position": 0,
    }
    widget._receive(widget, {"kind": "ratings", "rows": [row]}, [])
    assert widget.ratings()["rating"].tolist() == [5]
    with pytest.raises(ValueError, match="expected 1 to 5 on Lip-sync Accuracy"):
        widget._receive(widget, {"kind": "ratings", "rows": [{**row, "rating": 6}]}, [])
    with pytest.raises(UserError, match="ratings are 1 to 6 on Image Fidelity"):
        user_study.read(path)
    ratings = user_study.simulated("x", {"one": (1,) * 5, "two": (5,) * 5}, 4, 0, form=FORM)
    assert set(ratings["criterion"]) == set(FORM.criteria)
    assert ratings["rating"].between(1, 5).all()
    widget.methods = ["one", "two"]
    assert widget.figure(ratings).axes[0].get_ylim() == (1, 5)
