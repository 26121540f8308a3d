"""audioplane: the reproducible companion of the Audio-Plane paper."""

__version__ = "0.1.0"
