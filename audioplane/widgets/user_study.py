"""The user study (Audio-Plane, Fig. 7) as a widget: clips are rated blind, ratings go to a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from audioplane import plots
from audioplane.errors import UserError
from audioplane.evaluation import user_study
from audioplane.evaluation.user_study import Clip, Form
from audioplane.widgets import page
from audioplane.widgets.base import Widget

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CODE = page.script("elements.js", "study.js")


class UserStudy(page.WithStill, Widget):
    """Shows clips under letters, in an order of each participant's own, and stores what they are rated.

    The page never learns which method made a clip: it knows random tokens. `save` writes the study as a file that can
    be sent to people; what they send back is read with `ratings`.

    Args:
        clips: one of each method for every identity.
        ratings: the CSV file that ratings are appended to.
        seed: of the tokens. form: what is asked.

    Attributes:
        key: token -> clip.
    """

    _esm = CODE
    _css = page.text("widgets.css")
    plan = traitlets.Dict().tag(sync=True)
    films = traitlets.Bytes().tag(sync=True)
    label = traitlets.Unicode("A blind rating of talking heads.").tag(sync=True)

    def __init__(
        self, clips: Sequence[Clip], ratings: str | Path = "ratings.csv", seed: int = 0, form: Form = user_study.DEFAULT
    ) -> None:
        user_study.check(clips)
        self.form, self._stored = form, set[Any]()
        self.path, self.methods = Path(ratings), list(dict.fromkeys(clip.method for clip in clips))
        generator = np.random.default_rng(seed)
        clips = [clips[k] for k in generator.permutation(len(clips))]  # the order in the page says nothing either
        tokens = [f"c{number:08x}" for number in generator.choice(2**32, len(clips), replace=False)]
        self.key = dict(zip(tokens, clips, strict=True))
        ends = np.cumsum([0, *(len(clip.film) for clip in clips)]).tolist()
        identities = list(dict.fromkeys(clip.identity for clip in clips))
        plan = {
            "trials": [[t for t, clip in self.key.items() if clip.identity == name] for name in identities],
            "places": {token: ends[k : k + 2] for k, token in enumerate(tokens)},
            "criteria": list(form.criteria),
            "low": form.low,
            "high": form.high,
        }
        super().__init__(plan=plan, films=b"".join(clip.film for clip in clips))
        self.still = _first_frames([self.key[token] for token in plan["trials"][0]])
        self.on_msg(self._receive)

    def _receive(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        """Stores a group of ratings, once, and tells the page that it did or why not."""
        if content.get("kind") != "ratings":
            return
        group = content.get("group")
        if group is None or group not in self._stored:
            try:
                self._store(content["rows"])
            except (UserError, ValueError) as error:
                self.send({"kind": "refused", "group": group, "words": f"{error}."})
                raise
            self._stored.add(group)
        self.send({"kind": "stored", "group": group})

    def _store(self, rows: list[dict[str, Any]]) -> None:
        unknown = [row["clip"] for row in rows if row["clip"] not in self.key]
        if unknown:
            raise UserError(f"the clip {unknown[0]!r} belongs to another study: run the notebook and rate again")
        named = [
            {**row, "identity": self.key[row["clip"]].identity, "method": self.key[row["clip"]].method} for row in rows
        ]
        user_study.append(self.path, named, self.form)

    def ratings(self, *sent: str | Path) -> pd.DataFrame:
        """What was rated here, and in the files that participants of saved pages have sent."""
        return user_study.read(*([self.path] if self.path.exists() else []), *sent, key=self.key, form=self.form)

    def figure(self, ratings: pd.DataFrame, title: str = "") -> Figure:
        """The figure of these ratings (Audio-Plane, Fig. 7)."""
        scale = (self.form.low, self.form.high)
        return plots.user_study(user_study.summary(ratings), user_study.agreement(ratings), self.methods, title, scale)

    def save(self, path: str | Path) -> Path:
        """Writes the study as one HTML file that needs neither a kernel nor a network; the key stays here."""
        values = {name: getattr(self, name) for name in ("plan", "films", "label")}
        return page.save(path, "Rating talking heads", CODE, values, self.still, self.label)


def _first_frames(clips: Sequence[Clip]) -> bytes:
    """The first frame of each clip side by side, PNG."""
    import io

    import av

    frames = []
    for clip in clips:
        with av.open(io.BytesIO(clip.film)) as film:
            frames.append(next(film.decode(video=0)).to_ndarray(format="rgb24"))  # type: ignore[attr-defined]
    height = min(len(frame) for frame in frames)
    return page.png(np.concatenate([frame[:height] for frame in frames], axis=1))
