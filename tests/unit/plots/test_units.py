"""Rows of top images with masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from nd_plugin import BadInput, Dissection
from nd_plugin.plots import plot_unit, plot_units
from nd_plugin.plots.units import GAP, TILE
from nd_plugin.report.colours import OF_CATEGORY
from nd_plugin.report.mask_overlays import BRIGHTNESS_OUTSIDE, OUTLINE_COLOUR


def strip(ax: Axes) -> np.ndarray:
    (image,) = ax.images
    return np.asarray(image.get_array())


def test_a_row_of_pictures(pictured: Dissection) -> None:
    ax = plot_unit(pictured, 1)
    pixels = strip(ax)
    width = round(TILE * 48 / 36)  # pictures are 48 x 36
    assert pixels.shape == (TILE, 2 * width + GAP, 4), "two have pictures"
    gap = pixels[:, width : width + GAP, 3]
    assert not gap.any(), "transparent, for any background"
    assert ax.get_title("left") == "unit 1  tail (part)  IoU 0.250"


def test_the_mask_is_drawn(pictured: Dissection) -> None:
    view = pictured.show(2, images=1)
    picture, mask = view.picture(0), pictured.activation_mask(2, 0)
    assert picture is not None and mask is not None and mask.any()
    assert not mask.all()
    images = pictured.pictures
    assert images is not None
    original = np.asarray(images.picture(int(pictured.top_images[2, 0])))
    rows, columns = original.shape[:2]
    row_of = ((np.arange(rows) + 0.5) * mask.shape[0] / rows).astype(int)
    column_of = ((np.arange(columns) + 0.5) * mask.shape[1] / columns).astype(int)
    resized = mask[row_of][:, column_of]
    dimmed = (original * BRIGHTNESS_OUTSIDE).astype(np.uint8)
    assert (picture[~resized] == dimmed[~resized]).all()
    inside = picture[resized]
    is_outline = (inside == OUTLINE_COLOUR).all(axis=1)
    is_original = (inside == original[resized]).all(axis=1)
    assert (is_outline | is_original).all() and is_outline.any()


def test_title_in_the_colour_of_the_category(pictured: Dissection) -> None:
    (unit,) = plot_units(pictured, 1).child_axes
    title = unit._left_title  # type: ignore[attr-defined]
    assert to_hex(title.get_color()) == OF_CATEGORY["part"]


def test_best_detectors(pictured: Dissection) -> None:
    rows = plot_units(pictured).child_axes
    titles = [row.get_title("left") for row in rows]
    assert titles == [
        "unit 2  cat (object)  IoU 0.273",
        "unit 1  tail (part)  IoU 0.250",
    ]


def test_chosen_units_in_columns(pictured: Dissection) -> None:
    ax = plot_units(pictured, [4, 0, 1], columns=2)
    positions = [row.get_position() for row in ax.child_axes]
    titles = [row.get_title("left").split("  ")[0] for row in ax.child_axes]
    assert titles == ["unit 4", "unit 0", "unit 1"]
    first, second, third = positions
    assert first.y0 == pytest.approx(second.y0) and first.x1 < second.x0
    assert third.y1 < first.y0 and third.x0 == pytest.approx(first.x0)


def test_into_given_axes(pictured: Dissection) -> None:
    _, (left, right) = pyplot.subplots(1, 2)
    assert plot_unit(pictured, 0, left, images=1) is left
    assert strip(left).shape[1] < 2 * TILE and not right.images


def test_without_pictures(dissection: Dissection) -> None:
    message = r"units of 'block\.1/relu' cannot be drawn: the run has no pictures"
    with pytest.raises(BadInput, match=message):
        plot_unit(dissection, 0)
    with pytest.raises(BadInput, match=message):
        plot_units(dissection)


def test_what_is_no_unit(pictured: Dissection) -> None:
    with pytest.raises(BadInput, match=r"no unit 5: layer 'block\.1/relu' has 5"):
        plot_unit(pictured, 5)
    with pytest.raises(BadInput, match="images is 0"):
        plot_unit(pictured, 0, images=0)
    with pytest.raises(BadInput, match="columns is 0"):
        plot_units(pictured, columns=0)


def test_no_detectors(pictured: Dissection) -> None:
    nothing = replace(pictured, intersection=pictured.intersection * 0)
    ax = plot_units(nothing)
    assert [text.get_text() for text in ax.texts] == ["no detectors with pictures"]


def test_units_beyond_the_budget_of_pictures(pictured: Dissection) -> None:
    pictures = pictured.pictures
    assert pictures is not None
    top_images = pictured.top_images.copy()
    top_images[2] = 2  # an image without a picture, of the best detector of cat
    fewer = replace(pictured, top_images=top_images)
    titles = [row.get_title("left") for row in plot_units(fewer).child_axes]
    assert titles == ["unit 1  tail (part)  IoU 0.250"]
    with pytest.raises(
        BadInput, match=r"unit 2 cannot be drawn: none of its first 5"
    ):
        plot_units(fewer, [1, 2])
