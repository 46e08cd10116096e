"""Heat map of concepts and layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex

from nd_plugin import BadInput, Dissection
from nd_plugin.plots import plot_heat_map
from nd_plugin.report.colours import OF_CATEGORY


def cells(ax: Axes) -> list[list[float]]:
    (mesh,) = [item for item in ax.collections if isinstance(item, QuadMesh)]
    values: list[list[float]] = np.ma.filled(mesh.get_array(), 0).tolist()
    return values


def labels(ax: Axes) -> tuple[list[str], list[str]]:
    return (
        [label.get_text() for label in ax.get_yticklabels()],
        [label.get_text() for label in ax.get_xticklabels()],
    )


def test_units(dissection: Dissection, later: Dissection) -> None:
    ax = plot_heat_map([dissection, later])
    assert labels(ax) == (
        ["cat", "dog", "ear", "tail"],
        ["block.1/relu", "block.2"],
    )
    assert cells(ax) == [[2, 0], [0, 1], [0, 2], [1, 0]]
    written = {(text.get_position(), text.get_text()) for text in ax.texts}
    assert ((0.5, 0.5), "2") in written and len(written) == 4, "no zeros"


def test_best_iou(dissection: Dissection, later: Dissection) -> None:
    ax = plot_heat_map([dissection, later], value="iou")
    expected = [[60 / 220, 0], [0, 0.5], [0, 0.25], [0.25, 0]]
    assert np.allclose(cells(ax), expected)


def test_rows_have_the_colour_of_their_category(dissection: Dissection) -> None:
    ax = plot_heat_map(dissection)
    colours = [to_hex(label.get_color()) for label in ax.get_yticklabels()]
    assert colours == [OF_CATEGORY["object"], OF_CATEGORY["part"]]


def test_chosen_concepts(dissection: Dissection, later: Dissection) -> None:
    both = [dissection, later]
    assert labels(plot_heat_map(both, concepts=2))[0] == ["cat", "ear"]
    assert labels(plot_heat_map(both, concepts=["tail", "dog"]))[0] == [
        "dog",
        "tail",
    ]
    assert labels(plot_heat_map(both, concepts="dog"))[0] == ["dog"]
    with pytest.raises(BadInput, match="no unit of these results detects 'cow'"):
        plot_heat_map(both, concepts=["cow"])
    with pytest.raises(BadInput, match="value is 'x'; expected one of units, iou"):
        plot_heat_map(both, value="x")  # type: ignore[arg-type]


def test_no_detectors(dissection: Dissection) -> None:
    nothing = replace(dissection, intersection=dissection.intersection * 0)
    ax = plot_heat_map(nothing)
    assert [text.get_text() for text in ax.texts] == ["no detectors"]
