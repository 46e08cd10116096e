"""Tables for narrow terminals: words stay whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from nd_plugin.borders.printable import on_one_line, one_line

INDENT = (0, 0, 0, 2)  # padding


class TableOfNames(Table):
    """Table whose cells are names, each on one line: brackets in them are no markup."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row of texts."""
        super().add_row(*map(_cell_of_names, cells), **options)


@dataclass(frozen=True)
class FittingTable:
    """Table without rules, whose columns are as wide as their longest word at least.

    Where they do not fit side by side, a row is a block: its first cell, and below it the others,
    each behind the header of its column.
    """

    table: Table

    def __rich_measure__(
        self, console: Console, options: ConsoleOptions
    ) -> Measurement:
        widest = sum(sizes.maximum for sizes in self._sizes(console, options))
        width = min(widest + self._gaps, options.max_width)
        return Measurement(min(1, width), width)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        sizes = self._sizes(console, options)
        widths = fit_widths(sizes, options.max_width - self._gaps)
        if not widths:
            yield from self._blocks()
            return
        for column, width in zip(self.table.columns, widths, strict=True):
            column.width = width
        yield self.table

    @property
    def _gaps(self) -> int:
        """Columns of the terminal between those of the table."""
        _, right, _, left = self.table.padding
        return (right + left) * (len(self.table.columns) - 1)

    def _sizes(
        self, console: Console, options: ConsoleOptions
    ) -> list[Measurement]:
        """Return the longest word and the longest cell of each column."""
        wide = options.update(max_width=10**6)
        sizes = []
        for column in self.table.columns:
            cells = [_cell(cell, column) for cell in column.cells]
            if self.table.show_header:
                cells.append(_cell(column.header, column))
            measured = [Measurement.get(console, wide, cell) for cell in cells]
            longest = max((cell.maximum for cell in measured), default=0)
            word = max((cell.minimum for cell in measured), default=0)
            sizes.append(Measurement(word, longest))
        return sizes

    def _blocks(self) -> Iterator[RenderableType]:
        """Yield each row as lines, one below the other."""
        columns = self.table.columns
        for cells in zip(*(column.cells for column in columns), strict=True):
            first, *following = (
                _cell(cell, column)
                for cell, column in zip(cells, columns, strict=True)
            )
            if not _is_empty(first):
                yield first
            for cell, column in zip(following, columns[1:], strict=True):
                if not _is_empty(cell):
                    yield Padding(self._with_header(cell, column), INDENT)

    def _with_header(self, cell: RenderableType, column: Column) -> RenderableType:
        has_header = self.table.show_header and column.header
        if not has_header or not isinstance(cell, Text):
            return cell
        return Text.assemble((f"{column.header}: ", "dim"), cell)


def fit_widths(sizes: Sequence[Measurement], room: int) -> list[int]:
    """Return the widths of columns that share ``room``: nothing where a word would not fit.

    What is left over beside the longest words goes to the narrowest columns first.
    """
    widths = [size.minimum for size in sizes]
    spare = room - sum(widths)
    if spare < 0:
        return []
    while spare > 0:
        growing = [
            index
            for index, size in enumerate(sizes)
            if widths[index] < size.maximum
        ]
        if not growing:
            break
        narrowest = min(growing, key=lambda index: widths[index])
        widths[narrowest] += 1
        spare -= 1
    return widths


def _cell(cell: RenderableType, column: Column) -> RenderableType:
    if not isinstance(cell, str | Text):
        return cell
    text = Text(cell) if isinstance(cell, str) else cell.copy()
    text.stylize_before(column.style)
    text.no_wrap = column.no_wrap
    return text


def _cell_of_names(cell: RenderableType | None) -> RenderableType | None:
    if isinstance(cell, str):
        return Text(one_line(cell))
    return on_one_line(cell) if isinstance(cell, Text) else cell


def _is_empty(cell: RenderableType) -> bool:
    return isinstance(cell, Text) and not cell.plain.strip()
