"""Scripts: which stretch of a voice a performance uses, with its phonemes, cut only where words end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from audioplane.subject.phonemes import Phoneme
from audioplane.synthetic.voice import SAMPLE_RATE, Sentence, Voice

TRAIN_SHARE = 0.8
_TRAIN_END = 80.0  # seconds; where the training part of a speaker's voice ends
_TAIL = 0.2  # seconds of silence that a cut leaves at least


@dataclass(frozen=True)
class Script:
    """The words of one performance: audio (n,) float32 at 16 kHz, phonemes, and how many frames belong to training."""

    audio: np.ndarray
    phonemes: tuple[Phoneme, ...]
    train_frames: int


def script_for(voice: Voice, seconds: float, speed: float, order_seed: int | None, fps: float) -> Script:
    """The words of a performance.

    Args:
        voice: who speaks.
        seconds: length, a whole number of frames, at most what the voice has.
        speed: 1 plays the voice as it is.
        order_seed: shuffles the sentences within each part; `None` leaves them.
        fps: frames a second.
    """
    audio, phonemes = voice.audio, voice.phonemes
    if order_seed is not None:
        audio, phonemes = _shuffle(voice, np.random.default_rng([order_seed, 0x5C]))
    border, end = _TRAIN_END, voice.seconds
    if speed != 1.0:
        percent = round(100 * speed)
        audio = resample_poly(audio.astype(np.float64), 100, percent).astype(np.float32)
        phonemes = tuple(p.moved(0.0, percent / 100) for p in phonemes)
        border, end = border / (percent / 100), end / (percent / 100)
    if any(sentence.part == "drive" for sentence in voice.sentences):
        audio, phonemes = _excerpt(audio, phonemes, 0.0, seconds)
        return Script(audio, phonemes, 0)
    train_frames = round(seconds * fps * TRAIN_SHARE)
    train = min(train_frames / fps, border)
    first, spoken = _excerpt(audio, phonemes, 0.0, train)
    second, tested = _excerpt(audio, phonemes, border, seconds - train)
    moved = tuple(p.moved(train) for p in tested)
    return Script(_exactly(np.concatenate([first, second]), seconds), spoken + moved, train_frames)


def _exactly(audio: np.ndarray, seconds: float) -> np.ndarray:
    """Pads with silence or cuts to the sample."""
    wanted = round(seconds * SAMPLE_RATE)
    return np.pad(audio[:wanted], (0, max(0, wanted - len(audio)))).astype(np.float32)


def _excerpt(
    audio: np.ndarray, phonemes: tuple[Phoneme, ...], start: float, seconds: float
) -> tuple[np.ndarray, tuple[Phoneme, ...]]:
    """`seconds` from `start`; a word that would be cut is left out, and silence takes its place."""
    piece = _exactly(audio[round(start * SAMPLE_RATE) :], seconds)
    later = [p.moved(-start) for p in phonemes if p.start >= start - 1e-6]
    kept = sum(p.end <= seconds for p in later)
    if kept < len(later) and (later[kept].start < seconds or not later[kept].word_start):
        while kept and (later[kept - 1].end > seconds - _TAIL or not later[kept].word_start):
            kept -= 1
        end = round((later[kept - 1].end if kept else 0.0) * SAMPLE_RATE)
        fade = min(160, len(piece) - end)
        piece[end : end + fade] *= np.linspace(1, 0, fade, dtype=np.float32)
        piece[end + fade :] = 0.0
    return piece, tuple(later[:kept])


def _shuffle(voice: Voice, rng: np.random.Generator) -> tuple[np.ndarray, tuple[Phoneme, ...]]:
    """The same sentences in another order within their parts, the pauses kept in theirs."""
    audio = np.zeros_like(voice.audio)
    phonemes: list[Phoneme] = []
    for part in dict.fromkeys(s.part for s in voice.sentences):
        sentences = [s for s in voice.sentences if s.part == part]
        pauses = [b.start - a.end for a, b in itertools.pairwise(sentences)]
        clock = sentences[0].start
        for place, i in enumerate(rng.permutation(len(sentences))):
            phonemes += _move_sentence(voice, sentences[i], clock, audio)
            clock += sentences[i].end - sentences[i].start + (pauses[place] if place < len(pauses) else 0.0)
    return audio, tuple(phonemes)


def _move_sentence(voice: Voice, sentence: Sentence, clock: float, out: np.ndarray) -> list[Phoneme]:
    """Copies one sentence, with a little of the silence about it, to `clock` seconds in `out`."""
    margin = 0.03
    first, last = round((sentence.start - margin) * SAMPLE_RATE), round((sentence.end + margin) * SAMPLE_RATE)
    at = round((clock - margin) * SAMPLE_RATE)
    piece = voice.audio[first:last]
    out[at : at + len(piece)] += piece[: len(out) - at]
    shift = (at - first) / SAMPLE_RATE
    inside = sentence.start - 0.15, sentence.end + 0.01
    return [p.moved(shift) for p in voice.phonemes if inside[0] <= p.start <= inside[1]]
