"""Widget: choose a trained head and a voice, and make the film."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from numpy.typing import NDArray

from audioplane.audio.features import SAMPLE_RATE, check_audio, load_audio
from audioplane.errors import UserError
from audioplane.inference.expressions import EXPRESSIONS
from audioplane.inference.poses import POSES, TURNING, filmed_range, typical
from audioplane.inference.talking_head import TalkingHead
from audioplane.media.writer import write_video
from audioplane.motion.own_range import CONTROLS, TITLES
from audioplane.runtime import cache, files
from audioplane.synthetic import typed_voice
from audioplane.synthetic.voice import load_voice, voice_names
from audioplane.widgets import page
from audioplane.widgets.box import Box

if TYPE_CHECKING:
    from os import PathLike

NO_ESPEAK = "typed text needs espeak-ng: pip install espeakng-loader"
STOPPED = "Stopped: no film was made."
WIDE = {"width": "460px", "max_width": "98%"}
LABELS = {"description_width": "80px"}


class _StoppedError(Exception):
    """Somebody pressed Stop."""


def find_heads() -> dict[str, Path]:
    """Trained heads on this machine: of the notebooks and of runs in the working folder, name -> file."""
    places = [cache.folder("runs"), Path("runs"), Path(".")]
    files = {file for place in places if place.is_dir() for file in place.glob("*/head.safetensors")}
    newest = sorted(files, key=lambda file: -file.stat().st_mtime)
    return {file.parent.name: file for file in newest}


class Driver(Box):
    """A trained head speaks a sound file, a voice that ships, or typed text; shows the film and saves it.

    The button makes the film beside the notebook, which goes on; `wait` ends with it, and Stop ends it. `run` makes it
    at once, and an interrupt of the kernel ends it.

    Args:
        heads: name -> a TalkingHead, or its file; default: those of `find_heads`.

    Attributes:
        film: bytes of the last mp4, b"" before.

    Raises:
        UserError: there is no head, or it has no name.
    """

    def __init__(self, heads: Mapping[str, TalkingHead | str | PathLike[str]] | None = None) -> None:
        if heads is not None and not isinstance(heads, Mapping):
            raise UserError(f"heads: expected names and their heads, received {type(heads).__name__}")
        self.heads = dict(find_heads() if heads is None else heads)
        if not self.heads:
            raise UserError("no trained head was found here: train one with `audioplane train`, or run notebook 05")
        self._worker: threading.Thread | None = None
        self._stop = threading.Event()
        self.film, self.label = b"", "A trained head speaks a voice of your choice; this needs a running kernel."
        self._build()
        first = self._head()
        self._show_face()
        self._show_turns()
        self.still = page.png(first.render(first.extras["codes"].mean(0), first.viewmats[0]))
        super().__init__(
            [
                self.who,
                self.source,
                self.voices,
                self.file,
                self.text,
                self.language,
                self.poses,
                self.turns,
                self.eyes,
                ipywidgets.HBox([ipywidgets.VBox(self.controls), self.face], layout={"flex_flow": "row wrap"}),
                ipywidgets.HBox([self.speak, self.stop, self.progress]),
                self.status,
                self.screen,
                ipywidgets.HBox([self.name, self.save], layout={"flex_flow": "row wrap"}),
            ]
        )

    def _build(self) -> None:
        menu = lambda label, options, hint: ipywidgets.Dropdown(  # noqa: E731
            options=options, description=label, layout=WIDE, style=LABELS, tooltip=hint
        )
        typed = "typed text" if typed_voice.is_there() else f"typed text ({NO_ESPEAK})"
        self.who = menu("head", list(self.heads), "which trained head speaks")
        self.source = menu(
            "says",
            [("a voice that ships", "ships"), ("a sound file", "file"), (typed, "text")],
            "where the voice comes from",
        )
        self.voices = menu(
            "voice", sorted(voice_names(), key=lambda name: not name.startswith("english")), "a voice that ships"
        )
        self.file = ipywidgets.FileUpload(accept="audio/*,video/*", description="choose a file", layout=WIDE)
        self.text = ipywidgets.Textarea("Anything you type, I can say.", description="text", layout=WIDE, style=LABELS)
        self.language = menu("spoken by", list(typed_voice.VOICES), "the synthetic voice that reads the text")
        self.poses = menu(
            "head pose",
            [("as in the test clip", "test"), ("natural", "natural"), ("still", "still")],
            "how the head moves",
        )
        self.eyes = menu(
            "eyes",
            [
                ("natural: blinks, gaze and brows", "natural"),
                ("natural, with brows that follow the voice", "voice"),
                ("still", "none"),
            ],
            "what eyes and brows do, in a head that was trained with them",
        )
        self.controls = [
            ipywidgets.FloatSlider(
                value=0.0,
                min=0.0 if name == "blink" else -1.0,
                max=1.0,
                step=0.05,
                description=TITLES[name],
                layout=WIDE,
                style={"description_width": "140px"},
                tooltip="added to what eyes and brows do by themselves",
                continuous_update=False,
            )
            for name in CONTROLS
        ]
        self.face = ipywidgets.Image(format="png", layout={"width": "192px"})
        for control in self.controls:
            control.observe(self._show_face, "value")
        self.who.observe(self._show_face, "value")
        self.turns = ipywidgets.HTML()
        self.who.observe(self._show_turns, "value")
        self.speak = ipywidgets.Button(description="Speak", button_style="primary", tooltip="make the film")
        self.stop = ipywidgets.Button(description="Stop", disabled=True, tooltip="end the film that is being made")
        self.progress = ipywidgets.IntProgress(0, 0, 1, layout={"width": "260px", "visibility": "hidden"})
        self.status = ipywidgets.HTML('<span role="status"></span>')
        self.screen = ipywidgets.VBox()
        self.name = ipywidgets.Text(
            "talk.mp4", description="file", style=LABELS, layout={"width": "300px", "max_width": "98%"}
        )
        self.save = ipywidgets.Button(description="Save", disabled=True, tooltip="write the film; no file is replaced")
        self.source.observe(self._show_source, "value")
        self.speak.on_click(lambda _: self._start())
        self.stop.on_click(lambda _: self._stop.set())
        self.save.on_click(lambda _: self._attempt(self._save, "The film could not be saved"))
        self._show_source()
        assert {value for _, value in self.poses.options} == set(POSES)
        assert {value for _, value in self.eyes.options} == set(EXPRESSIONS)

    def _show_source(self, _: Any = None) -> None:
        parts = {"ships": [self.voices], "file": [self.file], "text": [self.text, self.language]}
        for source, controls in parts.items():
            for control in controls:
                control.layout.display = None if source == self.source.value else "none"

    def _show_face(self, _: Any = None) -> None:
        """The head at rest, its eyes and brows as the sliders have them; what it does not follow is switched off."""
        head = self._head()
        own = head.own_range if head.own_range is not None and head.own_range.is_captured else None
        for control in (self.eyes, *self.controls):
            control.disabled = own is None
        face = None if own is None else own.steered(np.array([self._steer()]))[0]
        view = head.viewmats[typical(head.viewmats.numpy())]
        self.face.value = page.png(head.render(head.extras["codes"].mean(0), view, expression=face))

    def _show_turns(self, _: Any = None) -> None:
        """How far the head was filmed turned, and how far natural poses turn it."""
        head = self._head()
        (left, right), (down, up) = filmed_range(head.viewmats.numpy()).round() + 0.0  # no -0
        natural = (
            f"natural poses turn it by up to {TURNING[1]:g}&deg;" if head.can_turn else "natural poses stay within"
        )
        self.turns.value = (
            f"<small>filmed from {left:g}&deg; to {right:g}&deg;, up {down:g}&deg; to {up:g}&deg;; {natural}</small>"
        )

    def _steer(self) -> tuple[float, ...]:
        return tuple(control.value for control in self.controls)

    def run(self) -> None:
        """Makes the film; returns when it is there."""
        self.speak.disabled, self.stop.disabled = True, False
        self._stop.clear()
        try:
            self._attempt(self._film, "The film could not be made")
        except KeyboardInterrupt:
            self._say(STOPPED)
            raise
        except Exception as error:
            self._say(f"The film could not be made: {type(error).__name__}: {error}")
            raise
        finally:
            self.speak.disabled, self.stop.disabled, self.progress.layout.visibility = False, True, "hidden"

    def _start(self) -> None:
        """What the button does: the kernel stays free, so that Stop and everything else is answered."""
        if self._worker is None or not self._worker.is_alive():
            self._worker = threading.Thread(target=self.run, daemon=True, name="film")
            self._worker.start()

    def wait(self) -> None:
        """Until the film that the button asked for is made, stopped or refused."""
        if self._worker is not None:
            self._worker.join()

    def _attempt(self, action: Any, failure: str) -> None:
        try:
            self._say(action())
        except _StoppedError:
            self._say(STOPPED)
        except OSError as error:
            self._say(f"{failure}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else ""))
        except (UserError, ValueError) as error:
            self._say(f"{failure}: {error}")

    def _say(self, words: str) -> None:
        import html

        self.status.value = f'<span role="status">{html.escape(words)}</span>'

    def _head(self) -> TalkingHead:
        chosen = self.heads[str(self.who.value)]
        if not isinstance(chosen, TalkingHead):
            chosen = self.heads[str(self.who.value)] = TalkingHead.load(Path(chosen))
        return chosen

    def _audio(self) -> NDArray:
        if self.source.value == "ships":
            return load_voice(self.voices.value).audio
        if self.source.value == "text":
            return typed_voice.say(self.text.value, str(self.language.value))
        if not self.file.value:
            raise UserError("choose a sound file first")
        chosen = self.file.value[0]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "voice"
            path.write_bytes(chosen["content"])
            try:
                return load_audio(path)
            except UserError as error:
                raise UserError(str(error).replace(str(path), str(chosen["name"]))) from error

    def _film(self) -> str:
        head, audio = self._head(), check_audio(self._audio())
        count = int(np.ceil(len(audio) / SAMPLE_RATE * head.fps))
        self.progress.max, self.progress.value, self.progress.layout.visibility = count, 0, "visible"
        self._say(f"{count} frames ...")
        poses, eyes, steer = str(self.poses.value), str(self.eyes.value), self._steer()

        def counted() -> Iterator[NDArray]:
            for t, frame in enumerate(head.frames(audio, poses, expression=eyes, steer=steer)):
                if self._stop.is_set():
                    raise _StoppedError
                if t % 10 == 9:
                    self.progress.value = t + 1
                yield frame

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "talk.mp4"
            write_video(path, counted(), head.fps, audio, SAMPLE_RATE)
            self.film = path.read_bytes()
        self.screen.children = [ipywidgets.Video(value=self.film, autoplay=False, loop=False, width=384)]
        self.save.disabled = False
        return f"{count} frames, {count / head.fps:.1f} s, marked as synthetic"

    def _save(self) -> str:
        path = Path(self.name.value.strip() or "talk.mp4").expanduser()
        if path.exists():
            path = next(free for k in itertools.count(2) if not (free := path.with_stem(f"{path.stem}-{k}")).exists())
        files.write_bytes(path, self.film)
        return f"saved as {path.resolve()}"
