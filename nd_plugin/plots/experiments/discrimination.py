"""Figures of discrimination: accuracies of layers and rotations, accuracy against detectors.

Sections 3.2 and 3.9 of the paper, figures 25 and 26.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.plots.experiments.labels import spread_labels
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    TICKS,
    TINY,
    bar_axes,
    styled_axes,
)
from nd_plugin.report.colours import FAINT, OF_CATEGORY, category_colour

ROOM_FOR_NAMES = 1.15  # length of the axis, relative to its last point
SQUARE = 2.4  # inches, between the axes
COLOUR = OF_CATEGORY["object"]

Interval = tuple[float, float]


def plot_accuracies(
    accuracies: Mapping[str, tuple[float, Interval]],
    rotated: Mapping[str, Sequence[float]] | None = None,
    ax: Axes | None = None,
    *,
    chance: float | None = None,
) -> Axes:
    """Draw a bar with its interval for each layer, and a mark for each of its rotations.

    Args:
        accuracies: By layer, the accuracy averaged over classes and its interval.
        rotated: By layer, accuracies in rotated bases.
        ax: Axes to draw into; None: of a new pyplot figure.
        chance: Accuracy of a guess, a dotted line.

    Returns:
        The axes.

    Raises:
        BadInput: No layer.
    """
    if not accuracies:
        raise BadInput("no accuracy to draw")
    with bar_axes(ax, accuracies) as axes:
        own_colour = axes.xaxis.label.get_color()
        for row, (name, (mean, interval)) in enumerate(accuracies.items()):
            axes.barh(row, mean, 0.6, color=COLOUR)
            _draw_interval(axes, (mean, row), interval, own_colour)
            marks = (rotated or {}).get(name, ())
            axes.plot(marks, [row + 0.38] * len(marks), "|", color=own_colour)
        if chance is not None:
            axes.axvline(chance, color=FAINT, linestyle=":", linewidth=1)
        # room for the marks below the last bar
        axes.set_ylim(len(accuracies) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("accuracy, averaged over classes")
    return axes


def _draw_interval(
    ax: Axes, point: tuple[float, float], interval: Interval, colour: Any
) -> None:
    mean, row = point
    low, high = interval
    ax.errorbar(
        mean,
        row,
        xerr=[[max(mean - low, 0)], [max(high - mean, 0)]],
        color=colour,
        linewidth=1,
        capsize=2,
    )


def plot_discrimination(
    detectors: Sequence[float],
    accuracies: Sequence[float],
    intervals: Sequence[Interval],
    names: Sequence[str],
    ax: Axes | None = None,
    *,
    category: str = "object",
    title: str = "",
    detector_intervals: Sequence[Interval | None] = (),
) -> Axes:
    """Draw the accuracy of a linear classifier against unique detectors, a point for each network.

    Args:
        detectors: Unique detectors of each network.
        accuracies: Of each network.
        intervals: Of the accuracies.
        names: Of the networks.
        ax: Axes to draw into; None: of a new pyplot figure.
        category: Of the detectors; "all": of all categories.
        title: Above the axes, such as the correlation.
        detector_intervals: Of the detectors, None for a network without one.

    Returns:
        The axes.

    Raises:
        BadInput: No network; numbers of another length.
    """
    _check_lengths(detectors, accuracies, intervals, names)
    is_all = category == "all"
    colour = COLOUR if is_all else category_colour(category)
    with styled_axes(ax, AXIS_HEIGHT + SQUARE) as axes:
        _draw_points(axes, detectors, accuracies, intervals, colour)
        for accuracy, ends in zip(accuracies, detector_intervals, strict=False):
            if ends is not None:
                axes.plot(ends, (accuracy, accuracy), color=colour, linewidth=0.8)
        for point in zip(detectors, accuracies, names, strict=True):
            _write_name(axes, *point)
        counted = "unique detectors" if is_all else f"unique {category} detectors"
        axes.set_xlabel(counted)
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
        # room for the name of the last network
        axes.set_xlim(0, ROOM_FOR_NAMES * max(*detectors, *axes.get_xlim()))
        axes.set_ylabel("accuracy, averaged over classes")
        axes.set_title(title, fontsize=TINY)
        spread_labels(axes)
    return axes


def _check_lengths(*columns: Sequence[object]) -> None:
    """Raise BadInput for no network, and for columns that are not of as many networks."""
    lengths = {len(values) for values in columns}
    if lengths == {0} or len(lengths) > 1:
        raise BadInput(
            "expected detectors, accuracy, interval and name of each network"
        )


def _draw_points(
    ax: Axes,
    detectors: Sequence[float],
    accuracies: Sequence[float],
    intervals: Sequence[Interval],
    colour: str,
) -> None:
    ends = np.array(intervals, dtype=float)
    below = np.maximum(np.array(accuracies) - ends[:, 0], 0)
    above = np.maximum(ends[:, 1] - np.array(accuracies), 0)
    ax.errorbar(
        detectors,
        accuracies,
        yerr=np.stack([below, above]),
        fmt="o",
        markersize=4,
        color=colour,
        linewidth=0.8,
    )


def _write_name(ax: Axes, detectors: float, accuracy: float, name: str) -> None:
    ax.annotate(
        name,
        (detectors, accuracy),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=TINY,
        parse_math=False,
    )
