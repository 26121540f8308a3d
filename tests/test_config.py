import dataclasses

import pytest

from audioplane import registry
from audioplane.config import PRESETS, Config, preset
from audioplane.errors import UserError

METHODS = pytest.mark.parametrize("method", registry.names())


@METHODS
def test_every_field_says_what_it_is_and_who_chose_it(method: str) -> None:
    paths = preset("demo", method).paths
    assert len(paths) > 40
    for path, (_, about) in paths.items():
        assert about.doc, path
        assert about.source.startswith(("ours", "Sec. ", "Fig. ", "Eq. ", "Table ", "the authors' code")), path


@METHODS
@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name: str, method: str) -> None:
    config = preset(name, method)
    assert method == config.method.NAME
    assert Config.from_json(config.to_json()) == config


def test_the_papers_numbers() -> None:
    paper = preset("paper")
    assert [paper.get(f"method.{name}") for name in ("resolution", "features", "levels")] == [64, 16, 4]
    assert (paper.schedule.coarse, paper.schedule.fine, paper.gaussians.initial) == (3000, 100_000, 1000)
    weights = ("loss.perceptual_weight", "method.mask_weight", "method.margin")
    assert [paper.get(path) for path in weights] == [0.05, 0.1, 0.2]


def test_what_is_not_the_papers_is_off_in_its_preset_and_its_tables() -> None:
    from audioplane.experiments.tables import every, jobs

    assert preset("demo").get("method.expression") is True
    assert preset("paper").get("method.expression") is False
    for name, table in every().items():
        told = {row.name for row in table.rows if row.settings and "method.expression=true" in row.settings}
        for (row, _, _), job in jobs(table, "demo", 1).items():
            if job.config.method.NAME == registry.DEFAULT:
                assert job.config.get("method.expression") == (row in told), (name, row)


@METHODS
def test_every_field_can_be_set_by_text(method: str) -> None:
    config = preset("demo", method)
    for path, (kind, _) in config.paths.items():
        assert config.replace(f"{path}={config.get(path)}") == config, (path, kind)


def test_replace_changes_one_thing() -> None:
    changed = Config().replace("method.margin=0.1", "method.fusion=add", "method.saliency=no", seed=3)
    assert changed.differences(Config()) == {
        "method.margin": (0.1, 0.2),
        "method.fusion": ("add", "concat"),
        "method.saliency": (False, True),
        "seed": (3, 0),
    }


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("method.margn=0.1", "nearest is 'method.margin'"),
        ("margin=0.1", "nearest is 'method.margin'"),
        ("method.margin", "path=value"),
        ("method.margin=wide", "is a number"),
        ("method.margin=-1", "nearest is 0"),
        ("method.margin=nan", "nearest is 0"),
        ("method.levels=2.5", "whole number"),
        ("method.fusion=concatenate", "nearest is 'concat'"),
        ("method.saliency=perhaps", "true or false"),
        ("method.name=degstalked", "is one of"),
        ("saliency.margin=0.1", "'saliency.margin' is called 'method.margin' now"),
        ("field.kind=tri_plane", "'field.kind' is called 'method.field' now"),
        ("loss.fade_weight=1", "no setting 'loss.fade_weight' any more"),
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
