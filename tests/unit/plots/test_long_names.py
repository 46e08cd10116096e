"""Long names: folded, none of them cut, none above another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from nd_plugin import Dissection
from nd_plugin.plots import (
    plot_concepts,
    plot_detectors,
    plot_heat_map,
    plot_iou,
    plot_mean_iou,
    plot_ratio,
)

LONG = "features.denseblock4.denselayer16.convolution-2_of_the_last_block"
SENTENCE = (
    "television studio with many monitors and a swivel chair in front of them"
)
PLOTS: list[Callable[..., Axes]] = [
    plot_detectors,
    plot_ratio,
    plot_heat_map,
    plot_iou,
    plot_mean_iou,
]


@pytest.fixture
def long_names(dissection: Dissection) -> Dissection:
    concepts = [
        replace(concept, name=f"{concept.name} {SENTENCE}")
        for concept in dissection.concepts
    ]
    return replace(dissection, concepts=tuple(concepts), layer=LONG)


def visible(
    labels: list[Text], axis: int, limits: tuple[float, float]
) -> list[Text]:
    """Labels of ticks that are not outside of the axes."""
    low, high = sorted(limits)
    return [label for label in labels if low <= label.get_position()[axis] <= high]


def check_texts(ax: Axes) -> None:
    """Check that texts lie within the figure, and names of rows not above each other."""
    figure = ax.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]
    row_labels = visible(ax.get_yticklabels(), 1, ax.get_ylim())
    rows = [label.get_window_extent() for label in row_labels]
    for upper, lower in itertools.pairwise(rows):
        # a pixel of rounding
        assert not upper.padded(-1).overlaps(lower.padded(-1))
    box = ax.get_legend()
    texts = [*row_labels, *visible(ax.get_xticklabels(), 0, ax.get_xlim())]
    texts += [ax.title, ax.xaxis.label]
    texts += box.get_texts() if box is not None else []
    for text in texts:
        extent = text.get_window_extent()
        if text.get_text():
            assert extent.x0 > -1 and extent.x1 < figure.bbox.width + 1, text
            assert extent.y0 > -1 and extent.y1 < figure.bbox.height + 1, text


@pytest.mark.parametrize("plot", PLOTS)
def test_of_layers(plot: Callable[..., Axes], long_names: Dissection) -> None:
    other = replace(long_names, layer=f"{LONG} of another network")
    check_texts(plot([long_names, other]))


def test_of_concepts(long_names: Dissection) -> None:
    check_texts(plot_concepts(long_names))


@pytest.mark.parametrize("plot", [*PLOTS, plot_concepts])
def test_of_one_layer(plot: Callable[..., Axes], dissection: Dissection) -> None:
    check_texts(plot(dissection))
