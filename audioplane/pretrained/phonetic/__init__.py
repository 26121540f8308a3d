"""Training of the phonetic network (`audio/phonetic.py`): texts, voices, training, tests, comparison with log-mel."""
