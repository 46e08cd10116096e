"""JSON of strangers: strict, of limited depth, and of the types that records say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from nd_plugin.borders.json_values import (
    DEEPEST,
    parse_json,
    read_list,
    read_record,
)


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Outer:
    text: str
    count: int
    share: float
    is_whole: bool
    limit: int | None
    items: tuple[Inner, ...]
    versions: Mapping[str, str]
    extra: Mapping[str, Any]
    note: str = ""


RIGHT: dict[str, Any] = {
    "text": "a",
    "count": 3,
    "share": 1,
    "is_whole": True,
    "limit": None,
    "items": [{"name": "b"}],
    "versions": {"torch": "2"},
    "extra": {"any": [1, None]},
}


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "-1e999", "{", "", "[1,]"],
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_brackets_that_are_nested_too_deep(
    depth: int, opening: str, closing: str
) -> None:
    text = opening * depth + "1" + closing * depth
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        parse_json(text)


def test_what_is_json() -> None:
    deep = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(f'{{"a": [1, 2.5, null, "\\ud800"], "b": {deep[1:-1]}}}')[
        "a"
    ] == [
        1,
        2.5,
        None,
        "\ud800",
    ]


def test_a_record() -> None:
    record = read_record(Outer, RIGHT, "it")
    assert record == Outer(
        "a", 3, 1.0, True, None, (Inner("b"),), {"torch": "2"}, {"any": [1, None]}
    )
    assert isinstance(record.share, float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": 1}, "it.text is 1, where a text belongs"),
        ({"count": True}, "it.count is True, where an integer belongs"),
        ({"count": 1.0}, r"it.count is 1.0, where an integer"),
        ({"count": 2**200}, r"where an integer of 128 bits belongs"),
        ({"share": "1"}, "it.share is '1', where a number"),
        ({"share": False}, "it.share is False"),
        ({"is_whole": 1}, "it.is_whole is 1, where true or false"),
        ({"limit": "x"}, "it.limit is 'x', where an integer"),
        ({"items": {}}, "it.items is {}, where a list"),
        ({"items": [3]}, r"it.items\[0\] is 3, where an object"),
        ({"items": [{"name": None}]}, r"it.items\[0\].name is None"),
        ({"items": [{}]}, r"it.items\[0\] lacks an entry: .*'name'"),
        ({"versions": {"torch": 2}}, "it.versions.torch is 2"),
        ({"extra": []}, r"it.extra is \[\], where an object"),
        ({"other": 1}, "it has the entry 'other', which this nd_plugin"),
        ({"text": "x" * 10, "count": ["y" * 500]}, r"it.count is \['y{58}…, where"),
    ],
)
def test_entries_of_other_types(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_record(Outer, {**RIGHT, **changes}, "it")


def test_a_list_of_objects() -> None:
    with pytest.raises(ValueError, match=r"layers\[1\] is 'x', where an object"):
        read_list(dict[str, Any], [{}, "x"], "layers")
