"""Index of Broden's images: index.csv, or another file like it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from nd_broden.tables import (
    WholeNumbers,
    read_table,
    refuse,
    split_cell,
)
from nd_plugin import ConceptSetInvalid, NamedFiles, TableLine
from nd_plugin.reading import TableReport

Size = tuple[int, int]  # height, width
MASK_COLUMNS = ("sh", "sw")
IMAGE_COLUMNS = ("ih", "iw")

OPENING = "[({'\""  # of lists and texts, with which a text is no path
# what scripts write for numbers and for nothing; no such text is a file's name
NO_MASK = re.compile(
    r"""
    none | null | true | false | <?na>? | n/a | \#n/a
    | \[.*\] | \(.*\) | \{.*\}        # lists, tuples, arrays
    | (['"]).*\1                      # texts in quotes of their own
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Row:
    """Image of index.csv with its masks and labels."""

    image: str  # path below images/
    size: Size | None  # of the masks: sh, sw
    image_size: Size | None  # ih, iw
    planes: tuple[str, ...]  # paths below images/
    numbers: tuple[int, ...]  # labels of the whole image
    split: str = ""  # train, val or another; "" where the index has no such column


@dataclass
class IndexReader:
    """Reader of an index file that has a column per category.

    A cell holds mask files and numbers of whole-image labels, several of them separated by ``;``.
    Faults go to ``report``, which raises ConceptSetInvalid where a set is opened.
    """

    categories: Sequence[str]
    report: TableReport = refuse
    numbers: WholeNumbers = field(default_factory=WholeNumbers)
    # what many rows share is read and stored once
    _sizes: dict[tuple[str, str], Size | None] = field(default_factory=dict)
    _label_numbers: dict[tuple[int, ...], tuple[int, ...]] = field(
        default_factory=dict
    )

    def rows(self, path: Path) -> Iterator[tuple[str, Row]]:
        """Yield each line's position and its row."""
        for position, line in self.lines(path):
            planes: list[str] = []
            numbers: list[int] = []
            for category in self.categories:
                cell = line[category]
                if cell:
                    self.read_cell(cell, (category, position), planes, numbers)
            yield position, self.row_of(line, position, planes, numbers)

    def lines(self, path: Path) -> Iterator[TableLine]:
        """Yield the lines that name an image."""
        columns = ["image", *self.categories]
        for position, line in read_table(path, columns, self.report):
            if line["image"]:
                yield position, line
            else:
                message = f"{position}: the column 'image' is empty"
                self.report("empty-image", position, message)

    def row_of(
        self,
        line: Mapping[str, str],
        position: str,
        planes: Sequence[str],
        numbers: Sequence[int],
    ) -> Row:
        """Return the row of a line, of whose categories `read_cell` has read the cells."""
        label_numbers = tuple(numbers)
        return Row(
            line["image"],
            self._size(line, MASK_COLUMNS, position),
            self._size(line, IMAGE_COLUMNS, position),
            tuple(planes),
            self._label_numbers.setdefault(label_numbers, label_numbers),
            intern(line.get("split", "")),
        )

    def read_cell(
        self,
        cell: str,
        place: tuple[str, str],
        planes: list[str],
        numbers: list[int],
    ) -> None:
        """Add to ``planes`` and ``numbers`` what a cell holds; ``place``: category and position."""
        for entry in split_cell(cell) if ";" in cell else (cell,):
            # no number has a slash, and trying so many texts takes its time
            if "/" in entry and entry[0] not in OPENING:
                planes.append(entry)
                continue
            category, position = place
            number = self.numbers.read(entry, position, category)
            if number is not None:
                numbers.append(number)
            elif _is_no_mask(entry):
                message = _no_label_number(entry, category, position)
                self.report("index-cell", position, message)
            else:
                planes.append(entry)

    def _size(
        self, line: Mapping[str, str], columns: tuple[str, str], position: str
    ) -> Size | None:
        """Return the height and width in two columns, or None if either is absent or empty."""
        height_column, width_column = columns
        texts = line.get(height_column, ""), line.get(width_column, "")
        if texts in self._sizes:
            return self._sizes[texts]
        height_text, width_text = texts
        if not height_text or not width_text:
            return None
        rewritten_before = self.numbers.rewritten_count
        height = self.numbers.read(height_text, position, height_column)
        width = self.numbers.read(width_text, position, width_column)
        if height and width:
            size = height, width
            if self.numbers.rewritten_count == rewritten_before:
                self._sizes[texts] = size
            return size
        message = (
            f"{position}: the size {height_column}, {width_column} is {height_text!r}, "
            f"{width_text!r}; expected two positive numbers of pixels"
        )
        self.report("index-size", position, message)
        return None


def read_index(
    path: Path, categories: Sequence[str], files: NamedFiles
) -> tuple[list[Row], list[str]]:
    """Return the rows of an index file, whose images and masks are among ``files``, and notes.

    Raises ConceptSetInvalid for a file outside the set, and for what `IndexReader` does.
    """
    reader = IndexReader(categories)
    rows = []
    for position, row in reader.rows(path):
        files.check(row.image, position)
        for plane in row.planes:
            files.check(plane, position)
        rows.append(row)
    if not rows:
        raise ConceptSetInvalid(no_image(path))
    return rows, reader.numbers.notes(path.name)


def no_image(path: Path) -> str:
    """Return the message for an index without images."""
    return f"{path} lists no image"


def _no_label_number(entry: str, category: str, position: str) -> str:
    return (
        f"{position}: {entry[:40]!r} in the column {category!r} is neither a label number (a whole "
        "number without sign or fraction) nor the path of a mask"
    )


def _is_no_mask(entry: str) -> bool:
    """Return whether a text that is no label number is no path of a mask either: -1, 1e5, nan."""
    if NO_MASK.fullmatch(entry):
        return True
    try:
        float(entry)
    except ValueError:
        return False
    return True
