"""Images overlaid with the masks of units: as pixels, as JPEG and as a matplotlib figure."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nd_plugin.report.explanation_record import (
    ExplanationRecord,
    MaskPixels,
    Pixels,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BRIGHTNESS_OUTSIDE = 0.25  # of pixels outside a mask
OUTLINE_COLOUR = (255, 210, 0)
PANEL_WIDTH = 2.2  # inches
TITLE_HEIGHT = 0.6  # inches


def overlay(image: Pixels, mask: MaskPixels) -> Pixels:
    """Dim the image outside the mask and outline the mask: (row, column, channel)."""
    dimmed = (image * BRIGHTNESS_OUTSIDE).astype(np.uint8)
    combined = np.where(mask[:, :, None], image, dimmed)
    outline = mask & ~_interior(mask)
    combined[outline] = OUTLINE_COLOUR
    return combined


def _interior(mask: MaskPixels) -> MaskPixels:
    """Return the pixels of a mask whose four neighbours (inside the image) belong to it."""
    interior = mask.copy()
    interior[1:] &= mask[:-1]
    interior[:-1] &= mask[1:]
    interior[:, 1:] &= mask[:, :-1]
    interior[:, :-1] &= mask[:, 1:]
    return interior


def data_uri(pixels: Pixels) -> str:
    """Encode pixels as a data URI with a JPEG image."""
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=90)
    encoded = base64.b64encode(jpeg.getvalue()).decode()
    return f"data:image/jpeg;base64,{encoded}"


def plot(records: Sequence[ExplanationRecord]) -> Figure:
    """Draw a row for each explanation: the image, then its units' masks and concepts."""
    from matplotlib import pyplot as plt

    rows = len(records)
    columns = 1 + max((len(record.units) for record in records), default=0)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(PANEL_WIDTH * columns, (PANEL_WIDTH + TITLE_HEIGHT) * rows),
        squeeze=False,
    )
    for row_axes, record in zip(axes, records, strict=True):
        _draw_row(row_axes, record)
    figure.tight_layout()
    # notebooks display a returned figure, and every open figure a second time
    plt.close(figure)
    return figure


def _draw_row(axes: Sequence[Any], record: ExplanationRecord) -> None:
    _draw(axes[0], record.image, f"{record.name}\n{record.output:.4g}")
    for axis, unit in zip_longest(axes[1:], record.units):
        if unit is None:
            axis.set_visible(False)
            continue
        numbers = f"unit {unit.unit}, {unit.contribution:+.3g} ({unit.share:.1%})"
        _draw(axis, overlay(record.image, unit.mask), f"{unit.label}\n{numbers}")


def _draw(axis: Any, picture: Pixels, title: str) -> None:
    axis.imshow(picture)
    axis.set_title(title, fontsize=9, parse_math=False)
    axis.set_axis_off()
