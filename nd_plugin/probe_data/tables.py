"""For concept sets on disk: tables and masks read with errors that name file and line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.errors import ConceptSetInvalid

TableLine = tuple[
    str, dict[str, str]
]  # where it stands, for messages; its cells by column, stripped


def read_table(path: Path, columns: Sequence[str], hint: str = "") -> list[TableLine]:
    """The lines of a CSV file that has at least these columns; empty ones are left out.

    Raises ConceptSetInvalid; ``hint`` says what a missing file means.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(_lines(csv.DictReader(file), path, columns))
    except FileNotFoundError as error:
        raise ConceptSetInvalid(
            f"no {path.name} in {path.parent}{hint and ': ' + hint}"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error


def _lines(
    reader: csv.DictReader[str], path: Path, columns: Sequence[str]
) -> Iterator[TableLine]:
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise ConceptSetInvalid(f"{path} has no column {', '.join(map(repr, missing))}")
    for line in reader:
        where = f"{path}, line {reader.line_num}"
        if any(line.pop(None, ())):
            raise ConceptSetInvalid(
                f"{where}: more cells than columns; a text that holds a comma belongs in quotes"
            )
        cells = {key: (value or "").strip() for key, value in line.items()}
        if any(cells.values()):
            yield where, cells


def read_mask(path: Path, what: str) -> tuple[str, npt.NDArray[np.integer[Any]]]:
    """The mode and the pixels of an image file. Raises ValueError that names it as ``what``."""
    try:
        with Image.open(path) as image:
            return image.mode, np.asarray(image)
    except Exception as error:  # whatever a decoder raises
        raise ValueError(f"{what} cannot be read: {error}") from error


def check_aspect(mask: tuple[int, int], image: tuple[int, int], what: str) -> None:
    """Raises ValueError where a mask (height, width) does not cover its image, to within one of its own pixels."""
    if abs(mask[1] * image[0] - mask[0] * image[1]) > max(image):
        raise ValueError(
            f"{what} is {mask[1]}x{mask[0]}, which has not the aspect of its image, {image[1]}x{image[0]}"
        )
