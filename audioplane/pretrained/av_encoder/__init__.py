"""How the audio-visual encoder that ships was trained (SyncTalk++, Sec. III-B); see `MODEL_CARD.md`."""
