"""Tables of concept sets on disk; errors name the file and the line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.opening import check_regular

# file and line, for messages; stripped cells by column
TableLine = tuple[str, dict[str, str]]

# characters; a longer line is no table's, and is not read further
LONGEST_LINE = 2**20
BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class TableReport(Protocol):
    """Receiver of the faults of tables, in place of the error that they would raise."""

    def __call__(self, rule: str, position: str, message: str, /) -> None:
        """Take a fault: the rule's name, file and line, and the whole message."""


def read_table(
    path: Path, columns: Sequence[str], hint: str = ""
) -> list[TableLine]:
    """Read the lines of a CSV file in UTF-8, without empty ones; see `iterate_table`."""
    return list(iterate_table(path, columns, hint))


def iterate_table(
    path: Path,
    columns: Sequence[str],
    hint: str = "",
    report: TableReport | None = None,
) -> Iterator[TableLine]:
    """Yield the lines of a CSV file in UTF-8, without empty ones, as they are read.

    Raises ConceptSetInvalid if one of ``columns`` is missing, the file is malformed, or there is
    none; ``hint`` explains what a missing file means. Malformed are also: two columns of one name,
    quotes that are not closed, lines with more or with fewer cells than these columns need, lines
    of more than a million characters, cells of more than 131,072, and NUL characters.

    With ``report``, it is called with each fault instead (rule, position, message), and the lines
    are left out that cannot be read.
    """
    table = _Table(path, columns, report or _refuse)
    try:
        check_regular(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from table.lines(file)
    except FileNotFoundError:
        explanation = f": {hint}" if hint else ""
        message = f"no {path.name} in {path.parent}{explanation}"
        table.report("missing-table", str(path), message)
    except UnicodeDecodeError:
        table.report("unreadable-table", str(path), _not_utf_8(path))
        yield from table.undecodable_lines()
    except (OSError, ValueError) as error:
        if isinstance(error, ConceptSetInvalid):
            raise
        message = f"{path} cannot be read: {error}"
        table.report("unreadable-table", str(path), message)


def _refuse(rule: str, position: str, message: str) -> None:
    raise ConceptSetInvalid(message)


def _say_nothing(rule: str, position: str, message: str) -> None:
    """Report nothing."""


@dataclass
class _Table:
    """CSV file whose faults are reported."""

    path: Path
    columns: Sequence[str]
    report: TableReport
    line_number: int = 0  # of the line that was yielded last
    lacks_columns: bool = False  # of those that are reported, not refused

    def undecodable_lines(self) -> Iterator[TableLine]:
        """Yield the lines of a file that is no UTF-8 behind those that were, as they can be read.

        None of a file in UTF-16: that is no text of this encoding at all.
        """
        with self.path.open("rb") as content:
            if content.read(2) in BYTE_ORDER_MARKS:
                return
        lines_before = self.line_number
        silent = _Table(self.path, self.columns, _say_nothing)
        with self.path.open(
            newline="", encoding="utf-8-sig", errors="replace"
        ) as file:
            for line in silent.lines(file):
                if silent.line_number > lines_before:
                    yield line

    def lines(self, file: TextIO) -> Iterator[TableLine]:
        """Yield the lines that can be read."""
        text = _Text(file, self.path, self.report)
        rows = self._rows(text)
        header = next(rows, [])
        if not self._check_header(header):
            return
        width = len(header)
        absent = dict.fromkeys(self.columns, "")
        prefix = f"{self.path}, line "
        for row in rows:
            position = f"{prefix}{text.number}"
            if len(row) != width and not self._fit_width(row, header, position):
                continue
            cells = dict(zip(header, map(str.strip, row), strict=False))
            if self.lacks_columns:
                cells = {**absent, **cells}
            if any(cells.values()):
                self.line_number = text.number
                yield position, cells

    def _rows(self, text: _Text) -> Iterator[list[str]]:
        """Yield the cells of each line; empty lines behind the first are left out."""
        is_first = True
        while True:
            # a new one after each fault: it goes on behind the faulty line
            reader = csv.reader(text, strict=True)
            try:
                for row in reader:
                    if row or is_first:
                        is_first = False
                        yield row
                return
            except csv.Error as error:
                position = f"{self.path}, line {text.number}"
                message = (
                    f"{position}: it cannot be read as a CSV file: {error}; a text "
                    "that holds a quote belongs in quotes, with its own quotes doubled"
                )
                self.report("table-line", position, message)

    def _fit_width(
        self, row: list[str], header: Sequence[str], position: str
    ) -> bool:
        """Give a line as many cells as there are columns; return whether that is possible."""
        surplus = row[len(header) :]
        if any(surplus):
            message = (
                f"{position}: more cells than columns; a text that holds a comma belongs in "
                "quotes"
            )
            self.report("table-line", position, message)
            return False
        absent = header[len(row) :]
        missing = [repr(column) for column in self.columns if column in absent]
        if missing and any(map(str.strip, row)):
            message = (
                f"{position}: it ends before the column {', '.join(missing)}; complete it, with "
                "commas for empty cells"
            )
            self.report("table-line", position, message)
            return False
        row += [""] * len(absent)
        return True

    def _check_header(self, header: Sequence[str]) -> bool:
        """Return whether lines can be read under this header: the first column at least."""
        missing = [repr(column) for column in self.columns if column not in header]
        if missing:
            message = (
                f"{self.path} has no column {', '.join(missing)}; its first line is "
                f"{','.join(header)[:200]!r}, and columns are separated by commas"
            )
            self.report("missing-column", f"{self.path}, line 1", message)
        counts = Counter(name for name in header if name)
        repeated = [repr(name) for name, count in counts.items() if count > 1]
        if repeated:
            position = f"{self.path}, line 1"
            message = (
                f"{position}: the column {', '.join(repeated)} is there more than once; rename or "
                "delete all but one"
            )
            self.report("repeated-column", position, message)
        self.lacks_columns = bool(missing)
        return self.columns[0] in header and not repeated


@dataclass
class _Text:
    """Lines of a file, counted; those that no table has are reported and left out."""

    file: TextIO
    path: Path
    report: TableReport
    number: int = 0  # of the line that was read last

    def __iter__(self) -> Iterator[str]:
        while line := self.file.readline(LONGEST_LINE + 1):
            self.number += 1
            if len(line) > LONGEST_LINE:
                self._report(
                    f"it is longer than {LONGEST_LINE} characters; this is no table with one "
                    "image or concept a line"
                )
                return
            if "\0" in line:
                self._report(
                    "it holds a NUL character; save the table as UTF-8 text"
                )
                continue
            yield line

    def _report(self, problem: str) -> None:
        position = f"{self.path}, line {self.number}"
        self.report("table-line", position, f"{position}: {problem}")


def _not_utf_8(path: Path) -> str:
    """Return the message for a table that is not UTF-8, with the first such line."""
    content = path.read_bytes()
    encoding = BYTE_ORDER_MARKS.get(content[:2])
    kind = f" (it begins like {encoding})" if encoding else ""
    try:
        content.decode("utf-8")
        number, reason = 1, "utf-8 text is expected"
    except UnicodeDecodeError as error:
        number = _line_number(content[: error.start])
        reason = str(error)
    return (
        f"{path} cannot be read: line {number} is no UTF-8 text: {reason}{kind}; save the table "
        "as UTF-8"
    )


def _line_number(content: bytes) -> int:
    """Return the number of the line that begins or goes on behind some content."""
    return len((content + b"x").splitlines())
