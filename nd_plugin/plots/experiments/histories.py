"""Figure of unit histories: labels of a layer's units over a training.

Figures 20 and 21 of the paper follow single units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from nd_plugin.errors import BadInput
from nd_plugin.plots.experiments.training import check_stages
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    COLUMN_WIDTH,
    ROW_HEIGHT,
    TINY,
    legend_above,
    legend_height,
    say_nothing_to_show,
    styled_axes,
    swatches,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import category_colours
from nd_plugin.report.layer_report import LayerReport, UnitScore

UNIT_ROWS = 40  # of a figure
CELL_WIDTH = 0.62  # inches, of a stage
LONGEST_LABEL = 11  # characters in a cell


def plot_histories(
    reports: Sequence[LayerReport],
    steps: Sequence[float],
    ax: Axes | None = None,
    *,
    xlabel: str = "training iteration",
    units: Sequence[int] | None = None,
) -> Axes:
    """Draw the label of units at each stage: a row for each unit, in the colours of categories.

    A cell names the concept where the unit begins to detect it; it is empty where the unit is no
    detector. Figures 20 and 21 of the paper follow single units so.

    Args:
        reports: Of one layer, a report of each stage.
        steps: Step of each stage.
        ax: Axes to draw into; None: of a new pyplot figure.
        xlabel: What steps count.
        units: Units to show; None: those that are detectors at most stages, at most 40.

    Returns:
        The axes.

    Raises:
        BadInput: No stage; another number of steps; a unit that the layer has not.
    """
    check_stages(reports, steps)
    scores = [report.scores for report in reports]
    shown = _history_units(scores) if units is None else list(units)
    _check_units(shown, len(scores[0]))
    colours = category_colours(all_categories(list(reports)))
    categories = _shown_categories(scores, shown)
    legend = {name: colours[name] for name in colours if name in categories}
    height = AXIS_HEIGHT + ROW_HEIGHT * max(len(shown), 1) + legend_height(legend)
    width = max(COLUMN_WIDTH, 0.6 + CELL_WIDTH * len(steps))
    with styled_axes(ax, height, width) as axes:
        _draw_cells(axes, scores, shown, colours)
        axes.set_xticks(range(len(steps)), labels=[f"{step:g}" for step in steps])
        axes.set_yticks(range(len(shown)), labels=[str(unit) for unit in shown])
        axes.set_xlim(-0.5, len(steps) - 0.5)
        axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
        axes.tick_params(length=0)
        axes.set_xlabel(xlabel)
        axes.set_ylabel("unit")
        legend_above(axes, swatches(legend))
        if not shown:
            say_nothing_to_show(axes, "no detectors")
    return axes


def _check_units(units: Sequence[int], count: int) -> None:
    for unit in units:
        if not 0 <= unit < count:
            raise BadInput(f"unit {unit} is none of 0 to {count - 1}")


def _history_units(scores: Sequence[Sequence[UnitScore]]) -> list[int]:
    """Return the units that are detectors at most stages, the highest IoU first, by number."""
    by_unit = list(zip(*scores, strict=True))
    ranks = []
    for unit, history in enumerate(by_unit):
        stages = sum(score.detector for score in history)
        if stages:
            ranks.append((-stages, -max(score.iou for score in history), unit))
    return sorted(unit for _, _, unit in sorted(ranks)[:UNIT_ROWS])


def _shown_categories(
    scores: Sequence[Sequence[UnitScore]], units: Sequence[int]
) -> set[str]:
    return {
        stage[unit].category
        for stage in scores
        for unit in units
        if stage[unit].detector
    }


def _draw_cells(
    ax: Axes,
    scores: Sequence[Sequence[UnitScore]],
    units: Sequence[int],
    colours: Mapping[str, str],
) -> None:
    for row, unit in enumerate(units):
        earlier = ""
        for column, stage in enumerate(scores):
            score = stage[unit]
            concept = score.concept if score.detector else ""
            if concept:
                _draw_cell(ax, row, column, colours[score.category])
            if concept and concept != earlier:
                _write_concept(ax, row, column, concept)
            earlier = concept


def _draw_cell(ax: Axes, row: int, column: int, colour: str) -> None:
    ax.bar(
        column,
        0.92,
        width=1.0,
        bottom=row - 0.46,
        color=to_rgb(colour),
        linewidth=0,
    )


def _write_concept(ax: Axes, row: int, column: int, concept: str) -> None:
    is_long = len(concept) > LONGEST_LABEL
    text = concept[: LONGEST_LABEL - 1] + "…" if is_long else concept
    ax.text(
        column - 0.46,
        row,
        text,
        va="center",
        fontsize=TINY,
        color="white",
        parse_math=False,
        clip_on=True,
    )
