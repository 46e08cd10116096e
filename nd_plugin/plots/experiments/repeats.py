"""Detectors of networks trained several times: means by category, and the spread over trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.plots.named_results import Result, named_reports
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    COLUMN_WIDTH,
    ROW_HEIGHT,
    SMALL,
    folded,
    legend_above,
    legend_height,
    names_width,
    row_height,
    styled_axes,
    swatches,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import category_colours
from nd_plugin.report.layer_report import LayerReport

BAR_SHARE = 0.72  # of the height of a row
BAR_WIDTH = 2.2  # inches, of the longest, its total included
ROOM_FOR_SPREADS = 1.3  # length of the axis, relative to the longest bar
DOT = 2.6  # points, of a repeat
TICKS = 6  # at most, on the axis

Floats = npt.NDArray[np.float64]


def plot_repeats(
    results: Mapping[str, Sequence[Result]],
    ax: Axes | None = None,
    *,
    unique: bool = True,
) -> Axes:
    """Draw a bar for each list of repeats: mean unique detectors, stacked by category.

    Repeats are results of one kind of network, such as trainings from several seeds. The total of
    each is a dot, and the error bar is their standard deviation (n - 1).

    Args:
        results: Lists of dissections or reports by name.
        ax: Axes to draw into; None: of a new pyplot figure.
        unique: Count distinct concepts; False: units that are detectors.

    Returns:
        The axes.

    Raises:
        BadInput: No result, or what is none.
    """
    if not results:
        raise BadInput("no result to show: the dict is empty")
    groups = {
        str(name): list(named_reports(repeats).values())
        for name, repeats in results.items()
    }
    colours = _shown_colours(groups, unique)
    row = row_height(groups, ROW_HEIGHT)
    height = AXIS_HEIGHT + len(groups) * row + legend_height(colours)
    width = BAR_WIDTH + names_width(groups)
    with styled_axes(ax, height, max(width, COLUMN_WIDTH)) as axes:
        _draw_stacks(axes, groups, colours, unique)
        ends = [
            _draw_spread(axes, index, _totals(group, unique))
            for index, group in enumerate(groups.values())
        ]
        axes.set_xlim(0, max(ends) * ROOM_FOR_SPREADS or 1.0)
        labels = [folded(name) for name in groups]
        axes.set_yticks(range(len(groups)), labels=labels, parse_math=False)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("unique detectors" if unique else "detectors")
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
        legend_above(axes, swatches(colours))
    return axes


def _shown_colours(
    groups: Mapping[str, Sequence[LayerReport]], unique: bool
) -> dict[str, str]:
    """Return the colours of the categories that any result has detectors of."""
    reports = [report for group in groups.values() for report in group]
    categories = all_categories(reports)
    colours = category_colours(categories)
    return {
        category: colours[category]
        for category in categories
        if any(_count(report, category, unique) for report in reports)
    }


def _count(report: LayerReport, category: str, unique: bool) -> int:
    summary = report.summary
    if unique:
        return summary.unique_detectors_by_category.get(category, 0)
    return summary.detectors_by_category.get(category, 0)


def _totals(group: Sequence[LayerReport], unique: bool) -> Floats:
    """Return the total of each repeat; (repeat,)."""
    summaries = [report.summary for report in group]
    totals = [
        summary.unique_detectors if unique else summary.detectors
        for summary in summaries
    ]
    return np.array(totals, dtype=np.float64)


def _draw_stacks(
    ax: Axes,
    groups: Mapping[str, Sequence[LayerReport]],
    colours: Mapping[str, str],
    unique: bool,
) -> None:
    """Draw the means of the repeats, category by category."""
    ends = np.zeros(len(groups))
    for category, colour in colours.items():
        counts = [
            [_count(report, category, unique) for report in group]
            for group in groups.values()
        ]
        means = np.array([np.mean(values) for values in counts])
        ax.barh(
            range(len(groups)),
            means,
            left=ends,
            height=BAR_SHARE,
            color=colour,
            # parts are told apart where two colours look alike
            edgecolor=ax.get_facecolor(),
            linewidth=0.6,
            label=category,
        )
        ends = ends + means


def _draw_spread(ax: Axes, row: int, totals: Floats) -> float:
    """Draw each repeat, their deviation, and both numbers; return where they end."""
    colour = ax.xaxis.label.get_color()
    mean = float(totals.mean())
    end = float(totals.max())
    text = f"{mean:.3g}"
    if len(totals) > 1:
        deviation = float(totals.std(ddof=1))
        end = max(end, mean + deviation)
        text = f"{mean:.1f} ± {deviation:.1f}"
        ax.hlines(
            row, mean - deviation, mean + deviation, color=colour, linewidth=1
        )
        ax.plot(
            totals,
            np.full(len(totals), row),
            linestyle="",
            marker="o",
            markersize=DOT,
            markerfacecolor=ax.get_facecolor(),
            markeredgecolor=colour,
            markeredgewidth=0.6,
        )
    ax.annotate(
        text,
        (end, row),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
    )
    return end
