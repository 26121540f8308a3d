"""Tests of the phonetic networks: on held-out voices, and on real people whose words' times are known.

Held-out voices are espeak's variants in `data.HELD_OUT`. GRID (Cooke et al. 2006, CC BY 4.0) gives the time of every
word; which phonemes a word has is asked of espeak, where in the word they lie is found by the best path through the
posteriors of that word alone, and what is scored is whether the network finds the word's sounds in the word's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.features import load_audio
from audioplane.audio.mel import SAMPLE_RATE, STEP, log_mel, standardise
from audioplane.audio.phonetic import BANDS, CLASSES, PAUSE, TRACKS, VISEMES, PhoneticNetwork, RunningStandardiser
from audioplane.metrics.mouth import correlation
from audioplane.pretrained.phonetic.data import Clip, class_of

TICKS = 25_000  # of GRID's alignments, a second
SILENCES = ("sil", "sp")
CLIPS = 50  # held-out voices to test with
_VISEME = np.array([next(k for k, group in enumerate(VISEMES.values()) if name in group) for name in CLASSES])


def predict(network: PhoneticNetwork, mel: NDArray) -> Any:
    """The network's output (`phonetic.PhoneticOutput`) for log-mel in dB (n, bands)."""
    mel = mel.astype(np.float32)
    if network.variant == "causal":
        return network.predict(RunningStandardiser(network.usual.numpy())(mel))
    return network.predict(standardise(mel)[0])


def noisy(samples: NDArray[np.float32], ratio: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A recording in pink noise, `ratio` dB below it; infinity leaves it alone."""
    if np.isinf(ratio):
        return samples
    spectrum = np.fft.rfft(rng.normal(0, 1, len(samples)))
    spectrum[0] = 0.0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, len(samples))
    noise *= np.sqrt((samples.astype(np.float64) ** 2).mean()) * 10 ** (-ratio / 20) / noise.std()
    return (samples + noise).astype(np.float32)


def noisy_mel(mel: NDArray, ratio: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """The same for a log-mel spectrogram in dB (n, bands)."""
    power = 10 ** (mel.astype(np.float64) / 10)
    if np.isinf(ratio):
        return mel.astype(np.float32)
    centres = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), mel.shape[1] + 2)[1:-1]
    hertz = 700 * (10 ** (centres / 2595) - 1)
    noise = rng.chisquare(4, mel.shape) / hertz
    noise *= power.mean() * 10 ** (-ratio / 10) / noise.mean()
    return (10 * np.log10(power + noise)).astype(np.float32)


def voices(network: PhoneticNetwork, clips: Sequence[Clip], ratio: float = np.inf) -> dict[str, float]:
    """Held-out voices: share of right sounds and visemes, by step, and the tracks' correlation.

    Returns:
        "sounds", "visemes", "sounds, no pauses", and one number for each track.
    """
    rng, right, looks, spoken, rs = np.random.default_rng(0), [], [], [], {name: [] for name in TRACKS}
    for clip in clips:
        output = predict(network, noisy_mel(clip.mel, ratio, rng))
        guess, truth = output.posteriors.argmax(axis=1), clip.classes
        right.append((guess == truth).mean())
        looks.append((_VISEME[guess] == _VISEME[truth]).mean())
        spoken.append((guess == truth)[truth != CLASSES.index(PAUSE)].mean())
        for k, name in enumerate(TRACKS):
            own = clip.tracks[:, k].astype(np.float64)
            if own.std() > 1e-3:
                rs[name].append(correlation(output.tracks[:, k].astype(np.float64), own))
    found = {"sounds": right, "visemes": looks, "sounds, no pauses": spoken, **rs}
    return {name: float(np.mean(values)) if values else float("nan") for name, values in found.items()}


def read_words(path: Path) -> list[tuple[str, float, float]]:
    """Words of a GRID alignment, with start and end in seconds, without silences."""
    rows = [line.split() for line in path.read_text(encoding="utf8").splitlines() if line.strip()]
    return [(word, int(a) / TICKS, int(b) / TICKS) for a, b, word in rows if word not in SILENCES]


def pronounce(words: Sequence[str]) -> dict[str, list[list[int]]]:
    """The classes of each word's sounds, in order, as espeak says it: in American and in British English."""
    from audioplane.synthetic.voice.espeak import opened
    from audioplane.synthetic.voice.make import Recipe, speak

    espeak, found = opened(), {}
    for word in sorted(set(words)):
        found[word] = []
        for voice in ("en-us", "en-gb-x-rp"):
            spoken = speak(espeak, word, Recipe("en", "m", voice, 150), 150)
            found[word].append([number for p in spoken.phonemes for number, _, _ in class_of(p)])
    return found


def path_score(posteriors: NDArray, sounds: Sequence[int]) -> float:
    """Mean log-posterior a step along the best path through `sounds` in order, each at least one step."""
    logs = np.log(posteriors[:, sounds] + 1e-6)
    best = np.full(len(sounds), -np.inf)
    best[0] = logs[0, 0]
    for row in logs[1:]:
        best = np.maximum(best, np.concatenate([[-np.inf], best[:-1]])) + row
    return float(best[-1] / len(logs))


SLOTS = {  # GRID's grammar: which words can stand at each place
    "command": ("bin", "lay", "place", "set"),
    "colour": ("blue", "green", "red", "white"),
    "preposition": ("at", "by", "in", "with"),
    "letter": tuple("abcdefghijklmnopqrstuvxyz"),
    "digit": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "adverb": ("again", "now", "please", "soon"),
}


def grid(network: PhoneticNetwork, clips: Sequence[Path], aligns: Path, ratio: float = np.inf) -> dict[str, float]:
    """Real speech: which of the words that could stand at each place the network finds there.

    Args:
        network: to test. clips: GRID's films. aligns: the folder of their word times. ratio: of pink noise, dB.

    Returns:
        share of words found for each place of the sentence, "words" (mean of the places), and "chance" of it.
    """
    says = pronounce([word for words in SLOTS.values() for word in words])
    rng, hits = np.random.default_rng(0), {slot: [] for slot in SLOTS}
    for clip in clips:
        words = read_words(aligns / f"{clip.stem}.align")
        if len(words) != len(SLOTS):
            continue
        mel = log_mel(noisy(load_audio(clip), ratio, rng), BANDS)
        posteriors = predict(network, mel).posteriors
        for (slot, choices), (word, start, end) in zip(SLOTS.items(), words, strict=True):
            first, last = round(start * SAMPLE_RATE / STEP), round(end * SAMPLE_RATE / STEP)
            inside = posteriors[first : max(last, first + 1)]
            scores = {w: max(path_score(inside, s) for s in says[w] if s) for w in choices}
            hits[slot].append(max(scores, key=lambda w: scores[w]) == word)
    found = {slot: float(np.mean(own)) for slot, own in hits.items()}
    chance = float(np.mean([1 / len(choices) for choices in SLOTS.values()]))
    return found | {"words": float(np.mean(list(found.values()))), "chance": chance}
