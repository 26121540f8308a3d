"""What training minimises, term by term, and the kernels behind it."""
