"""Figures of rotation studies: 6, 7 and 8 of the paper.

A study is an `experiments.rotation.study.RotationStudy`, of a room above this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

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
from nd_plugin.plots.named_results import short_model_name
from nd_plugin.plots.style import (
    SMALL,
    TICKS,
    bar_axes,
    legend_above,
    say_nothing_to_show,
    shown_colours,
    stack_bars,
    swatches,
    write_behind,
)
from nd_plugin.report.categories import in_paper_order

CONCEPTS_SHOWN = 15  # of a chart
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
    marks = {
        "best unit": "tab:blue",
        f"best direction, α = {study.alphas[-1]:g}": "tab:orange",
    }
    with bar_axes(ax, names, marks) as axes:
        rows = range(len(comparisons))
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
        axes.set_xlim(left=0)
        axes.set_xlabel("IoU")
        handles = [
            Line2D([], [], marker="o", linestyle="", color=colour, label=name)
            for name, colour in marks.items()
        ]
        legend_above(axes, handles)
        if not names:
            say_nothing_to_show(axes, "no detectors in either basis")
    return axes


def plot_complete_rotation(studies: Sequence[Any], ax: Axes | None = None) -> Axes:
    """Draw unique detectors of layers in their own basis and fully rotated: figure 8 of the paper.

    Bars are stacked by category; error bars are one standard deviation over the rotations.
    """
    bars = [bar for study in studies for bar in _bars(study, len(studies) > 1)]
    # studies may be of different concept sets
    categories = dict.fromkeys(name for bar in bars for name in bar.by_category)
    by_category = [bar.by_category for bar in bars]
    colours = shown_colours(in_paper_order(categories), by_category)
    with bar_axes(ax, [bar.name for bar in bars], colours) as axes:
        stack_bars(axes, by_category, colours)
        for row, bar in enumerate(bars):
            _draw_total(axes, row, bar)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
        axes.set_xlabel("unique detectors")
        legend_above(axes, swatches(colours))
    return axes


def _bars(study: Any, is_one_of_several: bool) -> list[Bar]:
    """Return the bars of a study: its own basis, fully rotated, other bases."""
    # the origin may go on, such as in ``torchvision:resnet18, weights …``
    source = study.own.provenance.model.source.partition(", ")[0]
    prefix = ""
    if is_one_of_several:
        prefix = f"{short_model_name(source)} {study.layer}: "
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


def _draw_total(ax: Axes, row: int, bar: Bar) -> None:
    """Draw the spread of a bar's total, and write the total behind it."""
    if bar.deviation:
        ax.errorbar(
            bar.total,
            row,
            xerr=bar.deviation,
            color=ax.xaxis.label.get_color(),
            capsize=CAP,
            linewidth=1.0,
        )
    text = f"{bar.total:.1f}".removesuffix(".0")
    write_behind(ax, bar.total + bar.deviation, row, text)


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
