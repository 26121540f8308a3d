"""What a face does besides speaking: blinks, gaze, brows, head, breath. Each process is seeded and smooth.

`own_range` brings what they ask for, and captures of other faces (`captures`), into the range of one person; `natural`
puts blinks, gaze and brows together for a voice.
"""
