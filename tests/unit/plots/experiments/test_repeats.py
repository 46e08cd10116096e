"""Bars of repeats: means by category, deviation and dots of the repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from nd_plugin import BadInput, Dissection
from nd_plugin.plots import plot_repeats


@pytest.fixture
def without_detectors(dissection: Dissection) -> Dissection:
    settings = replace(dissection.settings, min_iou=0.9)
    return replace(dissection, settings=settings)


def stacks(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """Start and length of the part of each row, by category."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for container in ax.containers:  # type: ignore[attr-defined]
        assert isinstance(container, BarContainer)
        parts[str(container.get_label())] = [
            (patch.get_x(), patch.get_width()) for patch in container
        ]
    return parts


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def dots(ax: Axes) -> list[list[float]]:
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    return [[float(value) for value in line.get_xdata()] for line in lines]


def test_means_and_deviations_of_repeats(
    dissection: Dissection, without_detectors: Dissection
) -> None:
    """One object and one part; in the second row, the mean of that and of nothing."""
    ax = plot_repeats(
        {
            "plain": [dissection, dissection],
            "poor": [dissection, without_detectors],
        }
    )
    assert stacks(ax) == {
        "object": [(0, 1), (0, 0.5)],
        "part": [(1, 1), (0.5, 0.5)],
    }
    assert [label.get_text() for label in ax.get_yticklabels()] == ["plain", "poor"]
    # the deviation (n - 1) of 2 and 0 is the root of 2
    assert texts(ax) == ["2.0 ± 0.0", "1.0 ± 1.4"]
    assert dots(ax) == [[2, 2], [2, 0]]
    assert ax.get_xlim()[1] > 1 + 2**0.5


def test_a_single_result_has_no_deviation(dissection: Dissection) -> None:
    ax = plot_repeats({"only": [dissection]}, unique=False)
    assert texts(ax) == ["3"]
    assert dots(ax) == []
    assert ax.get_xlabel() == "detectors"


def test_no_detectors_at_all(without_detectors: Dissection) -> None:
    ax = plot_repeats({"none": [without_detectors, without_detectors]})
    assert stacks(ax) == {}
    assert texts(ax) == ["0.0 ± 0.0"]


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(BadInput, match="no result to show"):
        plot_repeats({})
    with pytest.raises(BadInput, match="no result to show"):
        plot_repeats({"empty": []})
