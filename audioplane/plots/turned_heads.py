"""Heads seen from beside, one below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioplane.plots.theme import themed


@themed
def turned_heads(pictures: Mapping[str, Sequence[NDArray]], yaws: Sequence[float]) -> Figure:
    """A row for each name, a column for each angle.

    Args:
        pictures: name -> a picture (H, W, 3) for each angle. yaws: degrees to the image's right.
    """
    rows, columns = len(pictures), len(yaws)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.0 * columns, 2.0 * rows + 0.3), layout="constrained", squeeze=False
    )
    for row, (name, shown) in zip(axes, pictures.items(), strict=True):
        for axis, picture in zip(row, shown, strict=True):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(name)
    for axis, yaw in zip(axes[0], yaws, strict=True):
        axis.set_title(f"{yaw:+g}°" if yaw else "0°")
    return figure
