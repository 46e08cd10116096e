"""Sample sheet of a concept set: figure 1 of the paper."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy import ndimage

from nd_plugin.errors import BadInput
from nd_plugin.plots.style import SMALL, NotebookFigure, house_style
from nd_plugin.report.colours import category_colours
from nd_plugin.report.mask_overlays import OUTLINE_COLOUR, dim_outside

COLUMNS = 6
WIDTH = 7.0  # inches, of a page with two columns
HEADING_HEIGHT = 0.26  # inches, above the pictures of a category
LINE_HEIGHT = 0.125  # inches, of a caption
CAPTION_MARGIN = 0.12  # inches, around a caption
CAPTION_CHARACTERS = 20  # in a line as wide as a picture
CATEGORY_CHARACTERS = 40  # beside the heading
GAP = 0.04  # between pictures, as a fraction of a column
SMOOTHED = 5  # pixels: smaller specks have no outline
# height of a picture by its width; a taller one is as tall, and narrower
TALLEST = 2.0


@dataclass(frozen=True, eq=False)
class Tile:
    """Image, the pixels of a concept, and what stands below."""

    picture: npt.NDArray[np.uint8]  # (row, column, 3)
    mask: npt.NDArray[np.bool_]  # (row, column)
    caption: str


@dataclass(frozen=True, eq=False)
class SheetRow:
    """Category with its tiles."""

    category: str
    heading: str
    tiles: Sequence[Tile]


def plot_samples(rows: Sequence[SheetRow]) -> Figure:
    """Draw the samples of each category below its name, six beside each other.

    The pixels of the concept are outlined, and the rest of the image is dimmed; the concept of a
    whole image has neither. Raises BadInput for no sample.
    """
    if not rows:
        raise BadInput(
            "the concept set has no sample to draw: no image has a label"
        )
    colours = category_colours(row.category for row in rows)
    heights = [_height(row) for row in rows]
    with house_style():
        figure = plt.figure(
            figsize=(WIDTH, sum(heights)), FigureClass=NotebookFigure
        )
        parts = figure.subfigures(
            len(rows), 1, squeeze=False, height_ratios=heights
        )
        for part, row, height in zip(parts[:, 0], rows, heights, strict=True):
            _draw_row(part, row, height, colours[row.category])
    return figure


def _height(row: SheetRow) -> float:
    """Return the height of a category in inches: its heading, pictures and captions."""
    lines = math.ceil(len(row.tiles) / COLUMNS)
    return HEADING_HEIGHT + lines * (_picture_height(row) + _caption_height(row))


def _picture_height(row: SheetRow) -> float:
    """Return the height of the tallest picture in inches."""
    tallest = 0.0
    for tile in row.tiles:
        rows, columns, _ = tile.picture.shape
        tallest = max(tallest, rows / columns)
    return WIDTH / COLUMNS * min(tallest, TALLEST)


def _caption_height(row: SheetRow) -> float:
    lines = max(_folded(tile.caption).count("\n") + 1 for tile in row.tiles)
    return LINE_HEIGHT * lines + CAPTION_MARGIN


def _folded(caption: str) -> str:
    lines = []
    for line in caption.splitlines():
        lines += textwrap.wrap(line, CAPTION_CHARACTERS, break_on_hyphens=False)
    return "\n".join(lines)


def _cut(category: str) -> str:
    """Return the name of a category as far as it fits beside the heading."""
    if len(category) <= CATEGORY_CHARACTERS:
        return category
    return f"{category[: CATEGORY_CHARACTERS - 1]}…"


def _draw_row(part: SubFigure, row: SheetRow, height: float, colour: str) -> None:
    """Draw a category into a part of the figure that is ``height`` inches high."""
    middle = 1 - 0.5 * HEADING_HEIGHT / height
    name = part.text(0.004, middle, _cut(row.category), parse_math=False)
    name.set(va="center", weight="bold", color=colour)
    heading = part.text(0.996, middle, row.heading, parse_math=False)
    heading.set(va="center", ha="right", fontsize=SMALL)
    picture_height = _picture_height(row)
    line_height = picture_height + _caption_height(row)
    for index, tile in enumerate(row.tiles):
        line, column = divmod(index, COLUMNS)
        top = height - HEADING_HEIGHT - line * line_height
        left = (column + GAP / 2) / COLUMNS
        bottom = (top - picture_height) / height
        size = ((1 - GAP) / COLUMNS, picture_height / height)
        _draw_tile(part.add_axes((left, bottom, *size)), tile)


def _draw_tile(axes: Axes, tile: Tile) -> None:
    axes.imshow(annotated(tile.picture, tile.mask), interpolation="none")
    axes.set_anchor("S")
    axes.set_axis_off()
    axes.annotate(
        _folded(tile.caption),
        (0.5, 0),
        xycoords="axes fraction",
        xytext=(0, -2),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=SMALL,
        parse_math=False,
    )


def annotated(
    picture: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Return a picture with the pixels outside of a mask dimmed, and the mask outlined.

    The outline runs around the mask and leaves specks out: inside, it would hide thin things, such
    as poles, and what is scattered, such as a colour.
    """
    shown = dim_outside(picture, mask)
    is_inside = ndimage.uniform_filter(mask.astype(np.float32), SMOOTHED) > 0.5
    around = ndimage.binary_dilation(is_inside, np.ones((3, 3)))
    outline = around & ~is_inside
    shown[outline] = OUTLINE_COLOUR
    return shown
