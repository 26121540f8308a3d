"""What moves the Gaussians: one file a method, `build` picks it by the config."""
