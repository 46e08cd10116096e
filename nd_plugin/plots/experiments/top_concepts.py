"""Best concepts of the largest categories of each network: figure 13 of the paper."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from nd_plugin.plots.experiments.concept_units import LINE, pictured_strip
from nd_plugin.plots.named_results import Results, reports_of_units
from nd_plugin.plots.style import SMALL, TINY, styled_axes
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import FAINT, category_colours
from nd_plugin.report.layer_report import LayerReport, UnitScore

CATEGORIES = 3  # of a network
CONCEPTS = 4  # of a category
BAR = 0.2  # inches, of a concept's bar and the gap to the next
PANEL_WIDTH = 2.1  # inches
BAR_HEIGHT = 0.7  # share of the row
PANEL_GAP = 0.12  # inches, below a network
STRIP_IMAGES = 3  # of a concept in a panel
STRIP_HEIGHT = 0.62  # inches
NAMES_SHARE = 0.42  # of a panel's width, beside its bars
LONGEST_NAME = 18  # characters


def plot_top_concepts(results: Results, ax: Axes | None = None) -> Axes:
    """Draw the best concepts of the three largest categories of each network, with their IoU.

    Figure 13 of the paper: categories by their number of detectors; of each concept the unit with
    the highest IoU, with its top images where the run has pictures, else as a bar. Arguments,
    return and errors: `plot_concept_units`; BadInput for results without units, too.
    """
    reports = reports_of_units(results)
    highest = max(_highest_iou(report) for report in reports.values())
    heights = [_network_height(report) for report in reports.values()]
    colours = category_colours(all_categories(list(reports.values())))
    width = PANEL_WIDTH * CATEGORIES
    with styled_axes(ax, sum(heights), width) as axes:
        axes.set_axis_off()
        top = sum(heights)
        for (name, report), height in zip(reports.items(), heights, strict=True):
            share = height / sum(heights)
            box = (0.0, top / sum(heights) - share, 1.0, share)
            inner = axes.inset_axes(box)
            _draw_network(inner, name, report, height, highest, colours)
            top -= height
    return axes


def _has_pictures(report: LayerReport) -> bool:
    return report.dissection is not None and report.dissection.pictures is not None


def _network_height(report: LayerReport) -> float:
    """Return the height of a network with its title, in inches."""
    row = STRIP_HEIGHT + LINE if _has_pictures(report) else BAR
    return row * CONCEPTS + 2 * LINE + PANEL_GAP


def _draw_network(
    ax: Axes,
    name: str,
    report: LayerReport,
    height: float,
    highest: float,
    colours: Mapping[str, str],
) -> None:
    """Draw a network's name, and a panel for each of its largest categories."""
    ax.set_axis_off()
    text = {"va": "top", "fontsize": SMALL, "transform": ax.transAxes}
    ax.text(0.0, 1.0, name, fontweight="bold", parse_math=False, **text)  # type: ignore[arg-type]
    categories = largest_categories(report)
    if not categories:
        ax.text(0.0, 1.0 - 1.2 * LINE / height, "no detectors", **text)  # type: ignore[arg-type]
    has_pictures = _has_pictures(report)
    left = 0.0 if has_pictures else NAMES_SHARE
    panel_height = (height - 2 * LINE - PANEL_GAP) / height
    for column, category in enumerate(categories):
        best = [score for score, _ in report.best(category, CONCEPTS)]
        share = 0.94 - left
        box = (
            (column + left) / CATEGORIES,
            PANEL_GAP / height,
            share / CATEGORIES,
            panel_height,
        )
        panel = ax.inset_axes(box)
        colour = colours[category]
        if has_pictures:
            _draw_pictures(panel, best, report)
        else:
            _draw_bars(panel, best, colour, highest)
        panel.set_title(
            category,
            loc="left",
            fontsize=SMALL,
            color=colour,
            parse_math=False,
            pad=2,
        )


def _draw_pictures(
    ax: Axes, best: Sequence[UnitScore], report: LayerReport
) -> None:
    """Draw each concept's name above the top images of its best unit."""
    ax.set_axis_off()
    row = 1 / CONCEPTS
    text_share = LINE / (STRIP_HEIGHT + LINE)
    for index, score in enumerate(best):
        top = 1 - index * row
        ax.text(
            0.0,
            top - 0.85 * row * text_share,
            f"{_shortened(score.concept)} {score.iou:.2f}",
            va="bottom",
            fontsize=TINY,
            transform=ax.transAxes,
            parse_math=False,
        )
        strip = pictured_strip(report.dissection, score.unit, STRIP_IMAGES)
        if strip is None:
            continue
        picture = ax.inset_axes((0.0, top - row, 1.0, row * (1 - text_share)))
        picture.imshow(strip, interpolation="none")
        picture.set_axis_off()
        picture.set_anchor("NW")


def _shortened(name: str) -> str:
    return textwrap.shorten(name, LONGEST_NAME, placeholder="…")


def _highest_iou(report: LayerReport) -> float:
    return max(
        (score.iou for score in report.scores if score.detector), default=0.0
    )


def largest_categories(report: LayerReport) -> list[str]:
    """Return up to three categories with detectors, those of most units first."""
    counts = report.summary.detectors_by_category
    present = [category for category in report.categories if counts.get(category)]
    return sorted(present, key=lambda category: -counts[category])[:CATEGORIES]


def _draw_bars(
    ax: Axes, best: Sequence[UnitScore], colour: str, highest: float
) -> None:
    """Draw the concepts of one category as bars, with their IoU."""
    positions = np.arange(len(best))
    ious = [score.iou for score in best]
    ax.barh(positions, ious, height=BAR_HEIGHT, color=colour)
    labels = [_shortened(score.concept) for score in best]
    ax.set_yticks(positions, labels=labels, parse_math=False, fontsize=TINY)
    for position, iou in enumerate(ious):
        ax.annotate(
            f"{iou:.2f}",
            (iou, position),
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=TINY,
            color=FAINT,
        )
    ax.set_ylim(CONCEPTS - 0.5, -0.5)
    ax.set_xlim(0, 1.25 * highest or 1.0)
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
