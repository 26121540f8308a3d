"""Makes the voices that ship: `python -m audioplane.synthetic.voice.make [NAME ...] [--out DIR]`.

A tool of the project's makers: users never need it. It needs `espeakng-loader`. The same texts and the same version of
espeak-ng give the same samples and times; each voice gets a process of its own, since espeak's flutter and breath noise
depend on what was spoken before. Speakers get 80 s of training, then 20 s of test; the border at 80 s lies in a pause
and no sentence occurs twice. Driving voices are one stretch of 30 s or more.
"""

# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from audioplane.errors import UserError
from audioplane.runtime import files
from audioplane.subject.phonemes import PRIMARY, SECONDARY, VOICELESS_STOPS, Phoneme, letters
from audioplane.synthetic.voice import FORMAT_VERSION, SAMPLE_RATE
from audioplane.synthetic.voice.espeak import Espeak, RawEvent, opened

PACKAGE = "audioplane.synthetic.voice"
MODULE = f"{PACKAGE}.make"
TRAIN_SECONDS, TEST_SECONDS = 80.0, 20.0
PAUSE_RANGE = (0.3, 0.9)
LEVEL = 0.06  # root mean square of the spoken parts
COMPRESSION = 0.885  # soundfile's scale; about 32 kbit/s


@dataclass(frozen=True)
class Recipe:
    """How one voice is made; `rate` is in espeak's words per minute, `pitch` 50 is the variant's own."""

    language: str
    sex: str
    espeak: str
    rate: int
    pitch: int = 50


RECIPES = {
    "english_a": Recipe("en", "m", "en-us+m3", 160),
    "english_b": Recipe("en", "f", "en-gb-x-rp+Annie", 158, 35),
    "english_drive": Recipe("en", "m", "en-us+m7", 162, 60),
    "chinese_m": Recipe("zh", "m", "cmn+m6", 215, 58),
    "chinese_drive": Recipe("zh", "m", "cmn+m4", 215),
    "french_m": Recipe("fr", "m", "fr+m6", 150),
    "french_f": Recipe("fr", "f", "fr+f1", 148, 55),
    "french_drive": Recipe("fr", "f", "fr+f1", 146, 55),
    "german_f": Recipe("de", "f", "de+belinda", 160, 40),
    "german_drive": Recipe("de", "f", "de+belinda", 160, 40),
}

# espeak's names of sounds that are not IPA, or are a close allophone that needs no name of its own here.
_TO_IPA = {
    "zh": {
        "ph": "pʰ",
        "th": "tʰ",
        "kh": "kʰ",
        "ts": "ts",
        "tsh": "tsʰ",
        "tɕ": "tɕ",
        "tɕh": "tɕʰ",
        "ts.": "ʈʂ",
        "ts.h": "ʈʂʰ",
        "s.": "ʂ",
        "χ": "x",
        "i.": "ʐ̩",
        "i̪": "z̩",
        "onɡ": "ʊŋ",
        "onɡ͡": "ʊŋ",
        "o-": "ɤ",
        "yæ": "yɛ",
        "ər": "ɚ",
        "iɑ": "ia",
    },
    "fr": {"ə-": "ə", "a-": "a", "e-": "e", "y-": "y", "o-": "o", "i-": "i", "u-": "u"},
    "de": {"ɜ": "ɐ", "ɔø": "ɔʏ", "ɑː": "aː", "ɑ": "a"},
    "en": {},
}


def read_texts(name: str) -> dict[str, list[str]]:
    """Sentences by part: a line "# train" opens a part, every other line is one sentence."""
    parts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (resources.files(PACKAGE) / "texts" / f"{name}.txt").read_text(encoding="utf8").splitlines():
        if line.startswith("#"):
            current = parts.setdefault(line[1:].strip(), [])
        elif line.strip():
            current.append(line.strip())
    return parts


@dataclass(frozen=True)
class Spoken:
    """One sentence as spoken: samples at the synthesiser's rate, phonemes in seconds from its first sample."""

    text: str
    samples: np.ndarray
    seconds: float
    phonemes: list[Phoneme]


def speak(espeak: Espeak, text: str, recipe: Recipe, rate: int) -> Spoken:
    """Speaks a sentence and turns espeak's events into phonemes with corrected borders."""
    samples, events = espeak.speak(text, recipe.espeak, rate, recipe.pitch)
    if any(event.name.startswith("(") for event in events):
        raise UserError(f"espeak-ng cannot read a part of {text!r} in this language; rewrite the sentence")
    phonemes = _phonemes(samples, events, espeak.sample_rate, recipe.language)
    end = min(len(samples), int((phonemes[-1].end + 0.02) * espeak.sample_rate))
    fade = int(0.01 * espeak.sample_rate)
    faded = samples[:end].astype(np.float64) / 32768
    faded[-fade:] *= np.linspace(1, 0, fade)
    return Spoken(text, faded, end / espeak.sample_rate, phonemes)


def _phonemes(samples: np.ndarray, events: list[RawEvent], rate: int, language: str) -> list[Phoneme]:
    """Borders from espeak's events and the energy of the sound.

    espeak puts a voiceless stop at its burst and lets the silence of its closure belong to nobody: here the closure
    belongs to the stop, and a sound ends where its energy ends.
    """
    energy = _running_peak(np.abs(samples.astype(np.float64)), int(0.004 * rate))
    silent = energy < 0.004 * energy.max()
    starts = [event.sample for event in events] + [len(samples)]
    phonemes: list[Phoneme] = []
    for i, event in enumerate(events):
        if not event.name:
            continue
        stress = 2 if PRIMARY in event.name else 1 if SECONDARY in event.name else 0
        name = event.name.replace(PRIMARY, "").replace(SECONDARY, "")
        ipa = _TO_IPA[language].get(name, name)
        start, end = event.sample, starts[i + 1]
        if end - start < int(0.004 * rate):
            continue
        release = None
        first = letters(ipa)[0][0]
        if first in VOICELESS_STOPS:
            release = start + int(np.argmax(~silent[start:end]))  # some begin with a part of the closure
            start = _silence_before(silent, release - int(0.005 * rate), int(0.12 * rate))
            start = start if start < release - int(0.01 * rate) else event.sample
            start = max(start, int(phonemes[-1].start * rate) + 1 if phonemes else 0)
        elif first in "bdɡɖɟ":
            release = _voiced_release(energy, start, end)
        loud = np.flatnonzero(~silent[start:end])
        if len(loud):
            end = start + int(loud[-1]) + 1
        if phonemes and phonemes[-1].end * rate > start:
            last = phonemes[-1]
            phonemes[-1] = Phoneme(last.ipa, last.start, start / rate, last.stress, last.word_start, last.release)
        phonemes.append(
            Phoneme(ipa, start / rate, end / rate, stress, event.word_start, release / rate if release else None)
        )
    return phonemes


def _running_peak(values: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(values, (width // 2, width - 1 - width // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, width).max(axis=1)


def _silence_before(silent: np.ndarray, position: int, limit: int) -> int:
    """The start of the silence that ends at `position`, at most `limit` samples back."""
    position = max(position, 0)
    back = silent[max(0, position - limit) : position][::-1]
    sounding = np.flatnonzero(~back)
    return position - (int(sounding[0]) if len(sounding) else len(back))


def _voiced_release(energy: np.ndarray, start: int, end: int) -> int:
    """Where a voiced stop opens: the steepest rise of energy in its second half."""
    middle = (start + end) // 2
    if end - middle < 8:
        return end
    level = np.log(energy[middle:end] + 1.0)
    step = max(2, (end - middle) // 6)
    return middle + int(np.argmax(level[step:] - level[:-step])) + step // 2


def _pauses(count: int, total: float, rng: np.random.Generator) -> np.ndarray | None:
    """`count` random pauses within `PAUSE_RANGE` that sum to `total`; `None` if there are none such."""
    low, high = PAUSE_RANGE
    mean = (total / count - low) / (high - low)
    if not 0.05 < mean < 0.95:
        return None
    draws = rng.uniform(0.0, 1.0, count)
    if mean < draws.mean():
        draws *= mean / draws.mean()
    else:
        draws = 1 - (1 - draws) * (1 - mean) / (1 - draws.mean())
    return low + (high - low) * draws


def _lay_out(
    spoken: list[Spoken], begin: float, end: float, rng: np.random.Generator
) -> tuple[float, list[tuple[float, Spoken]]] | None:
    """The run of neighbouring sentences that fills the time with the most natural pauses.

    Returns:
        How far the mean pause is from a natural one, and the start time of every sentence; `None` if no run fits.
    """
    best = None
    for first in range(len(spoken)):
        for last in range(first + 2, len(spoken) + 1):
            run = spoken[first:last]
            pauses = _pauses(len(run) - 1, end - begin - sum(s.seconds for s in run), rng)
            if pauses is None:
                continue
            ends = np.cumsum([s.seconds for s in run]) + begin
            starts = [begin, *(ends[:-1] + np.cumsum(pauses))]
            score = abs(float(pauses.mean()) - 0.58)
            if best is None or score < best[0]:
                best = (score, list(zip(map(float, starts), run, strict=True)))
    return best


def _arrange(espeak: Espeak, name: str, recipe: Recipe) -> tuple[list[tuple[str, float, Spoken]], float]:
    """Every sentence with its part and start time, and the total seconds."""
    texts = read_texts(name)
    rng = np.random.default_rng([len(name), *name.encode()])
    if "drive" in texts:
        placed, clock = [], 0.4
        for text in texts["drive"]:
            spoken = speak(espeak, text, recipe, recipe.rate)
            placed.append(("drive", clock, spoken))
            clock += spoken.seconds + float(rng.uniform(*PAUSE_RANGE))
        return placed, float(np.ceil(clock * 25) / 25)
    windows = {"train": (0.5, TRAIN_SECONDS - 0.3), "test": (TRAIN_SECONDS + 0.3, TRAIN_SECONDS + TEST_SECONDS - 0.4)}
    placed = []
    for part, (begin, end) in windows.items():
        options = []
        for rate in range(recipe.rate - 4, recipe.rate + 5, 2):
            spoken = [speak(espeak, text, recipe, rate) for text in texts[part]]
            found = _lay_out(spoken, begin, end, rng)
            if found:
                options.append((found[0] + 0.01 * abs(rate - recipe.rate), found[1]))
        if not options:
            raise UserError(
                f"the sentences of {name}, part {part}, do not fill {end - begin:.1f} s: write more of them"
            )
        placed += [(part, start, sentence) for start, sentence in min(options, key=lambda option: option[0])[1]]
    return placed, TRAIN_SECONDS + TEST_SECONDS


def make_voice(espeak: Espeak, name: str, out: Path) -> dict[str, float]:
    """Makes one voice: NAME.ogg and NAME.json in `out`; returns what it measured."""
    recipe = RECIPES[name]
    placed, seconds = _arrange(espeak, name, recipe)
    line = np.zeros(round(seconds * espeak.sample_rate))
    for _, start, spoken in placed:
        at = round(start * espeak.sample_rate)
        line[at : at + len(spoken.samples)] += spoken.samples
    audio = resample_poly(line, SAMPLE_RATE, espeak.sample_rate)[: round(seconds * SAMPLE_RATE)]
    speech = sum(spoken.seconds for _, _, spoken in placed)
    audio *= LEVEL / np.sqrt(np.sum(audio**2) / (speech * SAMPLE_RATE))
    audio = 0.97 * np.tanh(audio / 0.97) if np.abs(audio).max() > 0.97 else audio
    facts = {
        "version": FORMAT_VERSION,
        "name": name,
        "language": recipe.language,
        "sex": recipe.sex,
        "made_with": f"espeak-ng, voice {recipe.espeak}",
        "licence": "CC0-1.0",
        "sample_rate": SAMPLE_RATE,
        "samples": len(audio),
        "sentences": [[s.text, _ms(at), _ms(at + s.seconds), part] for part, at, s in placed],
        "phonemes": [
            [
                p.ipa,
                _ms(p.start),
                _ms(p.end),
                p.stress,
                int(p.word_start),
                None if p.release is None else _ms(p.release),
            ]
            for _, at, s in placed
            for p in (phoneme.moved(at) for phoneme in s.phonemes)
        ],
    }
    files.make_folder(out)
    sound, text = out / f"{name}.ogg", out / f"{name}.json"
    coded = io.BytesIO()
    with soundfile.SoundFile(
        coded, "w", SAMPLE_RATE, 1, format="OGG", subtype="OPUS", compression_level=COMPRESSION
    ) as file:
        file.write(audio.astype(np.float32))
    files.write_bytes(sound, coded.getvalue())
    files.write_text(text, json.dumps(facts, ensure_ascii=False, separators=(",", ":")))
    return {"seconds": seconds, "speech": speech, "bytes": sound.stat().st_size + text.stat().st_size}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"voices to make (default: all): {', '.join(RECIPES)}")
    parser.add_argument("--out", type=Path, default=Path(str(resources.files(PACKAGE) / "data")))
    chosen = parser.parse_args(arguments)
    names = chosen.names or list(RECIPES)
    if unknown := [name for name in names if name not in RECIPES]:
        raise UserError(f"no recipe is named {unknown[0]!r}; there are {', '.join(RECIPES)}")
    if len(names) == 1:
        made = make_voice(opened(), names[0], chosen.out)
        print(f"{names[0]}: {made['seconds']:.2f} s ({made['speech']:.1f} s spoken), {made['bytes'] / 1000:.0f} kB")
        return 0
    for name in names:
        subprocess.run([sys.executable, "-m", MODULE, name, "--out", str(chosen.out)], check=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
