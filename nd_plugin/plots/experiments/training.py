"""Figures of a training: emergence of detectors, units that kept or changed their concept.

Sections 3.6 and 3.7 of the paper, figures 17 to 23.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nd_plugin.errors import BadInput
from nd_plugin.plots.curves import (
    BAND_OPACITY,
    PLOT_HEIGHT,
    Repeats,
    grouped_reports,
    plot_emergence,
)
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    LEGEND_ROW,
    TICKS,
    bar_axes,
    legend_above,
    stack_bars,
    styled_panels,
    swatches,
)
from nd_plugin.report.colours import FAINT
from nd_plugin.report.error_bars.texts import unique_interval

ROOM_ABOVE = 1.05  # height of the axis, relative to the end of the highest interval
LEGEND_ROWS = 4  # of a panel, with the categories of Broden and the accuracy
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
            trainings): then curves are means with bands of one standard deviation. Single runs
            with folds have the interval of all unique detectors as a band.
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
    with styled_panels(len(layers), height) as (figure, panels):
        for axes, (name, results) in zip(panels, layers.items(), strict=True):
            plot_emergence(results, steps, axes, xlabel=xlabel)
            if len(layers) > 1:
                axes.set_ylabel(f"unique detectors of\n{name}")
            _add_intervals(axes, steps, results)
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


def _add_intervals(
    ax: Axes, steps: Sequence[float], results: Sequence[Repeats]
) -> None:
    """Draw the intervals of all unique detectors, where each stage has one run, with folds."""
    intervals = [
        unique_interval(repeats[0])
        for repeats in grouped_reports(results)
        if len(repeats) == 1
    ]
    ends = [(item.low, item.high) for item in intervals if item is not None]
    if len(ends) < len(steps):
        return
    order = np.argsort(np.asarray(steps), kind="stable")
    low, high = np.array(ends, dtype=float)[order].T
    ax.set_ylim(top=max(ax.get_ylim()[1], ROOM_ABOVE * float(high.max())))
    ax.fill_between(
        np.asarray(steps)[order],
        low,
        high,
        color=ax.xaxis.label.get_color(),
        alpha=BAND_OPACITY,
        linewidth=0,
    )


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


def check_stages(reports: Sequence[Any], steps: Sequence[Any]) -> None:
    """Raise BadInput for no stage, and for another number of steps."""
    if not reports:
        raise BadInput("no stage to draw")
    if len(reports) != len(steps):
        raise BadInput(f"{len(reports)} stages and {len(steps)} steps")


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
    check_stages(fates, names)
    kinds = list(dict.fromkeys(kind for counts in fates for kind in counts))
    colours = _fate_colours(kinds)
    with bar_axes(ax, names, colours) as axes:
        lengths = stack_bars(axes, fates, colours)
        axes.set_xlim(0, max(lengths) or 1.0)
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
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
