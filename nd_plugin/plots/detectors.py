"""Detectors by category, of layers side by side: figures 9, 12 and 13 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
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
from nd_plugin.report.error_bars.texts import detectors_interval, unique_interval
from nd_plugin.report.layer_report import LayerReport

BAR_SHARE = 0.72  # of the height of a row
BAR_WIDTH = 2.2  # inches, of the longest, its total included
TICKS = 6  # at most, on the axis
ROOM_FOR_TOTALS = 1.16  # length of the axis, relative to the longest bar

Values = dict[str, dict[str, float]]  # of a result's name and a category
Ends = tuple[float, ...]  # of an interval; () where there is none


def plot_detectors(
    results: Results, ax: Axes | None = None, *, unique: bool = True
) -> Axes:
    """Draw a bar of unique detectors for each result, stacked by category.

    A whisker shows the interval of the total where the run has folds.

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
    ends = {name: _ends(report, unique) for name, report in reports.items()}
    ax = _draw(counts, reports, ax, "{:.0f}", ends)
    ax.set_xlabel("unique detectors" if unique else "detectors")
    ax.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
    return ax


def plot_ratio(results: Results, ax: Axes | None = None) -> Axes:
    """Draw a bar of the ratio of unique detectors to units for each result, by category.

    Layers of different widths compare by it. Arguments, return and errors: `plot_detectors`.
    """
    reports = named_reports(results)
    ratios: Values = {}
    ends: dict[str, Ends] = {}
    for name, report in reports.items():
        units = max(report.summary.units, 1)
        ends[name] = tuple(end / units for end in _ends(report, unique=True))
        ratios[name] = {
            category: count / units
            for category, count in _counts(report, unique=True).items()
        }
    ax = _draw(ratios, reports, ax, "{:.1%}", ends)
    ax.set_xlabel("unique detectors / units")
    ax.xaxis.set_major_locator(MaxNLocator(TICKS))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    return ax


def _counts(report: LayerReport, unique: bool) -> dict[str, float]:
    summary = report.summary
    if unique:
        return dict(summary.unique_detectors_by_category)
    return dict(summary.detectors_by_category)


def _ends(report: LayerReport, unique: bool) -> Ends:
    """Return the ends of the interval of a count; () where the run has no folds."""
    interval = unique_interval(report) if unique else detectors_interval(report)
    return () if interval is None else (interval.low, interval.high)


def _draw(
    values: Values,
    reports: Mapping[str, LayerReport],
    ax: Axes | None,
    total_format: str,
    ends: Mapping[str, Ends],
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
        _draw_whiskers(axes, list(ends.values()))
        furthest = [
            max(total, *interval) if interval else total
            for total, interval in zip(totals, ends.values(), strict=True)
        ]
        for row, total in enumerate(totals):
            axes.annotate(
                total_format.format(total),
                (furthest[row], row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
            )
        labels = [folded(name) for name in values]
        axes.set_yticks(range(rows), labels=labels, parse_math=False)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xlim(0, max(*furthest, 0.0) * ROOM_FOR_TOTALS or 1.0)
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


def _draw_whiskers(ax: Axes, ends: Sequence[Ends]) -> None:
    """Draw the interval of each bar's total, in the colour of texts, which is the user's."""
    colour = plt.rcParams["text.color"]
    for row, interval in enumerate(ends):
        if interval:
            ax.plot(
                interval,
                (row, row),
                color=colour,
                linewidth=0.9,
                marker="|",
                markersize=4,
            )


def _shown_categories(
    counts: Sequence[Mapping[str, float]], reports: Mapping[str, LayerReport]
) -> list[str]:
    """Return the categories that any result has detectors of."""
    return [
        category
        for category in all_categories(list(reports.values()))
        if any(values.get(category) for values in counts)
    ]
