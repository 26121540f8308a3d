"""Training data: voices with the blendshapes that go with them.

Embedded speakers, whose 52 blendshapes are known: people `held_out_N`, as for the lip-sync scorer
(`pretrained.syncnet.data`): espeak-ng's voices, of which none ships, with sentences of the shipped voices' training
parts. And a captured one: FACEGOOD's 11 minutes (MIT), mouth and jaw alone; eyes and brows were not captured.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.features import Features, count_frames
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.expression.generator import FPS, WINDOW
from audioplane.media.sound import SAMPLE_RATE, load_audio
from audioplane.pretrained.syncnet.data import FIRST_FOR_TESTS, TESTS, shipped, synthesized
from audioplane.runtime import arrays, documents, weights
from audioplane.subject import blendshapes
from audioplane.synthetic import cast
from audioplane.synthetic.performance import act
from audioplane.synthetic.script import Script

FACEGOOD = Path("captures", "facegood")  # in the assets folder
HELD_OUT = ("1114_2_03", "1114_3_16")
"""Recordings that are never trained on, one of either session."""
LATE = 0.05
"""Seconds by which the captured curves come late: one to two of their frames."""
ALL = np.ones(blendshapes.COUNT, bool)


@dataclass(frozen=True)
class Clip:
    """A voice and the blendshapes that go with it.

    Attributes:
        name: of the person or recording. source: of `voice_network.SOURCES`.
        audio: (n,) float32, 16 kHz. weights: (T, 52) float32, 25 a second. known: (52,), which of them were captured.
    """

    name: str
    source: str
    audio: NDArray[np.float32]
    weights: NDArray[np.float32]
    known: NDArray[np.bool_]

    def features(self, kind: str) -> NDArray[np.float32]:
        """Its voice features (T, `WINDOW`, C), standardised by the voice itself."""
        config = AudioConfig(features=kind, window=WINDOW)
        return Features.fit(config, self.audio)(self.audio, FPS, len(self.weights), own_voice=True)


def embedded(people: Sequence[int], seconds: float) -> list[Clip]:
    """Embedded speakers, each with a voice and words of their own.

    Args:
        people: N of held_out_N. seconds: that each speaks, a whole number of frames.

    Raises:
        UserError: espeak-ng is not installed.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        scripts = pool.submit(_spoken, people, seconds).result()  # a fresh process makes what espeak says repeatable
    return [_acted(person, script) for person, script in zip(people, scripts, strict=True)]


def embedded_tests() -> list[Clip]:
    """Embedded speakers whose faces, voices and sentences are held out: the shipped voices' test parts."""
    return [_acted(FIRST_FOR_TESTS + k, shipped(*test)) for k, test in enumerate(TESTS)]


def captured(held_out: bool) -> list[Clip]:
    """FACEGOOD's recordings: those of `HELD_OUT`, or all others.

    Raises:
        UserError: they are not on this machine, or damaged.
    """
    folder = weights.assets_folder() / FACEGOOD
    if not (folder / "names.json").is_file():
        raise UserError(
            f"there are no captures in {folder}: put FACEGOOD's recordings there (github.com/FACEGOOD/"
            "FACEGOOD-Audio2Face, MIT), each as NAME.flac and NAME.npz with curves (T, channels) and fps, beside a "
            "names.json of their channels; or train without them (--without-captures)"
        )
    names = documents.read(folder / "names.json", dict[str, Any], "restore it")
    paths = sorted(folder.glob("*.npz"))
    return [_recording(path, names) for path in paths if (path.stem in HELD_OUT) == held_out]


def _spoken(people: Sequence[int], seconds: float) -> list[Script]:
    from audioplane.synthetic.voice.espeak import opened

    espeak = opened()
    return [synthesized(person, seconds, espeak) for person in people]


def _acted(person: int, script: Script) -> Clip:
    spec = cast.find(f"held_out_{person}")
    play = act(spec, script, seed=person, fps=FPS)
    return Clip(spec.name, "embedded", play.audio, play.blendshapes, ALL)


def _recording(path: Path, names: dict[str, Any]) -> Clip:
    found = arrays.read_npz(path)
    audio = load_audio(path.with_suffix(".flac"))
    curves, known = to_arkit(found["curves"].astype(np.float32), names)
    times = (np.arange(count_frames(audio, FPS)) + 0.5) / FPS + LATE
    own = np.arange(len(curves)) / float(found["fps"])
    moved = np.stack([np.interp(times, own, curve) for curve in curves.T], axis=1)
    return Clip(path.stem, "captured", audio, moved.astype(np.float32), known)


def to_arkit(curves: NDArray[np.float32], names: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Curves of FACEGOOD's rig as ARKit's blendshapes, by its own map: a channel, or the largest of several.

    Args:
        curves: (T, channels). names: `channels` in their order; `arkit`, a list of arkit, channel and status.

    Returns:
        weights (T, 52) in [0, 1]; (52,), which of them were captured and ever move.
    """
    place = {name: i for i, name in enumerate(names["channels"])}
    out = np.zeros((len(curves), blendshapes.COUNT), np.float32)
    for row in names["arkit"]:
        if row["status"] == "valid":
            channels = row["channel"].removeprefix("max(").removesuffix(")").split(",")
            out[:, blendshapes.index(row["arkit"])] = curves[:, [place[name] for name in channels]].max(axis=1)
    return np.clip(out, 0, 1), out.std(axis=0) > 1e-3


def resting(seconds: float = 8.0) -> NDArray[np.float32]:
    """Blendshapes of a face that says nothing: the median of an embedded speaker's, (52,)."""
    silence = Script(np.zeros(round(seconds * SAMPLE_RATE), np.float32), (), 0)
    return np.median(_acted(FIRST_FOR_TESTS, silence).weights, axis=0)


def shuffled(clip: Clip) -> Clip:
    """The same voice with the blendshapes of another time, half the clip away: what chance gives."""
    return replace(clip, weights=np.roll(clip.weights, len(clip.weights) // 2, axis=0))
