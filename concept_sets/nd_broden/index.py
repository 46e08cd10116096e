"""Index of Broden's images: index.csv, or another file like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_broden.tables import NUMBER, is_numeric, read_table, split_cell
from nd_plugin import ConceptSetInvalid, NamedFiles


@dataclass(frozen=True)
class Row:
    """Image of index.csv with its masks and labels."""

    image: str  # path below images/
    size: tuple[int, int] | None  # of the masks: sh, sw
    image_size: tuple[int, int] | None  # ih, iw
    planes: tuple[str, ...]  # paths below images/
    numbers: tuple[int, ...]  # labels of the whole image
    split: str = ""  # train, val or another; "" where the index has no such column


def read_index(
    path: Path, categories: Sequence[str], files: NamedFiles
) -> list[Row]:
    """Return the rows of an index file, whose images and masks are among ``files``.

    It has a column per category. A cell holds mask files and numbers of whole-image labels, several
    of them separated by ``;``. Raises ConceptSetInvalid for a file outside the set.
    """
    rows = []
    for position, line in read_table(path, ["image", *categories]):
        row = _row(line, categories, position)
        for name in (row.image, *row.planes):
            files.check(name, position)
        rows.append(row)
    if not rows:
        raise ConceptSetInvalid(f"{path} lists no image")
    return rows


def _row(line: Mapping[str, str], categories: Sequence[str], position: str) -> Row:
    if not line["image"]:
        raise ConceptSetInvalid(f"{position}: the column 'image' is empty")
    planes = []
    numbers = []
    for category in categories:
        for entry in split_cell(line[category]):
            if NUMBER.fullmatch(entry):
                numbers.append(int(entry))
            elif is_numeric(entry):
                raise ConceptSetInvalid(_no_label_number(entry, category, position))
            else:
                planes.append(entry)
    mask_size = _size(line, "sh", "sw", position)
    image_size = _size(line, "ih", "iw", position)
    return Row(
        line["image"],
        mask_size,
        image_size,
        tuple(planes),
        tuple(numbers),
        line.get("split", ""),
    )


def _no_label_number(entry: str, category: str, position: str) -> str:
    return (
        f"{position}: {entry[:40]!r} in the column {category!r} is neither a label number (a whole "
        "number without sign or decimal point) nor the path of a mask"
    )


def _size(
    line: Mapping[str, str], height_column: str, width_column: str, position: str
) -> tuple[int, int] | None:
    """Return the height and width in two columns, or None if either is absent or empty."""
    height = line.get(height_column, "")
    width = line.get(width_column, "")
    if not height or not width:
        return None
    if not _is_positive(height) or not _is_positive(width):
        raise ConceptSetInvalid(
            f"{position}: the size {height_column}, {width_column} is {height!r}, {width!r}; "
            "expected two positive numbers of pixels"
        )
    return int(height), int(width)


def _is_positive(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None and int(text) > 0
