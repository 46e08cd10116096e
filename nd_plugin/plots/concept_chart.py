"""Chart of the concepts that a layer's units detect."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.plots.explanations import unit_numbers
from nd_plugin.plots.named_results import Result, report_of
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    COLUMN_WIDTH,
    folded,
    legend_above,
    legend_height,
    names_width,
    row_height,
    say_nothing_to_show,
    styled_axes,
    swatches,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import category_colours
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.report.terminal import plural

FEWEST_BARS = 4  # that the height is enough for
BAR_HEIGHT = 0.15  # inches, with the gap to the next bar
BAR_SHARE = 0.75  # of that height
BAR_WIDTH = 2.0  # inches, of the longest
TITLE_LINE = 0.16  # inches
TITLE_CHARACTER_WIDTH = 0.07  # inches
TITLE_PAD = 2.0  # points
POINTS_PER_INCH = 72


def plot_concepts(
    result: Result,
    ax: Axes | None = None,
    *,
    units: int | Sequence[int] | None = None,
) -> Axes:
    """Draw a bar for each detected concept of a layer: the number of units that detect it.

    Categories are in the order of the paper, their concepts by number of units and name.

    Args:
        result: A dissection or report of one layer.
        ax: Axes to draw into; None: of a new pyplot figure.
        units: Units to count; None: all.

    Returns:
        The axes.

    Raises:
        BadInput: A unit that the layer has not, or what is no result.
    """
    report = report_of(result)
    scores = _chosen_scores(report, units)
    bars = _count_by_concept(report, scores)
    categories = dict.fromkeys(category for category, _ in bars)
    names = [concept for _, concept in bars]
    bar_height = row_height(names, BAR_HEIGHT)
    height = AXIS_HEIGHT + bar_height * max(len(bars), FEWEST_BARS)
    name_width = names_width(names)
    width = max(COLUMN_WIDTH, BAR_WIDTH + name_width)
    characters = int((width - name_width) / TITLE_CHARACTER_WIDTH)
    title = _title(report, bars, len(scores), characters)
    height += TITLE_LINE * (title.count("\n") + 1) + legend_height(categories)
    with styled_axes(ax, height, width) as axes:
        _draw_bars(axes, report, bars)
        above_legend = POINTS_PER_INCH * legend_height(categories) + TITLE_PAD
        axes.set_title(title, pad=above_legend, parse_math=False)
        axes.set_xlabel(f"units that detect the concept (IoU > {report.min_iou:g})")
    return axes


def _title(
    report: LayerReport,
    bars: dict[tuple[str, str], int],
    units: int,
    characters: int,
) -> str:
    """Return the layer and its counts, in lines of so many characters."""
    counts = {"detector": sum(bars.values()), "concept": len(bars), "unit": units}
    words = [f"{count} {plural(count, noun)}" for noun, count in counts.items()]
    sentence = f"{report.title}: {words[0]} of {words[1]} among {words[2]}"
    return textwrap.fill(sentence, characters, break_on_hyphens=False)


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
    for category in all_categories([report]):
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
    positions = np.arange(len(bars))
    ax.barh(
        positions,
        list(bars.values()),
        height=BAR_SHARE,
        color=[colours[category] for category, _ in bars],
    )
    names = [folded(concept) for _, concept in bars]
    ax.set_yticks(positions, labels=names, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(max(len(bars), FEWEST_BARS) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    categories = dict.fromkeys(category for category, _ in bars)
    legend_above(ax, swatches({name: colours[name] for name in categories}))
    if not bars:
        ax.set_yticks([])
        say_nothing_to_show(ax, "no detectors")
