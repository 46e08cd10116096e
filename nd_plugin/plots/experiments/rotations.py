"""Figures of rotation studies: 6, 7 and 8 of the paper.

A study is an `experiments.rotation.study.RotationStudy`, of a room above this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nd_plugin.plots.curves import plot_rotation
from nd_plugin.plots.experiments.rotation_kinds import (
    COMPLETE,
    CONCEPTS,
    PICTURES,
    ROTATION,
    check_kind,
)
from nd_plugin.plots.experiments.rotation_pictures import plot_best_pictures
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
    say_nothing_to_show,
    styled_axes,
    swatches,
)
from nd_plugin.report.categories import in_paper_order
from nd_plugin.report.colours import category_colours
from nd_plugin.results.dissection import Dissection

CONCEPTS_SHOWN = 15  # of a chart
BAR_SHARE = 0.72  # of the height of a row
BAR_WIDTH = 2.2  # inches, of the longest
CAP = 2.0  # points, of an error bar


class Bar(NamedTuple):
    """Bar of figure 8: unique detectors of a basis by category, and the spread of all."""

    name: str
    by_category: Mapping[str, float]
    total: float
    deviation: float


def plot_detectors_over_alpha(study: Any, ax: Axes | None = None) -> Axes:
    """Draw unique detectors over α, with bands of one standard deviation: figure 6 of the paper.

    Other bases of the study are dashed lines.
    """
    axes = plot_rotation(
        [study.at(alpha) for alpha in study.alphas], study.alphas, ax
    )
    styles = ("--", ":", "-.")
    for number, (name, dissection) in enumerate(study.bases.items()):
        count = dissection.unique_detectors
        axes.axhline(
            count, color="0.5", linewidth=1.0, linestyle=styles[number % 3]
        )
        axes.annotate(
            name,
            (1.0, count),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=SMALL,
            parse_math=False,
        )
    return axes


def plot_best_by_concept(study: Any, ax: Axes | None = None) -> Axes:
    """Draw the IoU of each concept's best unit and best rotated direction: figure 7, in numbers.

    Directions are the mean over the rotations, with one standard deviation.
    """
    comparisons = study.best[:CONCEPTS_SHOWN]
    names = [comparison.concept for comparison in comparisons]
    height = AXIS_HEIGHT + max(len(names), 2) * row_height(names, ROW_HEIGHT)
    width = max(COLUMN_WIDTH, BAR_WIDTH + names_width(names))
    height += legend_height(["best unit"])
    with styled_axes(ax, height, width) as axes:
        rows = np.arange(len(comparisons))
        own = [comparison.iou for comparison in comparisons]
        spreads = [comparison.rotated for comparison in comparisons]
        means = [spread.mean for spread in spreads]
        deviations = [spread.deviation or 0.0 for spread in spreads]
        axes.hlines(rows, own, means, color="0.8", linewidth=1.0, zorder=1)
        axes.errorbar(
            means,
            rows,
            xerr=deviations,
            fmt="o",
            markersize=4,
            color="tab:orange",
            capsize=CAP,
            linewidth=1.0,
        )
        axes.plot(own, rows, "o", markersize=4, color="tab:blue")
        _finish_chart(axes, study, names)
    return axes


def _finish_chart(ax: Axes, study: Any, names: Sequence[str]) -> None:
    ax.set_yticks(
        range(len(names)), labels=[folded(name) for name in names], parse_math=False
    )
    ax.set_ylim(max(len(names), 2) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel("IoU")
    ax.tick_params(axis="y", length=0)
    marks = {
        "best unit": "tab:blue",
        f"best direction, α = {study.alphas[-1]:g}": "tab:orange",
    }
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=name)
        for name, colour in marks.items()
    ]
    legend_above(ax, handles)
    if not names:
        say_nothing_to_show(ax, "no detectors in either basis")


def plot_complete_rotation(studies: Sequence[Any], ax: Axes | None = None) -> Axes:
    """Draw unique detectors of layers in their own basis and fully rotated: figure 8 of the paper.

    Bars are stacked by category; error bars are one standard deviation over the rotations.
    """
    bars = [bar for study in studies for bar in _bars(study, len(studies) > 1)]
    present = {
        name for bar in bars for name, count in bar.by_category.items() if count
    }
    categories = [
        name for name in in_paper_order(bars[0].by_category) if name in present
    ]
    names = [bar.name for bar in bars]
    height = AXIS_HEIGHT + len(bars) * row_height(names, ROW_HEIGHT)
    height += legend_height(categories)
    width = max(COLUMN_WIDTH, BAR_WIDTH + names_width(names))
    colours = category_colours(in_paper_order(bars[0].by_category))
    colours = {name: colours[name] for name in categories}
    with styled_axes(ax, height, width) as axes:
        _draw_bars(axes, bars, colours)
        axes.set_yticks(
            range(len(bars)),
            labels=[folded(name) for name in names],
            parse_math=False,
        )
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("unique detectors")
        axes.tick_params(axis="y", length=0)
        legend_above(axes, swatches({name: colours[name] for name in categories}))
    return axes


def _bars(study: Any, is_one_of_several: bool) -> list[Bar]:
    """Return the bars of a study: its own basis, fully rotated, other bases."""
    prefix = (
        f"{_short_model(study.own)} {study.layer}: " if is_one_of_several else ""
    )
    points = [study.points[0]]
    names = ["own basis"]
    if len(study.points) > 1:
        points.append(study.points[-1])
        names.append(f"rotated, α = {study.alphas[-1]:g}")
    bars = [
        Bar(
            prefix + name,
            {
                category: spread.mean
                for category, spread in point.by_category.items()
            },
            point.unique_detectors.mean,
            point.unique_detectors.deviation or 0.0,
        )
        for name, point in zip(names, points, strict=True)
    ]
    for name, dissection in study.bases.items():
        summary = dissection.summary()
        counts = dict(summary.unique_detectors_by_category)
        bars.append(Bar(prefix + name, counts, summary.unique_detectors, 0.0))
    return bars


def _short_model(dissection: Dissection) -> str:
    """Return the model's name, such as ``resnet18`` of ``torchvision:resnet18, weights …``."""
    source = dissection.provenance.model.source.partition(", ")[0]
    return re.split(r"[:/\\]", source.partition("?")[0])[-1]


def _draw_bars(ax: Axes, bars: Sequence[Bar], colours: Mapping[str, str]) -> None:
    rows = np.arange(len(bars))
    ends = np.zeros(len(bars))
    for category, colour in colours.items():
        widths = np.array([bar.by_category.get(category, 0.0) for bar in bars])
        ax.barh(
            rows,
            widths,
            left=ends,
            height=BAR_SHARE,
            color=colour,
            edgecolor=ax.get_facecolor(),
            linewidth=0.6,
        )
        ends = ends + widths
    for row, bar in enumerate(bars):
        if bar.deviation:
            ax.errorbar(
                bar.total,
                row,
                xerr=bar.deviation,
                color=ax.xaxis.label.get_color(),
                capsize=CAP,
                linewidth=1.0,
            )
        ax.annotate(
            f"{bar.total:.1f}".removesuffix(".0"),
            (bar.total + bar.deviation, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
        )


DRAWINGS: Mapping[str, Callable[..., Axes]] = {
    ROTATION: plot_detectors_over_alpha,
    CONCEPTS: plot_best_by_concept,
    PICTURES: plot_best_pictures,
}


def draw(kind: str, studies: Sequence[Any], ax: Axes | None = None) -> Axes:
    """Draw a figure of one study, or of several where the kind is `COMPLETE`.

    Raises BadInput for another kind, and for several studies in a figure of one.
    """
    check_kind(kind, len(studies))
    if kind == COMPLETE:
        return plot_complete_rotation(studies, ax)
    return DRAWINGS[kind](studies[0], ax)
