"""How the Whisper front end that ships was cut from OpenAI's tiny.en, and what was measured; see `MODEL_CARD.md`."""
