"""What people bring to widgets: a sound, ratings."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from audioplane.evaluation.user_study import CRITERIA

if TYPE_CHECKING:
    from playwright.sync_api import Page


def wav(seconds: float) -> bytes:
    """A tone as a WAV file."""
    out = io.BytesIO()
    soundfile.write(out, 0.1 * np.sin(np.arange(int(22_050 * seconds)) / 20), 22_050, format="WAV")
    return out.getvalue()


def rate(page: Page, groups: int = 2, clips: int = 2) -> None:
    """Rates every clip: the first of each group 5, the second 2."""
    page.get_by_label("participant code").fill("p 7")
    page.click("text=Begin")
    for group in range(groups):
        page.wait_for_selector(f"text=Group {group + 1} of {groups}")
        if group == 0:  # nobody gets on with a rating missing
            page.click("button[type=submit]")
            assert "has no rating for" in page.inner_text(".ap-status")
        for position, criterion in itertools.product(range(clips), CRITERIA):
            name = f"clip {'ABCD'[position]}, {criterion}: {max(5 - 3 * position, 1)} of 6"
            page.get_by_role("radio", name=name).check()
        page.click("button[type=submit]")
    page.wait_for_selector("text=Thank you")
