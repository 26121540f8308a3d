"""A model card of a head, as model hubs show it: YAML for machines, then text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audioplane import __version__, registry

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead

TEMPLATE = """---
library_name: audioplane
pipeline_tag: text-to-video
tags:
- talking-head
- gaussian-splatting
- audio-driven
- {method}
---

# A talking head of {name}

{count:,} 3D Gaussians ({moving:,} of them move with the voice), {width} x {height} pixels at {fps:g} frames a second.
Method: {method} ({paper}), trained for {iteration:,} iterations by [audioplane](https://pypi.org/p/audioplane)
{version}.

## Use

```sh
pip install audioplane
audioplane speak head.safetensors voice.wav --out talk.mp4
```

Any recording in any language drives it; the lips follow what its audio front end ({features}) reads of the sound.
{expression} Nothing in the file is executed when it is loaded.

## Limits

- It knows {name} as filmed: {turns}.
- What was measured on held-out frames, if anything, is not in the file: `audioplane evaluate RUN SUBJECT` says it.

## Responsible use

Films carry a visible mark and metadata that say that they are synthetic. Show a person's head only with the person's
consent, which whoever publishes this file has to hold: **say here who agreed to what.**

## Training

| setting | value |
| --- | --- |
{settings}
"""
SETTINGS = (
    "schedule.coarse",
    "schedule.fine",
    "schedule.size",
    "gaussians.cap",
    "gaussians.surface",
    "audio.features",
    "seed",
)


def card(head: TalkingHead) -> str:
    """The model card of a head, as Markdown."""
    config, about = head.config, head.about
    spec = registry.spec(config.method.NAME)
    turns = (
        "it was trained on a surface, and turns some 20 degrees further"
        if head.can_turn
        else ("a few degrees beside the filmed poses it falls apart")
    )
    driven = (
        "Eyes and brows are driven beside the voice (blinks, gaze, captures)."
        if head.expression_names
        else ("Eyes and brows keep still.")
    )
    return TEMPLATE.format(
        method=config.method.NAME,
        paper=spec.paper,
        name=about["name"],
        count=len(head.cloud),
        moving=head.moving,
        width=head.width,
        height=head.height,
        fps=head.fps,
        iteration=int(about.get("iteration", 0)),
        version=__version__,
        features=config.audio.features,
        expression=driven,
        turns=turns,
        settings="\n".join(f"| `{path}` | {config.get(path)} |" for path in SETTINGS),
    )
