"""From a video of a person to a Subject, in steps that are each made once.

`source` and `survey` read the file, find its face and choose the crop; `landmarks` follows the face; `bundle`, `flow`,
`trajectory` and `refine` tell the head's pose; `masks` (and `face_parsing`) what each pixel shows, `background` what
lies behind; `verdict` whether it will do. `pipeline` runs them in order.

Features of the sound are none of it: training makes them from the Subject's 16 kHz, since kind, bands and network are
its settings (`audio.features`); features made elsewhere, as AD-NeRF's `aud_ds.npy`, are named by `audio.model`.
"""

from audioplane.preprocess.pipeline import prepare
from audioplane.preprocess.settings import Settings

__all__ = ["Settings", "prepare"]
