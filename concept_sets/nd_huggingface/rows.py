"""Rows of a data set of Hugging Face, over all of its splits."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from nd_huggingface.columns import MAP, Columns, columns_of
from nd_huggingface.loading import load_library
from nd_plugin import ConceptSetInvalid

UNREADABLE = b"unreadable"  # reading such a row is what reports it


class Rows:
    """Rows of all splits, one after the other, with pictures as the content of their files."""

    def __init__(
        self, splits: Mapping[str, Any], columns: Columns, folder: Path | None
    ) -> None:
        """Take splits that are cut down to the columns; ``folder`` is the set's, if it has one."""
        self._splits = dict(splits)
        self._columns = columns
        self._folder = folder
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

    def label(self, index: int) -> Any:
        """Return the cell of the label."""
        return self._cell(index, self._columns.label)

    def label_content(self, index: int) -> bytes:
        """Return the content of the label map's file. Raises ValueError for a row without one."""
        what = f"the label map of {self.name(index)}"
        return self._content(self.label(index), what)

    def image_content(self, index: int) -> bytes:
        """Return the content of the image's file. Raises ValueError for a row without one."""
        what = f"the image of {self.name(index)}"
        return self._content(self._cell(index, self._columns.image), what)

    def identifying_content(self, index: int) -> bytes:
        """Return what both cells hold; `UNREADABLE` for a row whose pictures cannot be read."""
        try:
            image = self.image_content(index)
            if self._columns.kind == MAP:
                return image + self.label_content(index)
        except (ValueError, OSError):
            return UNREADABLE
        return image + repr(self.label(index)).encode()

    def _cell(self, index: int, column: str) -> Any:
        split, row = self.position(index)
        return self._splits[split][row][column]

    def _content(self, cell: Any, what: str) -> bytes:
        """Return the content of a picture's file. Raises ValueError for a cell without one.

        A cell may name a file instead, as of a folder that was never embedded: one outside of the
        data set's folder is not read.
        """
        if not isinstance(cell, Mapping):
            raise ValueError(f"{what} is empty")
        content = cell.get("bytes")
        if isinstance(content, bytes):
            return content
        path = cell.get("path")
        file = self._inside(path) if isinstance(path, str) else None
        if file is None:
            raise ValueError(
                f"{what} is not in the table, which names {path!r} instead: such a file is read "
                "only inside the data set's folder; embed it (save_to_disk and push_to_hub do)"
            )
        return file.read_bytes()

    def _inside(self, path: str) -> Path | None:
        """Return the real path of a regular file inside the data set's folder; else None."""
        if self._folder is None:
            return None
        root = self._folder.resolve()
        real = (root / path).resolve()
        return real if real.is_relative_to(root) and real.is_file() else None


def chosen_splits(splits: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Return the splits that have rows, or the one of a name. Raises ConceptSetInvalid."""
    if split and split not in splits:
        names = ", ".join(map(repr, filter(None, splits))) or "none"
        raise ConceptSetInvalid(
            f"huggingface: there is no split {split!r}; the splits are {names}"
        )
    chosen = {split: splits[split]} if split else dict(splits)
    filled = {name: rows for name, rows in chosen.items() if len(rows)}
    if not filled:
        raise ConceptSetInvalid("huggingface: the data set has no rows")
    return filled


def with_columns(
    splits: Mapping[str, Any], columns: Columns
) -> tuple[dict[str, Any], list[str]]:
    """Return the splits that have both columns, cut down to them, and notes on the others."""
    library = load_library()
    reduced: dict[str, Any] = {}
    notes = []
    for name, rows in splits.items():
        if not _has_columns(rows, columns):
            notes.append(
                f"the split {name!r} left out: it has no such columns of the same kind"
            )
            continue
        rows = rows.select_columns([columns.image, columns.label])
        undecoded = [columns.image]
        if columns.kind == MAP:
            undecoded.append(columns.label)
        for column in undecoded:
            # the stored files are wanted: decoding would turn and convert them
            rows = rows.cast_column(column, library.Image(decode=False))
        reduced[name] = rows.with_format(None)
    return reduced, notes


def _has_columns(rows: Any, columns: Columns) -> bool:
    try:
        return columns_of(rows.features, columns.image, columns.label) == columns
    except ConceptSetInvalid:
        return False
