"""Widgets for notebooks: controls around the same drawing functions that make the static figures."""
