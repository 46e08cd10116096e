"""Networks side by side: figures 9 and 12 to 14 of the paper, and figure 24 over width."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nd_plugin.errors import BadInput
from nd_plugin.plots.curves import plot_emergence
from nd_plugin.plots.named_results import (
    Results,
    counted_alike,
    named_reports,
    unique_label,
)
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    CHARACTER_WIDTH,
    COLUMN_WIDTH,
    TINY,
    legend_above,
    legend_height,
    shown_colours,
    styled_axes,
    swatches,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.error_bars.texts import unique_interval
from nd_plugin.report.layer_report import LayerReport

PLOT_HEIGHT = 2.2  # inches, between the axes
BAR_PITCH = 0.24  # inches, of a bar and the gap to the next
BAR_SHARE = 0.72  # of the pitch
SLANT = 60  # degrees, of the names below the bars
ROOM_ABOVE = 1.12  # height of the axis, relative to the highest bar


def _named_networks(results: Results) -> dict[str, LayerReport]:
    """Return reports by the names of their runs where those differ, else of run and layer."""
    reports = named_reports(results)
    runs = [report.run for report in reports.values()]
    is_named = isinstance(results, Mapping)
    if is_named or "" in runs or len(set(runs)) < len(runs):
        return reports
    return dict(zip(runs, reports.values(), strict=True))


def plot_networks(results: Results, ax: Axes | None = None) -> Axes:
    """Draw unique detectors of networks as columns, the most first, stacked by category.

    Figures 9 (architectures) and 12 (supervisions) of the paper. Where a result has counts alone,
    such as the authors' summary, all are counted per category as there. An error bar is the
    interval of a run with folds.

    Args:
        results: A dissection or report, a list of them, or a dict with their names.
        ax: Axes to draw into; None: of a new pyplot figure.

    Returns:
        The axes.

    Raises:
        BadInput: No result, what is none, or labels without IoU.
    """
    reports, per_category = counted_alike(_named_networks(results))
    unique = {
        name: report.summary.unique_detectors for name, report in reports.items()
    }
    names = sorted(unique, key=lambda name: -unique[name])
    columns = {
        name: reports[name].summary.unique_detectors_by_category for name in names
    }
    ax = _plot_columns(columns, reports, ax)
    tops = []
    for position, name in enumerate(names):
        interval = None if per_category else unique_interval(reports[name])
        top = float(unique[name])
        if interval is not None:
            colour = ax.xaxis.label.get_color()
            ax.vlines(
                position, interval.low, interval.high, color=colour, linewidth=1
            )
            top = max(top, interval.high)
        _write_total(ax, position, top, str(unique[name]))
        tops.append(top)
    ax.set_ylim(0, max(tops) * ROOM_ABOVE or 1.0)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel(unique_label(per_category=per_category))
    return ax


def plot_category_shares(results: Results, ax: Axes | None = None) -> Axes:
    """Draw which share of the unique detectors of each network each category has.

    Shows what a supervision makes a network detect (section 3.4): textures dominate
    self-supervised networks. Networks stand in the order given. Arguments, return and errors:
    `plot_networks`.
    """
    reports, per_category = counted_alike(_named_networks(results))
    shares = {
        name: _shares(report.summary.unique_detectors_by_category)
        for name, report in reports.items()
    }
    ax = _plot_columns(shares, reports, ax)
    for position, report in enumerate(reports.values()):
        _write_total(ax, position, 1.0, str(report.summary.unique_detectors))
    ax.set_ylim(0, ROOM_ABOVE)
    ax.set_yticks(np.linspace(0, 1, 5))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    label = unique_label(per_category=per_category)
    ax.set_ylabel(f"share of {label}")
    return ax


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Return each count divided by their sum; 0 where there are none."""
    total = max(sum(counts.values()), 1)
    return {category: count / total for category, count in counts.items()}


def _plot_columns(
    columns: Mapping[str, Mapping[str, float]],
    reports: Mapping[str, LayerReport],
    ax: Axes | None,
) -> Axes:
    """Draw stacked columns with their names below and a legend of the categories above."""
    categories = all_categories(list(reports.values()))
    colours = shown_colours(categories, columns.values())
    longest = max(map(len, columns))
    names_height = np.sin(np.radians(SLANT)) * longest * CHARACTER_WIDTH
    height = (
        AXIS_HEIGHT + PLOT_HEIGHT + float(names_height) + legend_height(colours)
    )
    width = max(COLUMN_WIDTH, BAR_PITCH * len(columns) + 1.0)
    with styled_axes(ax, height, width) as axes:
        _stack(axes, columns, colours)
        axes.set_xticks(
            range(len(columns)),
            labels=list(columns),
            rotation=SLANT,
            ha="right",
            rotation_mode="anchor",
            parse_math=False,
        )
        axes.set_xlim(-0.6, max(len(columns) - 0.4, 3.0))
        axes.tick_params(axis="x", length=0)
        legend_above(axes, swatches(colours))
    return axes


def _stack(
    ax: Axes,
    columns: Mapping[str, Mapping[str, float]],
    colours: Mapping[str, str],
) -> None:
    positions = np.arange(len(columns))
    bottoms = np.zeros(len(columns))
    for category, colour in colours.items():
        parts = [column.get(category, 0) for column in columns.values()]
        heights = np.array(parts, np.float64)
        ax.bar(
            positions,
            heights,
            bottom=bottoms,
            width=BAR_SHARE,
            color=colour,
            # parts are told apart where two colours look alike
            edgecolor=ax.get_facecolor(),
            linewidth=0.5,
            label=category,
        )
        bottoms = bottoms + heights


def _write_total(ax: Axes, position: int, height: float, text: str) -> None:
    ax.annotate(
        text,
        (position, height),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        fontsize=TINY,
    )


def plot_widths(results: Results, ax: Axes | None = None) -> Axes:
    """Draw unique detectors, in all and by category, over the number of units of a layer.

    Figure 24 of the paper (section 3.8). Layers of one width are repeats: their mean, with a band
    of one standard deviation. The ratio to the units stands above each point. Arguments, return
    and errors: `plot_networks`.
    """
    reports, per_category = counted_alike(_named_networks(results))
    layers_of_width: dict[int, list[LayerReport]] = {}
    for name, report in reports.items():
        if not report.summary.units:
            raise BadInput(
                f"the number of units of {name} is not known; leave it out"
            )
        layers_of_width.setdefault(report.summary.units, []).append(report)
    widths = sorted(layers_of_width)
    layers = [layers_of_width[width] for width in widths]
    ax = plot_emergence(layers, widths, ax, xlabel="units of the layer")
    ax.set_ylabel(unique_label(per_category=per_category))
    for width, repeats in zip(widths, layers, strict=True):
        counts = [report.summary.unique_detectors for report in repeats]
        mean = sum(counts) / len(counts)
        ax.annotate(
            f"{mean / width:.0%}",
            (width, mean),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=TINY,
        )
    ax.margins(y=0.1)
    ax.set_ylim(bottom=0)
    return ax
