"""What everything stands on: threads, compiled kernels, files, the cache folder, model files of other people."""
