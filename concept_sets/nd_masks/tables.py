"""Tables of the masks format: concepts.csv and image_labels.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nd_plugin import Concept, ConceptSetInvalid, TableLine, read_table
from nd_plugin.reading import ValueTable

VALUE_COUNT = 65536  # values that a 16 bit mask can hold
CONCEPT_COLUMNS = ("category", "value", "name")
LABEL_COLUMNS = ("image", "category", "name")


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
) -> dict[str, ValueTable]:
    """Return the plane values of mask values for each category.

    Mask values that concepts.csv does not list are "no label". Raises ConceptSetInvalid for a value
    that is out of range or listed twice.
    """
    by_category: dict[str, dict[int, int]] = {}
    for position, line in lines:
        category = line["category"]
        value = mask_value(line["value"], position)
        values = by_category.setdefault(category, {})
        if value in values:
            raise ConceptSetInvalid(
                f"{position}: the value {value} of category {category!r} is listed twice; "
                "a mask value stands for one concept"
            )
        values[value] = plane_values[concept_of(line)]
    largest = max(plane_values.values(), default=0)
    return {
        category: ValueTable.of(values, largest)
        for category, values in by_category.items()
    }


def mask_value(text: str, position: str) -> int:
    """Return the mask value that a cell holds. Raises ConceptSetInvalid for no value."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= 9
    if not is_number or int(text) >= VALUE_COUNT:
        raise ConceptSetInvalid(
            f"{position}: the value {text[:40]!r} is not a whole number from 0 to {VALUE_COUNT - 1}"
        )
    return int(text)
