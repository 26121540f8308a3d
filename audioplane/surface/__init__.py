"""What is known of a head's surface before anything is learned: a mean head, fitted to a Subject's landmarks and masks.

    surface = fit(subject, subject.train)      # None where the Subject says too little
    surface.distance(points)                   # metres, positive outside

Only what every Subject has is read: landmarks, cameras and labels of the training frames, of films and of embedded
speakers alike. True meshes and depths are never read here; they measure (`evaluation.shape`).
"""

from __future__ import annotations

from audioplane.surface.field import Surface
from audioplane.surface.fit import fit

__all__ = ["Surface", "fit"]
