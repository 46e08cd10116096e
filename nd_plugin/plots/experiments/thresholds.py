"""Sensitivity to the quantile τ (section 4): labels by category, and IoU of each unit, over τ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import quantiles as split_evenly
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nd_plugin.errors import BadInput
from nd_plugin.plots.curves import plot_quantiles, set_quantile_axis
from nd_plugin.plots.named_results import Results, named_reports
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    legend_above,
    legend_height,
    styled_axes,
    styled_panels,
)
from nd_plugin.report.colours import category_colours
from nd_plugin.report.thresholds.sweep import QuantileSweep, quantile_sweeps

PLOT_HEIGHT = 2.0  # inches, between the axes
MEDIAN = "all: median"
NO_DETECTOR = "no detector"
NO_DETECTOR_COLOUR = "0.6"
LINE_OPACITY = 0.5
QUARTILE_OPACITY = 0.25
INTERVAL_OPACITY = 0.15
ALL = "all"
BY_CHANCE = "by chance"


def plot_labels_over_quantiles(
    results: Results, ax: Axes | None = None
) -> Axes | Figure:
    """Draw unique detectors, in all and by category, over τ; a panel for each layer.

    Figure 28 of the paper. Around all of them a band of 95 % intervals where the run has folds, and
    those to expect by chance where it has permutations.

    Args:
        results: Dissections or reports of one or several layers, each at several quantiles.
        ax: Axes to draw into, for one layer; None: of a new pyplot figure.

    Returns:
        The axes of one layer, the figure of several.

    Raises:
        BadInput: No result; several layers for one ``ax``.
    """
    reports = list(named_reports(results).values())
    sweeps = quantile_sweeps(reports)
    if len(sweeps) <= 1:
        # a single quantile has its point, too
        return (
            _labels_panel(sweeps[0], ax)
            if sweeps
            else plot_quantiles(reports, ax=ax)
        )
    return _panels(sweeps, ax, _labels_panel)


def plot_iou_over_quantiles(
    results: Results, ax: Axes | None = None
) -> Axes | Figure:
    """Draw the IoU of each unit with its label over τ, and the quartiles of all units.

    Figure 29 of the paper. A unit has the colour of the category that it detects at the paper's τ
    or at the one where its IoU is highest, and is grey where it is no detector at any. Arguments,
    return and errors: `plot_labels_over_quantiles`; BadInput, too, where no layer has several
    quantiles.
    """
    sweeps = quantile_sweeps(named_reports(results).values())
    if not sweeps:
        raise BadInput(
            "IoU over τ needs a layer at two quantiles or more: "
            "nd dissect … --quantile 0.0025,0.005,0.01"
        )
    if len(sweeps) > 1:
        return _panels(sweeps, ax, _iou_panel)
    return _iou_panel(sweeps[0], ax)


def _panels(
    sweeps: Sequence[QuantileSweep],
    ax: Axes | None,
    draw: Callable[[QuantileSweep, Axes], Axes],
) -> Figure:
    """Draw a panel for each layer, one below the other."""
    if ax is not None:
        layers = ", ".join(sweep.title for sweep in sweeps)
        raise BadInput(
            f"ax takes one layer, and these are {len(sweeps)} ({layers}): draw one after the other"
        )
    legend = max(legend_height([*sweep.categories, MEDIAN]) for sweep in sweeps)
    height = AXIS_HEIGHT + PLOT_HEIGHT + legend
    with styled_panels(len(sweeps), height) as (figure, panels):
        for sweep, axes in zip(sweeps, panels, strict=True):
            draw(sweep, axes)
            label = axes.set_ylabel(f"{sweep.title}\n{axes.get_ylabel()}")
            label.set_parse_math(False)
    return figure


def _labels_panel(sweep: QuantileSweep, ax: Axes | None) -> Axes:
    names = [*sweep.categories, ALL, BY_CHANCE]
    height = AXIS_HEIGHT + PLOT_HEIGHT + legend_height(names)
    with styled_axes(ax, height) as axes:
        plot_quantiles(sweep.reports, ax=axes)
        _draw_intervals(axes, sweep)
        _draw_chance(axes, sweep)
        # the band may be higher than the curves
        axes.autoscale(axis="y")
        axes.set_ylim(bottom=0)
    return axes


def _draw_chance(ax: Axes, sweep: QuantileSweep) -> None:
    """Draw the unique detectors to expect by chance, where the run has permutations."""
    chance = [point.chance_unique_detectors for point in sweep.points]
    if None in chance:
        return
    ax.plot(
        sweep.quantiles,
        np.array(chance, dtype=np.float64),
        color=ax.xaxis.label.get_color(),
        linestyle=":",
        label=BY_CHANCE,
    )
    handles, _ = ax.get_legend_handles_labels()
    legend_above(ax, handles)


def _draw_intervals(ax: Axes, sweep: QuantileSweep) -> None:
    """Draw the interval of all unique detectors as a band, where the run has folds."""
    intervals = [point.intervals for point in sweep.points]
    unique = [each.unique_detectors for each in intervals if each is not None]
    if len(unique) == len(intervals):
        ax.fill_between(
            sweep.quantiles,
            [interval.low for interval in unique],
            [interval.high for interval in unique],
            color=ax.xaxis.label.get_color(),
            alpha=INTERVAL_OPACITY,
            linewidth=0,
        )


def _iou_panel(sweep: QuantileSweep, ax: Axes | None) -> Axes:
    categories = _detected_categories(sweep)
    colours = category_colours(sweep.categories)
    names = [name for name in colours if name in categories]
    height = (
        AXIS_HEIGHT + PLOT_HEIGHT + legend_height([*names, MEDIAN, NO_DETECTOR])
    )
    with styled_axes(ax, height) as axes:
        values = np.array(sweep.iou)
        for unit, category in enumerate(categories):
            colour = colours[category] if category else NO_DETECTOR_COLOUR
            axes.plot(
                sweep.quantiles,
                values[:, unit],
                color=colour,
                alpha=LINE_OPACITY,
                linewidth=0.5,
                zorder=2 if category else 1,
            )
        handles = [
            Line2D([], [], color=colours[name], label=name) for name in names
        ]
        if "" in categories:
            grey = NO_DETECTOR_COLOUR
            handles.append(Line2D([], [], color=grey, label=NO_DETECTOR))
        handles.append(_draw_quartiles(axes, sweep))
        limit = sweep.reports[0].min_iou
        axes.axhline(limit, color=NO_DETECTOR_COLOUR, linestyle="--", linewidth=0.8)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("fraction τ above the threshold")
        axes.set_ylabel("IoU of units")
        set_quantile_axis(axes, sweep.quantiles)
        legend_above(axes, handles)
    return axes


def _detected_categories(sweep: QuantileSweep) -> list[str]:
    """Return the category that each unit detects, "" for none; (unit,)."""
    categories = []
    reference = sweep.reports[sweep.reference_index].scores
    for unit, score in enumerate(reference):
        best_index = sweep.quantiles.index(sweep.best_quantiles[unit])
        best = sweep.reports[best_index].scores[unit]
        detecting = [match for match in (score, best) if match.detector]
        categories.append(detecting[0].category if detecting else "")
    return categories


def _draw_quartiles(ax: Axes, sweep: QuantileSweep) -> Any:
    """Draw the median of all units with its quartiles; return the handle of a legend."""
    colour = ax.xaxis.label.get_color()
    quartiles = [_quartiles(values) for values in sweep.iou]
    lower, middle, upper = zip(*quartiles, strict=True)
    ax.fill_between(
        sweep.quantiles,
        lower,
        upper,
        color=colour,
        alpha=QUARTILE_OPACITY,
        linewidth=0,
        zorder=3,
    )
    (line,) = ax.plot(
        sweep.quantiles,
        middle,
        color=colour,
        marker="o",
        markersize=3,
        label=MEDIAN,
        zorder=4,
    )
    return line


def _quartiles(values: Sequence[float]) -> list[float]:
    """Return lower quartile, median and upper quartile."""
    if len(values) == 1:
        return [values[0]] * 3
    return split_evenly(values, method="inclusive")
