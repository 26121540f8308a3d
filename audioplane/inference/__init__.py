"""A trained head that speaks."""
