"""Learning a head from a Subject."""
