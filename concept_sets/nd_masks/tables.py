"""Tables of the masks format: concepts.csv and image_labels.csv."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import (
    Concept,
    ConceptSetInvalid,
    TableLine,
    read_table,
    strips_of,
)

VALUE_COUNT = 65536  # values that a 16 bit mask can hold
UNLISTED = VALUE_COUNT  # index into a value table for values beyond 16 bits: always unlabelled
CONCEPT_COLUMNS = ("category", "value", "name")
LABEL_COLUMNS = ("image", "category", "name")
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
) -> dict[str, npt.NDArray[np.integer[Any]]]:
    """Return a lookup table from mask values to plane values for each category.

    Tables are of shape (VALUE_COUNT + 1,), in the smallest type. They hold 0, "no label", for mask
    values that concepts.csv does not list. Raises ConceptSetInvalid for a value that is out of
    range or listed twice.
    """
    largest = max(plane_values.values(), default=0)
    dtype = np.min_scalar_type(largest)
    tables: dict[str, npt.NDArray[np.integer[Any]]] = {}
    for position, line in lines:
        category = line["category"]
        value = mask_value(line["value"], position)
        table = tables.setdefault(category, np.zeros(VALUE_COUNT + 1, dtype))
        if table[value]:
            raise ConceptSetInvalid(
                f"{position}: the value {value} of category {category!r} is listed twice; "
                "a mask value stands for one concept"
            )
        table[value] = plane_values[concept_of(line)]
    return tables


def look_up(
    table: npt.NDArray[np.integer[Any]], values: npt.NDArray[np.integer[Any]]
) -> tuple[npt.NDArray[np.integer[Any]], set[int]]:
    """Return the plane (row, column) that mask values stand for, and the values without a label.

    It has the type of the table. Strip by strip, as indices into a table take 8 bytes a pixel.
    """
    plane = np.empty(values.shape, table.dtype)
    unlisted: set[int] = set()
    for strip in strips_of(values.shape):
        strip_values = values[strip]
        indices = strip_values.astype(np.int64)
        outside = (indices < 0) | (indices > UNLISTED)
        indices[outside] = UNLISTED
        plane[strip] = table[indices]
        unlabelled = strip_values[plane[strip] == 0]
        unlisted.update(np.unique(unlabelled).tolist())
    return plane, unlisted


def unlisted_remarks(unlisted: Collection[int], category: str) -> list[str]:
    """Return remarks on mask values that stand for no concept; 0 is the usual background.

    Many different values are one remark, the same for all masks.
    """
    values = sorted(value for value in unlisted if value != 0)
    where = f"in masks of category {category!r}, and concepts.csv does not list"
    if len(values) > VALUES_NAMED:
        return [f"more than {VALUES_NAMED} values of one mask occur {where} them"]
    return [f"{value} occurs {where} it" for value in values]


def mask_value(text: str, position: str) -> int:
    """Return the mask value that a cell holds. Raises ConceptSetInvalid for no value."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= 9
    if not is_number or int(text) >= VALUE_COUNT:
        raise ConceptSetInvalid(
            f"{position}: the value {text[:40]!r} is not a whole number from 0 to {VALUE_COUNT - 1}"
        )
    return int(text)
