"""Tables of the masks format: concepts.csv and image_labels.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nd_plugin import Concept, ConceptSetInvalid, TableLine, read_table

VALUE_COUNT = 65536  # values that a 16 bit mask can hold
UNLISTED = VALUE_COUNT  # index into a value table for values beyond 16 bits: always unlabelled
VALUES_NAMED = 3  # unlisted values of one mask, one by one


def read_csv(path: Path, columns: Sequence[str]) -> list[TableLine]:
    """Return a CSV file's lines, cut down to these columns; no lines if the file is absent.

    Lines in which all of these columns are empty are skipped. Raises ConceptSetInvalid for a line
    in which only some of them are filled.
    """
    if not path.exists():
        return []
    lines = []
    for position, line in read_table(path, columns):
        cells = {column: line[column] for column in columns}
        if not any(cells.values()):
            continue
        for column, cell in cells.items():
            if not cell:
                raise ConceptSetInvalid(
                    f"{position}: the column {column!r} is empty; fill it in or delete the line"
                )
        lines.append((position, cells))
    return lines


def concept_of(line: Mapping[str, str]) -> Concept:
    """Return the concept that a line of either table names."""
    return Concept(line["name"], line["category"])


def value_tables(
    lines: Sequence[TableLine], plane_values: Mapping[Concept, int]
) -> dict[str, npt.NDArray[np.int32]]:
    """Return a lookup table from mask values to plane values for each category.

    Tables are of shape (VALUE_COUNT + 1,). They hold 0, "no label", for mask values that
    concepts.csv does not list. Raises ConceptSetInvalid for a value that is out of range or listed
    twice.
    """
    tables: dict[str, npt.NDArray[np.int32]] = {}
    for position, line in lines:
        category = line["category"]
        mask_value = _mask_value(line["value"], position)
        table = tables.setdefault(
            category, np.zeros(VALUE_COUNT + 1, dtype=np.int32)
        )
        if table[mask_value]:
            raise ConceptSetInvalid(
                f"{position}: the value {mask_value} of category {category!r} is listed twice; "
                "a mask value stands for one concept"
            )
        table[mask_value] = plane_values[concept_of(line)]
    return tables


def unlisted_remarks(unlabelled: npt.NDArray[np.int64], category: str) -> list[str]:
    """Return remarks on mask values (pixel,) that stand for no concept; 0 is the usual background.

    Many different values are one remark, the same for all masks.
    """
    values = np.unique(unlabelled[unlabelled != 0]).tolist()
    where = f"in masks of category {category!r}, and concepts.csv does not list"
    if len(values) > VALUES_NAMED:
        return [f"more than {VALUES_NAMED} values of one mask occur {where} them"]
    return [f"{value} occurs {where} it" for value in values]


def _mask_value(text: str, position: str) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) >= VALUE_COUNT:
        raise ConceptSetInvalid(
            f"{position}: the value {text!r} is not a whole number from 0 to {VALUE_COUNT - 1}"
        )
    return int(text)
