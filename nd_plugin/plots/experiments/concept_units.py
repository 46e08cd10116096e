"""Best units by concept and by network: figures 11 and 13 of the paper."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from nd_plugin.errors import BadInput
from nd_plugin.plots.named_results import Results, named_reports, reports_of_units
from nd_plugin.plots.style import (
    COLUMN_WIDTH,
    SMALL,
    TINY,
    say_nothing_to_show,
    styled_axes,
)
from nd_plugin.plots.units import TITLE_HEIGHT, Strip, picture_strip
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import FAINT, category_colours
from nd_plugin.report.layer_report import LayerReport, UnitScore

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

UNITS = 2  # of a concept in each network, as in the paper
IMAGES = 4  # of a unit, as there
CATEGORIES = 3  # of a network
CONCEPTS = 4  # of a category
TITLE_CHARACTERS = 60
LINE = 0.16  # inches, of a row of text
BAR = 0.2  # inches, of a concept's bar and the gap to the next
PANEL_WIDTH = 2.1  # inches
BAR_HEIGHT = 0.7  # share of the row

ConceptKey = tuple[str, str]  # category and name


def plot_concept_units(
    results: Results,
    concept: ConceptKey,
    ax: Axes | None = None,
    *,
    units: int = UNITS,
    images: int = IMAGES,
) -> Axes:
    """Draw the units of each network that match a concept best, with their top images.

    Figure 11 of the paper. A network whose source has no pictures has lines of text.

    Args:
        results: A dissection or report, a list of them, or a dict with their names.
        concept: Category and name.
        ax: Axes to divide; None: of a new pyplot figure.
        units: Number of units of each network.
        images: Number of images of each unit.

    Returns:
        The axes; those of each unit are its ``child_axes``.

    Raises:
        BadInput: No result, what is none, or a number below 1.
    """
    if units < 1 or images < 1:
        raise BadInput(f"units is {units} and images {images}; expected 1 or more")
    rows: list[_Row] = []
    for name, report in named_reports(results).items():
        rows += _concept_rows(name, report, concept, units, images)
    width = COLUMN_WIDTH
    heights = [row.height(width) for row in rows]
    category, text = concept
    with styled_axes(ax, sum(heights) + 2 * LINE, width) as axes:
        axes.set_axis_off()
        axes.set_title(
            f"{text} ({category})" if category else text, parse_math=False
        )
        _draw_rows(axes, rows, heights)
    return axes


@dataclass(frozen=True, eq=False)
class _Row:
    """Unit of a network: a line of text, and a strip of pictures where there are some."""

    text: str
    strip: Strip | None = None

    def height(self, width: float) -> float:
        """Height in inches at a width."""
        text_height = LINE * len(self.lines)
        if self.strip is None:
            return text_height
        rows, columns = self.strip.shape[:2]
        return text_height + float(width * rows / columns) + TITLE_HEIGHT / 4

    @property
    def lines(self) -> list[str]:
        """The text in lines that fit."""
        return textwrap.wrap(self.text, TITLE_CHARACTERS, break_on_hyphens=False)


def _concept_rows(
    name: str, report: LayerReport, concept: ConceptKey, units: int, images: int
) -> list[_Row]:
    """Return the rows of a network; one that says so where no unit overlaps the concept."""
    best = best_units(report, concept)[:units]
    if not best:
        return [_Row(f"{name}: no unit")]
    rows = []
    for score in best:
        kind = "" if score.detector else ", no detector of it"
        text = f"{name}: unit {score.unit}, IoU {score.iou:.3f}{kind}"
        rows.append(_Row(text, _strip(report.dissection, score.unit, images)))
    return rows


def best_units(report: LayerReport, concept: ConceptKey) -> list[UnitScore]:
    """Return the units that detect a concept, best first; else the one that is nearest to it."""
    category, name = concept
    detectors = [
        score
        for score in report.scores
        if score.detector and (score.category, score.concept) == concept
    ]
    if detectors:
        return sorted(detectors, key=lambda score: -score.iou)
    of_category = report.category_scores.get(category, ())
    nearest = [
        score for score in of_category if score.overlaps and score.concept == name
    ]
    return sorted(nearest, key=lambda score: -score.iou)[:1]


def _strip(dissection: Dissection | None, unit: int, images: int) -> Strip | None:
    """Return a unit's pictures beside each other; None where it has none."""
    if dissection is None or dissection.pictures is None:
        return None
    view = dissection.show(unit, images=images)
    if view.picture(0) is None:
        return None
    return picture_strip(view)


def _draw_rows(ax: Axes, rows: Sequence[_Row], heights: Sequence[float]) -> None:
    """Draw rows below each other, each in axes of its own."""
    total = sum(heights)
    top = 1.0
    for row, height in zip(rows, heights, strict=True):
        share = height / total
        inner = ax.inset_axes((0.0, top - share, 1.0, share))
        inner.set_axis_off()
        text_share = LINE * len(row.lines) / height
        inner.text(
            0.0,
            1.0,
            "\n".join(row.lines),
            va="top",
            fontsize=SMALL,
            transform=inner.transAxes,
            parse_math=False,
        )
        if row.strip is not None:
            picture = inner.inset_axes((0.0, 0.0, 1.0, 1.0 - text_share))
            picture.imshow(row.strip, interpolation="none")
            picture.set_axis_off()
            picture.set_anchor("NW")
        top -= share


def plot_top_concepts(results: Results, ax: Axes | None = None) -> Axes:
    """Draw the best concepts of the three largest categories of each network, with their IoU.

    Figure 13 of the paper: categories by their number of detectors; of each concept the unit with
    the highest IoU. Arguments, return and errors: `plot_concept_units`; BadInput for results
    without units, too.
    """
    reports = reports_of_units(results)
    highest = max(_highest_iou(report) for report in reports.values())
    panel_height = BAR * CONCEPTS + 2.6 * LINE
    height = panel_height * len(reports)
    colours = category_colours(all_categories(list(reports.values())))
    with styled_axes(ax, height, PANEL_WIDTH * CATEGORIES) as axes:
        axes.set_axis_off()
        for row, (name, report) in enumerate(reports.items()):
            top = 1 - row / len(reports)
            axes.text(
                0.0,
                top,
                name,
                va="top",
                fontsize=SMALL,
                fontweight="bold",
                parse_math=False,
            )
            categories = largest_categories(report)
            if not categories:
                say_nothing_to_show(axes, "")
                axes.text(
                    0.0,
                    top - LINE / height,
                    "no detectors",
                    va="top",
                    fontsize=SMALL,
                )
            for column, category in enumerate(categories):
                box = (
                    (column + 0.42) / CATEGORIES,
                    top - (panel_height - 0.4 * LINE) / height,
                    0.5 / CATEGORIES,
                    BAR * CONCEPTS / height,
                )
                panel = axes.inset_axes(box)
                best = [score for score, _ in report.best(category, CONCEPTS)]
                _draw_panel(panel, best, colours, highest)
    return axes


def _highest_iou(report: LayerReport) -> float:
    return max(
        (score.iou for score in report.scores if score.detector), default=0.0
    )


def largest_categories(report: LayerReport) -> list[str]:
    """Return up to three categories with detectors, those of most units first."""
    counts = report.summary.detectors_by_category
    present = [category for category in report.categories if counts.get(category)]
    return sorted(present, key=lambda category: -counts[category])[:CATEGORIES]


def _draw_panel(
    ax: Axes, best: Sequence[UnitScore], colours: Mapping[str, str], highest: float
) -> None:
    """Draw the concepts of one category as bars, with IoU and unit."""
    category = best[0].category
    positions = np.arange(len(best))
    ax.barh(
        positions,
        [score.iou for score in best],
        height=BAR_HEIGHT,
        color=colours[category],
    )
    labels = [
        textwrap.shorten(score.concept, 18, placeholder="…") for score in best
    ]
    ax.set_yticks(positions, labels=labels, parse_math=False, fontsize=TINY)
    for position, score in enumerate(best):
        ax.annotate(
            f"{score.iou:.2f}",
            (score.iou, position),
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
    ax.set_title(
        category,
        loc="left",
        fontsize=SMALL,
        color=colours[category],
        parse_math=False,
        pad=2,
    )
