"""From a video of a person to a Subject, in steps that are each made once.

    source, survey     what is in the file; where its face is; the crop          Subject's frames and sound
    landmarks          the face in every frame                                   its landmarks, blendshapes
    bundle, flow, trajectory, refine   the head's pose in every frame            its cameras
    masks, background  what each pixel shows; what lies behind                   its labels, pictures without the head
    verdict            whether it will do
"""

from audioplane.prepare.pipeline import Settings, prepare

__all__ = ["Settings", "prepare"]
