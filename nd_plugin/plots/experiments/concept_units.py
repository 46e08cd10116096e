"""Best units of one concept in each network: figure 11 of the paper."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from nd_plugin.errors import BadInput
from nd_plugin.plots.named_results import Results, named_reports
from nd_plugin.plots.style import (
    COLUMN_WIDTH,
    SMALL,
    styled_axes,
)
from nd_plugin.plots.units import TITLE_HEIGHT, Strip, unit_strip
from nd_plugin.report.layer_report import LayerReport, UnitScore

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

UNITS = 2  # of a concept in each network, as in the paper
IMAGES = 4  # of a unit, as there
TITLE_CHARACTERS = 60
LINE = 0.16  # inches, of a row of text

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
        rows.append(
            _Row(text, pictured_strip(report.dissection, score.unit, images))
        )
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


def pictured_strip(
    dissection: Dissection | None, unit: int, images: int
) -> Strip | None:
    """Return a unit's pictures beside each other; None where it has none."""
    if dissection is None or dissection.pictures is None:
        return None
    view = dissection.show(unit, images=images)
    if view.picture(0) is None:
        return None
    return unit_strip(view)


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
