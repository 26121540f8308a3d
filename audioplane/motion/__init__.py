"""What a face does besides speaking: blinks, gaze, brows, head, breath. Each process is seeded and smooth."""
