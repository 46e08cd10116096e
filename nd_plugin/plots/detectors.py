"""Detectors by category, of layers side by side: figures 9, 12 and 13 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nd_plugin.plots.named_results import Results, named_reports
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
TICKS = 6  # at most, on the axis
ROOM_FOR_TOTALS = 1.16  # length of the axis, relative to the longest bar

Values = dict[str, dict[str, float]]  # of a result's name and a category


def plot_detectors(
    results: Results, ax: Axes | None = None, *, unique: bool = True
) -> Axes:
    """Draw a bar of unique detectors for each result, stacked by category.

    Args:
        results: A dissection or report, a list of them, or a dict with their names.
        ax: Axes to draw into; None: of a new pyplot figure.
        unique: Count distinct concepts; False: units that are detectors.

    Returns:
        The axes.

    Raises:
        BadInput: No result, or what is none.
    """
    reports = named_reports(results)
    counts = {name: _counts(report, unique) for name, report in reports.items()}
    ax = _draw(counts, reports, ax, "{:.0f}")
    ax.set_xlabel("unique detectors" if unique else "detectors")
    ax.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
    return ax


def plot_ratio(results: Results, ax: Axes | None = None) -> Axes:
    """Draw a bar of the ratio of unique detectors to units for each result, by category.

    Layers of different widths compare by it. Arguments, return and errors: `plot_detectors`.
    """
    reports = named_reports(results)
    ratios: Values = {}
    for name, report in reports.items():
        units = max(report.summary.units, 1)
        ratios[name] = {
            category: count / units
            for category, count in _counts(report, unique=True).items()
        }
    ax = _draw(ratios, reports, ax, "{:.1%}")
    ax.set_xlabel("unique detectors / units")
    ax.xaxis.set_major_locator(MaxNLocator(TICKS))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    return ax


def _counts(report: LayerReport, unique: bool) -> dict[str, float]:
    summary = report.summary
    if unique:
        return dict(summary.unique_detectors_by_category)
    return dict(summary.detectors_by_category)


def _draw(
    values: Values,
    reports: Mapping[str, LayerReport],
    ax: Axes | None,
    total_format: str,
) -> Axes:
    """Draw stacked bars, the first result at the top, with the total behind each."""
    categories = _shown_categories(list(values.values()), reports)
    rows = len(values)
    height = (
        AXIS_HEIGHT
        + rows * row_height(values, ROW_HEIGHT)
        + legend_height(categories)
    )
    all_colours = category_colours(all_categories(list(reports.values())))
    colours = {category: all_colours[category] for category in categories}
    width = BAR_WIDTH + names_width(values)
    with styled_axes(ax, height, max(width, COLUMN_WIDTH)) as axes:
        totals = _draw_stacks(axes, values, colours)
        for row, total in enumerate(totals):
            axes.annotate(
                total_format.format(total),
                (total, row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
            )
        labels = [folded(name) for name in values]
        axes.set_yticks(range(rows), labels=labels, parse_math=False)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xlim(0, max(*totals, 0.0) * ROOM_FOR_TOTALS or 1.0)
        axes.tick_params(axis="y", length=0)
        legend_above(axes, swatches(colours))
    return axes


def _draw_stacks(
    ax: Axes, values: Values, colours: Mapping[str, str]
) -> Sequence[float]:
    """Draw the parts of each bar, category by category; return the lengths of the bars."""
    rows = np.arange(len(values))
    ends = np.zeros(len(values))
    for category, colour in colours.items():
        widths = np.array([counts.get(category, 0) for counts in values.values()])
        ax.barh(
            rows,
            widths,
            left=ends,
            height=BAR_SHARE,
            color=colour,
            # parts are told apart where two colours look alike
            edgecolor=ax.get_facecolor(),
            linewidth=0.6,
            label=category,
        )
        ends = ends + widths
    lengths: list[float] = ends.tolist()
    return lengths


def _shown_categories(
    counts: Sequence[Mapping[str, float]], reports: Mapping[str, LayerReport]
) -> list[str]:
    """Return the categories that any result has detectors of."""
    return [
        category
        for category in all_categories(list(reports.values()))
        if any(values.get(category) for values in counts)
    ]
