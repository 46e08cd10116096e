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
    TICKS,
    bar_axes,
    legend_above,
    shown_colours,
    stack_bars,
    swatches,
    write_behind,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.layer_report import LayerReport

ROOM_FOR_SPREADS = 1.3  # length of the axis, relative to the longest bar
DOT = 2.6  # points, of a repeat

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
    reports = [report for group in groups.values() for report in group]
    categories = all_categories(reports)
    bars = [_means(group, categories, unique) for group in groups.values()]
    colours = shown_colours(categories, bars)
    with bar_axes(ax, groups, colours) as axes:
        stack_bars(axes, bars, colours)
        ends = [
            _draw_spread(axes, index, _totals(group, unique))
            for index, group in enumerate(groups.values())
        ]
        axes.set_xlim(0, max(ends) * ROOM_FOR_SPREADS or 1.0)
        axes.set_xlabel("unique detectors" if unique else "detectors")
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
        legend_above(axes, swatches(colours))
    return axes


def _means(
    group: Sequence[LayerReport], categories: Sequence[str], unique: bool
) -> dict[str, float]:
    """Return the mean of the repeats, by category."""
    means: dict[str, float] = {}
    for category in categories:
        counts = [_count(report, category, unique) for report in group]
        means[category] = float(np.mean(counts))
    return means


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
    write_behind(ax, end, row, text)
    return end
