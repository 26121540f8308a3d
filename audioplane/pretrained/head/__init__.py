"""How the head that ships was made: an embedded speaker, trained as `audioplane train` does; see `MODEL_CARD.md`."""
