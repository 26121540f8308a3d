"""Training data, made by code: speech by espeak-ng, the sounds in it and the mouth movements that go with them.

Each clip is one voice (language, variant, pitch, liveliness, rate, speed of playing) that says a few sentences of
`sentences`, through one microphone, room and codec. The voices that ship, every variant they use and their sentences
are left out; variants in `HELD_OUT` are kept for the tests.
"""

# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

from __future__ import annotations

import hashlib
import io
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

from audioplane.audio.mel import SAMPLE_RATE, STEP, log_mel
from audioplane.audio.phonetic import BANDS, CLASSES, PAUSE
from audioplane.errors import UserError
from audioplane.pretrained.phonetic.sentences import sentence
from audioplane.runtime import arrays, cache, files
from audioplane.runtime.source_hash import source_hash
from audioplane.subject.phonemes import VOWELS, Phoneme, sounds
from audioplane.synthetic.mouth_tracks import mouth_tracks

if TYPE_CHECKING:
    from audioplane.synthetic.voice.espeak import Espeak

VOICES = {  # espeak's voices of each language, and its usual rate
    "en": (("en-us", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029"), 160),
    "zh": (("cmn",), 210),
    "fr": (("fr", "fr-be", "fr-ch"), 150),
    "de": (("de",), 155),
}
SHARES = {"en": 0.4, "zh": 0.2, "fr": 0.2, "de": 0.2}
VARIANTS = (
    "m1", "m2", "m5", "m8", "f2", "f4", "f5", "klatt", "klatt2", "klatt4", "klatt5", "klatt6", "Alex", "Alicia",
    "Andrea", "Andy", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Mike", "Reed",
    "adam", "anika", "announcer", "antonio", "aunty", "benjamin", "boris", "caleb", "david", "ed", "edward", "grandma",
    "grandpa", "gustave", "ian", "iven", "john", "kaukovalta", "marcelo", "max", "michel", "miguel", "norbert",
    "pablo", "paul", "pedro", "rob", "robert", "sandro", "steph", "steph2", "travis", "victor",
)  # fmt: skip
HELD_OUT = ("f3", "klatt3", "Michael", "linda", "quincy", "shelby", "zac", "mike2")
LETTERS = str.maketrans({"ʉ": "u", "ʍ": "w", "ʲ": "j", ":": "ː", "ɬ": "l", "ʎ": "j", "\u032a": None})
"""Letters of varieties that no voice that ships speaks -> those with the same lips, whose articulation is known."""

_NUMBER = {letter: k for k, letters in enumerate(CLASSES) for letter in letters}
NASAL = CLASSES.index("~")


@dataclass(frozen=True)
class Clip:
    """One voice speaking.

    Attributes:
        voice: language and espeak's name. mel: (n, BANDS) float16, log-mel in dB.
        classes: (n,) uint8, of `CLASSES`. tracks: (n, tracks) float16, of `TRACKS`, in units of their sizes.
    """

    voice: str
    mel: NDArray[np.float16]
    classes: NDArray[np.uint8]
    tracks: NDArray[np.float16]


def class_of(phoneme: Phoneme) -> list[tuple[int, float, float]]:
    """Each single sound of a phoneme: number of its class, start and end."""
    return [
        (NASAL if sound.nasal and sound.letter in VOWELS else _NUMBER[sound.letter], sound.start, sound.end)
        for sound in sounds(phoneme)
    ]


def labels(phonemes: Sequence[Phoneme], count: int) -> NDArray[np.uint8]:
    """The class at each of `count` steps."""
    found = np.full(count, CLASSES.index(PAUSE), np.uint8)
    for phoneme in phonemes:
        for number, start, end in class_of(phoneme):
            first, last = np.ceil(np.array([start, end]) * SAMPLE_RATE / STEP - 1e-6).astype(int)
            found[max(first, 0) : max(last, 0)] = number
    return found


def speak(
    espeak: Espeak, language: str, variants: Sequence[str], seconds: float, rng: np.random.Generator
) -> tuple[str, NDArray[np.float32], tuple[Phoneme, ...]]:
    """A voice drawn by `rng` says sentences drawn by `rng`: its name, (n,) at 16 kHz, and its phonemes."""
    from audioplane.synthetic.voice.make import Recipe
    from audioplane.synthetic.voice.make import speak as say

    voices, usual = VOICES[language]
    name = f"{voices[int(rng.integers(len(voices)))]}+{variants[int(rng.integers(len(variants)))]}"
    rate, speed = round(usual * rng.uniform(0.75, 1.35)), rng.uniform(0.92, 1.09)
    pitch = int(rng.integers(10, 91))
    line, phonemes, clock = np.zeros(0), [], float(rng.uniform(0.05, 0.6))
    for _ in range(1000):
        if clock >= seconds * speed:
            break
        own = int(np.clip(pitch + rng.integers(-8, 9), 0, 99))
        recipe = Recipe(language, "", name, rate, own)
        try:
            spoken = say(espeak, sentence(language, rng), recipe, round(rate * rng.uniform(0.92, 1.08)))
            moved = [replace(p.moved(clock), ipa=p.ipa.translate(LETTERS)) for p in spoken.phonemes]
            _ = [class_of(p) for p in moved]
        except (UserError, KeyError, IndexError):  # a word that espeak reads in another language
            continue
        at, gain = round(clock * espeak.sample_rate), 10 ** (rng.normal(0, 2) / 20)
        line = np.pad(line, (0, max(0, at + len(spoken.samples) - len(line))))
        line[at : at + len(spoken.samples)] += gain * spoken.samples
        phonemes += moved
        clock += spoken.seconds + float(rng.choice([rng.uniform(0.03, 0.2), rng.uniform(0.2, 1.2)]))
    percent = round(100 * speed)
    audio = resample_poly(resample_poly(line, SAMPLE_RATE, espeak.sample_rate), 100, percent)
    count = round(seconds * SAMPLE_RATE)
    audio = np.pad(audio, (0, max(0, count - len(audio))))[:count]
    kept = tuple(p.moved(0.0, percent / 100) for p in phonemes)
    audio = audio * (0.06 / max(float(np.sqrt((audio**2).mean())), 1e-6))
    return name, np.tanh(audio).astype(np.float32), tuple(p for p in kept if p.end <= seconds)


def simulate_recording(audio: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The voice as if recorded from a person, in a room, by a microphone, through a codec; keeps the timing."""
    voice = audio.astype(np.float64)
    if rng.random() < 0.5:  # breath in the voice: noise that follows its loudness
        level = np.sqrt(np.maximum(sosfilt(butter(1, 25, fs=SAMPLE_RATE, output="sos"), voice**2), 0))
        breath = sosfilt(
            butter(2, rng.uniform(1000, 3500), "high", fs=SAMPLE_RATE, output="sos"), rng.normal(0, 1, len(voice))
        )
        voice = voice + 10 ** (-rng.uniform(8, 30) / 20) * level * breath
    if rng.random() < 0.5:  # a voice is never as steady as a synthesizer's: its clock wavers
        knots = np.arange(0, len(voice) + 1600, 1600)
        slow = np.interp(np.arange(len(voice)), knots, rng.normal(0, 12, len(knots)))
        voice = np.interp(np.arange(len(voice)) + slow, np.arange(len(voice)), voice)
    if rng.random() < 0.45:  # a room
        tail = rng.normal(0, 1, SAMPLE_RATE // 2) * np.exp(
            -np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE * 6.9 / rng.uniform(0.15, 0.8)
        )
        tail *= rng.uniform(0.1, 0.9) / np.sqrt((tail**2).sum())
        delay = int(rng.integers(16, 200))
        voice = voice + np.pad(fftconvolve(voice, tail)[: len(voice)], (delay, 0))[: len(voice)]
    kind = rng.choice(["none", "opus", "mp3", "law", "clip"], p=[0.5, 0.17, 0.17, 0.08, 0.08])
    voice *= 0.5 / max(float(np.abs(voice).max()), 1e-6)
    if kind in ("opus", "mp3"):
        voice = _coded(voice, kind, float(rng.uniform(0.6, 1.0)))
    elif kind == "law":
        voice = (
            np.sign(voice)
            * np.expm1(np.round(np.log1p(255 * np.abs(voice)) / np.log(256) * 127) / 127 * np.log(256))
            / 255
        )
    elif kind == "clip":
        limit = rng.uniform(0.15, 0.4)
        voice = np.clip(voice, -limit, limit)
    return voice.astype(np.float32)


def _coded(voice: NDArray, kind: str, compression: float) -> NDArray:
    """Through Opus or MP3 and back; both keep the place of each sample to a few milliseconds."""
    import soundfile

    file = io.BytesIO()
    form, subtype = ("OGG", "OPUS") if kind == "opus" else ("MP3", "MPEG_LAYER_III")
    soundfile.write(file, voice, SAMPLE_RATE, format=form, subtype=subtype, compression_level=compression)
    file.seek(0)
    back = soundfile.read(file, dtype="float64")[0]
    return np.pad(back, (0, max(0, len(voice) - len(back))))[: len(voice)]


def clip(espeak: Espeak, language: str, variants: Sequence[str], seconds: float, rng: np.random.Generator) -> Clip:
    """One clip, all of it drawn by `rng`."""
    name, audio, phonemes = speak(espeak, language, variants, seconds, rng)
    recorded = simulate_recording(audio, rng) if rng.random() < 0.8 else audio
    count = len(audio) // STEP
    mel = log_mel(recorded, BANDS)[:count].astype(np.float16)
    return Clip(f"{language} {name}", mel, labels(phonemes, count), mouth_tracks(phonemes, audio, count))


def _shard(task: tuple[Path, int, int, float, int, tuple[str, ...]]) -> None:
    """Makes some clips in a process of its own, so that what espeak spoke before is always the same."""
    from audioplane.synthetic.voice.espeak import opened

    path, number, clips, seconds, seed, variants = task
    espeak, rng = opened(), np.random.default_rng([seed, number, 0x9E])
    languages = rng.choice(list(SHARES), clips, p=list(SHARES.values()))
    made = [clip(espeak, str(language), variants, seconds, rng) for language in languages]
    rows = {name: np.stack([getattr(clip, name) for clip in made]) for name in ("mel", "classes", "tracks")}
    files.write_arrays(path, {"voice": [clip.voice for clip in made], **rows})


SHARD = 50  # clips that one process makes


def make(
    clips: int,
    seconds: float = 24.0,
    seed: int = 0,
    variants: Sequence[str] = VARIANTS,
    jobs: int = 2,
    report: Callable[[str], Any] = lambda line: None,
) -> list[Clip]:
    """Clips, from the cache where they have been made already.

    Args:
        clips: how many. seconds: of each. seed: of all that is drawn. variants: espeak's, to draw from.
        jobs: processes. report: called with a line of text from time to time.

    Raises:
        UserError: espeak-ng is not installed.
    """
    from audioplane.synthetic.voice.espeak import opened

    opened()  # says what is missing before anything starts
    folder = cache.make("phonetic")
    asked = f"{source_hash(__name__)} {seconds} {seed} {tuple(variants)}"
    tasks = []
    for number, first in enumerate(range(0, clips, SHARD)):
        count = min(SHARD, clips - first)
        key = hashlib.sha256(f"{asked} {number} {count}".encode()).hexdigest()[:12]
        tasks.append((folder / f"{key}.npz", number, count, seconds, seed, tuple(variants)))
    missing = [task for task in tasks if not task[0].exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
            for done, _ in enumerate(pool.imap_unordered(_shard, missing, chunksize=1), 1):
                minutes = SHARD * seconds / 60
                report(f"synthesized {done * minutes:.0f} of {len(missing) * minutes:.0f} minutes")
    made = []
    for path, *_ in tasks:
        found = arrays.read_npz(path)
        parts = [found[name] for name in ("mel", "classes", "tracks")]
        made += [Clip(str(voice), *rows) for voice, *rows in zip(found["voice"], *parts, strict=True)]
    return made
