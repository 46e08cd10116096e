"""Unique detectors over training, rotation of the basis, and quantiles: curves by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.plots.named_results import Result, report_of
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    legend_above,
    legend_height,
    say_nothing_to_show,
    styled_axes,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import category_colours
from nd_plugin.report.layer_report import LayerReport

PLOT_HEIGHT = 2.0  # inches, between the axes
TOTAL = "all"  # in the legend
BAND_OPACITY = 0.2
LOG_FROM = 10.0  # ratio of quantiles from which on their axis is logarithmic
TICKS_NAMED = 8  # quantiles, of which each has a tick of its own

Repeats = Result | Sequence[Result]
Floats = npt.NDArray[np.float64]


def plot_emergence(
    results: Sequence[Repeats],
    snapshots: Sequence[float],
    ax: Axes | None = None,
    *,
    xlabel: str = "training iteration",
) -> Axes:
    """Draw unique detectors, in all and by category, over the snapshots of a training.

    Figure 14 of the paper.

    Args:
        results: A dissection or report of each snapshot, or a list of repeats (several trainings):
            then the curve is their mean, and the band around it the standard deviation (n - 1).
        snapshots: Number of the iteration or epoch of each.
        ax: Axes to draw into; None: of a new pyplot figure.
        xlabel: What the numbers are.

    Returns:
        The axes.

    Raises:
        BadInput: No result, or what is none; another number of snapshots.
    """
    return _plot_curves(results, snapshots, "snapshots", xlabel, ax)


def plot_rotation(
    results: Sequence[Repeats], alphas: Sequence[float], ax: Axes | None = None
) -> Axes:
    """Draw unique detectors, in all and by category, as the basis of a layer is rotated.

    Figures 6 to 8 of the paper: α is 0 for the layer's own basis and 1 for a random one. Repeats
    are of several random rotations. Arguments, return and errors: `plot_emergence`.
    """
    return _plot_curves(results, alphas, "alphas", "rotation α", ax)


def plot_quantiles(
    results: Sequence[Repeats],
    quantiles: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw unique detectors, in all and by category, over τ, the fraction above thresholds.

    ``quantiles`` are those of the results where not given. The axis is logarithmic where they
    differ by a factor of 10 or more. Arguments, return and errors: `plot_emergence`.
    """
    if quantiles is None:
        quantiles = [_own_quantile(group) for group in grouped_reports(results)]
    ax = _plot_curves(
        results, quantiles, "quantiles", "fraction τ above the threshold", ax
    )
    set_quantile_axis(ax, quantiles)
    return ax


def set_quantile_axis(ax: Axes, quantiles: Sequence[float]) -> None:
    """Make the axis of quantiles logarithmic where they differ much."""
    if min(quantiles) > 0 and max(quantiles) / min(quantiles) >= LOG_FROM:
        ax.set_xscale("log")
        if len(set(quantiles)) <= TICKS_NAMED:
            _name_ticks(ax, sorted(set(quantiles)))
    if min(quantiles) == max(quantiles):
        # between ticks around one point there is nothing to read
        _name_ticks(ax, [quantiles[0]])


def _name_ticks(ax: Axes, quantiles: Sequence[float]) -> None:
    """Put a tick at each quantile, and none elsewhere."""
    ax.set_xticks(quantiles, labels=[f"{quantile:g}" for quantile in quantiles])
    ax.minorticks_off()


def _own_quantile(reports: Sequence[LayerReport]) -> float:
    """Return the quantile of repeats. Raises BadInput where they have none, or several."""
    quantiles = {report.summary.quantile for report in reports}
    (quantile,) = quantiles if len(quantiles) == 1 else (None,)
    if quantile is None:
        raise BadInput(
            "results do not record one quantile each, such as those of CSV files; give quantiles"
        )
    return quantile


def grouped_reports(results: Any) -> list[list[LayerReport]]:
    """Return the reports of each point of a curve, one or repeats. Raises BadInput."""
    if not isinstance(results, list | tuple) or not results:
        raise BadInput(
            f"results are {results!r}; expected a list with a result, or a list of repeats, for "
            "each point of the curve"
        )
    groups: list[list[LayerReport]] = []
    for repeats in results:
        entries = repeats if isinstance(repeats, list | tuple) else [repeats]
        if not entries:
            raise BadInput(f"point {len(groups)} of the curve has no result")
        groups.append([report_of(result) for result in entries])
    return groups


def _plot_curves(
    results: Any,
    positions: Sequence[float],
    subject: str,
    xlabel: str,
    ax: Axes | None,
) -> Axes:
    groups = grouped_reports(results)
    if len(positions) != len(groups):
        raise BadInput(
            f"{len(groups)} results and {len(positions)} {subject}; expected one of these for "
            "each result"
        )
    order = np.argsort(np.asarray(positions, dtype=np.float64), kind="stable")
    x = np.asarray(positions, dtype=np.float64)[order]
    curves = _curves([groups[index] for index in order])
    height = AXIS_HEIGHT + PLOT_HEIGHT + legend_height(curves)
    colours = category_colours(name for name in curves if name != TOTAL)
    with styled_axes(ax, height) as axes:
        own_colour = axes.xaxis.label.get_color()
        handles = [
            _draw_curve(axes, x, name, curve, colours.get(name, own_colour))
            for name, curve in curves.items()
        ]
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(xlabel)
        axes.set_ylabel("unique detectors")
        legend_above(axes, handles)
        if len(handles) == 1:
            say_nothing_to_show(axes, "no detectors")
    return axes


def _curves(
    groups: Sequence[Sequence[LayerReport]],
) -> Mapping[str, list[Floats]]:
    """Return the counts of the repeats at each point: of all, and of each category detected."""
    reports = [report for group in groups for report in group]
    curves = {TOTAL: [_counts(group, None) for group in groups]}
    for category in all_categories(reports):
        counts = [_counts(group, category) for group in groups]
        if any(values.any() for values in counts):
            curves[category] = counts
    return curves


def _counts(group: Sequence[LayerReport], category: str | None) -> Floats:
    """Return the unique detectors of each repeat; (repeat,)."""
    counts = []
    for report in group:
        summary = report.summary
        by_category = summary.unique_detectors_by_category
        counts.append(
            summary.unique_detectors
            if category is None
            else by_category.get(category, 0)
        )
    return np.array(counts, dtype=np.float64)


def _draw_curve(
    ax: Axes, x: Floats, name: str, counts: Sequence[Floats], colour: Any
) -> Line2D:
    """Draw the mean of repeats, with a band of one standard deviation where there are several."""
    means = np.array([values.mean() for values in counts])
    (line,) = ax.plot(x, means, color=colour, marker="o", markersize=3, label=name)
    if any(len(values) > 1 for values in counts):
        spreads = np.array([_deviation(values) for values in counts])
        ax.fill_between(
            x,
            means - spreads,
            means + spreads,
            color=colour,
            alpha=BAND_OPACITY,
            linewidth=0,
        )
    return line


def _deviation(values: Floats) -> float:
    """Return the standard deviation of repeats (n - 1); 0 of a single one."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
