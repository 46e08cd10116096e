"""Labels of points are moved apart."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from matplotlib import pyplot
from matplotlib.axes import Axes

from nd_plugin.plots.experiments.labels import spread_labels


def labelled(points: list[tuple[float, float]]) -> Axes:
    _, ax = pyplot.subplots()
    ax.set_xlim(0, 10)
    ax.set_ylim(0, 10)
    for number, point in enumerate(points):
        ax.annotate(
            f"network {number}", point, xytext=(4, 3), textcoords="offset points"
        )
    return ax


def test_labels_of_close_points_do_not_overlap() -> None:
    ax = labelled([(5, 5), (5.1, 5.1), (5, 5.1), (5.1, 5), (5, 5), (5, 5), (1, 1)])
    spread_labels(ax)
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(
        first.overlaps(second) for first, second in combinations(boxes, 2)
    )


def test_labels_that_have_room_stay() -> None:
    ax = labelled([(1, 1), (5, 5), (1, 9)])
    spread_labels(ax)
    assert [text.xyann for text in ax.texts] == [(4, 3)] * 3  # type: ignore[attr-defined]


def test_a_label_does_not_hide_another_point() -> None:
    ax = labelled([(5, 5), (5.5, 5.1)])
    spread_labels(ax)
    for text in ax.texts:
        box = text.get_window_extent()
        points = [ax.transData.transform(point) for point in ((5, 5), (5.5, 5.1))]
        assert not any(box.contains(*point) for point in points)
    # the first has room on the other side of its point, or below it
    first: Any = ax.texts[0]
    assert first.xyann != (4, 3) and abs(first.xyann[1]) == 3
