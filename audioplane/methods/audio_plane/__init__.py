"""Audio-Plane (Shen et al., 2025), with its tri-plane and six-plane baselines."""
