"""The loss terms, and the compiled kernels that compute them."""
