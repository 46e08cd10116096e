"""Figures by matplotlib: masks of explanations, and concepts that a layer's units detect.

matplotlib takes a second to import: this module is imported where a figure is drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.report.explanation_record import (
    ExplanationRecord,
    Pixels,
    RankedUnit,
)
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.report.mask_overlays import overlay
from nd_plugin.report.terminal import plural

PANEL_WIDTH = 2.2  # inches
TITLE_HEIGHT = 0.65  # inches, of three lines
PICTURE_SHARE = PANEL_WIDTH / (PANEL_WIDTH + TITLE_HEIGHT)  # of a panel's height
GAP = 0.05  # between panels inside of axes, as a fraction of a panel's width
FONT_SIZE = 9.0  # points, of titles
CHART_WIDTH = 7.0  # inches
FEWEST_BARS = 4  # that the height is enough for
BAR_HEIGHT = 0.22  # inches, with the gap to the next bar
CHART_FRAME = 1.4  # inches above and below the bars
PALETTE = [f"C{number}" for number in range(10)]  # matplotlib's cycle of colours

Grid = npt.NDArray[np.object_]  # (row, column), Axes


class NotebookFigure(Figure):
    """Figure of pyplot that a notebook shows once.

    Jupyter's inline backend shows the figure that a cell results in, and after the cell all figures
    that are open. This one is closed when it is shown. Other backends are left alone.
    """

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        if "inline" in plt.get_backend():
            plt.close(self)
        return {}  # the formats are those of any figure


@dataclass(frozen=True, eq=False)
class Panel:
    """Picture and its title."""

    picture: Pixels
    title: str


def plot_explanations(
    records: Sequence[ExplanationRecord],
    units: int | Sequence[int] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw a row for each explanation: the image, then its units' masks and concepts.

    ``units`` chooses units and their order. ``ax`` is one Axes, that is divided into panels (for
    one unit of one explanation it shows that unit alone), or as many as there are panels.
    Raises BadInput for no explanation, for units that none of them names, and for another number
    of axes.
    """
    if not records:
        raise BadInput("no explanation to plot")
    rows = [_unit_panels(record, records, units) for record in records]
    if not (isinstance(ax, Axes) and len(rows) == len(rows[0]) == 1):
        for row, record in zip(rows, records, strict=True):
            title = f"{record.name}\n{record.output:.4g}"
            row.insert(0, Panel(record.image, title))
    columns = max(len(row) for row in rows)
    grid = _grid(ax, len(rows), columns)
    for row_axes, row in zip(grid, rows, strict=True):
        _draw_row(row_axes, row, shrink=ax is not None)
    figure: Figure = grid[0, 0].figure
    if ax is None:
        figure.tight_layout()
    return figure


def _unit_panels(
    record: ExplanationRecord,
    records: Sequence[ExplanationRecord],
    units: int | Sequence[int] | None,
) -> list[Panel | None]:
    """Return a panel for each unit; None for a chosen unit that only other records name."""
    if units is None:
        return [_unit_panel(record, unit) for unit in record.units]
    numbers = _unit_numbers(units)
    _check_explained(numbers, records)
    units_by_number = {unit.unit: unit for unit in record.units}
    panels: list[Panel | None] = []
    for number in numbers:
        unit = units_by_number.get(number)
        panels.append(None if unit is None else _unit_panel(record, unit))
    return panels


def _unit_numbers(units: int | Sequence[int]) -> list[int]:
    """Return one unit or several, NumPy's integers too, as a list. Raises BadInput for others."""
    numbers = np.atleast_1d(np.array(units))
    if numbers.size and numbers.dtype.kind not in "iu":
        raise BadInput(f"units is {units!r}; expected a unit's number, or several")
    return [int(number) for number in numbers]


def _unit_panel(record: ExplanationRecord, unit: RankedUnit) -> Panel:
    lines = [
        unit.label,
        f"unit {unit.unit}, {unit.contribution:+.3g}",
        f"{unit.share:.1%} of Σ|contribution|",
    ]
    return Panel(overlay(record.image, unit.mask), "\n".join(lines))


def _check_explained(
    numbers: Sequence[int], records: Sequence[ExplanationRecord]
) -> None:
    """Raise BadInput for a unit that no explanation names."""
    explained = {unit.unit for record in records for unit in record.units}
    for number in numbers:
        if number not in explained:
            listed = ", ".join(str(unit) for unit in sorted(explained)) or "none"
            raise BadInput(
                f"unit {number} is not among the explained units ({listed}): "
                f"choose one of them, or explain with a larger top_k"
            )


def _grid(ax: Any, rows: int, columns: int) -> Grid:
    """Return axes of panels: of a new figure, inside of one Axes, or those that are given."""
    if ax is None:
        size = (PANEL_WIDTH * columns, (PANEL_WIDTH + TITLE_HEIGHT) * rows)
        _, axes = plt.subplots(
            rows, columns, figsize=size, squeeze=False, FigureClass=NotebookFigure
        )
        return cast(Grid, axes)
    if not isinstance(ax, Axes):
        return _reshaped(ax, rows, columns)
    if rows == columns == 1:
        return np.array([[ax]], dtype=object)
    return _panels_inside(ax, rows, columns)


def _reshaped(axes: Any, rows: int, columns: int) -> Grid:
    """Arrange given axes in rows. Raises BadInput for another number, or for no axes."""
    flat_axes = np.ravel(np.array(axes, dtype=object))
    are_axes = all(isinstance(axis, Axes) for axis in flat_axes)
    if not are_axes or len(flat_axes) != rows * columns:
        raise BadInput(
            f"ax is {len(flat_axes)} objects of {type(axes).__name__}; expected one Axes, or "
            f"{rows * columns} of them, one for each panel ({rows} x {columns})"
        )
    return cast(Grid, flat_axes.reshape(rows, columns))


def _panels_inside(ax: Axes, rows: int, columns: int) -> Grid:
    """Divide axes into panels with room for a title above each; a single row is wrapped."""
    ax.set_axis_off()
    panels = rows * columns
    columns_inside = math.ceil(math.sqrt(panels)) if rows == 1 else columns
    rows_inside = math.ceil(panels / columns_inside)
    width = 1 / columns_inside
    height = 1 / rows_inside
    axes = np.empty(panels, dtype=object)
    for panel in range(panels):
        row, column = divmod(panel, columns_inside)
        bottom = 1 - (row + 1) * height
        size = (width * (1 - GAP), height * PICTURE_SHARE)
        axes[panel] = ax.inset_axes((column * width, bottom, *size))
    return axes.reshape(rows, columns)


def _font_size(axis: Axes) -> float:
    """Return the size of a title: smaller above a panel that is smaller than in our figures."""
    box = axis.get_window_extent()
    dots_per_inch = axis.figure.dpi
    width = box.width / dots_per_inch
    height = box.height / dots_per_inch
    return FONT_SIZE * min(1.0, width / PANEL_WIDTH, height / PANEL_WIDTH)


def _draw_row(
    axes: Sequence[Axes], panels: Sequence[Panel | None], *, shrink: bool
) -> None:
    """Draw panels; hide axes that have none."""
    for column, axis in enumerate(axes):
        panel = panels[column] if column < len(panels) else None
        if panel is None:
            axis.set_visible(False)
            continue
        font_size = _font_size(axis) if shrink else FONT_SIZE
        axis.imshow(panel.picture)
        axis.set_title(panel.title, fontsize=font_size, parse_math=False)
        axis.set_axis_off()


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
    numbers = _unit_numbers(units)
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
    colours = {
        category: PALETTE[index % len(PALETTE)]
        for index, category in enumerate(report.categories)
    }
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
