"""Sample sheet: figure 1 of the paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from nd_plugin.errors import BadInput
from nd_plugin.plots.concept_sets.sample_sheet import (
    SheetRow,
    Tile,
    annotated,
    plot_samples,
)
from nd_plugin.plots.files import save_plot
from nd_plugin.report.mask_overlays import OUTLINE_COLOUR

WHITE = np.full((60, 80, 3), 200, np.uint8)


def tile(caption: str, picture: np.ndarray = WHITE) -> Tile:
    mask = np.zeros(picture.shape[:2], bool)
    mask[20:40, 20:40] = True
    return Tile(picture, mask, caption)


def test_the_mask_stays_and_the_rest_is_dimmed() -> None:
    mask = tile("").mask
    shown = annotated(WHITE, mask)
    assert (shown[22:38, 22:38] == 200).all()
    assert (shown[:18] == 80).all()
    outline = (shown == OUTLINE_COLOUR).all(axis=2)
    assert outline.any()
    # around the mask, but for its corners, which are smoothed
    assert not outline[21:39, 21:39].any()


def test_thin_things_and_specks_are_not_hidden_by_an_outline() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:50, 30:32] = True
    mask[5, 5] = True
    shown = annotated(WHITE, mask)
    assert (shown[mask] == 200).all()
    assert not (shown == OUTLINE_COLOUR).all(axis=2).any()


def test_the_concept_of_a_whole_image_is_the_image() -> None:
    assert np.array_equal(annotated(WHITE, np.ones((60, 80), bool)), WHITE)


def test_each_category_has_its_name_and_its_tiles(tmp_path: Path) -> None:
    rows = [
        SheetRow(
            "object", "8 of 8 concepts", [tile(f"thing {i}") for i in range(8)]
        ),
        SheetRow("scene", "1 of 1 concepts", [tile("$x^$ day")]),
    ]
    figure = plot_samples(rows)
    assert len(figure.axes) == 9
    assert plt.rcParams["figure.dpi"] != 120.0  # the user's own again
    svg = save_plot(figure, tmp_path / "sheet.svg").read_text()
    for text in ("object", "scene", "thing 7", "8 of 8 concepts", "$x^$ day"):
        assert f">{text}<" in svg


def test_pictures_lie_inside_of_the_page_and_apart() -> None:
    tall = np.full((80, 20, 3), 100, np.uint8)
    wide = np.full((20, 80, 3), 100, np.uint8)
    long_name = "a name of several words that is longer than a picture is wide"
    rows = [
        SheetRow("object", "", [tile("tall", tall), tile(long_name, wide)] * 4),
        SheetRow("part", "", [tile("wide", wide)]),
    ]
    figure = plot_samples(rows)
    figure.canvas.draw()
    page = figure.bbox
    boxes = [axes.get_window_extent() for axes in figure.axes]
    captions = [axes.texts[0].get_window_extent() for axes in figure.axes]
    for number, box in enumerate([*boxes, *captions]):
        assert page.x0 <= box.x0 and box.x1 <= page.x1, number
        assert page.y0 <= box.y0 and box.y1 <= page.y1, number
    for index, caption in enumerate(captions):
        assert not any(caption.overlaps(box) for box in boxes), index
        others = captions[:index] + captions[index + 1 :]
        assert not any(caption.overlaps(other) for other in others), index
    plt.close(figure)


def test_no_sample_is_an_error() -> None:
    with pytest.raises(BadInput, match="no sample to draw"):
        plot_samples([])


def test_a_long_category_leaves_room_for_its_heading() -> None:
    heading = "6 of 71 concepts, the most frequent first; 100000 images"
    figure = plot_samples([SheetRow("category" * 20, heading, [tile("thing")])])
    figure.canvas.draw()
    (part,) = figure.subfigs
    name, count = (text.get_window_extent() for text in part.texts)
    assert not name.overlaps(count)
    plt.close(figure)
