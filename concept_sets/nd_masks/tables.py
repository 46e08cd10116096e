"""The tables of the masks format: concepts.csv and image_labels.csv."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nd_plugin import Concept, ConceptSetInvalid

VALUES = 65536
Line = tuple[str, dict[str, str]]  # where it stands, for messages; its cells


def read_csv(path: Path, columns: Sequence[str]) -> list[Line]:
    """The lines of a CSV file that has these columns, all filled; none where it is absent, empty ones left out."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(_lines(csv.DictReader(file), path, columns))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error


def _lines(reader: csv.DictReader[str], path: Path, columns: Sequence[str]) -> Iterator[Line]:
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise ConceptSetInvalid(f"{path} has no column {', '.join(map(repr, missing))}")
    for line in reader:
        where = f"{path}, line {reader.line_num}"
        if any(line.pop(None, ())):
            raise ConceptSetInvalid(f"{where}: more cells than columns; a text that holds a comma belongs in quotes")
        cells = {column: (line[column] or "").strip() for column in columns}
        if not any(cells.values()):
            continue
        empty = [column for column in columns if not cells[column]]
        if empty:
            raise ConceptSetInvalid(f"{where}: the column {empty[0]!r} is empty")
        yield where, cells


def concept_of(line: Mapping[str, str]) -> Concept:
    """The concept that a line names."""
    return Concept(line["name"], line["category"])


def value_tables(rows: Sequence[Line], value_of: Mapping[Concept, int]) -> dict[str, npt.NDArray[np.int32]]:
    """Per category the plane value of every mask value, 0 where it is not listed; the last place is never listed."""
    tables: dict[str, npt.NDArray[np.int32]] = {}
    for where, line in rows:
        text, category = line["value"], line["category"]
        if not text.isdecimal() or len(text) > 9 or int(text) >= VALUES:
            raise ConceptSetInvalid(f"{where}: the value {text!r} is not in 0..{VALUES - 1}")
        table = tables.setdefault(category, np.zeros(VALUES + 1, dtype=np.int32))
        if table[int(text)]:
            raise ConceptSetInvalid(f"{where}: {category} {text} is listed twice")
        table[int(text)] = value_of[concept_of(line)]
    return tables
