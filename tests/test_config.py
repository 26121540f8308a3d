import dataclasses

import pytest

from audioplane.config import PATHS, PRESETS, Config, preset
from audioplane.errors import UserError


def test_every_field_says_what_it_is_and_who_chose_it() -> None:
    assert len(PATHS) > 40
    for path, (_, about) in PATHS.items():
        assert about.doc, path
        assert about.source.startswith(("ours", "Sec. ", "Fig. ", "Eq. ", "Table ")), path


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name: str) -> None:
    assert Config.from_json(PRESETS[name].to_json()) == PRESETS[name]


def test_the_papers_numbers() -> None:
    paper = preset("paper")
    assert (paper.field.resolution, paper.field.features, paper.field.levels) == (64, 16, 4)
    assert (paper.schedule.coarse, paper.schedule.fine, paper.gaussians.initial) == (3000, 100_000, 1000)
    assert (paper.loss.perceptual_weight, paper.saliency.weight, paper.saliency.margin) == (0.05, 0.1, 0.2)


def test_every_field_can_be_set_by_text() -> None:
    config = Config()
    for path, (kind, _) in PATHS.items():
        assert config.replace(f"{path}={config.get(path)}") == config, (path, kind)


def test_replace_changes_one_thing() -> None:
    changed = Config().replace("saliency.margin=0.1", "field.fusion=add", "saliency.enabled=no", seed=3)
    assert changed.differences(Config()) == {
        "saliency.margin": (0.1, 0.2),
        "field.fusion": ("add", "concat"),
        "saliency.enabled": (False, True),
        "seed": (3, 0),
    }


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("saliency.margn=0.1", "nearest is 'saliency.margin'"),
        ("margin=0.1", "nearest is 'saliency.margin'"),
        ("saliency.margin", "path=value"),
        ("saliency.margin=wide", "is a number"),
        ("saliency.margin=-1", "nearest is 0"),
        ("saliency.margin=nan", "nearest is 0"),
        ("field.levels=2.5", "whole number"),
        ("field.fusion=concatenate", "nearest is 'concat'"),
        ("saliency.enabled=perhaps", "true or false"),
    ],
)
def test_impossible_settings_are_refused_by_name(setting: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Config().replace(setting)


def test_unknown_preset() -> None:
    with pytest.raises(UserError, match="smoke, demo, paper"):
        preset("fast")


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().seed = 1  # type: ignore[misc]
