"""Phonemes with times, and how an IPA label divides into single sounds.

One label may hold several sounds: diphthongs ("aɪ"), affricates ("tʃ"), rhotic vowels ("ɔːɹ"). `sounds` cuts it into
those, each with its share of the time, so that the tables of articulation need single sounds only.
"""

# ruff: noqa: RUF001, RUF002 - phonetic letters that look like Latin ones are meant

from __future__ import annotations

from dataclasses import dataclass

LENGTH = "ː"
SECONDARY = "ˌ"
PRIMARY = "ˈ"
_MODIFIERS = (
    "\u0303\u0329\u032f\u0325\u02d0\u02b0\u02de\u0361"  # nasal, syllabic, non-syllabic, voiceless, long, h, r, tie
)

VOWELS = frozenset("aɐɑɒæʌəɚɜɝɘɛeɤiɪɨyʏøœɵoɔuʊᵻɯ")
STOPS = frozenset("pbtdkɡɟcqʔʈɖ")
FRICATIVES = frozenset("fvθðszʃʒʂʐɕʑçxɣχʁhɦ")
NASALS = frozenset("mnŋɲɱɳ")
BILABIALS = frozenset("pbm")
LABIODENTALS = frozenset("fvɱʋ")
VOICELESS_STOPS = frozenset("ptkcqʈʔ")


@dataclass(frozen=True)
class Phoneme:
    """One spoken sound.

    Attributes:
        ipa: the label in the International Phonetic Alphabet, without stress marks.
        start, end: seconds. A stop starts where its closure starts, not at its burst.
        stress: 0 none, 1 secondary, 2 primary (of the syllable whose nucleus it is).
        word_start: whether a word begins here.
        release: seconds; where a stop's closure opens. `None` for all other sounds, and where it is not known.
    """

    ipa: str
    start: float
    end: float
    stress: int = 0
    word_start: bool = False
    release: float | None = None

    @property
    def duration(self) -> float:
        return self.end - self.start

    def moved(self, seconds: float, speed: float = 1.0) -> Phoneme:
        """This sound after the recording was played `speed` times as fast and then delayed by `seconds`."""
        release = None if self.release is None else self.release / speed + seconds
        start, end = self.start / speed + seconds, self.end / speed + seconds
        return Phoneme(self.ipa, start, end, self.stress, self.word_start, release)


@dataclass(frozen=True)
class Sound:
    """A single sound within a phoneme: its base letter, what modifies it, and its time in seconds."""

    letter: str
    modifiers: str
    start: float
    end: float
    phoneme: Phoneme

    @property
    def is_vowel(self) -> bool:
        return self.letter in VOWELS

    @property
    def nasal(self) -> bool:
        return "\u0303" in self.modifiers

    @property
    def middle(self) -> float:
        return 0.5 * (self.start + self.end)


def letters(ipa: str) -> list[tuple[str, str]]:
    """Cuts a label into (letter, modifiers): "tʃʰ" gives [("t", ""), ("ʃ", "ʰ")]."""
    cut: list[tuple[str, str]] = []
    for mark in ipa:
        if mark in (PRIMARY, SECONDARY):
            continue
        if mark in _MODIFIERS:
            if cut:
                cut[-1] = (cut[-1][0], cut[-1][1] + mark)
        else:
            cut.append((mark, ""))
    return cut


def _share(letter: str, modifiers: str, first: bool) -> float:
    """How much of a phoneme's time one of its letters asks for, relative to the others."""
    if letter in VOWELS:
        return (1.5 if LENGTH in modifiers else 1.0) * (1.2 if first else 1.0)
    return 0.8


def sounds(phoneme: Phoneme) -> list[Sound]:
    """The single sounds of one phoneme, in order, dividing its time without gaps.

    The stop of an affricate ends at its release where that is known.
    """
    parts = letters(phoneme.ipa)
    if not parts:
        return []
    shares = [_share(letter, marks, i == 0) for i, (letter, marks) in enumerate(parts)]
    bounds = [phoneme.start]
    for share in shares:
        bounds.append(bounds[-1] + phoneme.duration * share / sum(shares))
    bounds[-1] = phoneme.end
    if len(parts) > 1 and parts[0][0] in STOPS and phoneme.release is not None:
        shift = phoneme.release - bounds[1]
        if phoneme.start < bounds[1] + shift < phoneme.end:
            stretch = (phoneme.end - phoneme.release) / (phoneme.end - bounds[1])
            bounds[1:] = [phoneme.end - (phoneme.end - b) * stretch for b in bounds[1:]]
    return [
        Sound(letter, marks, a, b, phoneme) for (letter, marks), a, b in zip(parts, bounds, bounds[1:], strict=False)
    ]
