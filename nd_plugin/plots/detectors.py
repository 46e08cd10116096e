"""Detectors by category, of layers side by side: figures 9, 12 and 13 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nd_plugin.plots.named_results import (
    Results,
    counted_alike,
    named_reports,
    unique_label,
)
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
from nd_plugin.report.error_bars.texts import detectors_interval, unique_interval
from nd_plugin.report.layer_report import LayerReport

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
    reports, per_category = counted_alike(named_reports(results))
    counts = {name: _counts(report, unique) for name, report in reports.items()}
    ends = {
        name: () if per_category else _ends(report, unique)
        for name, report in reports.items()
    }
    ax = _draw(counts, reports, ax, "{:.0f}", ends)
    label = unique_label(per_category=per_category)
    ax.set_xlabel(label if unique else "detectors")
    ax.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
    return ax


def plot_ratio(results: Results, ax: Axes | None = None) -> Axes:
    """Draw a bar of the ratio of unique detectors to units for each result, by category.

    Layers of different widths compare by it. Arguments, return and errors: `plot_detectors`.
    """
    reports, per_category = counted_alike(named_reports(results))
    ratios: Values = {}
    ends: dict[str, Ends] = {}
    for name, report in reports.items():
        units = max(report.summary.units, 1)
        own_ends = () if per_category else _ends(report, unique=True)
        ends[name] = tuple(end / units for end in own_ends)
        ratios[name] = {
            category: count / units
            for category, count in _counts(report, unique=True).items()
        }
    ax = _draw(ratios, reports, ax, "{:.1%}", ends)
    ax.set_xlabel(f"{unique_label(per_category=per_category)} / units")
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
    bars = list(values.values())
    colours = shown_colours(all_categories(list(reports.values())), bars)
    with bar_axes(ax, values, colours) as axes:
        totals = stack_bars(axes, bars, colours)
        _draw_whiskers(axes, list(ends.values()))
        furthest = [
            max(total, *interval) if interval else total
            for total, interval in zip(totals, ends.values(), strict=True)
        ]
        for row, total in enumerate(totals):
            write_behind(axes, furthest[row], row, total_format.format(total))
        axes.set_xlim(0, max(*furthest, 0.0) * ROOM_FOR_TOTALS or 1.0)
        legend_above(axes, swatches(colours))
    return axes


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
