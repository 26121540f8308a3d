"""What makes the audio features of each kind: networks that ship, and those of other packages."""

from __future__ import annotations

from typing import Any

from audioplane.config import AudioConfig
from audioplane.errors import UserError

LIVE = "live"
WHISPER = ("whisper", "whisper-phonetic", LIVE)
PHONETIC = {"phonetic": "centred", "phonetic-causal": "causal", "whisper-phonetic": "centred", LIVE: "causal"}
AV = "av"
"""Kinds of features: those for a voice while it is spoken; those that are, or begin with, Whisper's states; those with
the phonetic network, and its variant; codes of the audio-visual encoder."""
DEFAULT_NETWORKS = {"wav2vec2": "facebook/wav2vec2-base-960h", "hubert": "facebook/hubert-base-ls960"}
FRONT_ENDS = {
    "whisper-phonetic": "states of Whisper tiny.en's block 2 and the phonetic network, which both ship",
    "whisper": "states of Whisper tiny.en's block 2, which ships",
    "live": "as whisper-phonetic, of a voice while it is spoken: nothing later than .12 s ahead counts",
    "phonetic": "log-mel and the phonetic network, which ships",
    "phonetic-causal": "log-mel and the causal phonetic network, which ships",
    "av": "the audio-visual encoder, trained for lip sync, which ships",
    "mel": "log-mel",
    "wav2vec2": f"states of {DEFAULT_NETWORKS['wav2vec2']}, by transformers",
    "hubert": f"states of {DEFAULT_NETWORKS['hubert']}, by transformers",
    "deepspeech": "DeepSpeech features from a .npy",
}


def describe_features(config: AudioConfig) -> str:
    """What makes the audio features of a config, in a few words."""
    if config.features in WHISPER and config.model:
        beside = " and the phonetic network" if config.features in PHONETIC else ""
        return f"states of block {config.block} of the Whisper at {config.model}{beside}"
    if config.model and config.features in DEFAULT_NETWORKS:
        return f"states of {config.model}, by transformers"
    return FRONT_ENDS[config.features]


def load_network(name: str) -> Any:
    """A wav2vec2 or HuBERT from a local folder or the hub.

    Raises:
        UserError: transformers is not installed, or the weights are not to be had.
    """
    try:
        from transformers import AutoModel  # type: ignore[import-not-found]
    except ImportError:
        raise UserError(
            "audio.features 'wav2vec2' and 'hubert' need the package transformers: pip install transformers, or set "
            "audio.features=mel"
        ) from None
    try:
        return AutoModel.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise UserError(
            f"the network '{name}' could not be loaded ({error}); set audio.model to its local folder"
        ) from error
