"""Direction, unit and title of a measure stand in one place, and everything that is measured is known there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import audioplane
from audioplane.evaluation.evaluate import Evaluation
from audioplane.experiments.measure_sensitivity import MEASURES
from audioplane.experiments.paper import MEASURES as PAPERS
from audioplane.experiments.runs import KEPT
from audioplane.experiments.tables import every
from audioplane.metrics import registry

COUNTS = {"frames", "frames_without_face", "protocol", "opening", "opening_true"}


def test_everything_that_is_measured_is_registered():
    names = {field.name for field in fields(Evaluation)} | set(KEPT) | set(MEASURES)
    names |= {measure for table in every().values() for measure in table.measures}
    names |= {claim.measure for table in every().values() for claim in table.claims}
    assert names - COUNTS <= set(registry.METRICS)
    assert {metric.paper for metric in registry.METRICS.values()} - {""} == set(PAPERS) == set(registry.PAPER_TITLES)


@pytest.mark.parametrize("name", ["lip_error", "lpips", "gmsd", "fid", "lse_d", "sync_distance", "lmd_mouth"])
def test_smaller_is_better_for_errors_and_distances(name):
    assert (registry.find(name).sign, registry.find(name).arrow) == (-1, "↓")


def test_what_is_compared_on_has_a_direction():
    for table in every().values():
        for claim in table.claims:
            assert registry.find(claim.measure).higher_is_better is not None
            assert claim.higher_is_better == registry.find(claim.measure).higher_is_better
    assert registry.find("opening_amplitude").sign == 0


def test_only_the_papers_own_measures_may_be_subtracted():
    comparable = {name for name, metric in registry.METRICS.items() if metric.comparable}
    assert comparable == {"lpips"}
    assert all(registry.find(name).paper for name in comparable)


def test_an_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="received 'beauty'"):
        registry.find("beauty")


def test_no_other_file_keeps_a_list_of_directions():
    package = Path(audioplane.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "registry.py":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r'"(lip_error|lpips|gmsd)": -1', text), path
            assert not re.search(r"(?m)^(SMALLER|LOWER|BETTER)\b.*=.*[\[({].*(lip_error|lpips)", text), path
