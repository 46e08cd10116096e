"""Tables of concept sets on disk; errors name the file and the line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.opening import check_regular

# file and line, for messages; stripped cells by column
TableLine = tuple[str, dict[str, str]]

# characters; a longer line is no table's, and is not read further
LONGEST_LINE = 2**20
BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_table(
    path: Path, columns: Sequence[str], hint: str = ""
) -> list[TableLine]:
    """Read the lines of a CSV file in UTF-8, without empty ones.

    Raises ConceptSetInvalid if one of ``columns`` is missing, the file is malformed, or there is
    none; ``hint`` explains what a missing file means. Malformed are also: two columns of one name,
    quotes that are not closed, lines with more or with fewer cells than these columns need, lines
    of more than a million characters, cells of more than 131,072, and NUL characters.
    """
    try:
        check_regular(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(_lines(file, path, columns))
    except FileNotFoundError as error:
        explanation = f": {hint}" if hint else ""
        raise ConceptSetInvalid(
            f"no {path.name} in {path.parent}{explanation}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConceptSetInvalid(_not_utf_8(path)) from error
    except (OSError, ValueError) as error:
        if isinstance(error, ConceptSetInvalid):
            raise
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error


def _lines(file: TextIO, path: Path, columns: Sequence[str]) -> Iterator[TableLine]:
    reader = csv.DictReader(_checked_text(file, path), strict=True)
    try:
        _check_header(reader.fieldnames or (), path, columns)
        for row in reader:
            location = f"{path}, line {reader.line_num}"
            cells = _cells(row, columns, location)
            if any(cells.values()):
                yield location, cells
    except csv.Error as error:
        # that of the DictReader is the last good one's
        line_number = reader.reader.line_num
        raise ConceptSetInvalid(
            f"{path}, line {line_number}: it cannot be read as a CSV file: {error}; a text "
            "that holds a quote belongs in quotes, with its own quotes doubled"
        ) from error


def _cells(
    row: dict[str, str], columns: Sequence[str], location: str
) -> dict[str, str]:
    """Return a line's stripped cells by column; those that the file lacks are empty."""
    surplus = row.pop(None, ())  # type: ignore[call-overload]
    if any(surplus):
        raise ConceptSetInvalid(
            f"{location}: more cells than columns; a text that holds a comma belongs in quotes"
        )
    cells = {column: (text or "").strip() for column, text in row.items()}
    missing = [repr(column) for column in columns if row[column] is None]
    if missing and any(cells.values()):
        raise ConceptSetInvalid(
            f"{location}: it ends before the column {', '.join(missing)}; complete it, with commas "
            "for empty cells"
        )
    return cells


def _check_header(
    header: Sequence[str], path: Path, columns: Sequence[str]
) -> None:
    missing = [repr(column) for column in columns if column not in header]
    if missing:
        raise ConceptSetInvalid(
            f"{path} has no column {', '.join(missing)}; its first line is "
            f"{','.join(header)[:200]!r}, and columns are separated by commas"
        )
    counts = Counter(name for name in header if name)
    repeated = [repr(name) for name, count in counts.items() if count > 1]
    if repeated:
        raise ConceptSetInvalid(
            f"{path}, line 1: the column {', '.join(repeated)} is there more than once; rename or "
            "delete all but one"
        )


def _checked_text(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a file. Raises ConceptSetInvalid for those that no table has."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise ConceptSetInvalid(
                f"{path}, line {number}: it is longer than {LONGEST_LINE} characters; this is no "
                "table with one image or concept a line"
            )
        if "\0" in line:
            raise ConceptSetInvalid(
                f"{path}, line {number}: it holds a NUL character; save the table as UTF-8 text"
            )
        yield line


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
