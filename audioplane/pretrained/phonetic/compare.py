"""Which audio features generalise to other voices? Compared on encoders alone, without training any Gaussians.

A head's lips follow its audio code closely (notebook 06), and the encoder is pre-trained and then kept. So encoders are
compared: each is trained on one person's training frames, exactly as `training.Trainer` does it; a linear probe
(`audio_probe.LinearProbe`) predicts the opening of the lips from its codes; and the prediction is compared with the
true opening, for the person's own voice and for others.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audioplane.audio.activity import speech_frames
from audioplane.audio.codes import spoken_codes
from audioplane.audio.encoder import AudioEncoder
from audioplane.audio.features import Features, samples_of
from audioplane.audio.pretrain import lip_shapes, pretrain
from audioplane.config import Config, preset
from audioplane.evaluation.audio_probe import LinearProbe, reference_performance
from audioplane.metrics.mouth import correlation
from audioplane.runtime import clone, files, seeds

if TYPE_CHECKING:
    import pandas as pd

    from audioplane.subject import Subject

PLAIN = preset("demo").replace("audio.calibration_steps=0", "audio.longest_pause=0.8")
"""Codes as encoders make them: what is added to them afterwards would be added to all kinds alike."""
FEATURE_KINDS = {
    "log-mel": PLAIN.replace("audio.features=mel", "audio.dropout=0.2", "audio.augment=0.6"),  # what suits it best
    "phonetic": PLAIN.replace("audio.features=phonetic"),
    "causal phonetic": PLAIN.replace("audio.features=phonetic-causal"),
    "audio-visual": PLAIN.replace("audio.features=av", "audio.window=8"),
    "Whisper": PLAIN.replace("audio.features=whisper"),
    "Whisper and phonetic": PLAIN.replace("audio.features=whisper-phonetic"),
    "the same, live": PLAIN.replace("audio.features=live"),
}
LAGS = range(-6, 7)  # frames among which the best lag is sought
VOICES = {  # voices that ship, by language: none of them, nor their sentences, is in the training data
    "en": ("english_a", "english_b", "english_drive"),
    "fr": ("french_m", "french_drive"),
    "de": ("german_drive",),
    "zh": ("chinese_drive", "chinese_m"),
}


@dataclass(frozen=True)
class Person:
    """What an encoder is trained and tested with; no pictures.

    Attributes:
        name: of the person.
        audio: (n,) float32, 16 kHz.
        fps: frames a second.
        landmarks: (T, 68, 2) pixels.
        viewmats: (T, 4, 4).
        train: frames to learn from.
        test: held-out frames.
        opening: (T,) of the lips; millimetres for embedded speakers, else parts of the eyes' distance; NaN unknown.
    """

    name: str
    audio: NDArray[np.float32]
    fps: float
    landmarks: NDArray[np.float32]
    viewmats: NDArray[np.float32]
    train: range
    test: range
    opening: NDArray


def embedded(name: str, seconds: float = 100.0) -> Person:
    """An embedded speaker with its own voice; the face is animated, but not rendered."""
    from audioplane.synthetic import cast
    from audioplane.synthetic.filming import project, rigid, still_camera

    play = reference_performance(name, seconds)
    face = cast.head(cast.identity_of(cast.find(name)), "ours")
    K, rest = still_camera(256)
    heads = rest @ rigid(play.head_pose)
    landmarks = np.empty((play.num_frames, 68, 2), np.float32)
    for t in range(play.num_frames):
        extras = {key: float(track[t]) for key, track in play.extras.items()} | {"breath": float(play.breath[t])}
        landmarks[t] = project(face.landmarks(face.vertices(play.blendshapes[t], extras)), K, heads[t])
    train, test = range(play.train_frames), range(play.train_frames, play.num_frames)
    return Person(name, play.audio, play.fps, landmarks, heads.astype(np.float32), train, test, play.opening)


def filmed(subject: Subject) -> Person:
    """The person of a Subject; the opening is measured on the landmarks."""
    shapes = lip_shapes(subject.landmarks, 1, subject.viewmats)
    return Person(
        subject.name,
        subject.audio,
        subject.fps,
        subject.landmarks,
        subject.viewmats,
        subject.train,
        subject.test,
        shapes.opening,
    )


class LipPredictor:
    """The audio encoder that a head of this person would have, and a linear probe on its codes.

    Args:
        person: whose training frames are learnt from.
        config: of the run; its seed is that of the head.
    """

    def __init__(self, person: Person, config: Config) -> None:
        own = config.audio
        self.config, self.fps = own, person.fps
        train = slice(person.train.start, person.train.stop)
        voice = person.audio[samples_of(person.train, person.fps)]
        self.features = Features.fit(own, voice)
        windows = torch.from_numpy(self.features(person.audio, person.fps, len(person.opening), own_voice=True))
        shapes = lip_shapes(person.landmarks[train], own.lip_components, person.viewmats[train])
        self.encoder = AudioEncoder(own, windows.shape[-1], seeds.generator(config.seed, seeds.WEIGHTS))
        copies = self.features.augmented_copies(voice, person.fps, len(person.train), config.seed)
        generator = seeds.generator(config.seed, seeds.PRETRAINING)
        speech = speech_frames(voice, person.fps, len(person.train), own.longest_pause)
        pretrain(self.encoder, windows[train], shapes, own, generator, copies, speech)
        learnt = self.codes(person.audio)[: len(person.opening)]
        known = np.isfinite(person.opening)
        known[person.train.stop :] = False
        self.probe = LinearProbe(learnt[known[: len(learnt)]], person.opening[known])

    def codes(self, audio: NDArray[np.float32]) -> torch.Tensor:
        """Codes of a voice, as `TalkingHead.encode` gives them before it closes lips in silence: (T, code)."""
        with torch.no_grad():
            codes = self.encoder.all_codes(torch.from_numpy(self.features(audio, self.fps)))
        speech = speech_frames(audio, self.fps, len(codes), self.config.longest_pause)
        return spoken_codes(codes, self.config, self.encoder.opening, speech)

    def __call__(self, audio: NDArray[np.float32]) -> NDArray:
        """The opening of the lips predicted from a voice: (T,)."""
        return self.probe(self.codes(audio))


def lagged_correlation(predicted: NDArray, truth: NDArray, fps: float, frames: range | None = None) -> dict[str, float]:
    """Correlation of the predicted and the true opening: as they are, a second apart (control), and at the best lag.

    Args:
        predicted: (T,).
        truth: (T,), may be NaN.
        fps: frames a second.
        frames: to compare; default all.
    """
    frames = range(min(len(predicted), len(truth))) if frames is None else frames

    def r(shift: int) -> float:
        moved = np.roll(predicted[frames.start : frames.stop], shift)
        known = np.isfinite(truth[frames.start : frames.stop])
        return correlation(moved[known], truth[frames.start : frames.stop][known])

    lags = {lag: r(lag) for lag in LAGS}
    best = max(lags, key=lambda lag: lags[lag])
    return {"r": lags[0], "a second late": r(round(fps)), "best r": lags[best], "lag, frames": float(best)}


def evaluate_embedded(person: Person, predictor: LipPredictor, seconds: float = 30.0) -> list[dict[str, Any]]:
    """One row a voice: the own one's held-out seconds, and each other voice that ships."""
    from audioplane.synthetic import cast

    own = cast.find(person.name)
    rows = [
        {"voice": own.voice, "kind": "own, held out"}
        | lagged_correlation(predictor(person.audio), person.opening, person.fps, person.test)
    ]
    for language, voices in VOICES.items():
        for voice in voices:
            if voice != own.voice:
                other = reference_performance(person.name, seconds, voice)
                kind = "same language" if language == own.language else "other languages"
                found = lagged_correlation(predictor(other.audio), other.opening, person.fps)
                rows.append({"voice": voice, "kind": kind} | found)
    return rows


def evaluate_filmed(person: Person, predictor: LipPredictor, others: Sequence[Person]) -> list[dict[str, Any]]:
    """One row a voice of people who were filmed: the own one's held-out seconds, and others' whole clips."""
    rows = [
        {"voice": person.name, "kind": "own, held out"}
        | lagged_correlation(predictor(person.audio), person.opening, person.fps, person.test)
    ]
    return rows + [
        {"voice": other.name, "kind": "another person"}
        | lagged_correlation(predictor(other.audio), other.opening, other.fps)
        for other in others
        if other.name != person.name
    ]


def compare(
    speakers: Sequence[str | Person],
    configs: Mapping[str, Config],
    seeds: Sequence[int],
    others: Sequence[Person] = (),
    report: Callable[[str], Any] = lambda line: None,
) -> pd.DataFrame:
    """Every speaker with every kind of features and every seed: a row a voice.

    Args:
        speakers: names of embedded speakers, or filmed people.
        configs: name of a kind of features -> its config.
        seeds: of the encoders.
        others: filmed people whose voices a filmed person's encoder is tested with.
        report: called with a line of text for each encoder.

    Returns:
        columns speaker, features, seed, voice, kind, r, a second late, best r, lag.
    """
    import pandas as pd

    rows = []
    for speaker in speakers:
        person = embedded(speaker) if isinstance(speaker, str) else speaker
        for name, config in configs.items():
            for seed in seeds:
                predictor = LipPredictor(person, config.replace(seed=seed))
                found = (
                    evaluate_embedded(person, predictor)
                    if isinstance(speaker, str)
                    else evaluate_filmed(person, predictor, others)
                )
                rows += [{"speaker": person.name, "features": name, "seed": seed} | row for row in found]
                report(f"{person.name}, {name}, seed {seed}: own voice, held out, r {found[0]['r']:.3f}")
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean r over voices, then mean and spread over seeds: a row for each speaker and kind, a column a features."""
    values: Any = rows
    means = values.groupby(["speaker", "kind", "features", "seed"])[["r", "best r", "a second late"]].mean()
    table = means.groupby(["speaker", "kind", "features"]).agg(["mean", "std"])
    table.columns = [f"{name}{'' if how == 'mean' else ' +-'}" for name, how in table.columns]
    return table.unstack("features")


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """Correlation over voices, mean and spread over seeds: a row for each speaker and kind, a column a features.

    Two films need not be equally far off their sound, so another person's voice counts at its best lag. The last column
    is the control: the phonetic features', a second late.
    """
    values: Any = rows
    moved = values["kind"] == "another person"
    values = values.assign(shown=values["r"].where(~moved, values["best r"]))
    over_voices = values.groupby(["speaker", "kind", "features", "seed"])[["shown", "a second late"]].mean()
    means, spreads = (over_voices.groupby(["speaker", "kind", "features"]).agg(how) for how in ("mean", "std"))
    texts = means["shown"].map("{:.2f}".format) + " ± " + spreads["shown"].map("{:.2f}".format)
    table = texts.unstack("features")
    table = table[[name for name in FEATURE_KINDS if name in table]]
    control = means["a second late"].unstack("features")["phonetic"].round(2)
    return table.assign(**{"phonetic, a second late": control})


def committed_rows() -> pd.DataFrame:
    """The rows committed in `records/`: `compare` of `FEATURE_KINDS` on two embedded and two filmed people.

    Raises:
        UserError: there is no clone.
    """
    import pandas as pd

    return pd.DataFrame(json.loads(gzip.decompress(clone.folder("records", "phonetic.json.gz").read_bytes())))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; see above."""
    from audioplane.subject import Subject

    parser = argparse.ArgumentParser(prog="python -m audioplane.pretrained.phonetic.compare")
    parser.add_argument("--out", type=Path, required=True, help="the rows, as JSON that gzip compresses")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--speakers", nargs="*", default=["adam", "beth"])
    parser.add_argument("--features", nargs="*", default=list(FEATURE_KINDS), choices=list(FEATURE_KINDS))
    parser.add_argument("--subject", type=Path, action="append", default=[])
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    people = [filmed(Subject.open(folder)) for folder in args.subject]
    rows = compare(
        [*args.speakers, *people],
        {name: FEATURE_KINDS[name] for name in args.features},
        range(args.seeds),
        people,
        lambda line: print(line, file=sys.stderr),
    )
    columns = rows.round(4).to_dict("list")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in columns.items())
    files.write_bytes(args.out, gzip.compress(f"{{\n{lines}\n}}\n".encode(), mtime=0))
    print(summary(rows).round(3).to_string())


if __name__ == "__main__":
    main()
