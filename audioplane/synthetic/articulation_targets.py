"""Articulatory targets of each sound of English, Mandarin, French and German, and their weights in coarticulation.

Heights and openings are those of a mean adult face; their order follows the vowel chart, their size the sources that
`articulation` names.
"""

# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

from __future__ import annotations

import numpy as np

from audioplane.subject.phonemes import VOWELS, Sound

TARGETS = ("jaw", "aperture", "spread", "pucker", "funnel")  # mm, mm, mm, 0..1, 0..1

# Vowels: jaw mm, aperture mm, spread mm (total widening of the mouth), pucker, funnel.
_VOWELS: dict[str, tuple[float, float, float, float, float]] = {
    "i": (2.5, 5.0, 5.5, 0.0, 0.0),
    "ɪ": (3.5, 5.6, 3.5, 0.0, 0.0),
    "ᵻ": (3.2, 5.2, 2.5, 0.0, 0.0),
    "ɨ": (3.0, 5.0, 2.5, 0.0, 0.0),
    "e": (4.6, 6.6, 4.5, 0.0, 0.0),
    "ɘ": (4.6, 6.2, 1.0, 0.0, 0.0),
    "ɛ": (7.0, 9.2, 3.0, 0.0, 0.0),
    "æ": (9.0, 12.0, 3.5, 0.0, 0.0),
    "a": (10.5, 13.2, 1.0, 0.0, 0.0),
    "ɐ": (8.0, 10.2, 0.3, 0.0, 0.0),
    "ɑ": (11.0, 13.5, 0.0, 0.0, 0.05),
    "ɒ": (9.5, 11.0, 0.0, 0.10, 0.30),
    "ʌ": (7.6, 9.6, 0.3, 0.0, 0.0),
    "ə": (4.6, 6.6, 0.3, 0.0, 0.0),
    "ɚ": (4.6, 6.0, 0.0, 0.10, 0.25),
    "ɝ": (5.0, 6.2, 0.0, 0.12, 0.28),
    "ɜ": (5.6, 7.4, 0.0, 0.04, 0.12),
    "ɤ": (5.2, 6.8, 1.5, 0.0, 0.0),
    "ɯ": (2.6, 4.8, 2.5, 0.0, 0.0),
    "u": (2.6, 3.2, 0.0, 0.80, 0.10),
    "ʊ": (3.5, 4.6, 0.0, 0.50, 0.10),
    "o": (5.4, 6.0, 0.0, 0.60, 0.15),
    "ɔ": (8.0, 9.2, 0.0, 0.32, 0.32),
    "y": (2.3, 3.2, 0.0, 0.78, 0.10),
    "ʏ": (3.0, 4.3, 0.0, 0.52, 0.10),
    "ø": (4.5, 5.2, 0.0, 0.56, 0.14),
    "ɵ": (4.2, 5.2, 0.0, 0.48, 0.10),
    "œ": (7.0, 8.2, 0.0, 0.28, 0.32),
}
_NASAL_VOWELS = {
    "ɑ": (9.2, 11.4, 0.0, 0.10, 0.28),
    "ɔ": (5.8, 6.2, 0.0, 0.56, 0.20),
    "ɛ": (8.2, 10.4, 1.5, 0.0, 0.0),
    "œ": (7.2, 9.0, 0.3, 0.05, 0.15),
}
_SYLLABIC = {"z": (1.6, 4.2, 4.0, 0.0, 0.0), "ʐ": (2.0, 4.6, 0.8, 0.05, 0.10)}

# Consonants: the same five, then how much they mind: jaw, aperture, spread, rounding (both kinds).
_CONSONANTS: dict[str, tuple[tuple[float, float, float, float, float], tuple[float, float, float, float]]] = {
    **dict.fromkeys("pbm", ((2.6, 0.6, 0.0, 0.0, 0.0), (0.30, 0.50, 0.10, 0.08))),
    **dict.fromkeys("fvɱʋ", ((2.4, 2.6, 0.5, 0.0, 0.0), (0.60, 0.90, 0.20, 0.25))),
    **dict.fromkeys("θð", ((3.0, 5.0, 1.0, 0.0, 0.0), (0.80, 0.80, 0.25, 0.25))),
    **dict.fromkeys("tdnʈɖɳ", ((2.3, 4.4, 1.0, 0.0, 0.0), (0.70, 0.55, 0.12, 0.06))),
    "ɾ": ((3.2, 5.2, 0.5, 0.0, 0.0), (0.35, 0.35, 0.08, 0.05)),
    "l": ((4.2, 6.2, 0.5, 0.0, 0.0), (0.50, 0.45, 0.12, 0.08)),
    **dict.fromkeys("sz", ((1.2, 3.8, 2.0, 0.0, 0.0), (1.00, 0.75, 0.35, 0.12))),
    **dict.fromkeys("ʃʒ", ((1.4, 5.0, 0.0, 0.20, 0.45), (1.00, 0.80, 0.60, 0.85))),
    **dict.fromkeys("ʂʐ", ((1.6, 4.6, 0.0, 0.12, 0.34), (0.95, 0.75, 0.45, 0.60))),
    **dict.fromkeys("ɕʑ", ((1.5, 4.2, 3.0, 0.0, 0.0), (0.95, 0.75, 0.55, 0.25))),
    "ç": ((2.5, 4.8, 2.5, 0.0, 0.0), (0.50, 0.45, 0.30, 0.10)),
    "j": ((2.2, 4.6, 4.0, 0.0, 0.0), (0.70, 0.60, 0.55, 0.25)),
    "w": ((2.6, 2.4, 0.0, 0.90, 0.05), (0.70, 0.95, 0.80, 1.00)),
    "ɥ": ((2.3, 2.6, 0.0, 0.85, 0.05), (0.70, 0.90, 0.80, 1.00)),
    "ɹ": ((3.0, 4.8, 0.0, 0.18, 0.40), (0.45, 0.55, 0.40, 0.60)),
    "r": ((3.4, 5.4, 0.0, 0.0, 0.05), (0.35, 0.35, 0.08, 0.08)),
    **dict.fromkeys("ʁʀxχɣħ", ((4.4, 6.4, 0.0, 0.0, 0.0), (0.28, 0.28, 0.05, 0.04))),
    **dict.fromkeys("kɡcɟŋq", ((3.6, 5.6, 0.5, 0.0, 0.0), (0.32, 0.30, 0.05, 0.03))),
    "ɲ": ((2.4, 4.6, 2.5, 0.0, 0.0), (0.60, 0.50, 0.30, 0.08)),
    **dict.fromkeys("hɦʔ", ((5.0, 7.0, 0.0, 0.0, 0.0), (0.05, 0.05, 0.02, 0.02))),
}
TONGUE_UP = {**dict.fromkeys("tdnl", 1.0), "ɾ": 0.8, **dict.fromkeys("ʈɖɳ", 0.9), **dict.fromkeys("sz", 0.5), "ɹ": 0.4}
TONGUE_BACK = {**dict.fromkeys("kɡŋ", 1.0), **dict.fromkeys("ʁxχɣ", 0.6), **dict.fromkeys("uoɔ", 0.35)}


def target(sound: Sound) -> tuple[np.ndarray, np.ndarray]:
    """The targets of a sound (in the order of `TARGETS`) and the weight of each in coarticulation (0 to 1)."""
    letter = sound.letter
    if letter in VOWELS or "\u0329" in sound.modifiers:
        table = _NASAL_VOWELS if sound.nasal and letter in _NASAL_VOWELS else _VOWELS
        table = _SYLLABIC if letter in _SYLLABIC and "\u0329" in sound.modifiers else table
        if letter in table:
            weak = 0.55 if letter in "əᵻɨ" else 0.85 if sound.phoneme.stress == 0 else 1.0
            return np.array(table[letter]), np.array([weak, weak, 0.8 * weak, weak, weak])
    if letter not in _CONSONANTS:
        raise ValueError(f"no articulation is known for {letter!r}, a part of the phoneme {sound.phoneme.ipa!r}")
    values, (jaw, aperture, spread, rounding) = _CONSONANTS[letter]
    return np.array(values), np.array([jaw, aperture, spread, rounding, rounding])
