"""Teaching the phonetic ear (`audio/phonetic.py`): texts, voices, training, examination, comparison with log-mel."""
