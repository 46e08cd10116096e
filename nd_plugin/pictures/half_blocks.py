"""Pictures in terminals: two pixels in each cell, by the upper half block ▀ in two colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.style import Style
from rich.text import Text

Pixels = npt.NDArray[np.uint8]  # (row, column, channel)

UPPER = "▀"
COLOURS = ("256", "truecolor")  # of terminals that can show pictures
GAP = 2  # terminal cells between pictures


def can_show_pictures(console: Console, options: ConsoleOptions) -> bool:
    """Return whether a console is a terminal with colours enough, and with block characters."""
    has_colours = console.color_system in COLOURS and not console.no_color
    return console.is_terminal and has_colours and not options.ascii_only


@dataclass(frozen=True, eq=False)
class HalfBlocks:
    """Pictures beside each other, aligned at the top, a pixel wide per cell."""

    pictures: Sequence[Pixels]

    def __rich_measure__(
        self, console: Console, options: ConsoleOptions
    ) -> Measurement:
        columns = sum(picture.shape[1] + GAP for picture in self.pictures)
        return Measurement(columns, columns)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[Text]:
        most_rows = max(picture.shape[0] for picture in self.pictures)
        for row in range(0, most_rows, 2):
            line = Text(no_wrap=True, end="\n")
            for number, picture in enumerate(self.pictures):
                line.append(" " * GAP if number else "")
                line.append_text(_cells(picture, row))
            line.rstrip()
            yield line


def _cells(picture: Pixels, row: int) -> Text:
    """Return the cells of two rows of pixels; blanks below the picture."""
    columns = picture.shape[1]
    if row >= len(picture):
        return Text(" " * columns)
    cells = Text()
    has_lower_row = row + 1 < len(picture)
    for column in range(columns):
        upper = _colour(picture[row, column])
        lower = _colour(picture[row + 1, column]) if has_lower_row else None
        cells.append(UPPER, Style(color=upper, bgcolor=lower))
    return cells


def _colour(pixel: npt.NDArray[np.uint8]) -> Color:
    red, green, blue = pixel.tolist()
    return Color.from_rgb(red, green, blue)
