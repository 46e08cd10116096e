"""Chart of the concepts that a layer's units detect, by matplotlib.

matplotlib takes a second to import: this module is imported where a chart is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.plots.explanations import NotebookFigure, unit_numbers
from nd_plugin.report.colours import category_colours
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.report.terminal import plural

CHART_WIDTH = 7.0  # inches
FEWEST_BARS = 4  # that the height is enough for
BAR_HEIGHT = 0.22  # inches, with the gap to the next bar
CHART_FRAME = 1.4  # inches above and below the bars


def plot_detectors(
    report: LayerReport, units: int | Sequence[int] | None, ax: Axes | None
) -> Figure:
    """Draw a bar for each detected concept: the number of units that detect it.

    Categories are in the report's order, their concepts by number of units and name. Raises
    BadInput for a unit that the layer has not.
    """
    scores = _chosen_scores(report, units)
    bars = _count_by_concept(report, scores)
    if ax is None:
        size = (CHART_WIDTH, CHART_FRAME + BAR_HEIGHT * max(len(bars), FEWEST_BARS))
        _, ax = plt.subplots(
            figsize=size, layout="constrained", FigureClass=NotebookFigure
        )
    _draw_bars(ax, report, bars)
    counts = {
        "detector": sum(bars.values()),
        "concept": len(bars),
        "unit": len(scores),
    }
    words = [f"{count} {plural(count, noun)}" for noun, count in counts.items()]
    title = f"{report.layer}: {words[0]} of {words[1]} among {words[2]}"
    ax.set_title(title, fontsize=10, parse_math=False)
    ax.set_xlabel(f"units that detect the concept (IoU > {report.min_iou:g})")
    return cast(Figure, ax.figure)


def _chosen_scores(
    report: LayerReport, units: int | Sequence[int] | None
) -> list[UnitScore]:
    """Return the scores of chosen units, each once; of all for None."""
    if units is None:
        return list(report.scores)
    numbers = unit_numbers(units)
    scores_by_unit = {score.unit: score for score in report.scores}
    for number in numbers:
        if number not in scores_by_unit:
            raise BadInput(
                f"no unit {number}: layer {report.layer!r} has {len(scores_by_unit)}, "
                f"numbered from 0"
            )
    return [scores_by_unit[number] for number in dict.fromkeys(numbers)]


def _count_by_concept(
    report: LayerReport, scores: Sequence[UnitScore]
) -> dict[tuple[str, str], int]:
    """Count the detectors of each (category, concept), in the order of the bars."""
    detectors = [score for score in scores if score.detector]
    counts = Counter((score.category, score.concept) for score in detectors)
    bars: dict[tuple[str, str], int] = {}
    for category in report.categories:
        concepts = [concept for owner, concept in counts if owner == category]
        concepts.sort(key=lambda name: (-counts[category, name], name))
        for concept in concepts:
            bars[category, concept] = counts[category, concept]
    return bars


def _draw_bars(
    ax: Axes, report: LayerReport, bars: dict[tuple[str, str], int]
) -> None:
    """Draw horizontal bars, the first at the top, and a legend of the categories."""
    colours = category_colours(report.categories)
    places = np.arange(len(bars))
    ax.barh(
        places,
        list(bars.values()),
        color=[colours[category] for category, _ in bars],
    )
    names = [concept for _, concept in bars]
    ax.set_yticks(places, labels=names, fontsize=8, parse_math=False)
    ax.set_ylim(max(len(bars), FEWEST_BARS) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    categories = list(dict.fromkeys(category for category, _ in bars))
    if categories:
        swatches = [
            Patch(color=colours[category], label=category)
            for category in categories
        ]
        ax.legend(
            handles=swatches,
            fontsize=8,
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
        )
    else:
        ax.set_yticks([])
        ax.text(0.5, 0.5, "no detectors", ha="center", transform=ax.transAxes)
