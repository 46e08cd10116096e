"""Figures of a training: emergence of detectors, histories of units, kept and changed concepts.

Sections 3.6 and 3.7 of the paper, figures 17 to 23.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.plots.curves import PLOT_HEIGHT, Repeats, plot_emergence
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    COLUMN_WIDTH,
    LEGEND_ROW,
    ROW_HEIGHT,
    STYLE,
    TINY,
    NotebookFigure,
    legend_above,
    legend_height,
    say_nothing_to_show,
    styled_axes,
    swatches,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import FAINT, category_colours
from nd_plugin.report.layer_report import LayerReport, UnitScore

LEGEND_ROWS = 4  # of a panel, with the categories of Broden and the accuracy
UNIT_ROWS = 40  # of a figure of histories
CELL_WIDTH = 0.62  # inches, of a stage
LONGEST_LABEL = 11  # characters in a cell
# a large ratio of steps, or of the second to the last, is read on a logarithmic axis
LOG_FROM = 100.0
FATE_COLOURS = {
    "kept": "#0087d7",
    "changed": "#d75f00",
    "lost": "#767676",
    "gained": "#00875f",
}


def plot_training(
    layers: Mapping[str, Sequence[Repeats]],
    steps: Sequence[float],
    accuracies: Sequence[float] = (),
    *,
    xlabel: str = "training iteration",
) -> Figure:
    """Draw unique detectors over a training, a panel for each layer, with the accuracy beside them.

    Args:
        layers: By layer, a dissection or report of each stage, or a list of repeats (several
            trainings): then curves are means with bands of one standard deviation.
        steps: Step of each stage.
        accuracies: Of each stage, NaN for none; empty: none is known.
        xlabel: What steps count.

    Returns:
        The figure.

    Raises:
        BadInput: No layer; another number of stages.
    """
    if not layers:
        raise BadInput("no layer to draw")
    if accuracies and len(accuracies) != len(steps):
        raise BadInput(f"{len(accuracies)} accuracies for {len(steps)} stages")
    height = AXIS_HEIGHT + PLOT_HEIGHT + LEGEND_ROWS * LEGEND_ROW
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(layers),
            1,
            figsize=(COLUMN_WIDTH, height * len(layers)),
            layout="constrained",
            squeeze=False,
            FigureClass=NotebookFigure,
        )
        for axes, (name, results) in zip(grid[:, 0], layers.items(), strict=True):
            plot_emergence(results, steps, axes, xlabel=xlabel)
            if len(layers) > 1:
                axes.set_ylabel(f"unique detectors of\n{name}")
            _set_step_axis(axes, steps)
            if any(map(math.isfinite, accuracies)):
                _add_accuracy(axes, steps, accuracies)
    return figure


def _set_step_axis(ax: Axes, steps: Sequence[float]) -> None:
    """Make the axis of steps logarithmic where they differ widely; 0 stays on it."""
    positive = [step for step in steps if step > 0]
    if len(positive) < 2 or max(positive) / min(positive) < LOG_FROM:
        return
    if min(steps) < 0:
        return
    if min(steps) == 0:
        ax.set_xscale("symlog", linthresh=min(positive))
    else:
        ax.set_xscale("log")


def _add_accuracy(
    ax: Axes, steps: Sequence[float], accuracies: Sequence[float]
) -> None:
    order = np.argsort(np.asarray(steps), kind="stable")
    own_colour = ax.xaxis.label.get_color()
    right = ax.twinx()
    right.plot(
        np.asarray(steps)[order],
        np.asarray(accuracies)[order],
        color=own_colour,
        linestyle="--",
        linewidth=1.0,
        label="accuracy",
    )
    right.set_ylim(bottom=0)
    right.set_ylabel("accuracy (dashed)")
    right.spines["right"].set_visible(True)


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
    _check_stages(reports, steps)
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


def _check_stages(reports: Sequence[Any], steps: Sequence[float]) -> None:
    if not reports:
        raise BadInput("no stage to draw")
    if len(reports) != len(steps):
        raise BadInput(f"{len(reports)} stages and {len(steps)} steps")


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


def plot_kept(
    fates: Sequence[Mapping[str, int]],
    names: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw a bar for each transition between stages: units kept, changed, lost and gained.

    Args:
        fates: Of each transition, counts under "kept", "lost", "gained", and under the kinds of
            change.
        names: Of each transition, such as "1 to 10".
        ax: Axes to draw into; None: of a new pyplot figure.

    Returns:
        The axes.

    Raises:
        BadInput: No transition; another number of names.
    """
    _check_stages(fates, [0.0] * len(names))
    kinds = list(dict.fromkeys(kind for counts in fates for kind in counts))
    colours = _fate_colours(kinds)
    height = AXIS_HEIGHT + ROW_HEIGHT * len(fates) + legend_height(colours)
    with styled_axes(ax, height) as axes:
        left = np.zeros(len(fates))
        for kind, colour in colours.items():
            counts = np.array([count.get(kind, 0) for count in fates], dtype=float)
            axes.barh(range(len(fates)), counts, 0.72, left=left, color=colour)
            left += counts
        axes.set_yticks(range(len(fates)), labels=list(names), parse_math=False)
        axes.set_ylim(len(fates) - 0.5, -0.5)
        axes.set_xlim(0, float(left.max()) or 1.0)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("units")
        legend_above(axes, swatches(colours))
    return axes


def _fate_colours(kinds: Sequence[str]) -> dict[str, Any]:
    """Return the colour of each fate; kinds of change are shades of one colour."""
    changes = [kind for kind in kinds if kind not in FATE_COLOURS]
    shades = np.linspace(0.0, 0.65, max(len(changes), 1))
    base = np.array(to_rgb(FATE_COLOURS["changed"]))
    colours: dict[str, Any] = {}
    for kind in ("kept", *changes, "lost", "gained"):
        if kind not in kinds:
            continue
        if kind in FATE_COLOURS:
            colours[kind] = FATE_COLOURS[kind]
        else:
            shade = shades[changes.index(kind)]
            colours[kind] = tuple((1 - shade) * base + shade)
    return colours or {"none": FAINT}
