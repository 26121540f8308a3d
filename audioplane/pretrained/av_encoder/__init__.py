"""How the audio-visual encoder that ships was trained (SyncTalk++, Sec. III-B); `MODEL_CARD.md` says how well it does."""
