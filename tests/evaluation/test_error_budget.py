"""Where the error lies: regions that divide the head, and errors that are put into one of them."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane import plots
from audioplane.evaluation.error_budget import REGIONS, error_budget, regions
from audioplane.metrics.image import psnr
from tests.tiny_subject import TinySubject


class Haired(TinySubject):
    def hair_mask(self, t: int) -> np.ndarray:
        return self.head_mask(t) & (np.arange(self.height)[:, None] < self.height * 0.3)


def test_regions_divide_the_head() -> None:
    subject = Haired(size=96)
    found = regions(subject, 5)
    assert tuple(found) == REGIONS
    assert np.array_equal(sum(mask.astype(int) for mask in found.values()), subject.head_mask(5).astype(int))
    assert all(mask.any() for mask in found.values())


@pytest.mark.parametrize("name", REGIONS)
def test_an_error_is_found_where_it_was_put(name: str) -> None:
    subject = Haired(size=96)

    def wrong(t: int) -> np.ndarray:
        picture = subject.frame(t) / 255
        picture[regions(subject, t)[name]] += 0.1 * (1 - 2 * (picture[regions(subject, t)[name]] > 0.5))
        return picture

    found = error_budget(subject, wrong, range(70, 75))
    assert found.shares[name] == pytest.approx(1.0)
    assert found.without[name] == np.inf
    assert found.pixels[name] == pytest.approx(
        np.mean([regions(subject, t)[name].sum() for t in range(70, 75)])
        / np.mean([subject.head_mask(t).sum() for t in range(70, 75)])
    )
    other = next(one for one in REGIONS if one != name)
    assert found.without[other] == pytest.approx(found.psnr)


def test_its_psnr_is_that_of_the_head() -> None:
    subject = Haired(size=96)
    shifted = lambda t: np.roll(subject.frame(t), 1, axis=1)  # noqa: E731
    found = error_budget(subject, shifted, [80])
    assert found.psnr == pytest.approx(psnr(shifted(80), subject.frame(80), subject.head_mask(80)))
    assert sum(found.shares.values()) == pytest.approx(1.0)
    figure = plots.error_budget({"without": found, "with": found})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["without", "with"]
