"""Rows of all splits of a data set, one after the other, with pictures as stored files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from nd_boxes.columns import Columns, find_columns
from nd_plugin import ConceptSetInvalid


class Rows:
    """Images and objects; the tables are mapped into memory, a row is read when it is needed."""

    def __init__(self, splits: Mapping[str, Any], columns: Columns) -> None:
        """Take splits that `with_columns` has cut down to the columns."""
        self._splits = dict(splits)
        self._columns = columns
        self.lengths = {name: len(rows) for name, rows in splits.items()}
        self._ends = list(accumulate(self.lengths.values()))

    def __len__(self) -> int:
        return self._ends[-1]

    def position(self, index: int) -> tuple[str, int]:
        """Return the split of a row, and its number there."""
        if not 0 <= index < len(self):
            raise IndexError(f"no row {index}: there are {len(self)}")
        split = bisect_right(self._ends, index)
        start = self._ends[split - 1] if split else 0
        return list(self._splits)[split], index - start

    def name(self, index: int) -> str:
        """Return the split and the row, such as ``validation/000012``."""
        split, row = self.position(index)
        return f"{split}/{row:06d}" if split else f"{row:06d}"

    def files(self, index: int) -> list[Path]:
        """Return the files of a split for its first row, and none for others."""
        split, row = self.position(index)
        files = self._splits[split].cache_files if row == 0 else ()
        return [Path(file["filename"]) for file in files]

    def image_content(self, index: int) -> bytes:
        """Return the content of the image's file. Raises ValueError for a row without one."""
        cell = self._cell(index, self._columns.image)
        content = cell.get("bytes") if isinstance(cell, Mapping) else None
        if isinstance(content, bytes):
            return content
        raise ValueError(
            f"the image of {self.name(index)} is not in the table: embed it (save_to_disk and "
            "push_to_hub do)"
        )

    def boxes(self, index: int) -> list[tuple[Any, Any]]:
        """Return the numbers and the class of each box, as they are stored."""
        columns = self._columns
        cell = self._cell(index, columns.objects) or ()
        if isinstance(cell, Mapping):
            numbers = cell[columns.bbox] or ()
            classes = cell[columns.label] or ()
            if len(numbers) != len(classes):
                raise ValueError(
                    f"{self.name(index)} has {len(numbers)} boxes and {len(classes)} classes"
                )
            return list(zip(numbers, classes, strict=True))
        return [(item[columns.bbox], item[columns.label]) for item in cell]

    def _cell(self, index: int, column: str) -> Any:
        split, row = self.position(index)
        return self._splits[split][row][column]


def chosen_splits(splits: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Return the splits that have rows, or the one of a name. Raises ConceptSetInvalid."""
    if split and split not in splits:
        names = ", ".join(map(repr, filter(None, splits))) or "none"
        raise ConceptSetInvalid(
            f"boxes: there is no split {split!r}; the splits are {names}"
        )
    chosen = {split: splits[split]} if split else splits
    filled = {name: rows for name, rows in chosen.items() if len(rows)}
    if not filled:
        raise ConceptSetInvalid("boxes: the data set has no rows")
    return filled


def with_columns(
    splits: Mapping[str, Any], image: str, objects: str, bbox: str, label: str
) -> tuple[dict[str, Any], Columns, list[str]]:
    """Return the splits that have the columns, cut down to them, and notes on the others.

    Raises ConceptSetInvalid where no split has them, with what the first one lacks.
    """
    reduced: dict[str, Any] = {}
    found: list[Columns] = []
    problems: list[ConceptSetInvalid] = []
    notes = []
    for name, rows in splits.items():
        try:
            columns = find_columns(rows.features, image, objects, bbox, label)
        except ConceptSetInvalid as problem:
            problems.append(problem)
            notes.append(f"the split {name!r} is left out: {problem}")
            continue
        if found and columns != found[0]:
            notes.append(
                f"the split {name!r} is left out: its columns or classes differ"
            )
            continue
        found.append(columns)
        reduced[name] = undecoded(rows, columns)
    if not found:
        raise problems[0]
    return reduced, found[0], notes


def undecoded(rows: Any, columns: Columns) -> Any:
    """Return rows cut down to the columns, with pictures as the content of their files."""
    # imported here: it takes a second
    import datasets

    rows = rows.select_columns([columns.image, columns.objects])
    # decoding would turn and convert them, which is the host's affair
    rows = rows.cast_column(columns.image, datasets.Image(decode=False))
    return rows.with_format(None)


def text_of(lengths: Mapping[str, int]) -> Iterable[bytes]:
    """Yield the names and lengths of splits, for a fingerprint."""
    for name, length in lengths.items():
        yield f"{name} {length}\n".encode()
