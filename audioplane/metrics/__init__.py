"""Measures, one a function, on arrays. Nothing here trains or renders."""
