"""What tests with a browser rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import RUNNING, launch, limited

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_page_that_never_answers_is_a_failure(browser: Browser) -> None:
    from playwright.sync_api import Error

    before = set(RUNNING)
    other = launch(browser.browser_type)
    page, own = other.new_page(), RUNNING - before
    RUNNING.difference_update(own)
    with limited(1, own), pytest.raises(Error, match="closed"):
        page.evaluate("new Promise(() => {})")
    assert not other.is_connected()
    assert browser.is_connected()
