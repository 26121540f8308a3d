"""Hostile and damaged inputs, kills, full disks: what no file and no moment may break. See `torture`."""
