"""What deformation fields are made of: planes, the deformation MLP, and their kernels."""
