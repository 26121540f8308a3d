"""From sound to the audio code a: `features` reads and describes it, `encoder` learns from it."""
