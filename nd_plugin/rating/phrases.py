"""Phrases that raters judge: labels of units as plain words, and descriptions that people wrote.

Nothing in a phrase may tell where it comes from: labels lose the endings of Broden's colours and
scenes, and phrases of all origins are written alike.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from nd_plugin.errors import BadInput

MOST_DIGITS = 12  # of a unit's number
LONGEST_PHRASE = 200  # characters
# Broden marks its colours and scenes: "blue-c", "street-s"
ENDING_OF_CATEGORY = {"color": "-c", "scene": "-s"}
COLUMNS = "unit,description, and layer where the run has several"

Descriptions = dict[tuple[str, int], str]  # by layer and unit


def label_phrase(concept: str, category: str) -> str:
    """Return a concept's name as a phrase: without underscores and the endings of Broden."""
    name = concept.removesuffix(ENDING_OF_CATEGORY.get(category, ""))
    return plain_phrase(name.replace("_", " "))


def plain_phrase(text: str) -> str:
    """Return a phrase in lower case, without outer quotes, final stops and repeated spaces."""
    words = " ".join(text.split())
    return words.strip(" \"'“”‘’.!").lower()


def read_descriptions(path: Path, units: Mapping[str, int]) -> Descriptions:
    """Read people's descriptions of units from a CSV file: layer, unit, description.

    ``units`` is the number of units of each layer; with a single layer the column ``layer`` may be
    left out. Rows without a description are skipped. Raises BadInput for anything else.
    """
    descriptions: Descriptions = {}
    for number, row in _rows(path):
        place = f"{path}, line {number}"
        layer = _layer(row, units, place)
        unit = _unit(row, layer, units[layer], place)
        phrase = plain_phrase(row.get("description") or "")
        if len(phrase) > LONGEST_PHRASE:
            raise BadInput(
                f"{place}: a description of {len(phrase)} characters; "
                f"shorten it to {LONGEST_PHRASE}"
            )
        if descriptions.setdefault((layer, unit), phrase) != phrase:
            raise BadInput(
                f"{place}: a second description of unit {unit} of layer {layer!r}; keep one"
            )
    described = {unit: phrase for unit, phrase in descriptions.items() if phrase}
    if not described:
        raise BadInput(f"{path} has no description; its columns are {COLUMNS}")
    return described


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV file, each with the number of its last line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = set(reader.fieldnames or ())
            if not {"unit", "description"} <= columns:
                raise BadInput(f"{path} has not the columns {COLUMNS}")
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be read: {reason}") from error


def _layer(row: Mapping[str, str], units: Mapping[str, int], place: str) -> str:
    layer = row.get("layer")
    if layer is None and len(units) == 1:
        return next(iter(units))
    if layer is None or layer not in units:
        names = ", ".join(units)
        raise BadInput(f"{place}: no layer {layer!r} in the run; it has {names}")
    return layer


def _unit(row: Mapping[str, str], layer: str, count: int, place: str) -> int:
    text = (row.get("unit") or "").strip()
    is_number = text.isascii() and text.isdigit() and len(text) < MOST_DIGITS
    unit = int(text) if is_number else -1
    if not 0 <= unit < count:
        raise BadInput(
            f"{place}: no unit {text!r}: layer {layer!r} has {count}, numbered from 0"
        )
    return unit
