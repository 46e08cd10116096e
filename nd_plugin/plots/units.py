"""Units by their top images, where they are active: figures 3 and 5 of the paper."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from PIL import Image

from nd_plugin.errors import BadInput
from nd_plugin.plots.explanations import unit_numbers
from nd_plugin.plots.style import (
    COLUMN_WIDTH,
    SMALL,
    say_nothing_to_show,
    styled_axes,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import category_colours
from nd_plugin.report.layer_report import UnitScore
from nd_plugin.results.unit_view import TOP_IMAGES, UnitView

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

TILE = 224  # pixels, the height of each image in a row
GAP = 8  # pixels between the images of a row
TITLE_HEIGHT = 0.2  # inches, above a row
TITLE_CHARACTERS = 64  # in a line of a title as wide as a column
ROW_GAP = 0.08  # inches
UNITS_SHOWN = 8

# (row, column, 4): transparent between the images
Strip = npt.NDArray[np.uint8]


def plot_unit(
    dissection: Dissection,
    unit: int,
    ax: Axes | None = None,
    *,
    images: int = TOP_IMAGES,
) -> Axes:
    """Draw a unit's top images in a row: M_k outlined, the rest dimmed; its label above.

    Args:
        dissection: A dissection with pictures.
        unit: Number of the unit.
        ax: Axes to draw into; None: of a new pyplot figure.
        images: Number of images; fewer are drawn where the run has fewer pictures.

    Returns:
        The axes.

    Raises:
        BadInput: A unit that the layer has not; a run without pictures.
    """
    view = dissection.show(unit, images=images)
    strip = unit_strip(view)
    rows, columns = strip.shape[:2]
    height = COLUMN_WIDTH * rows / columns + TITLE_HEIGHT + ROW_GAP
    with styled_axes(ax, height) as axes:
        _draw(axes, view, strip, TITLE_CHARACTERS)
    return axes


def plot_units(
    dissection: Dissection,
    units: int | Sequence[int] | None = None,
    ax: Axes | None = None,
    *,
    images: int = TOP_IMAGES,
    columns: int = 1,
) -> Axes:
    """Draw several units, each as `plot_unit` does, below each other or in columns.

    Args:
        dissection: A dissection with pictures.
        units: Numbers of units; None: the best detectors of up to 8 concepts, by category, as far
            as they have pictures.
        ax: Axes to divide; None: of a new pyplot figure.
        images: Number of images of each unit.
        columns: Number of units beside each other.

    Returns:
        The axes; those of each unit are its ``child_axes``.

    Raises:
        BadInput: A unit that the layer has not; a run without pictures, or a named unit without.
    """
    if columns < 1:
        raise BadInput(f"columns is {columns}; expected 1 or more")
    if units is None:
        _check_pictures(dissection)
        views = _best_units(dissection, images)
    else:
        views = [
            dissection.show(unit, images=images) for unit in unit_numbers(units)
        ]
    strips = [unit_strip(view) for view in views]
    shares = [strip.shape[0] / strip.shape[1] for strip in strips]
    picture_height = COLUMN_WIDTH * max(shares, default=0.0)
    row_height = picture_height + TITLE_HEIGHT + ROW_GAP
    rows = max(1, math.ceil(len(views) / columns))
    with styled_axes(ax, rows * row_height, columns * COLUMN_WIDTH) as axes:
        axes.set_axis_off()
        if not views:
            say_nothing_to_show(axes, "no detectors with pictures")
        for index, (view, strip) in enumerate(zip(views, strips, strict=True)):
            row, column = divmod(index, columns)
            bottom = 1 - (row + 1) / rows
            share_of_pictures = 1 - (TITLE_HEIGHT + ROW_GAP) / row_height
            box = (
                column / columns,
                bottom,
                0.98 / columns,
                share_of_pictures / rows,
            )
            _draw(axes.inset_axes(box), view, strip, TITLE_CHARACTERS)
    return axes


def _best_units(dissection: Dissection, images: int) -> list[UnitView]:
    """Return the best detectors of as many categories as there are, then of their concepts.

    They stand by category. Units without pictures are left out.
    """
    report = dissection.report()
    order = all_categories([report])
    best = {category: report.best(category) for category in order}
    chosen: list[UnitScore] = []
    for rank in range(max(map(len, best.values()), default=0)):
        for detectors in best.values():
            if rank < len(detectors) and len(chosen) < UNITS_SHOWN:
                chosen += _pictured(dissection, detectors[rank][0])
    chosen.sort(key=lambda score: order.index(score.category))
    return [dissection.show(score.unit, images=images) for score in chosen]


def _pictured(dissection: Dissection, score: UnitScore) -> list[UnitScore]:
    """Return a unit if its first top image has a picture."""
    first = dissection.show(score.unit, images=1)
    return [score] if first.picture(0) is not None else []


def _draw(ax: Axes, view: UnitView, strip: Strip, characters: int) -> None:
    score = view.score
    colours = category_colours(view.dissection.categories)
    ax.imshow(strip, interpolation="none")
    ax.set_axis_off()
    label = f"{score.concept} ({score.category})  IoU {score.iou:.3f}"
    lines = textwrap.wrap(f"unit {score.unit}  {label}", characters)
    ax.set_title(
        "\n".join(lines),
        loc="left",
        fontsize=SMALL,
        color=colours[score.category],
        parse_math=False,
        pad=3,
    )


def unit_strip(view: UnitView) -> Strip:
    """Put a unit's pictures beside each other. Raises BadInput where there are none."""
    pictures = [view.picture(rank, height=TILE) for rank in range(view.images)]
    tiles = [_opaque(picture) for picture in pictures if picture is not None]
    if not tiles:
        _check_pictures(view.dissection)
        raise BadInput(
            f"unit {view.unit} cannot be drawn: none of its first {view.images} top images has a "
            "picture; dissect the layer again with a larger --picture-budget"
        )
    gap = np.zeros((TILE, GAP, 4), np.uint8)
    parts = [part for tile in tiles for part in (gap, tile)]
    return np.concatenate(parts[1:], axis=1)


def _check_pictures(dissection: Dissection) -> None:
    """Raise BadInput for a run without pictures."""
    if dissection.pictures is None:
        raise BadInput(
            f"units of {dissection.layer!r} cannot be drawn: the run has no pictures of top images "
            "(--no-pictures, or an earlier nd_plugin); dissect the layer again"
        )


def _opaque(picture: npt.NDArray[np.uint8]) -> Strip:
    """Return a picture with an opaque fourth channel."""
    return np.asarray(Image.fromarray(picture).convert("RGBA"))
