"""Tables and masks of concept sets on disk; errors name the file and the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.conversion import orientation_of
from nd_plugin.pictures.files import lossy_format
from nd_plugin.pictures.pixel_limit import reason_of

# file and line, for messages; stripped cells by column
TableLine = tuple[str, dict[str, str]]


def read_table(
    path: Path, columns: Sequence[str], hint: str = ""
) -> list[TableLine]:
    """Read the lines of a CSV file, without empty ones.

    Raises ConceptSetInvalid if one of ``columns`` is missing, the file is malformed, or there is
    none; ``hint`` explains what a missing file means.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(_lines(csv.DictReader(file), path, columns))
    except FileNotFoundError as error:
        explanation = f": {hint}" if hint else ""
        raise ConceptSetInvalid(
            f"no {path.name} in {path.parent}{explanation}"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error


def _lines(
    reader: csv.DictReader[str], path: Path, columns: Sequence[str]
) -> Iterator[TableLine]:
    header = reader.fieldnames or ()
    missing = [repr(column) for column in columns if column not in header]
    if missing:
        raise ConceptSetInvalid(
            f"{path} has no column {', '.join(missing)}; its first line is "
            f"{','.join(header)!r}, and columns are separated by commas"
        )
    for row in reader:
        location = f"{path}, line {reader.line_num}"
        surplus = row.pop(None, ())
        if any(surplus):
            raise ConceptSetInvalid(
                f"{location}: more cells than columns; a text that holds a comma belongs in quotes"
            )
        cells = {column: (text or "").strip() for column, text in row.items()}
        if any(cells.values()):
            yield location, cells


def read_mask(path: Path, what: str) -> tuple[str, npt.NDArray[np.integer[Any]]]:
    """Read the mode and the pixels of an image file, as they are stored.

    Raises ValueError that names the file as ``what``, for one that is unreadable, whose content is
    of a lossy format, whatever its name, or that has an EXIF orientation of its own.
    """
    try:
        with Image.open(path) as image:
            lossy = lossy_format(image)
            orientation = orientation_of(image)
            mode, pixels = image.mode, np.asarray(image)
    except Exception as error:  # a decoder may raise anything
        raise ValueError(f"{what} cannot be read: {reason_of(error)}") from error
    if lossy:
        raise ValueError(lossy_message(what, lossy))
    if orientation not in (None, 1):
        raise ValueError(
            f"{what} has an EXIF orientation ({orientation}), but masks are taken as they are "
            "stored; save it turned, as its upright image, and without the orientation"
        )
    return mode, pixels


def check_mask_format(path: Path, what: str) -> None:
    """Raise ConceptSetInvalid for a mask in a lossy format; one that cannot be opened passes."""
    lossy = ""
    with suppress(Exception), Image.open(path) as image:
        lossy = lossy_format(image)
    if lossy:
        raise ConceptSetInvalid(lossy_message(what, lossy))


def lossy_message(what: str, lossy: str) -> str:
    """Return the message for a mask, named as ``what``, in a lossy format."""
    return (
        f"{what} is a {lossy} file by its content; lossy compression changes label numbers: "
        "export the masks again as PNG"
    )


def check_aspect(
    mask: tuple[int, int],
    image: tuple[int, int],
    what: str,
    stored: tuple[int, int] | None = None,
) -> None:
    """Check that a mask (height, width) covers its image, to within one of the mask's pixels.

    ``image`` is the size of the upright image, ``stored`` that before the EXIF orientation is
    applied. Raises ValueError that names the mask as ``what``.
    """
    if _has_aspect(mask, image):
        return
    mask_height, mask_width = mask
    height, width = image
    message = (
        f"{what} is {mask_width}x{mask_height}, which has not the aspect of its image, "
        f"{width}x{height}"
    )
    if stored is not None and _has_aspect(mask, stored):
        message += (
            f": it fits the image as stored, {stored[1]}x{stored[0]}, but the image's EXIF "
            "orientation turns that; turn the mask in the same way, or remove the orientation"
        )
    raise ValueError(message)


def _has_aspect(mask: tuple[int, int], image: tuple[int, int]) -> bool:
    mask_height, mask_width = mask
    height, width = image
    return abs(mask_width * height - mask_height * width) <= max(image)
