"""Names of the values of label maps, from a file or from Python.

::

    names.csv     value,name
    names.json    ["wall", "building"], or {"0": "wall", "1": "building"}, as in id2label.json

A value with an empty name is "no label".
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nd_plugin.borders.json_values import parse_json
from nd_plugin.concepts.sources.vocabulary import Vocabulary
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.opening import check_regular
from nd_plugin.probe_data.tables import read_table
from nd_plugin.storage.names import expanded_home

FORM = (
    "names of values are a CSV file with the columns value,name, or a JSON file: "
    '{"0": "wall", "1": "building"} or ["wall", "building"]'
)
LARGEST = 2**31 - 1  # values of masks
MOST_DIGITS = 10


def read_value_names(file: str) -> dict[int, str]:
    """Return the names of values from a file, by value. Raises ConceptSetInvalid."""
    path = expanded_home(file)
    read = _read_json if path.suffix.lower() == ".json" else _read_csv
    names = read(path)
    return names_of_values(names, str(path))


def names_of_values(
    names: Mapping[Any, Any] | Sequence[Any], what: str
) -> dict[int, str]:
    """Return names by value, without the empty ones; the name at index v of a sequence is v's.

    Raises ConceptSetInvalid, naming them as ``what``, for values that are no integers from 0, names
    that are no texts, and none at all.
    """
    if isinstance(names, str) or not isinstance(names, Mapping | Sequence):
        raise ConceptSetInvalid(
            f"{what}: {type(names).__name__} is neither a mapping of values to names, nor a "
            "sequence of names"
        )
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
    named: dict[int, str] = {}
    for key, name in pairs:
        value = _value(key, what)
        if name is not None and not isinstance(name, str):
            raise ConceptSetInvalid(
                f"{what}: the name of the value {value} is {name!r}, and no text"
            )
        if value in named:
            raise ConceptSetInvalid(f"{what}: the value {value} has two names")
        named[value] = (name or "").strip()
    named = {value: name for value, name in named.items() if name}
    if not named:
        raise ConceptSetInvalid(f"{what}: no value has a name; {FORM}")
    return named


def parse_ignored(text: str, set_name: str) -> tuple[int, ...]:
    """Return the values of an option ``ignore=0,255``. Raises ConceptSetInvalid."""
    try:
        return tuple(int(value) for value in text.split(",") if value.strip())
    except ValueError as error:
        raise ConceptSetInvalid(
            f"{set_name}: ignore={text} are no whole numbers with commas between them"
        ) from error


def add_named_values(
    vocabulary: Vocabulary,
    names: Mapping[int, str],
    category: str,
    ignored: Collection[int],
    what: str,
) -> dict[int, int]:
    """Return plane values by value, of those with a name that are not ignored; they are added.

    Raises ConceptSetInvalid, naming the names as ``what``, where none is left.
    """
    values = {
        value: vocabulary.add(name, category)
        for value, name in sorted(names.items())
        if value not in ignored
    }
    if not values:
        raise ConceptSetInvalid(
            f"{what}: every value that has a name is among those to ignore, {ignored}"
        )
    return values


def _value(key: Any, what: str) -> int:
    """Return a value: an integer, or its digits. Raises ConceptSetInvalid."""
    if isinstance(key, str):
        is_number = key.isascii() and key.isdecimal() and len(key) <= MOST_DIGITS
        value = int(key) if is_number else -1
    else:
        try:
            value = operator.index(key)
        except TypeError:
            value = -1
    if not 0 <= value <= LARGEST:
        raise ConceptSetInvalid(
            f"{what}: the value {str(key)[:40]!r} is no whole number from 0 to {LARGEST}"
        )
    return value


def _read_json(path: Path) -> Any:
    try:
        check_regular(path)
        return parse_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ConceptSetInvalid(f"no file {path}; {FORM}") from error
    except (OSError, ValueError) as error:
        raise ConceptSetInvalid(
            f"{path} cannot be read: {error}; {FORM}"
        ) from error


def _read_csv(path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for position, line in read_table(path, ("value", "name"), FORM):
        if line["value"] in names:
            raise ConceptSetInvalid(
                f"{position}: the value {line['value']} is there twice"
            )
        names[line["value"]] = line["name"]
    return names
