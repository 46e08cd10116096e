"""Names of ADE20K's classes by the numbers that masks have for them.

In 2016, number n is the n-th of ``objectnames`` in index_ade20k.mat, counted from 1; in 2021 it is
``name_ndx`` beside ``name`` in each image's record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nd_plugin import ConceptSetInvalid, NamedFiles
from nd_plugin.reading import load_matlab_fields, parse_json, read_bytes

STRUCT = "index"
NAMES = "objectnames"
IS_PART = "proportionClassIsPart"  # how often a class is a part of another, 0 to 1
NO_NAME = ("", "-")
LARGEST = 25 * 256 + 255  # that red and green can hold
MOST_BYTES = 2**24  # of a record; the longest have a megabyte


@dataclass(frozen=True)
class ClassNames:
    """Names of classes as the data set has them, ``building, edifice``, by number."""

    objects: Mapping[int, str]
    parts: Mapping[int, str]
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """Names, each once."""
        return list(dict.fromkeys((*self.objects.values(), *self.parts.values())))


def names_of_index(path: Path) -> ClassNames:
    """Return the names of the release of 2016. Raises ConceptSetInvalid."""
    try:
        fields = load_matlab_fields(path, STRUCT, [NAMES, IS_PART], str(path))
    except (OSError, ValueError) as error:
        raise ConceptSetInvalid(
            f"{error}; it comes with the images of 2016"
        ) from error
    if NAMES not in fields:
        raise ConceptSetInvalid(f"{path}: its {STRUCT} has no field {NAMES!r}")
    names = {
        number: name
        for number, name in enumerate(_texts(fields[NAMES], path), start=1)
        if name not in NO_NAME
    }
    shares = _shares(fields.get(IS_PART), len(fields[NAMES].ravel()))
    return ClassNames(
        {number: name for number, name in names.items() if shares[number - 1] != 1},
        {number: name for number, name in names.items() if shares[number - 1] != 0},
    )


def _texts(cells: Any, path: Path) -> list[str]:
    """Return the texts of a cell array."""
    texts = []
    for cell in np.asarray(cells).ravel():
        is_text = isinstance(cell, np.ndarray) and cell.dtype.kind == "U"
        if not is_text or cell.size > 1:
            raise ConceptSetInvalid(
                f"{path}: {NAMES} holds something else than texts"
            )
        texts.append(str(cell.item()).strip() if cell.size else "")
    return texts


def _shares(values: Any, count: int) -> list[float]:
    """Return how often each class is a part; NaN, for either, where the index does not say."""
    shares = np.full(count, np.nan)
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        flat = values.ravel().astype(np.float64)
        if len(flat) == count:
            shares = flat
    return [float(share) for share in shares]


def names_of_records(files: NamedFiles, paths: Sequence[str]) -> ClassNames:
    """Return the names of the release of 2021, from the records of all images.

    ``files`` are those below images/. Notes say of records that cannot be read: their images keep
    the names that others give.
    """
    names: dict[str, dict[int, str]] = {"object": {}, "part": {}}
    unread: list[str] = []
    for path in paths:
        try:
            content = read_bytes(files.path(path), MOST_BYTES)
            for number, name, category in _classes(content):
                names[category].setdefault(number, name)
        except (ValueError, TypeError, KeyError) as error:
            unread.append(f"{path} ({error})")
    notes: tuple[str, ...] = ()
    if unread:
        notes = (
            f"{len(unread)} of {len(paths)} records of images cannot be read, for example "
            f"{unread[0]}; classes that occur nowhere else are left out",
        )
    return ClassNames(names["object"], names["part"], notes)


def _classes(content: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield number, name and category of what a record describes.

    An entry of another form is passed over: what its number is of has no name then, which the
    annotation remarks.
    """
    record = parse_json(_text(content))
    for item in record["annotation"]["object"]:
        try:
            number = int(item["name_ndx"])
            level = int(item["parts"]["part_level"])
        except (TypeError, ValueError, KeyError):
            continue
        name = str(item.get("name", "")).strip()
        if name not in NO_NAME and 0 < number <= LARGEST:
            yield number, name, "part" if level else "object"


def _text(content: bytes) -> str:
    """Return the text of a record: UTF-8, or Latin 1 as some of 2021 are."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
