"""Tables of Broden's layout as they lie on disk, with all their figures, for checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nd_broden.tables import (
    read_categories,
    read_table,
    split_cell,
    whole_number,
)
from nd_broden.vocabulary import CATEGORY_COUNT


@dataclass(frozen=True)
class CategoryLine:
    """Line of category.csv; None for a figure that is absent or no number."""

    position: str
    name: str
    first: int | None
    last: int | None
    count: int | None
    frequency: int | None


@dataclass(frozen=True)
class LabelLine:
    """Line of label.csv or of a c_CATEGORY.csv; None for a figure that is absent or no number."""

    position: str
    number: int | None
    name: str
    frequency: int | None
    coverage: float | None
    coverage_text: str
    code: int | None = None
    # images by category, of label.csv; None where the count is missing
    image_counts: Mapping[str, float | None] = field(default_factory=dict)

    def counts(self) -> list[float]:
        """Return the images of each category; none unless all categories have a count."""
        counts = [
            count for count in self.image_counts.values() if count is not None
        ]
        return counts if len(counts) == len(self.image_counts) else []


@dataclass(frozen=True)
class TableValues:
    """All figures of category.csv, label.csv and the c_CATEGORY.csv."""

    root: Path
    categories: tuple[CategoryLine, ...]
    labels: tuple[LabelLine, ...]
    codes: dict[str, tuple[LabelLine, ...]]  # by category

    @classmethod
    def read(cls, root: Path) -> TableValues:
        """Read the tables; those that are missing or malformed are empty.

        Nothing is reported: `read_vocabulary` reads the same tables, and reports their faults.
        """
        names = read_categories(root, _say_nothing)
        lines = read_table(root / "category.csv", ["name"], _say_nothing)
        categories = [
            CategoryLine(
                position,
                line["name"],
                whole_number(line.get("first", "")),
                whole_number(line.get("last", "")),
                whole_number(line.get("count", "")),
                whole_number(line.get("frequency", "")),
            )
            for position, line in lines
        ]
        labels = _label_lines(root / "label.csv", ["number", "name", "category"])
        codes = {
            name: _label_lines(root / f"c_{name}.csv", ["number", "coverage"])
            for name in names
        }
        return cls(root, tuple(categories), labels, codes)


def _label_lines(path: Path, columns: list[str]) -> tuple[LabelLine, ...]:
    lines = []
    for position, line in read_table(path, columns, _say_nothing):
        number = whole_number(line["number"])
        if number == 0:
            continue  # "no label"
        coverage = line.get("coverage", "")
        lines.append(
            LabelLine(
                position,
                number,
                line.get("name", ""),
                whole_number(line.get("frequency", "")),
                decimal_number(coverage),
                coverage,
                whole_number(line.get("code", "")),
                _image_counts(line.get("category", "")),
            )
        )
    return tuple(lines)


def _image_counts(cell: str) -> dict[str, float | None]:
    counts: dict[str, float | None] = {}
    for entry in split_cell(cell):
        match = CATEGORY_COUNT.fullmatch(entry)
        if match:
            counts[match["category"]] = decimal_number(match["count"] or "")
    return counts


def decimal_number(text: str) -> float | None:
    """Return the finite number that a cell holds; None for another text."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _say_nothing(rule: str, position: str, message: str) -> None:
    """Report nothing."""
