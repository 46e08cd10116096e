"""The tables of the masks format: concepts.csv and image_labels.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nd_plugin import Concept, ConceptSetInvalid, TableLine, read_table

VALUES = 65536


def read_csv(path: Path, columns: Sequence[str]) -> list[TableLine]:
    """The lines of a CSV file that has these columns, all filled; none where it is absent."""
    lines = []
    for where, line in read_table(path, columns) if path.exists() else ():
        cells = {column: line[column] for column in columns}
        empty = [column for column in columns if not cells[column]]
        if empty and any(cells.values()):
            raise ConceptSetInvalid(f"{where}: the column {empty[0]!r} is empty")
        if not empty:
            lines.append((where, cells))
    return lines


def concept_of(line: Mapping[str, str]) -> Concept:
    """The concept that a line names."""
    return Concept(line["name"], line["category"])


def value_tables(rows: Sequence[TableLine], value_of: Mapping[Concept, int]) -> dict[str, npt.NDArray[np.int32]]:
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
