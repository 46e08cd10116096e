"""Index of Broden's layout as a check counts it: labels, categories, sources, repetitions."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nd_broden.index import IndexReader, Row
from nd_plugin import TableReport


@dataclass(frozen=True)
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
    entry_counts: Counter[str] = field(default_factory=Counter)  # masks or labels
    source_counts: Counter[str] = field(default_factory=Counter)  # by first folder

    @classmethod
    def read(
        cls, path: Path, categories: Sequence[str], report: TableReport
    ) -> IndexValues:
        """Read an index file; lines that cannot be read are reported and left out."""
        values = cls(path)
        reader = IndexReader(categories, report)
        # cells are read twice, and their faults reported once
        cells = IndexReader(categories, _say_nothing)
        for position, line, row in reader.rows(path):
            planes = {}
            numbers = {}
            for category in categories:
                if line[category]:
                    entries: tuple[list[str], list[int]] = ([], [])
                    cells.read_cell(line[category], (category, position), *entries)
                    planes[category] = tuple(entries[0])
                    numbers[category] = tuple(entries[1])
            values.add(IndexLine(position, row, planes, numbers))
        return values

    def add(self, line: IndexLine) -> None:
        """Add a line to the counts."""
        self.lines.append(line)
        self.source_counts[line.row.image.partition("/")[0]] += 1
        for category, numbers in line.numbers.items():
            labels = self.label_counts.setdefault(category, Counter())
            labels.update(set(numbers))
            has_mask = bool(line.planes[category])
            self.mask_counts[category] += has_mask
            self.entry_counts[category] += has_mask or any(numbers)

    def repeated_images(self) -> list[tuple[IndexLine, str]]:
        """Return lines of an image that an earlier line has, and the position of that."""
        first_positions: dict[str, str] = {}
        repeated = []
        for line in self.lines:
            name = posixpath.normpath(line.row.image)
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
                first = first_lines.setdefault(posixpath.normpath(mask), line)
                if first.row.image != line.row.image:
                    repeated.append((line, mask, first.position))
        return repeated


def _say_nothing(rule: str, position: str, message: str) -> None:
    """Report nothing."""
