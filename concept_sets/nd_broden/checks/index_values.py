"""Index of Broden's layout as a check counts it: labels, categories, sources, repetitions."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nd_broden.index import IndexReader, Row
from nd_plugin.reading import TableReport


@dataclass(frozen=True, slots=True)
class IndexLine:
    """Line of an index: its row, and what each category has of it."""

    position: str
    row: Row
    # masks and numbers by category, without empty ones
    planes: dict[str, tuple[str, ...]]
    numbers: dict[str, tuple[int, ...]]


@dataclass
class IndexValues:
    """Lines of an index file, and counts of them."""

    path: Path
    lines: list[IndexLine] = field(default_factory=list)
    # lines by category and whole-image label, 0 included
    label_counts: dict[str, Counter[int]] = field(default_factory=dict)
    mask_counts: Counter[str] = field(default_factory=Counter)  # lines by category
    source_counts: Counter[str] = field(default_factory=Counter)  # by first folder

    @classmethod
    def read(
        cls, path: Path, categories: Sequence[str], report: TableReport
    ) -> IndexValues:
        """Read an index file; lines that cannot be read are reported and left out."""
        values = cls(path)
        reader = IndexReader(categories, report)
        for position, line in reader.lines(path):
            values.add(_index_line(reader, position, line))
        return values

    def add(self, line: IndexLine) -> None:
        """Add a line to the counts."""
        self.lines.append(line)
        self.source_counts[line.row.image.partition("/")[0]] += 1
        for category, numbers in line.numbers.items():
            labels = self.label_counts.setdefault(category, Counter())
            if numbers:
                labels.update(set(numbers))
            self.mask_counts[category] += bool(line.planes[category])

    def repeated_images(self) -> list[tuple[IndexLine, str]]:
        """Return lines of an image that an earlier line has, and the position of that."""
        first_positions: dict[str, str] = {}
        repeated = []
        for line in self.lines:
            name = normal(line.row.image)
            first = first_positions.setdefault(name, line.position)
            if first != line.position:
                repeated.append((line, first))
        return repeated

    def repeated_masks(self) -> list[tuple[IndexLine, str, str]]:
        """Return lines with a mask that another image has, the mask, and that line's position."""
        first_lines: dict[str, IndexLine] = {}
        repeated = []
        for line in self.lines:
            for mask in dict.fromkeys(line.row.planes):
                first = first_lines.setdefault(normal(mask), line)
                if first.row.image != line.row.image:
                    repeated.append((line, mask, first.position))
        return repeated


def normal(name: str) -> str:
    """Return a path without ``.``, ``..`` and double slashes; a plain one as it is."""
    is_plain = "//" not in name and "./" not in name
    return name if is_plain else posixpath.normpath(name)


def _index_line(
    reader: IndexReader, position: str, line: Mapping[str, str]
) -> IndexLine:
    planes: dict[str, tuple[str, ...]] = {}
    numbers: dict[str, tuple[int, ...]] = {}
    row_planes: list[str] = []
    row_numbers: list[int] = []
    for category in reader.categories:
        cell = line[category]
        if cell:
            cell_planes: list[str] = []
            cell_numbers: list[int] = []
            reader.read_cell(cell, (category, position), cell_planes, cell_numbers)
            planes[category] = tuple(cell_planes)
            numbers[category] = tuple(cell_numbers)
            row_planes += cell_planes
            row_numbers += cell_numbers
    row = reader.row_of(line, position, row_planes, row_numbers)
    return IndexLine(position, row, planes, numbers)
