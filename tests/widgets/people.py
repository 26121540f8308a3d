"""What people bring to widgets: a sound, ratings."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from audioplane.evaluation.user_study import CRITERIA

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def wav(seconds: float) -> bytes:
    """A tone as a WAV file."""
    out = io.BytesIO()
    soundfile.write(out, 0.1 * np.sin(np.arange(int(22_050 * seconds)) / 20), 22_050, format="WAV")
    return out.getvalue()


def rate(place: Page | Locator, groups: int = 2, clips: int = 2) -> None:
    """Rates every clip in a study: the first of each group 5, the second 2."""
    place.get_by_label("participant code").fill("p 7")
    place.get_by_role("button", name="Begin").click()
    for group in range(groups):
        place.get_by_text(f"Group {group + 1} of {groups}").wait_for()
        submit = place.locator("button[type=submit]")
        if group == 0:  # nobody gets on with a rating missing
            submit.click()
            place.locator(".ap-status", has_text="has no rating for").wait_for()
        for position, criterion in itertools.product(range(clips), CRITERIA):
            name = f"clip {'ABCD'[position]}, {criterion}: {max(5 - 3 * position, 1)} of 6"
            place.get_by_role("radio", name=name).check()
        submit.click()
    place.get_by_text("Thank you").wait_for()
