"""CSV texts that `csv.reader` reads back as they were written, whatever a name holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

# both are quoted where they stand in a cell: Python's writer quotes those of its line ends alone
LINE_END = "\r\n"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TEXT_MARK = "'"  # spreadsheets take what follows for a text


class _Lines:
    """File of lines that end in a line feed."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def write(self, line: str) -> None:
        """Add a line, which the writer has ended."""
        self._lines.append(line.removesuffix(LINE_END) + "\n")

    def text(self) -> str:
        """Return all lines."""
        return "".join(self._lines)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table with a line for its columns and one for each row."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator=LINE_END)
    writer.writerow(columns)
    writer.writerows(rows)
    return lines.text()


def csv_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table of rows by column; a column that a row lacks is empty."""
    cells = ([row.get(column, "") for column in columns] for row in rows)
    return csv_text(columns, cells)


def without_formulas(text: str) -> str:
    """Return a CSV text for spreadsheets, which run cells such as ``=HYPERLINK(…)``.

    A cell that begins like a formula, and is no number, gets an apostrophe before it.
    """
    rows = csv.reader(io.StringIO(text, newline=""))
    columns, *others = ([_as_text(cell) for cell in row] for row in rows)
    return csv_text(columns, others)


def _as_text(cell: str) -> str:
    if not cell.startswith(FORMULA_STARTS):
        return cell
    with suppress(ValueError):
        float(cell)
        return cell
    return TEXT_MARK + cell
