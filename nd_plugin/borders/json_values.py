"""JSON of strangers, and records in it.

Python's reader takes NaN and Infinity, which JSON has not, and ends in a RecursionError where
brackets are nested too deep. A record is a dataclass: its annotations say what JSON has to hold.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import (
    Any,
    NoReturn,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

DEEPEST = 64  # levels of lists and objects
LARGEST = 2**128  # integers beyond are no counts and no seeds
LONGEST_TEXT = 60  # characters of a value in a message
Record = TypeVar("Record")
NAMES: dict[type, str] = {
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}
CONTAINERS = frozenset({list, dict})


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises ValueError for text that is no JSON, and for values nested more than 64 deep.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite_float
        )
    except RecursionError as error:
        raise ValueError(f"values are nested more than {DEEPEST} deep") from error
    _check_depth(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _check_depth(value: Any) -> None:
    """Raise ValueError where lists and objects are nested too deep."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [item for container in level for item in _containers(container)]
        if not level:
            return
    raise ValueError(f"values are nested more than {DEEPEST} deep")


def _containers(value: Any) -> Iterable[Any]:
    """Return the lists and objects within a value."""
    items: Iterable[Any] = value.values() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = value
    # such as the names of many images
    if CONTAINERS.isdisjoint(map(type, items)):
        return ()
    return [item for item in items if type(item) in CONTAINERS]


def object_of(value: Any, place: str) -> dict[str, Any]:
    """Return an object of JSON. Raises ValueError, naming its ``place``, for anything else."""
    if not isinstance(value, dict):
        raise _wrong(value, place, "an object")
    return value


def read_record(kind: type[Record], value: Any, place: str) -> Record:
    """Return the record of an object of JSON.

    Each entry has to be of the type that the dataclass says, and those without a default have to
    be there. Raises ValueError that names the entry and its ``place``; whatever the dataclass
    itself raises.
    """
    entries = object_of(value, place)
    hints = _hints(cast(Any, kind))
    unknown = [name for name in entries if name not in hints]
    if unknown:
        raise ValueError(
            f"{place} has the entry {unknown[0]!r}, which this nd_plugin does not know"
        )
    checked = {
        name: read_value(hints[name], entry, f"{place}.{name}")
        for name, entry in entries.items()
    }
    try:
        return kind(**checked)
    except TypeError as error:
        raise ValueError(f"{place} lacks an entry: {error}") from error


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    """Return the types of a dataclass's fields, by name."""
    record_type: Any = kind
    hints = get_type_hints(record_type)
    names = [field.name for field in fields(record_type) if field.init]
    return {name: hints[name] for name in names}


def read_value(kind: Any, value: Any, place: str) -> Any:
    """Return a value of JSON as a type: of records, texts, numbers, tuples, mappings, unions.

    Raises ValueError that names the ``place``.
    """
    if kind in NAMES:
        return _read_plain(kind, value, place)
    if kind is Any:
        return value
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), value, place)
    if origin is tuple:
        item_kind = get_args(kind)[0]
        return tuple(read_list(item_kind, value, place))
    if origin is not None and issubclass(origin, Mapping):
        value_kind = get_args(kind)[1]
        entries = object_of(value, place)
        return {
            name: read_value(value_kind, entry, f"{place}.{name}")
            for name, entry in entries.items()
        }
    return read_record(kind, value, place)


def read_list(kind: Any, value: Any, place: str) -> list[Any]:
    """Return a list of JSON, each item of it as a type. Raises ValueError."""
    if not isinstance(value, list):
        raise _wrong(value, place, "a list")
    # names of many images: no place of each is put into words
    if kind is str and {str}.issuperset(map(type, value)):
        return value
    return [
        read_value(kind, item, f"{place}[{index}]")
        for index, item in enumerate(value)
    ]


def _read_union(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    """Return None, or a value of the first type that it has."""
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return read_value(kind, value, place)
        except ValueError:
            continue
    return read_value(others[-1], value, place)


def _read_plain(kind: Any, value: Any, place: str) -> Any:
    """Return a text, a number or a truth value; integers are numbers, truth values are not."""
    accepted: Any = (int, float) if kind is float else kind
    is_truth = isinstance(value, bool)
    if not isinstance(value, accepted) or is_truth != (kind is bool):
        raise _wrong(value, place, NAMES[kind])
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise _wrong(value, place, "an integer of 128 bits")
    return float(value) if kind is float else value


def _wrong(value: Any, place: str, expected: str) -> ValueError:
    text = repr(value)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}…"
    return ValueError(f"{place} is {text}, where {expected} belongs")
