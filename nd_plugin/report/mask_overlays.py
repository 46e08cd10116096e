"""An image and where its units are active, as pixels, as JPEG and as a matplotlib figure."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nd_plugin.explain.explanation import Explanation, MaskPixels, Pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DIMMED = 0.25  # of the brightness, outside a mask


EDGE = (255, 210, 0)


SIDE = 2.2  # inches, of one picture in a figure


def overlay(image: Pixels, mask: MaskPixels) -> Pixels:
    """The image, dimmed outside the mask, with a line around it: (row, column, channel)."""
    shown = np.where(mask[:, :, None], image, (image * DIMMED).astype(np.uint8))
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    shown[mask & ~inner] = EDGE
    return shown


def data_uri(pixels: Pixels) -> str:
    """A picture as a JPEG inside a text."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def plot(explanations: Sequence[Explanation]) -> Figure:
    """A row for each explanation: the image, then each unit's mask with its concept and contribution."""
    from matplotlib import pyplot as plt

    columns = 1 + max((len(one.units) for one in explanations), default=0)
    figure, axes = plt.subplots(
        len(explanations),
        columns,
        figsize=(SIDE * columns, (SIDE + 0.6) * len(explanations)),
        squeeze=False,
    )
    for row, one in zip(axes, explanations, strict=True):
        _show(row[0], one.image, f"{one.name}\n{one.output:.4g}")
        for place, axis in enumerate(row[1:]):
            if place < len(one.units):
                unit = one.units[place]
                title = (
                    f"{unit.label}\nunit {unit.unit}, {unit.contribution:+.3g} ({unit.share:.1%})"
                )
                _show(axis, overlay(one.image, unit.mask), title)
            else:
                axis.set_visible(False)
    figure.tight_layout()
    plt.close(figure)  # a notebook shows what is returned, and would show an open figure once more
    return figure


def _show(axis: Any, picture: Pixels, title: str) -> None:
    axis.imshow(picture)
    axis.set_title(title, fontsize=9, parse_math=False)
    axis.set_axis_off()
