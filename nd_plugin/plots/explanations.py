"""Figures by matplotlib, shown by notebooks once, and the masks of explanations.

matplotlib takes a second to import: this module is imported where a figure is drawn.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nd_plugin.errors import BadInput
from nd_plugin.report.explanation_record import (
    ExplanationRecord,
    Pixels,
    RankedUnit,
)
from nd_plugin.report.mask_overlays import overlay

PANEL_WIDTH = 2.2  # inches
LINE_HEIGHT = 0.155  # inches, of a line of a title
TITLE_MARGIN = 0.14  # inches, above and below a title
PICTURE_SHARE = 0.78  # of the height of a panel inside of axes
GAP = 0.05  # between panels inside of axes, as a fraction of a panel's width
FONT_SIZE = 9.0  # points, of titles
TITLE_CHARACTERS = 30  # in a line of a title

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
            title = f"{_folded(record.name)}\n{record.output:.4g}"
            row.insert(0, Panel(record.image, title))
    columns = max(len(row) for row in rows)
    grid = _grid(ax, len(rows), columns, _title_height(rows))
    for row_axes, row in zip(grid, rows, strict=True):
        _draw_row(row_axes, row, shrink=ax is not None)
    return cast(Figure, grid[0, 0].figure)


def _unit_panels(
    record: ExplanationRecord,
    records: Sequence[ExplanationRecord],
    units: int | Sequence[int] | None,
) -> list[Panel | None]:
    """Return a panel for each unit; None for a chosen unit that only other records name."""
    if units is None:
        return [_unit_panel(record, unit) for unit in record.units]
    numbers = unit_numbers(units)
    _check_explained(numbers, records)
    units_by_number = {unit.unit: unit for unit in record.units}
    panels: list[Panel | None] = []
    for number in numbers:
        unit = units_by_number.get(number)
        panels.append(None if unit is None else _unit_panel(record, unit))
    return panels


def unit_numbers(units: int | Sequence[int]) -> list[int]:
    """Return one unit or several, NumPy's integers too, as a list. Raises BadInput for others."""
    numbers = np.atleast_1d(np.array(units))
    if numbers.size and numbers.dtype.kind not in "iu":
        raise BadInput(f"units is {units!r}; expected a unit's number, or several")
    return [int(number) for number in numbers]


def _unit_panel(record: ExplanationRecord, unit: RankedUnit) -> Panel:
    lines = [
        _folded(unit.label),
        f"unit {unit.unit}, {unit.contribution:+.3g}",
        f"{unit.share:.1%} of Σ|contribution|",
    ]
    return Panel(overlay(record.image, unit.mask), "\n".join(lines))


def _folded(name: str) -> str:
    """Fold a long name into lines as wide as a panel."""
    return textwrap.fill(name, TITLE_CHARACTERS)


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


def _title_height(rows: Sequence[Sequence[Panel | None]]) -> float:
    """Return the height of the longest title, in inches."""
    titles = [panel.title for row in rows for panel in row if panel is not None]
    lines = max(title.count("\n") + 1 for title in titles)
    return LINE_HEIGHT * lines + TITLE_MARGIN


def _grid(ax: Any, rows: int, columns: int, title_height: float) -> Grid:
    """Return axes of panels: of a new figure, inside of one Axes, or those that are given."""
    if ax is None:
        size = (PANEL_WIDTH * columns, (PANEL_WIDTH + title_height) * rows)
        _, axes = plt.subplots(
            rows,
            columns,
            figsize=size,
            squeeze=False,
            layout="compressed",
            FigureClass=NotebookFigure,
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
