"""Protocols, evaluation on held-out frames, reports, the user study."""
