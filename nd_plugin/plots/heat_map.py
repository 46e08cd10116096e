"""Concepts of several layers: a heat map of the units that detect each concept in each layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from nd_plugin.errors import BadInput
from nd_plugin.plots.named_results import Results, reports_of_units
from nd_plugin.plots.style import (
    COLUMN_WIDTH,
    TINY,
    folded,
    names_width,
    row_height,
    say_nothing_to_show,
    styled_axes,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import category_colours
from nd_plugin.report.layer_report import LayerReport

ConceptKey = tuple[str, str]  # category and name
CELL_HEIGHT = 0.165  # inches
CELL_WIDTH = 0.35  # inches
FRAME_HEIGHT = 0.4  # inches
COLOUR_SCALE = "cividis"  # colour-blind readers order it as others do
LIGHT = 0.5  # share of the scale from which on texts are black
LABELS = {"units": "units that detect the concept", "iou": "best IoU"}


def plot_heat_map(
    results: Results,
    ax: Axes | None = None,
    *,
    concepts: int | Sequence[str] = 24,
    value: Literal["units", "iou"] = "units",
) -> Axes:
    """Draw concepts (rows) against layers (columns): how many units detect each, or how well.

    Concepts stand by category, in its colour, those with most detectors first. A cell is empty
    where no unit detects the concept.

    Args:
        results: Dissections or reports in a list, or in a dict with their names; the columns.
        ax: Axes to draw into; None: of a new pyplot figure.
        concepts: Names of concepts, or a number: that many with most detectors in all results.
        value: "units", the number of detectors; "iou", the IoU of the best detector.

    Returns:
        The axes.

    Raises:
        BadInput: No result, or what is none; a concept that no unit detects; another value.
    """
    if value not in LABELS:
        raise BadInput(f"value is {value!r}; expected one of {', '.join(LABELS)}")
    reports = reports_of_units(results)
    keys = _chosen_concepts(reports, concepts)
    table = _table(list(reports.values()), keys, value)
    concept_names = [name for _, name in keys]
    cell_height = row_height(concept_names, CELL_HEIGHT)
    height = FRAME_HEIGHT + cell_height * max(len(keys), 4)
    # names of results are turned by 30 degrees
    height += names_width(reports) / 2
    width = names_width(concept_names) + CELL_WIDTH * len(reports)
    with styled_axes(ax, height, max(COLUMN_WIDTH, width)) as axes:
        if not keys:
            axes.set_axis_off()
            say_nothing_to_show(axes, "no detectors")
            return axes
        mesh = axes.pcolormesh(
            np.ma.masked_equal(table, 0), cmap=COLOUR_SCALE, vmin=0, linewidth=0
        )
        mesh.set_edgecolor("face")
        _name_rows_and_columns(axes, reports, keys)
        _write_values(axes, mesh, table, "{:.0f}" if value == "units" else "{:.2f}")
        axes.set_title(LABELS[value], pad=4)
    return axes


def _chosen_concepts(
    reports: Mapping[str, LayerReport], concepts: int | Sequence[str]
) -> list[ConceptKey]:
    """Return the concepts of the rows, by category and number of detectors."""
    counts: Counter[ConceptKey] = Counter()
    for report in reports.values():
        detectors = [score for score in report.scores if score.detector]
        counts.update((score.category, score.concept) for score in detectors)
    by_count = sorted(counts, key=lambda key: (-counts[key], key))
    chosen = _limited(by_count, concepts)
    order = all_categories(list(reports.values()))
    return sorted(chosen, key=lambda key: order.index(key[0]))


def _limited(
    keys: Sequence[ConceptKey], concepts: int | Sequence[str]
) -> list[ConceptKey]:
    """Return the first concepts, or those of some names. Raises BadInput for an unknown name."""
    if isinstance(concepts, int):
        return list(keys[:concepts])
    names = [concepts] if isinstance(concepts, str) else concepts
    detected = {name for _, name in keys}
    for name in names:
        if name not in detected:
            raise BadInput(f"no unit of these results detects {name!r}")
    return [key for key in keys if key[1] in names]


def _table(
    reports: Sequence[LayerReport], keys: Sequence[ConceptKey], value: str
) -> npt.NDArray[np.float64]:
    """Return (concept, result): the number of detectors, or the IoU of the best."""
    table = np.zeros((len(keys), len(reports)))
    rows = {key: row for row, key in enumerate(keys)}
    for column, report in enumerate(reports):
        for score in report.scores:
            row = rows.get((score.category, score.concept))
            if row is None or not score.detector:
                continue
            if value == "units":
                table[row, column] += 1
            else:
                table[row, column] = max(table[row, column], score.iou)
    return table


def _name_rows_and_columns(
    ax: Axes, reports: Mapping[str, LayerReport], keys: Sequence[ConceptKey]
) -> None:
    colours = category_colours(all_categories(list(reports.values())))
    row_centres = np.arange(len(keys)) + 0.5
    ax.set_yticks(
        row_centres, labels=[folded(name) for _, name in keys], parse_math=False
    )
    for label, (category, _) in zip(ax.get_yticklabels(), keys, strict=True):
        label.set_color(colours[category])
    column_centres = np.arange(len(reports)) + 0.5
    ax.set_xticks(
        column_centres,
        labels=[folded(name) for name in reports],
        rotation=30,
        ha="right",
        rotation_mode="anchor",
        parse_math=False,
    )
    ax.tick_params(length=0)
    ax.set_ylim(len(keys), 0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _write_values(
    ax: Axes, mesh: QuadMesh, table: npt.NDArray[np.float64], form: str
) -> None:
    """Write the value into each cell that has one, black on light and white on dark."""
    highest = table.max()
    for row, column in zip(*np.nonzero(table), strict=True):
        is_light = table[row, column] / highest > LIGHT
        ax.text(
            column + 0.5,
            row + 0.5,
            form.format(table[row, column]),
            ha="center",
            va="center",
            fontsize=TINY,
            color="black" if is_light else "white",
        )
