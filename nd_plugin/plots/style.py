"""One style for all plots, that leaves the user's settings of matplotlib alone.

matplotlib takes a second to import: modules of this package are imported where a plot is drawn.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import (
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text

from nd_plugin.borders.printable import printable
from nd_plugin.errors import BadInput
from nd_plugin.report.colours import category_colours

COLUMN_WIDTH = 3.5  # inches, of a paper with two columns
ROW_HEIGHT = 0.24  # inches, of a bar and the gap to the next
BAR_SHARE = 0.72  # of the height of a row
BAR_WIDTH = 2.2  # inches, of the longest bar, its total included
BAR_GAP = 4.0  # points, between a bar and the text behind it
TICKS = 6  # at most, on an axis of counts
AXIS_HEIGHT = 0.55  # inches, of an axis with its label
LEGEND_ROW = 0.17  # inches
LINE_HEIGHT = 0.125  # inches, of small text
LEGEND_COLUMNS = 3  # of short names
SHORT_NAME = 12  # characters
LONGEST_LINE = 34  # characters of a name, in a legend or beside an axis
CHARACTER_WIDTH = 0.058  # inches, of small text
SMALL = 7.0  # points; a paper's captions have 8
TINY = 6.0  # points, of texts inside of a plot

# Colours of texts and backgrounds are the user's own: `plt.style.use("dark_background")`.
STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.0,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.0,
    "legend.handleheight": 0.9,
    "legend.columnspacing": 1.2,
    "legend.borderpad": 0.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.dpi": 120.0,
}


class NotebookFigure(Figure):
    """Figure of pyplot that a notebook shows once.

    Jupyter's inline backend shows the figure that a cell results in, and after the cell all figures
    that are open. This one is closed when it is shown. Other backends are left alone.
    """

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        if "inline" in plt.get_backend():
            plt.close(self)
        return {}  # the formats are those of any figure

    def draw(self, renderer: Any) -> None:
        """Draw the figure, whatever names it has."""
        with printable_texts():
            super().draw(renderer)


@contextmanager
def printable_texts() -> Iterator[None]:
    """Let matplotlib draw names without the characters that no font and no XML has.

    Half a character, a byte of a file name that is no UTF-8, is an error of its font library.
    """
    own_text = Text.get_text
    setattr(Text, "get_text", lambda text: printable(own_text(text)))  # noqa: B010
    try:
        yield
    finally:
        setattr(Text, "get_text", own_text)  # noqa: B010


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in our style; the user's rcParams are the same afterwards.

    Only "interactive" stays as it is at the end: a notebook's backend sets it when it draws its
    first figure, and shows no later one without it.
    """
    is_interactive = plt.isinteractive()
    try:
        with plt.rc_context(STYLE), printable_texts():
            try:
                yield
            finally:
                is_interactive = plt.isinteractive()
    finally:
        matplotlib.interactive(is_interactive)


@contextmanager
def styled_axes(
    ax: Axes | None, height: float, width: float = COLUMN_WIDTH
) -> Iterator[Axes]:
    """Yield the axes to draw into: those given, in their own style, or new ones in ours.

    New ones belong to a new pyplot figure of ``width`` x ``height`` inches. The user's rcParams are
    the same afterwards. Raises BadInput for what are no axes.
    """
    if ax is not None:
        check_axes(ax)
        with printable_texts():
            yield ax
        return
    with house_style():
        _, axes = plt.subplots(
            figsize=(width, height),
            layout="constrained",
            FigureClass=NotebookFigure,
        )
        yield axes


@contextmanager
def styled_panels(
    count: int, height: float
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """Yield a new pyplot figure in our style, and axes below each other, of ``height`` inches."""
    with house_style():
        figure, grid = plt.subplots(
            count,
            figsize=(COLUMN_WIDTH, count * height),
            layout="constrained",
            squeeze=False,
            FigureClass=NotebookFigure,
        )
        yield figure, list(grid[:, 0])


@contextmanager
def bar_axes(
    ax: Axes | None, names: Collection[str], legend: Collection[str] = ()
) -> Iterator[Axes]:
    """Yield `styled_axes` with a row for each name, the first at the top, and room for a legend."""
    rows = max(len(names), 1)
    height = AXIS_HEIGHT + rows * row_height(names, ROW_HEIGHT)
    width = max(COLUMN_WIDTH, BAR_WIDTH + names_width(names))
    with styled_axes(ax, height + legend_height(legend), width) as axes:
        labels = [folded(name) for name in names]
        axes.set_yticks(range(len(names)), labels=labels, parse_math=False)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        yield axes


def shown_colours(
    categories: Iterable[str], bars: Collection[Mapping[str, float]]
) -> dict[str, str]:
    """Return the colours of the categories that any bar has a part of."""
    return {
        category: colour
        for category, colour in category_colours(categories).items()
        if any(bar.get(category) for bar in bars)
    }


def stack_bars(
    ax: Axes, bars: Sequence[Mapping[str, float]], colours: Mapping[str, Any]
) -> list[float]:
    """Draw a bar of coloured parts in each row; return the lengths of the bars."""
    ends = np.zeros(len(bars))
    for part, colour in colours.items():
        widths = np.array([bar.get(part, 0) for bar in bars], np.float64)
        ax.barh(
            range(len(bars)),
            widths,
            left=ends,
            height=BAR_SHARE,
            color=colour,
            # parts are told apart where two colours look alike
            edgecolor=ax.get_facecolor(),
            linewidth=0.6,
            label=part,
        )
        ends = ends + widths
    lengths: list[float] = ends.tolist()
    return lengths


def write_behind(ax: Axes, end: float, row: int, text: str) -> None:
    """Write a text behind the end of a bar."""
    ax.annotate(
        text,
        (end, row),
        xytext=(BAR_GAP, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
    )


def check_axes(ax: Any) -> None:
    """Raise BadInput for what are no axes of matplotlib."""
    if not isinstance(ax, Axes):
        raise BadInput(
            f"ax is of type {type(ax).__name__}; expected one Axes of matplotlib"
        )


def folded(name: str) -> str:
    """Return a name in lines of at most 34 characters; cut between words where there are some."""
    lines = textwrap.wrap(name, LONGEST_LINE, break_on_hyphens=False)
    return "\n".join(lines)


def names_width(names: Iterable[str]) -> float:
    """Return the width of the longest name, folded, as small text, in inches."""
    lines = [line for name in names for line in folded(name).splitlines()]
    return CHARACTER_WIDTH * max(map(len, lines), default=0)


def row_height(names: Iterable[str], least: float) -> float:
    """Return the height of a row with a name beside it, in inches: ``least`` or more."""
    lines = max((folded(name).count("\n") + 1 for name in names), default=1)
    return max(least, LINE_HEIGHT * lines)


def legend_height(names: Collection[str]) -> float:
    """Return the height of `legend_above` with such entries, in inches."""
    if not names:
        return 0.0
    lines = max(folded(name).count("\n") + 1 for name in names)
    rows = math.ceil(len(names) / _legend_columns(names))
    return rows * lines * LEGEND_ROW + 0.1


def _legend_columns(names: Iterable[str]) -> int:
    are_short = all(len(name) <= SHORT_NAME for name in names)
    return LEGEND_COLUMNS if are_short else 1


def legend_above(ax: Axes, handles: Sequence[Any]) -> None:
    """Put a legend above axes, where it hides nothing."""
    if not handles:
        return
    names = [str(handle.get_label()) for handle in handles]
    legend = ax.legend(
        handles=list(handles),
        labels=[folded(name) for name in names],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=_legend_columns(names),
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def swatches(colours: Mapping[str, Any]) -> list[Patch]:
    """Return the entries of a legend that names colours."""
    return [Patch(color=colour, label=name) for name, colour in colours.items()]


def say_nothing_to_show(ax: Axes, message: str) -> None:
    """Write into axes why they are empty."""
    ax.text(0.5, 0.5, message, ha="center", va="center", transform=ax.transAxes)
